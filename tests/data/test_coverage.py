"""What frames hold: counted in pieces, as if all were read at once."""

import hashlib
from typing import Any

import numpy as np
import pytest
import xarray as xr

from framecast.data import coverage as module
from framecast.data.coverage import coverage, frame_digests, tells_nothing
from framecast.data.frames import BELOW, INFINITE, OUTSIDE

SHAPE = (3, 7, 2, 12, 10)
"""Sequences, times, channels, rows, columns."""


@pytest.fixture
def frames() -> xr.DataArray:
    """Frames with pixels of each state, some of them dry throughout, one without any data."""
    rng = np.random.default_rng(0)
    values = rng.gamma(0.3, 2, SHAPE).astype(np.float32)
    values[rng.random(SHAPE) < 0.2] = np.nan
    bits = values.view(np.uint32)
    for bit, share in ((INFINITE, 0.01), (BELOW, 0.02), (OUTSIDE, 0.03)):
        bits[rng.random(SHAPE) < share] = bit
    values[1, 2:4] = np.where(np.isnan(values[1, 2:4]), np.nan, -0.0)
    values[2, 0] = np.nan
    coordinates: dict[str, Any] = {
        "time": np.arange(SHAPE[1]),
        "y": 500 + 1000 * np.arange(12.0),
        "x": 500 + 1000 * np.arange(10.0),
    }
    coordinates |= {"quality": (("time", "y", "x"), np.ones((SHAPE[1], *SHAPE[3:]))), "source": "radar"}
    return xr.DataArray(values, dims=("sequence", "time", "channel", "y", "x"), coords=coordinates, attrs={"dry": 0.0})


@pytest.mark.parametrize("piece", [1, 500, 3000, 2**20])
@pytest.mark.parametrize(
    "chunks", [None, {"sequence": 2, "time": 3, "y": 5, "x": 4}, {"time": 1}, {"channel": 1, "y": 1}]
)
@pytest.mark.parametrize("turned", [(), ("y",), ("x",), ("y", "x")])
def test_pieces_of_any_size_are_counted_as_a_whole(
    frames: xr.DataArray,
    turned: tuple[str, ...],
    chunks: dict[str, int] | None,
    piece: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "PIECE_BYTES", piece)
    frames = frames.isel(dict.fromkeys(turned, slice(None, None, -1)))
    found = coverage(frames if chunks is None else frames.chunk(chunks), digests=True)
    values = frames.values
    assert found.dims == ("sequence", "time")
    assert set(found.coords) == {"time", "source", "infinite", "below", "outside", "digest"}
    np.testing.assert_array_equal(found, (~np.isnan(values)).mean((2, 3, 4)))
    for name, bits in (("infinite", INFINITE), ("below", BELOW), ("outside", OUTSIDE)):
        np.testing.assert_array_equal(
            found[name], (np.ascontiguousarray(values).view(np.uint32) == bits).sum((2, 3, 4))
        )
    north_first = frames.sortby("y", ascending=False).sortby("x").values
    np.testing.assert_array_equal(found["digest"], frame_digests(north_first))


def test_a_digest_is_that_of_size_and_values_and_says_where_a_frame_tells_nothing(frames: xr.DataArray) -> None:
    values = frames.values
    digests = frame_digests(values)
    nothing = np.zeros(SHAPE[:2], bool)
    nothing[1, 2:4] = nothing[2, 0] = True
    np.testing.assert_array_equal(tells_nothing(digests), nothing)
    one = np.where(np.isnan(values[0, 0]), np.float32(np.nan), values[0, 0])
    content = np.array(SHAPE[2:], "<i8").tobytes() + one.astype("<f4").tobytes()
    assert int(digests[0, 0]) == int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little") | 1
    plain_zero = np.where(values[1] == 0, np.float32(0), values[1])
    np.testing.assert_array_equal(frame_digests(plain_zero), digests[1])
    assert frame_digests(values[0, 0].reshape(2, 10, 12)) != digests[0, 0]
