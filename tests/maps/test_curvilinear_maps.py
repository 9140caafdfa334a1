"""Curvilinear grids are drawn by the nearest pixel, on pictures and on the tiles of the page."""

import io
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from PIL import Image

import framecast
from framecast.maps.ground import ground_of
from framecast.maps.mesh import Mesh, as_drawn
from framecast.service.http.stored import read_contents
from framecast.service.http.tiles import RATE, Place, Source, Tiles

HEIGHT, WIDTH = 30, 40
TURN = np.radians(30)


def planes() -> tuple[np.ndarray, np.ndarray]:
    """A grid of 0.1 degrees of latitude around 60 N, 179.5 E, turned by 30 degrees: it crosses the date line."""
    x, y = np.meshgrid(np.arange(WIDTH) - WIDTH / 2, HEIGHT / 2 - np.arange(HEIGHT))
    latitude = 60 + 0.1 * (np.sin(TURN) * x + np.cos(TURN) * y)
    longitude = 179.5 + 0.1 * (np.cos(TURN) * x - np.sin(TURN) * y) / np.cos(np.radians(60))
    return latitude, (longitude + 180) % 360 - 180


@pytest.fixture(scope="module")
def forecast(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("curvilinear")
    latitude, longitude = planes()
    rain = np.zeros((5, HEIGHT, WIDTH), np.float32)
    rain[:, 10:16, 20:30] = 5.0
    times = np.datetime64("2026-06-01T12:00", "ns") + np.arange(5) * np.timedelta64(5, "m")
    xr.Dataset(
        {"rain": (("time", "j", "i"), rain, {"units": "mm h-1", "coordinates": "lat lon"})},
        {
            "time": times,
            "lat": (("j", "i"), latitude, {"standard_name": "latitude"}),
            "lon": (("j", "i"), longitude, {"standard_name": "longitude"}),
        },
    ).to_netcdf(folder / "rain.nc", engine="h5netcdf")
    framecast.write(framecast.forecast("persistence", folder / "rain.nc", horizon=2), folder / "forecast.nc")
    return folder / "forecast.nc"


def test_each_position_has_the_nearest_pixel_up_to_the_edge() -> None:
    latitude, longitude = planes()
    mesh = Mesh(latitude, longitude)
    centres = mesh.pixels(longitude, latitude)
    np.testing.assert_array_equal(centres, np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH))
    assert mesh.pixel_at(float(longitude[7, 9]) + 0.01, float(latitude[7, 9]) - 0.01) == (7, 9)
    assert mesh.pixel_at(170.0, 60.0) is None
    west, south, east, north = mesh.bounds()
    assert 0 < east - west < 12
    assert 55 < south < north < 65
    rows, columns, pixels = mesh.regular()
    assert pixels.shape == (len(rows), len(columns))
    assert set(pixels.ravel().tolist()) == set(range(HEIGHT * WIDTH + 1))  # none is lost, and outside there is none


def test_pictures_are_on_the_ground(forecast: Path) -> None:
    opened = framecast.open_forecast(forecast)["rain"]
    drawn = as_drawn(opened)
    ground = ground_of(drawn)
    assert ground is not None
    assert ground.located
    assert set(np.unique(drawn.values[np.isfinite(drawn.values)]).tolist()) == {0.0, 5.0}  # values, no means of them
    figure = framecast.plot(framecast.open_forecast(forecast))
    assert figure.axes[0].get_lines()  # the graticule
    plt.close(figure)


def test_tiles_show_the_rain_where_it_lies(forecast: Path) -> None:
    latitude, longitude = planes()
    grid = read_contents(forecast).grid
    assert grid.pixel_at(float(longitude[12, 25]), float(latitude[12, 25])) == (12, 25)
    assert read_contents(forecast).grid is grid  # made once for all files of a domain
    zoom, east, north = 6, np.radians(longitude[12, 25]), np.radians(latitude[12, 25])
    column = (east / np.pi + 1) / 2 * 2**zoom
    row = (1 - np.log(np.tan(north) + 1 / np.cos(north)) / np.pi) / 2 * 2**zoom
    png = Tiles().tile(Source(forecast, (0, 0)), RATE, 0, Place(zoom, int(column), int(row)), "services")
    picture = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))
    assert picture[int(row % 1 * 256), int(column % 1 * 256), 3] > 200
    assert picture[..., 3].min() == 0
