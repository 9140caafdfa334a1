"""How a converted archive lies in its store."""

import numpy as np
import pytest
import xarray as xr

from framecast.data.store.layout import CHUNK, SHARD, default_chunks, frames_per_shard


@pytest.mark.parametrize(
    ("height", "width", "rows", "columns"),
    [
        (640, 710, 64, 71),
        (765, 700, 51, 70),
        (1226, 760, 64, 76),
        (128, 64, 64, 64),
        (90, 47, 90, 64),
    ],
)
def test_chunks_divide_the_frame_where_they_can(height: int, width: int, rows: int, columns: int) -> None:
    frames = xr.DataArray(np.empty((2, 1, height, width), np.float32), dims=("time", "channel", "y", "x"))
    assert default_chunks(frames) == (CHUNK[0], rows, columns)


def test_a_shard_is_whole_chunks_of_about_its_size() -> None:
    frames = xr.DataArray(np.empty((2, 1, 640, 710), np.float32), dims=("time", "channel", "y", "x"))
    length = frames_per_shard(frames, (16, 64, 71))
    assert length % 16 == 0
    assert SHARD / 2 < 4 * length * 640 * 710 <= SHARD
    assert frames_per_shard(frames, (100, 64, 71)) == 100, "at least one chunk"


def test_very_large_frames_have_chunks_of_few() -> None:
    frames = xr.DataArray(np.empty((1, 1, 1, 1), np.float32), dims=("time", "channel", "y", "x"))
    large = frames.isel(y=np.zeros(2048, int)).isel(x=np.zeros(4096, int))
    assert default_chunks(large) == (2, 64, 64)
