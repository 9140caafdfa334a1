"""`framecast.plot`: a forecast, or frames, as maps in a matplotlib figure, a picture or a film."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from framecast.checks import as_path, check_counts, refuses_arrays
from framecast.colours import scale_of
from framecast.data.frames import check_frames
from framecast.data.orientation import orientation_of
from framecast.data.quantities import QUANTITIES
from framecast.errors import ConfigError
from framecast.forecasting.film import encode, film_of, lead_text, short_stamp, title_of, valid_text
from framecast.forecasting.labels import Forecast
from framecast.forecasting.targets import check_absent, check_target
from framecast.forecasting.write import check_forecast
from framecast.maps.drawing import colour_bar, draw_map
from framecast.maps.ground import Ground, data_window, ground_of
from framecast.maps.mesh import as_drawn
from framecast.report.figures import STYLE
from framecast.writing import write_bytes

FILMS, PICTURES = (".gif", ".mp4"), (".png", ".svg", ".pdf")
_WIDTH, _HEAD, _FOOT = 9.6, 0.34, 0.55
"""Inches: the width of the figure, and the heights of its title and of its colour scale."""
_PANELS = 12


@refuses_arrays
def plot(
    forecast: Forecast | xr.DataArray,
    *,
    columns: int | None = None,
    panels: int | None = None,
    palette: str | None = None,
    context: xr.DataArray | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
) -> Figure:
    """Maps of a Forecast by lead time, or of the newest of opened Frames, with coast, borders, graticule, scale bar, time stamps
    and colour scale. Of an ensemble the mean is drawn. North is at the top.

    At most so many `panels` are drawn, evenly spread over the lead times (12 unless stated; one block for each initial time),
    `columns` in a row. `palette` is one of `framecast.colours.PALETTES`. With `out` the figure is also written: a picture
    (.png, .svg, .pdf), or with .gif or .mp4 a film of every frame, which starts with the frames of `context`, if given.

    Close the figure after use (`matplotlib.pyplot.close`). Raises `DataError` if `forecast` is neither, `ArgumentError` for
    another palette, `ConfigError` if `out` has another suffix or exists and `overwrite` is false.
    """
    # Check everything before anything is drawn.
    check_counts(columns=columns, panels=panels)
    path = None if out is None else _check_out(as_path(out, "the path of a file to write", "out"), overwrite)
    is_frames = isinstance(forecast, xr.DataArray) and "time" in forecast.dims
    values = check_frames(forecast) if is_frames else check_forecast(forecast)
    if context is not None:
        check_frames(context)
    values = as_drawn(values)
    figure = _figure(values, columns, panels or _PANELS, palette, is_frames)
    if path is not None and path.suffix in FILMS:
        film = film_of(None, values, palette) if is_frames else film_of(values, context, palette)
        write_bytes(path, encode(film, path.suffix).getbuffer(), overwrite=overwrite)
    elif path is not None:
        image = io.BytesIO()
        figure.savefig(image, format=path.suffix[1:], dpi=110)
        write_bytes(path, image.getbuffer(), overwrite=overwrite)
    return figure


def _check_out(path: Path, overwrite: bool) -> Path:
    if path.suffix in FILMS:
        check_target(path, overwrite=overwrite)
    elif path.suffix not in PICTURES:
        raise ConfigError(
            f"{path.suffix or 'no suffix'} is not a format of pictures",
            where=path,
            remedy=f"use {', '.join(PICTURES + FILMS)}",
        )
    else:
        check_absent(path, overwrite=overwrite)
    return path


def _figure(values: xr.DataArray, columns: int | None, most: int, palette: str | None, is_frames: bool) -> Figure:
    """The figure: a block of rows for each initial time, the panels of which are evenly spread."""
    scale, ground = scale_of(QUANTITIES[values.attrs["quantity"]], palette), ground_of(values)
    blocks = _frame_panels(values, most) if is_frames else _forecast_panels(values, most)
    columns = min(columns or _columns(len(blocks[0])), len(blocks[0]))
    lines = -(-len(blocks[0]) // columns)
    rows = lines * len(blocks)
    shape = blocks[0][0][1].shape[-2:]
    window = data_window(*(frame for block in blocks for _, frame in block))
    ground = ground and ground.cropped(shape, *window)
    # The layout in inches: maps, the degrees left of and below them, a title above each.
    left, right, below, gap = (
        (0.42, 0.05, 0.2, 0.06) if ground is not None and ground.located else (0.05, 0.05, 0.03, 0.06)
    )
    title = 0.2
    side = (_WIDTH - left - right - gap * (columns - 1)) / columns
    tall = side * _ratio(ground, window)
    if rows == columns == 1:
        tall = min(tall, 7.0)
    total = _HEAD + rows * (tall + title) + below + (_FOOT if scale.ticks else 0.05)
    with mpl.rc_context(STYLE):
        figure = plt.figure(figsize=(_WIDTH, total))
        for number in range(rows * columns):
            row, column = divmod(number, columns)
            block, place = row // lines, row % lines * columns + column
            if place >= len(blocks[block]):
                continue
            text, frame = blocks[block][place]
            x = (left + column * (side + gap)) / _WIDTH
            y = 1 - (_HEAD + (row + 1) * (tall + title)) / total
            axes = figure.add_axes((x, y, side / _WIDTH, tall / total))
            is_last = place + columns >= len(blocks[block])
            draw_map(axes, scale.paint(frame[..., *window]), ground, bar=number == 0)
            axes.tick_params(labelleft=column == 0, labelbottom=is_last and block == len(blocks) - 1)
            axes.set_title(text, fontsize=8, pad=3)
        figure.suptitle(_title(values, is_frames), fontsize=10, x=left / _WIDTH, ha="left", y=1 - 0.1 / total, va="top")
        if scale.ticks:
            colour_bar(figure, scale, figure.add_axes((0.1, 0.33 / total, 0.8, 0.1 / total)))
    return figure


def _ratio(ground: Ground | None, window: tuple[slice, slice]) -> float:
    """Height of a map for a width of 1."""
    if ground is None:
        height, width = (part.stop - part.start for part in window)
        return float(height / width)
    left, right, bottom, top = ground.extent
    return (top - bottom) * ground.aspect / (right - left)


def _columns(count: int) -> int:
    """Three, four or five columns: the fewest empty places."""
    return min((4, 3, 5), key=lambda columns: -count % columns) if count > 4 else count


def _every(count: int, most: int) -> slice:
    """Every second, third, ... of `count`, so that at most so many are left."""
    every = -(-count // most)
    return slice(every - 1, None, every)


def _forecast_panels(forecast: xr.DataArray, most: int) -> list[list[tuple[str, np.ndarray]]]:
    """Titles and frames of the panels of each initial time."""
    values = forecast.mean("member", keep_attrs=True) if "member" in forecast.dims else forecast
    upright = orientation_of(forecast).upright
    begins, leads = forecast["init_time"].values, forecast["lead_time"].values
    chosen = leads[_every(len(leads), most)]

    def title(begin: Any, lead: Any) -> str:
        start = f"{short_stamp(begin)} " if len(begins) > 1 else ""
        return f"{start}{lead_text(lead)}{valid_text(begin, lead)}"

    return [
        [(title(begin, lead), upright(values.sel(init_time=begin, lead_time=lead).values)) for lead in chosen]
        for begin in begins
    ]


def _frame_panels(frames: xr.DataArray, most: int) -> list[list[tuple[str, np.ndarray]]]:
    """Titles and frames of the newest frames, of the last sequence."""
    clip = frames.isel(sequence=-1, missing_dims="ignore").isel(time=slice(-most, None))
    upright = orientation_of(frames).upright
    return [[(short_stamp(time), upright(frame)) for time, frame in zip(clip["time"].values, clip.values, strict=True)]]


def _title(values: xr.DataArray, is_frames: bool) -> str:
    if is_frames:
        return f"observed: {title_of(values)}"
    title = f"{values.attrs.get('forecaster', 'forecast')}: {title_of(values)}"
    begins = values["init_time"].values
    return title if len(begins) > 1 else f"{title}, from {short_stamp(begins[0])}"
