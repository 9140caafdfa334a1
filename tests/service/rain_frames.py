"""A shower that moves over a small grid, written frame by frame, and a clock that is set by hand."""

import datetime
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from framecast.data.readers.options import ReadOptions
from framecast.service.layout import Time, name_of, to_stamp
from framecast.service.settings import Domain

START = datetime.datetime(2026, 5, 1, 12, tzinfo=datetime.UTC)
STEP = datetime.timedelta(minutes=5)


def at(number: int) -> Time:
    """The time of a frame."""
    return START + number * STEP


def shower(number: int, side: int = 48) -> np.ndarray:
    """The rain rate `(side, side)` of a frame in mm/h."""
    y, x = np.arange(side)[:, None], np.arange(side)
    place = 8 + 1.5 * (number % 20)
    return (20 * np.exp(-((y - side / 2) ** 2 + (x - place) ** 2) / 40)).astype(np.float32)


def content(number: int, values: np.ndarray | None = None) -> bytes:
    """The file of a frame: an array, whose time is that of its name."""
    file = io.BytesIO()
    np.save(file, shower(number) if values is None else values)
    return file.getvalue()


def netcdf(number: int) -> bytes:
    """The NetCDF file of a frame, which holds its time."""
    array = xr.DataArray(
        shower(number)[None], {"time": [to_stamp(at(number))]}, ("time", "y", "x"), "rain", {"units": "mm/h"}
    )
    return bytes(array.to_dataset().to_netcdf(engine="h5netcdf"))


def name(number: int) -> str:
    """The name of the file of a frame."""
    return f"rain_{name_of(at(number))}.npy"


def put(folder: Path, number: int, values: np.ndarray | None = None) -> Path:
    """Write a frame into a folder, under the name of its time."""
    path = folder / name(number)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content(number, values))
    return path


class SetClock:
    """A clock and a timer that stand still until they are advanced."""

    def __init__(self, time: Time) -> None:
        self.time, self.seconds = time, 0.0

    def now(self) -> Time:
        return self.time

    def timer(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.time += datetime.timedelta(seconds=seconds)
        self.seconds += seconds


def domain_of(source: Path, **settings: object) -> Domain:
    """A domain of baselines, for frames every five minutes."""
    defaults: dict[str, object] = {
        "model": "extrapolation",
        "ladder": ("persistence",),
        "horizon": 3,
        "scores": False,
        "options": ReadOptions(units="mm/h"),
    }
    return Domain(name="small", source=str(source), **{**defaults, **settings})  # type: ignore[arg-type]


class Output:
    """What the service of that domain writes into the folder `out`."""

    out: Path

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.out / "small" / "cycles.jsonl").read_text().splitlines()]

    @property
    def status(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.out / "small" / "status.json").read_text())
        return content
