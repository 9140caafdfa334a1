"""Layout of a converted archive in its Zarr store: arrays, chunks and shards (conversion.py fills them).

Chunks are what random crops read; shards, which hold many of them, are what is written at once, and what an object store
holds as one object.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import suppress
from math import prod
from typing import Any

import numpy as np
import xarray as xr
import zarr
from zarr.codecs import ZstdCodec
from zarr.errors import ZarrUserWarning
from zarr.storage import MemoryStore

from framecast.checks import as_tuple, check_counts
from framecast.data.frames import action_names, actions_of
from framecast.data.orientation import CURVILINEAR
from framecast.data.readers.limits import MEMORY_LIMIT
from framecast.errors import ArgumentError

Chunks = tuple[int, int, int]
"""Frames, height and width of a chunk."""
CHUNK: Chunks = (8, 64, 64)
"""As float32 128 KiB: of what is expanded for a crop of 128 x 128 and 15 frames three tenths are used."""
SHARD = 64 * 2**20
"""Bytes, as float32, that a shard holds about; two are in memory at a time."""
FEWEST_PIXELS = 64
"""Of a chunk, over frames, height and width: it takes some 40 bytes besides its pixels."""
_EPOCH = "nanoseconds since 1970-01-01"


def check_chunks(chunks: Chunks) -> None:
    """Raise `ArgumentError` if chunks are not three whole numbers from 1 on."""
    if len(as_tuple(chunks, "chunks")) != 3:
        given = " x ".join(map(str, chunks))
        raise ArgumentError(f"chunks of {given}, expected frames x height x width", parameter="chunks")
    for side in chunks:
        check_counts(chunks=side)


def clip_chunks(chunks: Sequence[int], height: int, width: int) -> Chunks:
    """Chunks that do not reach beyond a frame."""
    return int(chunks[0]), min(int(chunks[1]), height), min(int(chunks[2]), width)


def check_chunk_size(chunks: Chunks, frames: xr.DataArray) -> None:
    """Raise `ArgumentError` for chunks, clipped to the frame, of so many frames that a shard of them does not fit in memory, or
    of so few pixels that the index of the chunks outgrows them."""
    height, width = frames.sizes["y"], frames.sizes["x"]
    most = max(MEMORY_LIMIT // _bytes(frames), 1)
    if chunks[0] > most:
        raise ArgumentError(
            f"{chunks[0]:,} frames of {height} x {width} pixels exceed {MEMORY_LIMIT / 2**20:.0f} MiB, which a shard holds",
            parameter="chunks",
            remedy=f"at most {most:,} frames in a chunk",
        )
    least = min(FEWEST_PIXELS, CHUNK[0] * height * width)
    if prod(chunks) < least:
        raise ArgumentError(
            f"{' x '.join(map(str, chunks))} are {prod(chunks)} pixels; the index of such chunks is larger than they are",
            parameter="chunks",
            remedy=f"at least {least} pixels in a chunk",
        )


def default_chunks(frames: xr.DataArray) -> Chunks:
    """About `CHUNK`, with fewer frames if a chunk of them would exceed `SHARD` bytes."""
    largest = SHARD // _bytes(frames)
    return (min(CHUNK[0], max(largest, 1)), _side(frames.sizes["y"], CHUNK[1]), _side(frames.sizes["x"], CHUNK[2]))


def choose_chunks(
    given: Chunks | None, finished: dict[str, Any] | None, started: dict[str, Any] | None, frames: xr.DataArray
) -> Chunks:
    """The chunks that are given, else those of the finished store, else those of an interrupted one that can be written, else the
    default. Raises `ArgumentError` for given ones that cannot."""
    height, width = frames.sizes["y"], frames.sizes["x"]
    if given is not None:
        chunks = clip_chunks(given, height, width)
        check_chunk_size(chunks, frames)
        return chunks
    if finished is not None:
        return clip_chunks(finished["plan"]["chunks"], height, width)
    if started is not None:
        chunks = clip_chunks(started["plan"]["chunks"], height, width)
        with suppress(ArgumentError):
            check_chunk_size(chunks, frames)
            return chunks
    return default_chunks(frames)


def frames_per_shard(frames: xr.DataArray, chunks: Chunks) -> int:
    """How many frames a shard holds: whole chunks, about `SHARD` bytes."""
    return max(SHARD // (_bytes(frames) * chunks[0]), 1) * chunks[0]


def create(store: MemoryStore, frames: xr.DataArray, chunks: Chunks, length: int) -> None:
    """Create a store without frames, on the grid of `frames` and for as many actions, with shards of `length` frames."""
    coordinates = {name: frames[name].variable for name in ("y", "x", "crs", *CURVILINEAR) if name in frames.coords}
    clock = frames["time"].dtype.kind == "M"
    xr.Dataset(coords=coordinates, attrs={"Conventions": "CF-1.10"}).to_zarr(store, zarr_format=3, consolidated=False)
    group = zarr.open_group(store, mode="r+")
    group.create_array(
        "time",
        shape=(0,),
        chunks=(2**16,),
        dtype="int64",
        dimension_names=("time",),
        attributes={"units": _EPOCH, "calendar": "proleptic_gregorian", "standard_name": "time"}
        if clock
        else {"units": "1", "long_name": "number of the frame"},
    )
    if actions := len(action_names(frames)):
        group.create_array(
            "actions",
            shape=(0, actions),
            chunks=(2**16, actions),
            dtype="float32",
            fill_value=float("nan"),
            dimension_names=("time", "action"),
        )
    channels, height, width = frames.shape[1:]
    rows, columns = min(chunks[1], height), min(chunks[2], width)
    group.create_array(
        str(frames.name),
        shape=(0, channels, height, width),
        chunks=(chunks[0], channels, rows, columns),
        shards=(length, channels, -(-height // rows) * rows, -(-width // columns) * columns),
        dtype="float32",
        fill_value=float("nan"),
        compressors=ZstdCodec(level=1, checksum=True),  # no bytes are shuffled: values of radars repeat whole
        dimension_names=("time", "channel", "y", "x"),
        attributes={
            "units": frames.attrs["units"],
            "dry": float(frames.attrs["dry"]),
            **{key: str(frames.attrs[key]) for key in ("long_name", "standard_name") if key in frames.attrs},
            **({"grid_mapping": "crs"} if "crs" in frames.coords else {}),
        },
    )


def consolidate(store: MemoryStore) -> None:
    """Write the metadata of all arrays in one place, for stores that are read over a network."""
    with warnings.catch_warnings():
        # that version 3 has no such thing in its specification yet
        warnings.simplefilter("ignore", ZarrUserWarning)
        zarr.consolidate_metadata(store)


def extra_arrays(frames: xr.DataArray) -> dict[str, np.ndarray]:
    """The arrays of a store besides the frames: `time`, nanoseconds since 1970 or numbers of frames, and, where the
    frames have actions, `actions (time, A)`."""
    times = frames["time"].values
    numbers = times.astype("datetime64[ns]").astype(np.int64) if times.dtype.kind == "M" else times.astype(np.int64)
    return {"time": numbers} | ({"actions": actions_of(frames)[0]} if action_names(frames) else {})


def _bytes(frames: xr.DataArray) -> int:
    """Bytes of one frame, as float32."""
    return 4 * prod(frames.shape[1:])


def _side(size: int, preferred: int) -> int:
    """The divisor of `size` nearest to `preferred` and not far from it, else `preferred`: shards that reach beyond the frame take
    longer to write."""
    near = [side for side in range(preferred * 3 // 4, preferred * 3 // 2 + 1) if size % side == 0]
    return min(near, key=lambda side: abs(side - preferred), default=preferred)
