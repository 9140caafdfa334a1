"""The observed frames that a service stores, one NetCDF file each: for its restart, for the scores and for the page."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import xarray as xr

from framecast.data.archives.opening import open as open_frames
from framecast.data.readers.options import ReadOptions
from framecast.errors import FramecastError
from framecast.service.layout import Layout, Time, times_in
from framecast.writing.netcdf import write_netcdf

_log = logging.getLogger(__name__)


def write_frame(layout: Layout, time: Time, frame: xr.DataArray) -> None:
    """Write the frame `(1, C, H, W)` of an expected time in one step. Raises `RunError`."""
    stored = frame.drop_vars("source", errors="ignore").drop_encoding()
    stored.attrs = {key: value for key, value in stored.attrs.items() if key != "repairs"}
    stored.encoding = {"zlib": True, "complevel": 1, "dtype": "float32", "_FillValue": np.float32(np.nan)}
    dataset = stored.to_dataset(name=str(frame.name))
    dataset["time"].encoding = {"units": "seconds since 1970-01-01", "dtype": "int64"}
    for axis in {"y", "x"} & set(dataset.coords):
        dataset[axis].encoding = {"_FillValue": None}
    dataset.attrs = {"Conventions": "CF-1.10", "source": "framecast, observed"}
    write_netcdf(layout.frame(time), dataset)


def read_frame(path: Path, options: ReadOptions) -> xr.DataArray | None:
    """A stored frame, loaded; None if it is gone or cannot be read."""
    try:
        return open_frames(path, ReadOptions(dry=options.dry, variable=options.variable)).load()
    except FramecastError as error:
        _log.warning("%s: a stored frame cannot be read: %s", path, error.what)
        return None


def newest_frames(layout: Layout, count: int, options: ReadOptions) -> Iterator[tuple[Path, xr.DataArray]]:
    """The newest stored frames, at most `count`, in order of time."""
    newest = list(islice(reversed(list(times_in(layout.frames))), count))
    for _, path in reversed(newest):
        frame = read_frame(path, options)
        if frame is not None:
            yield path, frame
