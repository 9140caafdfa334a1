"""A forecast as a figure."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from PIL import Image
from pyproj import CRS

import framecast
from framecast.errors import ArgumentError, ConfigError, DataError


def forecast(units: str, quantity: str, dtype: str) -> xr.DataArray:
    leads = np.arange(1, 8)
    return xr.DataArray(
        np.random.default_rng(0).gamma(1, 2, (1, 7, 1, 12, 16)).astype(np.float32),
        dims=("init_time", "lead_time", "channel", "y", "x"),
        coords={
            "init_time": [np.datetime64("2020-06-01T12:00", "ns")],
            "lead_time": leads * np.timedelta64(5, "m") if dtype == "m" else leads,
        },
        attrs={"quantity": quantity, "units": units, "forecaster": "a model"},
        name="frames",
    )


def test_each_lead_time_is_drawn_on_the_scale_of_its_quantity() -> None:
    rain = framecast.plot(forecast("mm h-1", "rain_rate", "m"), columns=4)
    titles = [axes.get_title() for axes in rain.axes]
    assert titles[:7] == [f"+{5 * k} min, 12:{5 * k:02d} UTC" for k in range(1, 8)]
    assert sum(bool(axes.images) for axes in rain.axes) == 7
    assert "mm/h" in [axes.get_xlabel() for axes in rain.axes]
    assert rain.get_suptitle() == "a model: rain rate (mm/h), from 2020-06-01 12:00 UTC"
    images = framecast.plot(forecast("1", "intensity", "i"))
    assert images.axes[0].get_title().endswith("+1")
    assert len(images.axes) == 7, "no colour scale for grey"
    few = framecast.plot(forecast("mm h-1", "rain_rate", "m"), panels=3)
    assert [axes.get_title()[:7] for axes in few.axes if axes.images] == ["+15 min", "+30 min"]
    plt.close("all")


def on_the_ground(crs: int | None, units: str, corner: tuple[float, float], side: float) -> xr.DataArray:
    """A forecast on a grid of 60 x 80 pixels, with no data at three of its edges."""
    flat = forecast("mm h-1", "rain_rate", "m").isel(lead_time=slice(0, 4), y=[0] * 60, x=[0] * 80)
    values = flat.copy(data=flat.values)
    values[..., :20, :] = values[..., :30] = values[..., -8:] = np.nan
    values = values.assign_coords(
        y=("y", corner[1] - side * np.arange(60), {"units": units}),
        x=("x", corner[0] + side * np.arange(80), {"units": units}),
    )
    return values if crs is None else values.assign_coords(crs=((), 0, CRS.from_epsg(crs).to_cf()))


PLACES = {
    "Swiss": (21781, "m", (3e5, 4e5), 8e3),
    "degrees": (4326, "degrees_east", (-3.0, 58.0), 0.15),
    "polar": (3413, "m", (-1e6, -2e6), 3e4),
    "small": (3035, "km", (4e3, 3.5e3), 2.0),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_maps_have_coast_degrees_and_a_scale_bar_and_no_label_covers_another(
    place: tuple[Any, ...], tmp_path: Path
) -> None:
    figure = framecast.plot(on_the_ground(*place), out=tmp_path / "maps.png")
    figure.canvas.draw()
    first = figure.axes[0]
    assert any(line.get_paths() for line in first.collections), "coast or borders"
    assert [text.get_text()[-2:] for text in first.texts] == ["km"]
    labels = [
        label
        for axes in figure.axes
        for axis, shown in ((axes.xaxis, "labelbottom"), (axes.yaxis, "labelleft"))
        if axis.get_tick_params().get(shown, True)
        for label in axis.get_ticklabels()
        if label.get_text() and label.get_visible()
    ]
    degrees = [label.get_text()[-1] for label in labels if "°" in label.get_text()]
    assert len(degrees) >= 2
    assert {"E", "W"} & set(degrees)
    boxes = [label.get_window_extent() for label in labels]
    for number, box in enumerate(boxes):
        assert not [other for other in boxes[:number] if box.overlaps(other)]
    right, left = first.get_xlim()[::-1]
    assert (right - left) / (80 * place[3]) < 0.7, "what has no data is cut off"
    assert (tmp_path / "maps.png").stat().st_size > 5_000
    plt.close(figure)


def test_frames_are_drawn_as_well_and_films_are_written(tmp_path: Path) -> None:
    rain = on_the_ground(21781, "m", (3e5, 4e5), 8e3)
    frames = rain.isel(init_time=0, drop=True).rename(lead_time="time")
    frames = frames.assign_coords(time=rain["init_time"].values + rain["lead_time"].values)
    frames.attrs |= {"dry": 0.0}
    figure = framecast.plot(frames, out=tmp_path / "observed.gif")
    assert figure.get_suptitle() == "observed: rain rate (mm/h)"
    assert figure.axes[0].get_title() == "2020-06-01 12:05 UTC"
    framecast.plot(rain, out=tmp_path / "forecast.gif", palette="uniform", context=frames)
    with Image.open(tmp_path / "observed.gif") as one, Image.open(tmp_path / "forecast.gif") as other:
        assert (one.n_frames, other.n_frames) == (4, 8)
        assert one.size == other.size
    for out, message in (("plot.bmp", "not a format of pictures"), ("observed.gif", "exists already")):
        with pytest.raises(ConfigError, match=message):
            framecast.plot(frames, out=tmp_path / out)
    with pytest.raises(ArgumentError, match="palette"):
        framecast.plot(frames, palette="rainbow")
    plt.close("all")


def test_what_is_no_forecast_is_refused() -> None:
    with pytest.raises(DataError, match="expected a forecast"):
        framecast.plot(np.zeros((1, 7, 1, 12, 16)))  # type: ignore[arg-type]
