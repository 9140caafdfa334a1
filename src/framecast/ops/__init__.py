"""Primitives on tensors that models, curricula and losses share."""

from framecast.ops.lookup import look_up, places
from framecast.ops.masks import all_valid, free_running
from framecast.ops.patches import from_patches, to_patches

__all__ = ["all_valid", "free_running", "from_patches", "look_up", "places", "to_patches"]
