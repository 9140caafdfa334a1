"""Primitives on tensors that models, curricula and losses share."""

from framecast.ops.lookup import bilinear_sample, pixel_coordinates
from framecast.ops.masks import all_valid, free_running
from framecast.ops.patches import from_patches, to_patches

__all__ = ["all_valid", "bilinear_sample", "free_running", "from_patches", "pixel_coordinates", "to_patches"]
