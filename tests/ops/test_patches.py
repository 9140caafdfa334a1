"""Space to depth: the order of the published code, and an exact inverse."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from framecast.ops import from_patches, to_patches


def test_channel_order_is_row_column_channel() -> None:
    frames = torch.arange(2 * 4 * 6, dtype=torch.float32).reshape(1, 1, 2, 4, 6)
    patches = to_patches(frames, 2)
    assert patches.shape == (1, 1, 8, 2, 3)
    for row in range(2):
        for column in range(2):
            for c in range(2):
                assert torch.equal(patches[0, 0, (row * 2 + column) * 2 + c], frames[0, 0, c, row::2, column::2])


@given(patch=st.integers(1, 4), channels=st.integers(1, 3), rows=st.integers(1, 3), columns=st.integers(1, 3))
def test_inverse_is_exact(patch: int, channels: int, rows: int, columns: int) -> None:
    frames = torch.rand(2, 3, channels, rows * patch, columns * patch)
    assert torch.equal(from_patches(to_patches(frames, patch), patch), frames)
