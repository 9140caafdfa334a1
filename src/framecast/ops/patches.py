"""Space to depth and back: converts frames to maps of patches, smaller and with more channels.

Channel order of a patch: `(row * patch + column) * C + c`, as in the published PredRNN, MotionRNN and OpenSTL code
(docs/specification.md, section 0). The inverse is exact. In memory the channels of a patch are adjacent (channels-last), the
fastest layout for most convolutions.
"""

from __future__ import annotations

from einops import rearrange
from torch import Tensor


def to_patches(frames: Tensor, patch: int) -> Tensor:
    """`frames (B, T, C, H, W)` -> `(B, T, patch * patch * C, H / patch, W / patch)`."""
    return rearrange(frames, "b t c (h p) (w q) -> b t h w (p q c)", p=patch, q=patch).movedim(-1, 2)


def from_patches(patches: Tensor, patch: int) -> Tensor:
    """`patches (B, T, patch * patch * C, h, w)` -> `(B, T, C, h * patch, w * patch)`: the inverse of `to_patches`."""
    return rearrange(patches, "b t (p q c) h w -> b t c (h p) (w q)", p=patch, q=patch)
