"""Draw the first picture of the README: an hour that a model has not seen, observed and as it and extrapolation forecast it.

    python benchmarks/pictures.py cv/mch_20150515 mch_20150515.nc docs/pictures/nowcast.png

`cv` is the folder of `framecast crossvalidate` (docs/results.md): the model of this fold was trained without the event. The
initial time is in the middle of the file, chosen before anything was drawn.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import framecast
from framecast.colours import scale_of
from framecast.data.orientation import orientation_of
from framecast.data.quantities import RAIN_RATE
from framecast.forecasting.labels import PROBABILITY as LABEL
from framecast.maps.drawing import colour_bar, draw_map
from framecast.maps.ground import data_window, ground_of
from framecast.report.figures import STYLE

CONTEXT, HORIZON, RATE = 4, 12, 2.0
MINUTES = (10, 30, 60)
PROBABILITY = replace(RAIN_RATE, label="probability", colour_steps=(0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9))
SIDE, HEAD, FOOT, LEFT = 2.5, 0.25, 0.5, 0.42
"""Inches: the width of a map, the titles above, the scales below, and the names at the left."""


def main(run: Path, file: Path, out: Path) -> None:
    """Forecast from the middle of a file and draw."""
    frames = framecast.open(file).isel(sequence=0, missing_dims="ignore")
    begin = frames.sizes["time"] // 2
    given = frames.isel(time=slice(begin - CONTEXT, begin))
    forecast = framecast.load(run, members=2).forecast(given, horizon=HORIZON, rates=[RATE])
    moved = framecast.load("extrapolation").forecast(given, horizon=HORIZON)
    leads = [np.timedelta64(each, "m") for each in MINUTES]
    later = frames.sel(time=given.time.values[-1] + np.array(leads))
    values = forecast[forecast.attrs["values"]].isel(init_time=0).sel(lead_time=leads)
    rows = {
        "observed": later.to_numpy(),
        f"probability of\n{RATE:g} mm/h or more": forecast[LABEL]
        .isel(init_time=0, threshold=0)
        .sel(lead_time=leads)
        .to_numpy(),
        "one of its members": values.isel(member=0).to_numpy(),
        "extrapolation": moved.isel(init_time=0).sel(lead_time=leads).to_numpy(),
    }
    upright = orientation_of(given).upright
    figure = draw({name: [upright(each) for each in row] for name, row in rows.items()}, given)
    figure.savefig(out, dpi=110)


def draw(rows: dict[str, list[np.ndarray]], like: xr.DataArray) -> Figure:
    """A map for each frame, a row for each name, and the two scales."""
    every = [frame for row in rows.values() for frame in row]
    window, ground = data_window(*every), ground_of(like)
    assert ground is not None
    ground = ground.cropped(every[0].shape[-2:], *window)
    left, right, bottom, top = ground.extent
    tall = SIDE * (top - bottom) * ground.aspect / (right - left)
    width, height = LEFT + len(MINUTES) * SIDE, HEAD + len(rows) * tall + FOOT
    scales = [scale_of(RAIN_RATE), scale_of(PROBABILITY, "uniform")]
    with mpl.rc_context(STYLE):
        figure = plt.figure(figsize=(width, height))
        for line, (name, row) in enumerate(rows.items()):
            for column, frame in enumerate(row):
                place = (LEFT + column * SIDE) / width, 1 - (HEAD + (line + 1) * tall) / height
                axes = figure.add_axes((*place, (SIDE - 0.04) / width, (tall - 0.04) / height))
                scale = scales["probability" in name]
                draw_map(axes, scale.paint(frame[..., *window]), ground, labels=False, bar=line == column == 0)
                if line == 0:
                    axes.set_title(f"+{MINUTES[column]} min", fontsize=9, pad=3)
                if column == 0:
                    axes.set_ylabel(name, fontsize=9)
        for number, scale in enumerate(scales):
            bar = figure.add_axes(((LEFT + number * width / 2) / width, 0.32 / height, 0.42, 0.09 / height))
            colour_bar(figure, scale, bar)
    return figure


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
