"""Decode frames for a store: one that cannot be decoded is without data, and named."""

from __future__ import annotations

import numpy as np

from framecast.data.frames import stamp
from framecast.data.lazy import ArrayReader
from framecast.errors import FramecastError, ResourceError


def decode_frames(reader: ArrayReader, start: int, end: int, values: np.ndarray) -> dict[str, str]:
    """Read the frames from `start` to `end` into `values (T, C, H, W)`. One that cannot be decoded becomes NaN; returns its time
    and the reason."""
    try:
        values[:] = reader.decode(time=slice(start, end))
    except ResourceError:
        raise
    except FramecastError as error:
        if end - start == 1:
            values[:] = np.nan
            return {stamp(reader.frames["time"].values[start]): f"{error.where}: {error.what}"}
        failures = [decode_frames(reader, k, k + 1, values[k - start : k - start + 1]) for k in range(start, end)]
        return {time: reason for each in failures for time, reason in each.items()}
    return {}
