"""The cases of a report as tiles: each frame a small PNG, over which the page lays coast and borders; and the map of a case."""

from __future__ import annotations

import base64
import io
from typing import Any, NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Normalize
from PIL import Image
from pyproj import CRS
from pyproj.exceptions import CRSError

from framecast.coastlines import KINDS
from framecast.colours import Scale, scale_of
from framecast.data.quantities import Quantity
from framecast.data.scaling import default_scaling
from framecast.forecasting.film import lead_text, short_stamp, valid_text
from framecast.maps.drawing import draw_map, outlines
from framecast.maps.ground import Ground, data_window, ground_below
from framecast.report.figures import STYLE, png
from framecast.verification.examples import Example, Grid
from framecast.verification.result import Verification

_LARGEST, _COLUMNS = 200, 6
"""Pixels of the longer side of a tile, and tiles in a row of a strip."""
_MAP_WIDTH = 4.6
_ERRORS = Scale(colormaps["PuOr"], Normalize(-0.5, 0.5), "", (), (224, 224, 222))


class Row(NamedTuple):
    """Tiles of a forecaster: each a label and the data address of its PNG, at each lead time."""

    name: str
    tiles: list[tuple[str, str]]


class Case(NamedTuple):
    """A case to show: `rows` of tiles, and `lines`, the content of an SVG of `size` (width, height) to lay over each tile."""

    caption: str
    rows: list[Row]
    errors: list[Row]
    lines: str
    size: tuple[int, int]
    ratio: float
    """Width over height of a tile on the ground."""


def moving(verification: Verification, example: Example, palette: str | None = None) -> Case:
    """Truth and forecasts at each lead time, and the errors of the forecasts."""
    scale, scaling = scale_of(verification.quantity, palette), default_scaling(verification.quantity)
    example, lines, size, ratio = _cropped(verification, example)
    labels = _labels(verification, example)
    truth = Row("truth", _tiles(scale, labels, example.truth))
    rows = [Row(name, _tiles(scale, labels, frames)) for name, frames in example.forecasts.items()]
    errors = [
        Row(name, _tiles(_ERRORS, labels, _difference(scaling, verification.quantity, frames, example.truth)))
        for name, frames in example.forecasts.items()
    ]
    return Case(caption(example), [truth, *rows], errors, lines, size, ratio)


def strip(verification: Verification, example: Example, palette: str | None = None) -> Case:
    """Context, truth and forecasts of a case at some lead times, one row each."""
    scale = scale_of(verification.quantity, palette)
    example, lines, size, ratio = _cropped(verification, example)
    length = len(example.truth)
    every = -(-length // _COLUMNS)
    shown = list(range(every - 1, length, every))
    labels = [_labels(verification, example)[k] for k in shown]
    past = example.context[-len(shown) :]
    step = verification.sums["lead_time"].values[0]
    times = [_past(example.init_time, step, back) for back in range(len(past) - 1, -1, -1)]
    rows = [Row("context", _tiles(scale, times, past)), Row("truth", _tiles(scale, labels, example.truth[shown]))]
    rows += [Row(name, _tiles(scale, labels, frames[shown])) for name, frames in example.forecasts.items()]
    return Case(caption(example), rows, [], lines, size, ratio)


def caption(example: Example) -> str:
    """Which case it is, and when it begins."""
    text = f"Case {example.case}"
    if isinstance(example.init_time, np.datetime64):
        text += f", from {short_stamp(example.init_time)}"
    return {"best": "The best case: ", "worst": "The worst case: "}.get(example.why, "") + text


def place(verification: Verification, palette: str | None = None) -> str:
    """The first true frame of the first example as a map, as the data address of a PNG; empty for frames without place."""
    examples = verification.examples
    if not examples:
        return ""
    example = examples[0].on(verification.grid)
    ground = _ground(verification.grid, example.truth.shape[-2:])
    if ground is None:
        return ""
    window = data_window(example.context, example.truth)
    ground = ground.cropped(example.truth.shape[-2:], *window)
    left, right, bottom, top = ground.extent
    tall = _MAP_WIDTH * (top - bottom) * ground.aspect / (right - left)
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure, axes = plt.subplots(figsize=(_MAP_WIDTH, min(max(tall, 1.5), 8)), layout="constrained")
        draw_map(axes, scale_of(verification.quantity, palette).paint(example.truth[0][:, *window]), ground)
        return png(figure)


def _ground(grid: Grid | None, shape: tuple[int, ...]) -> Ground | None:
    if grid is None or shape != (len(grid.y), len(grid.x)):
        return None
    try:
        crs = CRS(grid.crs) if grid.crs else None
    except CRSError:
        crs = None
    return ground_below(grid.y, grid.x, grid.units, crs)


def _cropped(verification: Verification, example: Example) -> tuple[Example, str, tuple[int, int], float]:
    """The case upright and cropped to where data are, and what lies over its tiles, with its size and ratio."""
    example = example.on(verification.grid)
    ground = _ground(verification.grid, example.truth.shape[-2:])
    window = data_window(example.context, example.truth)
    shape = example.truth.shape[-2:]
    height, width = (part.stop - part.start for part in window)
    cropped = example._replace(
        context=example.context[..., *window],
        truth=example.truth[..., *window],
        forecasts={name: frames[..., *window] for name, frames in example.forecasts.items()},
    )
    if ground is None:
        return cropped, "", (width, height), width / height
    ground = ground.cropped((shape[0], shape[1]), *window)
    left, right, bottom, top = ground.extent
    ratio = (right - left) / ((top - bottom) * ground.aspect)
    return cropped, _lines(ground, width, height), (width, height), ratio


def _lines(ground: Ground, width: int, height: int) -> str:
    """Coast and borders as paths in an SVG of that size."""
    left, right, bottom, top = ground.extent
    paths = []
    for kind in KINDS:
        pieces = []
        for line in outlines(ground, kind):
            x = (line[:, 0] - left) / (right - left) * width
            y = (top - line[:, 1]) / (top - bottom) * height
            points = np.stack([x, y], axis=1).round(1)
            points = points[np.append(True, (np.diff(points, axis=0) != 0).any(1))]
            pieces.append("M" + "L".join(f"{px:g} {py:g}" for px, py in points))
        if pieces:
            paths.append(f'<path class="{kind}" d="{"".join(pieces)}"/>')
    return "".join(paths)


def _labels(verification: Verification, example: Example) -> list[str]:
    return [f"{lead_text(lead)}{valid_text(example.init_time, lead)}" for lead in verification.sums["lead_time"].values]


def _past(begin: Any, step: Any, back: int) -> str:
    """The time of a context frame: minutes before the initial time, with the time of day, or frames."""
    if not isinstance(step, np.timedelta64):
        return f"{-back * int(step)}"
    minutes = f"{-back * (step / np.timedelta64(1, 'm')):g} min"
    return f"{minutes}{valid_text(begin, -back * step)}"


def _tiles(scale: Scale, labels: list[str], frames: np.ndarray) -> list[tuple[str, str]]:
    every = max(1, -(-max(frames.shape[-2:]) // _LARGEST))
    return [
        (label, _address(scale.paint(frame[:, ::every, ::every]))) for label, frame in zip(labels, frames, strict=True)
    ]


def _address(image: np.ndarray) -> str:
    """The data address of the PNG of an image; of few colours, with a palette."""
    codes = image.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
    colours = np.unique(codes)
    if len(colours) <= 256:
        picture = Image.fromarray(np.searchsorted(colours, codes).astype(np.uint8), mode="P")
        picture.putpalette(np.stack([colours >> 16, colours >> 8 & 255, colours & 255], 1).astype(np.uint8).tobytes())
    else:
        picture = Image.fromarray(image)
    content = io.BytesIO()
    picture.save(content, format="PNG", compress_level=6)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()


def _difference(scaling: Any, quantity: Quantity, frames: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The errors of frames `(S, 1, H, W)` on the scale of images from 0 to 1, mean of the channels, NaN where either is NaN."""
    missing = ~(np.isfinite(frames) & np.isfinite(truth)).all(axis=1, keepdims=True)
    error = (scaling.forward(frames, quantity) - scaling.forward(truth, quantity)).mean(axis=1, keepdims=True)
    return np.where(missing, np.nan, error)
