"""Helpers of readers whose files hold one frame each: a lazy frame, times in UTC, resizing by areas."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from framecast.data.clock import YEARS
from framecast.data.lazy import lazy_variable
from framecast.errors import DataError, UnreadableFile

if TYPE_CHECKING:
    from framecast.data.readers.grids import Grid


def single_frame(
    path: Path,
    decode: Callable[[], np.ndarray],
    *,
    name: str,
    shape: tuple[int, int],
    units: str | None = None,
    time: datetime.datetime | None = None,
    minutes: float | None = None,
    grid: Grid | None = None,
    repairs: tuple[str, ...] = (),
) -> xr.DataArray:
    """The frame `(y, x)` that `decode` returns as float32, NaN where there is no data, decoded when it is used.

    `time` is the time stamp, in UTC where it has no zone; values may be amounts in mm over `minutes`. An error
    in `decode` is raised as `UnreadableFile` with the name of the file.
    """

    def values() -> np.ndarray:
        try:
            frame = decode()
        except DataError:
            raise
        except Exception as error:  # decoders raise errors of many kinds; the message names the file
            raise UnreadableFile(
                f"the frame cannot be decoded ({first_line(error)})", where=path, remedy="fetch the file again"
            ) from error
        return np.asarray(frame, dtype=np.float32).reshape(shape)

    coordinates = grid.coordinates() if grid else {}
    if time is not None:
        if not YEARS[0] <= time.year <= YEARS[1]:
            raise DataError(
                f"the time {time.isoformat()} cannot be stored", where=path, remedy="correct the time stamp"
            )
        coordinates["time"] = utc(time)
    if minutes is not None:
        units = f"mm per {minutes:g} min"
    attributes = {"units": units, "repairs": list(repairs)} | ({"grid_mapping": "crs"} if grid else {})
    return xr.DataArray(
        lazy_variable(("y", "x"), shape, lambda selection: values()[selection]),
        name=name,
        coords=coordinates,
        attrs=attributes,
    )


def is_code(stored: np.ndarray, codes: Sequence[float]) -> np.ndarray:
    """Where stored numbers are one of the `codes`, which have the precision of the stored ones; NaN is a code too."""
    of_type = np.array(codes, np.float64).astype(stored.dtype if stored.dtype.kind == "f" else np.float64)
    is_one = np.isin(stored, of_type)
    return is_one | np.isnan(stored) if np.isnan(of_type).any() else is_one


def same_code(nodata: Sequence[float], undetect: Sequence[float]) -> tuple[str, ...]:
    """What is to be reported of codes of no data that are those of dry pixels too."""
    same = [code for code in undetect if is_code(np.array(code), nodata)]
    return tuple(
        f"nodata and undetect are both {code:g}: dry and no data cannot be told apart; read as no data" for code in same
    )


def utc(time: datetime.datetime) -> np.datetime64:
    """A time in UTC; one without zone is UTC already."""
    if time.tzinfo is not None:
        time = time.astimezone(datetime.UTC).replace(tzinfo=None)
    return np.datetime64(time, "ns")


def first_line(error: Exception) -> str:
    """The first line of an error message."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def resize(values: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """`(y, x)` at another size, each new pixel the mean over its area of those that have data; as it is without size."""
    if size is None or values.shape == size:
        return values
    rows, columns = (_areas(old, new) for old, new in zip(values.shape, size, strict=True))
    valid = np.isfinite(values)
    weight = rows @ valid.astype(np.float32) @ columns.T
    total = rows @ np.where(valid, values, 0) @ columns.T
    return np.asarray(np.where(weight > 0.5, total / np.where(weight > 0, weight, 1), np.nan), dtype=np.float32)


@lru_cache(maxsize=8)
def _areas(old: int, new: int) -> np.ndarray:
    """`(new, old)`: which part of each new pixel each old one covers."""
    edges = np.arange(new + 1) * (old / new)
    first, last = edges[:-1, None], edges[1:, None]
    pixel = np.arange(old)[None]
    covered = np.clip(np.minimum(last, pixel + 1) - np.maximum(first, pixel), 0, None)
    return np.asarray(covered / (old / new), dtype=np.float32)
