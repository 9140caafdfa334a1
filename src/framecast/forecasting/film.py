"""A film of frames and a forecast: maps with coast, time stamps and colour scale, as GIF or MP4.

The frames of a forecast have an orange edge. MP4 needs PyAV (`pip install "framecast[video]"`).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from framecast.colours import Scale, scale_of
from framecast.data.frames import stamp
from framecast.data.orientation import orientation_of
from framecast.data.quantities import QUANTITIES
from framecast.maps.ground import Ground, data_window, ground_of
from framecast.maps.mesh import as_drawn

FRAME_RATE, _LAST = 8, 2.0
"""Frames per second of a film, and the seconds for which a GIF shows the last one."""
_EDGE = (213, 94, 0)
_DPI, _LONGEST, _SHORTEST, _HEADER = 100, 720, 320, 40
"""Pixels: of an inch, of the longer side of a map, at most and at least, and of the lines above it."""


class Still(NamedTuple):
    """A frame `(C, H, W)` with north at the top, the lines above it, and whether it is a forecast."""

    frame: np.ndarray
    title: str
    stamp: str
    forecast: bool


def film_of(forecast: xr.DataArray | None, frames: xr.DataArray | None, palette: str | None = None) -> list[np.ndarray]:
    """The images `(H, W, 3)` uint8 of a film, of even sides: `frames`, then the values of the `forecast`; of an ensemble its
    mean."""
    forecast, frames = (None if each is None else as_drawn(each) for each in (forecast, frames))
    stills = [] if frames is None else observed_stills(frames)
    if forecast is not None:
        stills += forecast_stills(forecast)
    source = frames if forecast is None else forecast
    assert source is not None
    scale, ground = scale_of(QUANTITIES[source.attrs["quantity"]], palette), ground_of(source)
    rows, columns = data_window(*(still.frame for still in stills))
    if ground is not None:
        ground = ground.cropped(stills[0].frame.shape[-2:], rows, columns)
    return render([still._replace(frame=still.frame[..., rows, columns]) for still in stills], scale, ground)


def observed_stills(frames: xr.DataArray) -> list[Still]:
    """The stills of Frames; several sequences follow each other."""
    upright, name = orientation_of(frames).upright, title_of(frames)
    clips = (
        [frames] if "sequence" not in frames.dims else [clip for _, clip in frames.groupby("sequence", squeeze=False)]
    )
    return [
        Still(upright(frame), f"observed: {name}", short_stamp(time), False)
        for clip in clips
        for time, frame in zip(clip["time"].values, clip.values.reshape(-1, *clip.shape[-3:]), strict=True)
    ]


def forecast_stills(forecast: xr.DataArray) -> list[Still]:
    """The stills of a forecast, by initial time and lead time; of an ensemble its mean."""
    values = forecast.mean("member", keep_attrs=True) if "member" in forecast.dims else forecast
    upright, name = orientation_of(forecast).upright, title_of(forecast)
    return [
        Still(
            upright(values.sel(init_time=begin, lead_time=lead).values),
            f"{forecast.attrs.get('forecaster', 'forecast')}: {name}, from {short_stamp(begin)}",
            f"{lead_text(lead)}{valid_text(begin, lead, day=True)}",
            True,
        )
        for begin in forecast["init_time"].values
        for lead in forecast["lead_time"].values
    ]


def title_of(frames: xr.DataArray) -> str:
    """The quantity of frames with its units, as a title."""
    quantity = QUANTITIES[frames.attrs["quantity"]]
    return f"{quantity.title} ({quantity.label})" if quantity.label else quantity.title


def short_stamp(time: np.datetime64 | int) -> str:
    """A time to the minute in words that fit a picture, or the number of a frame."""
    return stamp(time) if not isinstance(time, np.datetime64) else f"{_clock(time, 'm')} UTC"


def lead_text(lead: np.timedelta64 | int) -> str:
    """A lead time as text: +15 min, or the number of the frame."""
    return f"+{lead / np.timedelta64(1, 'm'):g} min" if isinstance(lead, np.timedelta64) else f"+{int(lead)}"


def valid_text(begin: np.datetime64 | int, lead: np.timedelta64 | int, *, day: bool = False) -> str:
    """The valid time of a forecast as text after its lead time; empty without clock."""
    if not (isinstance(begin, np.datetime64) and isinstance(lead, np.timedelta64)):
        return ""
    text = _clock(begin + lead, "m")
    return f", {text if day else text[-5:]} UTC"


def _clock(time: np.datetime64, unit: Any) -> str:
    return str(np.datetime_as_string(time, unit=unit)).replace("T", " ")


class _Layout(NamedTuple):
    """Pixels: sizes of the image, place and size of the map in it."""

    width: int
    height: int
    left: int
    above: int
    map_width: int
    map_height: int


def _layout(shape: tuple[int, int], ground: Ground | None, has_scale: bool) -> _Layout:
    """A map of square or stretched whole pixels; above it two lines of text, below it degrees and colours."""
    height, width = shape
    tall = height * (1.0 if ground is None else _stretch(ground, height, width))
    longest = max(tall, width)
    factor = _LONGEST / longest if longest > _LONGEST else max(1, -(-_SHORTEST // longest))
    map_width, map_height = round(width * factor), round(tall * factor)
    located = ground is not None and ground.located
    left, below = (40, 22) if located else (8, 8)
    total_width = max(left + map_width + 12, 340)
    total = _HEADER + map_height + below + 46 * has_scale
    return _Layout(total_width + total_width % 2, total + total % 2, left, _HEADER, map_width, map_height)


def render(stills: Sequence[Still], scale: Scale, ground: Ground | None) -> list[np.ndarray]:
    """Draw the stills; all images have one size."""
    from PIL import Image

    layout = _layout(stills[0].frame.shape[-2:], ground, bool(scale.ticks))
    overlay = _overlay(layout, stills[0].frame.shape[-2:], scale, ground)
    covering = overlay[..., 3:].astype(np.float32) / 255
    rows, columns = (
        slice(first, first + size)
        for first, size in ((layout.above, layout.map_height), (layout.left, layout.map_width))
    )
    images = []
    for still in stills:
        image = np.full((layout.height, layout.width, 3), 255, np.uint8)
        painted = Image.fromarray(scale.paint(still.frame))
        size = (layout.map_width, layout.map_height)
        image[rows, columns] = np.asarray(painted.resize(size, Image.Resampling.NEAREST))
        image = (image * (1 - covering) + overlay[..., :3] * covering).round().astype(np.uint8)
        image[: layout.above] = _header(layout, still)
        if still.forecast:
            image[:4], image[-4:], image[:, :4], image[:, -4:] = _EDGE, _EDGE, _EDGE, _EDGE
        images.append(image)
    return images


def _overlay(layout: _Layout, shape: tuple[int, int], scale: Scale, ground: Ground | None) -> np.ndarray:
    """What all images share, `(H, W, 4)`: coast, graticule, degrees, scale bar and colours."""
    from framecast.maps.drawing import colour_bar, draw_map

    figure, canvas = _figure(layout.width, layout.height, "none")
    bottom = layout.height - layout.above - layout.map_height
    box = np.array([layout.left, bottom, layout.map_width, layout.map_height]) / ([layout.width, layout.height] * 2)
    axes = figure.add_axes(tuple(box), facecolor="none")
    draw_map(axes, np.zeros((*shape, 4), np.uint8), ground)
    if scale.ticks:
        colour_bar(figure, scale, figure.add_axes((0.06, 34 / layout.height, 0.86, 9 / layout.height)))
    canvas.draw()
    return np.asarray(canvas.buffer_rgba()).copy()


def _header(layout: _Layout, still: Still) -> np.ndarray:
    """The lines above the map, `(H, W, 3)`."""
    figure, canvas = _figure(layout.width, layout.above, "white")
    for offset, text, size, weight in ((6, still.title, 8, "normal"), (20, still.stamp, 10, "bold")):
        figure.text(8 / layout.width, 1 - offset / layout.above, text, va="top", fontsize=size, weight=weight)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def _figure(width: int, height: int, face: str) -> tuple[Any, Any]:
    """A figure of so many pixels, and its canvas."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor=face)
    return figure, FigureCanvasAgg(figure)


def _stretch(ground: Ground, height: int, width: int) -> float:
    """How many times taller a pixel is drawn than wide."""
    left, right, bottom, top = ground.extent
    return (top - bottom) * ground.aspect / height / ((right - left) / width)


def encode(images: list[np.ndarray], suffix: str) -> io.BytesIO:
    """The content of a film file, .gif or .mp4."""
    return (_gif if suffix == ".gif" else _mp4)(images)


def _gif(images: list[np.ndarray]) -> io.BytesIO:
    """An endless GIF, which rests on its last image."""
    from PIL import Image

    first, *others = [Image.fromarray(image) for image in images]
    film, pause = io.BytesIO(), 1000 // FRAME_RATE
    durations = [pause] * len(others) + [int(1000 * _LAST)]
    first.save(film, format="GIF", save_all=True, append_images=others, duration=durations, loop=0)
    return film


def _mp4(images: list[np.ndarray]) -> io.BytesIO:
    """H.264 video."""
    import av

    film = io.BytesIO()
    with av.open(film, mode="w", format="mp4") as container:
        stream: Any = container.add_stream("libx264", rate=FRAME_RATE, options={"crf": "18"})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return film
