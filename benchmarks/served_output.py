"""The output of a service on real radar events: frames, forecasts, scores and status, in the layout that `framecast serve` reads.

    python benchmarks/served_output.py OUT switzerland=mch_20150515.nc netherlands=knmi_20100826.nc [--forecasts 24]

Each event ends now: its times are shifted by whole days and minutes, so that the page shows an ordinary hour. Forecasts are those
of the packaged radar model and of the baselines beside it; the third newest of each domain is one of extrapolation, to show a
fallback. The last domain ends with a fallback, too.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import framecast
from framecast.data.quantities import quantity_of
from framecast.data.windows.index import time_step
from framecast.forecasting.baselines import BaselineData, build
from framecast.forecasting.labels import forecast_frames, values_of
from framecast.verification.windows import all_windows
from framecast.writing import make_folder, write_bytes, write_text

RATES = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0)
SCORED = (0.5, 2.0)
RUNGS = ("radar", "extrapolation_probability", "extrapolation", "persistence", "nothing")


def stamp(time: np.datetime64) -> str:
    """`20261129T120000Z`."""
    return str(time.astype("datetime64[s]")).translate(str.maketrans("", "", "-:")) + "Z"


def iso(time: np.datetime64) -> str:
    """`2026-11-29T12:00:00Z`."""
    return f"{time.astype('datetime64[s]')}Z"


def shifted(frames: xr.DataArray) -> xr.DataArray:
    """The frames with times that end at the newest full step before now."""
    step = np.timedelta64(time_step(frames), "s")
    now = np.datetime64("now", "s")
    newest = now - (now - np.datetime64(0, "s")) % step
    return frames.assign_coords(time=frames["time"] + (newest - frames["time"].values[-1].astype("datetime64[s]")))


def csi(forecast: np.ndarray, truth: np.ndarray, threshold: float) -> tuple[float, int]:
    """Critical success index, and the number of pixels that both have."""
    valid = np.isfinite(forecast) & np.isfinite(truth)
    predicted, observed = forecast[valid] >= threshold, truth[valid] >= threshold
    events = (predicted | observed).sum()
    return float((predicted & observed).sum() / events) if events else float("nan"), int(valid.sum())


def scores(forecasts: dict[str, xr.DataArray], frames: xr.DataArray, init: np.datetime64) -> Iterator[str]:
    """Lines of scores.csv: the critical success index of each forecast where its truth is there."""
    for name, forecast in forecasts.items():
        for index, lead in enumerate(forecast["lead_time"].values):
            if init + lead > frames["time"].values[-1]:
                continue
            truth = frames.sel(time=init + lead).values
            values = forecast.isel(init_time=0, lead_time=index)
            field = (values.mean("member") if "member" in values.dims else values).to_numpy()
            minutes = int(lead / np.timedelta64(60, "s"))
            for threshold in SCORED:
                value, pixels = csi(field, truth, threshold)
                yield f"{iso(init)},{minutes},{name},csi,{threshold},{value:.4f},{pixels}\n"


def domain(folder: Path, path: Path, count: int, members: int, *, fallen: bool) -> None:
    """Write one domain."""
    frames = shifted(framecast.open(path)).load()
    step = time_step(frames)
    for index in range(frames.sizes["time"]):
        frame = frames.isel(time=[index])
        write_frame(folder / "frames" / f"{stamp(frame['time'].values[0])}.nc", frame)
    assert isinstance(step, np.timedelta64)
    data = BaselineData(quantity_of(frames), step, [frames], training=lambda: all_windows(frames, 4, count))
    baselines = {name: build(name, data) for name in ("extrapolation", "persistence")}
    lines, cycles = ["init_time,lead_minutes,forecaster,score,threshold,value,pixels\n"], []
    for index in range(frames.sizes["time"] - count, frames.sizes["time"]):
        known = frames.isel(time=slice(None, index + 1))
        init = known["time"].values[-1]
        newest = index == frames.sizes["time"] - 1
        model = framecast.forecast("radar", known, rates=RATES, members=members if newest else None)
        beside = {name: values_of(forecast_frames(each, known, 12)) for name, each in baselines.items()}
        fallback = index == frames.sizes["time"] - 3 or (newest and fallen)
        issued: Any = beside["extrapolation"] if fallback else model
        rung = "extrapolation" if fallback else "radar"
        reasons = ["the newest frame is stuck: it equals the one before"] if fallback else []
        target = folder / "forecasts" / stamp(init) / "forecast.nc"
        make_folder(target.parent)
        framecast.write(issued, target, overwrite=True)
        if newest:
            write_text(target.parent / "alerts.json", json.dumps({"type": "FeatureCollection", "features": []}))
        lines += scores({rung: values_of(issued), **beside}, frames, init)
        cycles.append(
            {
                "cycle": iso(init),
                "outcome": "forecast",
                "rung": rung,
                "reasons": reasons,
                "newest_frame": iso(init),
                "age_seconds": 62.0,
                "files": ["forecast.nc"],
                "seconds": {"read": 0.6, "forecast": 8.1, "write": 1.3},
                "started": iso(init + np.timedelta64(60, "s")),
                "finished": iso(init + np.timedelta64(70, "s")),
            }
        )
    largest = float(np.nanmax(values_of(issued).values))
    write_text(folder / "cycles.jsonl", "".join(json.dumps(each) + "\n" for each in cycles))
    write_text(folder / "scores.csv", "".join(lines))
    write_text(
        folder / "status.json",
        json.dumps(
            {
                "domain": folder.name,
                "written": cycles[-1]["finished"],
                "cadence_seconds": int(np.timedelta64(step, "s").astype(int)),
                "init_time": iso(init),
                "newest_frame": iso(init),
                "age_seconds": 62.0,
                "rung": rung,
                "rungs": list(RUNGS),
                "reasons": reasons,
                "forecaster": "radar",
                "cycle_seconds": 10.0,
                "latency": {"p50": 9.8, "p95": 12.4, "p99": 14.0},
                "overruns": 0,
                "largest": largest,
                "next_expected": iso(init + np.timedelta64(step, "s")),
                "drift": None,
            }
        ),
    )


def write_frame(path: Path, frame: xr.DataArray) -> None:
    """One observed frame as NetCDF."""
    frame = frame.drop_vars("source", errors="ignore").drop_encoding()
    frame.attrs.pop("repairs", None)
    name = str(frame.name)
    dataset = frame.to_dataset()
    dataset[name].encoding = {"zlib": True, "complevel": 1}
    make_folder(path.parent)
    write_bytes(path, memoryview(dataset.to_netcdf(engine="h5netcdf")))


def main() -> None:
    """Parse the arguments and write all domains."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("domains", nargs="+", help="NAME=FILE")
    parser.add_argument("--forecasts", type=int, default=12)
    parser.add_argument("--members", type=int, default=8)
    options = parser.parse_args()
    make_folder(options.out)
    settings = {
        "version": framecast.__version__,
        "started": iso(np.datetime64("now")),
        "process": 0,
        "host": "localhost",
    }
    write_text(options.out / "service.json", json.dumps(settings))
    for number, each in enumerate(options.domains):
        name, path = each.split("=", 1)
        last = number > 0 and number == len(options.domains) - 1
        domain(options.out / name, Path(path), options.forecasts, options.members, fallen=last)


if __name__ == "__main__":
    main()
