"""Primitives on tensors that models, curricula, losses and scores share: masks, patches, samples, convolutions, gates, attention.

Everything here is a function of tensors; nothing reads files or settings.
"""

from framecast.ops.lookup import bilinear_sample, pixel_coordinates
from framecast.ops.masks import all_valid, free_running
from framecast.ops.patches import from_patches, to_patches

__all__ = ["all_valid", "bilinear_sample", "free_running", "from_patches", "pixel_coordinates", "to_patches"]
