"""A small output of a service: two domains, a few frames and forecasts of moving rain on a small grid."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import xarray as xr
from pyproj import CRS

from framecast.forecasting.write import write
from framecast.verification.drift import Drift

STEP = 300
LEADS = 6
MISSING = 3
"""The number of a frame that did not come."""
THRESHOLDS = (0.5, 1.0, 2.0, 5.0)
SWISS = "+proj=laea +lat_0=47 +lon_0=8 +x_0=600000 +y_0=300000 +ellps=GRS80 +units=m"
DEGREES = "EPSG:4326"


def stamp(seconds: float) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))


def iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def rain(at: float, shape: tuple[int, int] = (64, 80)) -> np.ndarray:
    """A cell of rain that moves east with time, with no data in the corner."""
    rows, columns = np.indices(shape)
    field = 20 * np.exp(-((rows - 30) ** 2 + (columns - 20 - at) ** 2) / 60.0)
    field[field < 0.1] = 0
    field[:8, :8] = np.nan
    return field.astype(np.float32)


def labelled(values: np.ndarray, dims: tuple[str, ...], crs: str) -> xr.DataArray:
    """Values with the coordinates of a grid over Switzerland."""
    if crs == DEGREES:
        y, x = 48.0 - 0.05 * np.arange(64), 6.0 + 0.06 * np.arange(80)
    else:
        y, x = 480e3 - 5e3 * np.arange(64), 400e3 + 5e3 * np.arange(80)
    attributes = {"units": "mm h-1", "quantity": "rain_rate", "dry": 0.0, "grid_mapping": "crs"}
    mapping = xr.Variable((), 0, CRS(crs).to_cf())
    return xr.DataArray(
        values, dims=dims, coords={"y": y, "x": x, "crs": mapping}, name="rainfall_rate", attrs=attributes
    )


def frame(seconds: float, number: int, crs: str) -> xr.Dataset:
    times = np.array([np.datetime64(int(seconds), "s")]).astype("datetime64[ns]")
    return labelled(rain(number)[None, None], ("time", "channel", "y", "x"), crs).assign_coords(time=times).to_dataset()


def forecast(seconds: float, number: int, crs: str, members: int) -> xr.Dataset:
    """A forecast with probabilities, of members if there are some."""
    dims = ("init_time", "lead_time", "channel", "y", "x")
    ahead = np.stack([rain(number + lead) for lead in range(1, LEADS + 1)])[None, :, None]
    coordinates = {
        "init_time": np.array([np.datetime64(int(seconds), "s")]).astype("datetime64[ns]"),
        "lead_time": (np.arange(1, LEADS + 1) * np.timedelta64(STEP, "s")).astype("timedelta64[ns]"),
    }
    probability = np.stack([1 / (1 + (threshold / np.maximum(ahead, 1e-3)) ** 2) for threshold in THRESHOLDS], axis=1)
    values = labelled(ahead, dims, crs)
    if members:
        each = np.stack([ahead * (0.6 + 0.1 * member) for member in range(members)], axis=1)
        values = labelled(each, ("init_time", "member", *dims[1:]), crs).assign_coords(member=np.arange(members))
    dataset = values.to_dataset()
    chances = labelled(probability, ("init_time", "threshold", *dims[1:]), crs).rename("exceedance_probability")
    dataset["exceedance_probability"] = chances.assign_coords(threshold=list(THRESHOLDS))
    return dataset.assign_coords(coordinates).assign_attrs(values.attrs, values="rainfall_rate")


def judged() -> dict[str, object]:
    """Drift as a status has it: one score that is as promised, one that is not."""
    source = "its card, of 5 events not trained on"
    common = {"forecaster": "radar", "reference": "persistence", "since": f"promised by {source}", "days": 6}
    findings = [
        Drift(score="mse", threshold=None, advantage=-0.12, promised=0.2, p=0.002, **common),
        Drift(score="csi", threshold=1.0, advantage=0.17, promised=0.2, p=0.3, **common),
    ]
    warning = findings[0].message
    return {"warning": warning, "promise": source, "advantages": [each.plain() for each in findings]}


def write_output(out: Path, newest: float | None = None, *, forecasts: int = 2, frames: int = 8) -> float:
    """Write the output to a folder; returns the newest initial time, by default the last full step before now. The domain `alps`
    is as it should be, `plain` has fallen back."""
    newest = time.time() // STEP * STEP if newest is None else newest
    out.mkdir(exist_ok=True)
    (out / "service.json").write_text(json.dumps({"version": "1", "started": iso(newest)}))
    for name, crs, rung, members in (("alps", SWISS, "radar", 6), ("plain", DEGREES, "extrapolation", 0)):
        folder = out / name
        (folder / "frames").mkdir(parents=True)
        for number in range(frames):
            at = newest - STEP * (frames - 1 - number)
            if number != MISSING:
                frame(at, number, crs).to_netcdf(folder / "frames" / f"{stamp(at)}.nc", engine="h5netcdf")
        lines, cycles = ["init_time,lead_minutes,forecaster,score,threshold,value,pixels"], []
        for number in range(frames - forecasts, frames):
            at = newest - STEP * (frames - 1 - number)
            target = folder / "forecasts" / stamp(at)
            target.mkdir(parents=True)
            reasons = "cut down to 6 lead times of 12, to be on time (3 s are left)" if members else ""
            write(forecast(at, number, crs, members).assign_attrs(framecast_reasons=reasons), target / "forecast.nc")
            cycles.append(
                {
                    "cycle": iso(at),
                    "outcome": "forecast",
                    "rung": rung,
                    "reasons": ["a reason"],
                    "seconds": {"total": 2.5},
                }
            )
            for lead in range(1, LEADS + 1):
                for forecaster, value in ((rung, 0.9), ("persistence", 0.7)):
                    lines.append(f"{iso(at)},{5 * lead},{forecaster},csi,1.0,{value - 0.05 * lead:.3f},1000")
        (folder / "scores.csv").write_text("\n".join(lines) + "\n")
        (folder / "cycles.jsonl").write_text("".join(json.dumps(each) + "\n" for each in cycles))
        status = {
            "domain": name,
            "cadence_seconds": STEP,
            "newest_frame": iso(newest),
            "init_time": iso(newest),
            "rung": rung,
            "rungs": ["radar", "extrapolation", "persistence", "nothing"],
            "reasons": [] if rung == "radar" else ["a frame is missing"],
            "latency": {"p50": 2.0, "p95": 3.0, "p99": 4.0},
            "overruns": 1,
            "max_age_seconds": 1800,
            "drift": judged() if rung == "radar" else {},
        }
        (folder / "status.json").write_text(json.dumps(status))
    windows = [
        {
            "begin": 0,
            "end": 30,
            "coverage": 1.0,
            "alerts": [
                {
                    "quantity": "rate",
                    "threshold": 5.0,
                    "where": "anywhere",
                    "method": "members",
                    "probability": 0.75,
                    "lower": 0.75,
                    "upper": 0.75,
                }
            ],
        }
    ]
    outside = [{"begin": 0, "end": 30, "coverage": 0.0, "alerts": []}]
    areas = [
        {"name": "Elsewhere", "kind": "station", "pixels": 0, "windows": outside},
        {"name": "Lakeside", "kind": "polygon", "pixels": 9, "windows": windows},
    ]
    alerts = {"version": 1, "areas": areas}
    (out / "alps" / "forecasts" / stamp(newest) / "alerts.json").write_text(json.dumps(alerts))
    return newest
