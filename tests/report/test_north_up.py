"""Pages, figures and films of frames whose rows run from the south show the same as those of frames from the north."""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

import framecast
from framecast.forecasting.baselines.persistence import Persistence
from framecast.forecasting.film import film_of
from framecast.forecasting.labels import forecast_frames
from framecast.report.forecast import plot
from framecast.report.tiles import moving, strip

IMAGES = re.compile(r'src="(data:image/png;base64,[^"]+)"')


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> tuple[xr.DataArray, xr.DataArray]:
    """Rain in the north-west with no data at the southern edge, north first and south first."""
    folder = tmp_path_factory.mktemp("orders")
    time, y, x = np.arange(8)[:, None, None], np.arange(12)[:, None], np.arange(16)
    values = 20 * np.exp(-((y - 3) ** 2 + (x - 4 - 0.3 * time) ** 2) / 6).astype(np.float32)
    values[:, -2:] = np.nan
    array = xr.DataArray(values, dims=("time", "y", "x"), attrs={"units": "mm h-1"}, name="rain").assign_coords(
        time=np.datetime64("2020-01-01", "ns") + np.arange(8) * np.timedelta64(5, "m"),
        y=("y", 1000.0 * np.arange(12)[::-1], {"units": "m"}),
        x=("x", 1000.0 * np.arange(16), {"units": "m"}),
    )
    opened = []
    for name, rows in (("north", array), ("south", array.isel(y=slice(None, None, -1)))):
        rows.to_netcdf(folder / f"{name}.nc", engine="h5netcdf")
        opened.append(framecast.open(folder / f"{name}.nc"))
    return opened[0], opened[1]


def images_of(page: Path) -> list[str]:
    return IMAGES.findall(page.read_text())


def test_the_page_of_an_inspection(orders: tuple[xr.DataArray, xr.DataArray], tmp_path: Path) -> None:
    for number, frames in enumerate(orders):
        framecast.inspect(frames, context=2, horizon=2, page=tmp_path / f"{number}.html")
    one, other = (images_of(tmp_path / f"{number}.html") for number in range(2))
    assert len(one) >= 2
    assert one == other


def test_the_cases_of_a_verification(orders: tuple[xr.DataArray, xr.DataArray]) -> None:
    drawn = []
    for frames in orders:
        scores = framecast.verify({"persistence": Persistence()}, frames, horizon=1, context=2, examples=1)
        example = scores.examples[0]
        drawn.append([strip(scores, example), moving(scores, example)])
    assert drawn[0] == drawn[1]


def test_figures_and_films(orders: tuple[xr.DataArray, xr.DataArray]) -> None:
    forecasts = [forecast_frames(Persistence(), frames, 2) for frames in orders]
    films = [film_of(forecast, frames) for forecast, frames in zip(forecasts, orders, strict=True)]
    for one, other in zip(*films, strict=True):
        np.testing.assert_array_equal(one, other)
    panels = []
    for forecast in forecasts:
        figure = plot(forecast)
        panels.append([image.get_array() for axes in figure.axes for image in axes.get_images()])
        plt.close(figure)
    assert panels[0]
    for one, other in zip(*panels, strict=True):
        np.testing.assert_array_equal(one, other)
