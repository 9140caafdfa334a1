"""Which way up frames are, from all that coordinates can state."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import framecast
from framecast.data.orientation import Orientation, orientation_of, row_order, turned_like

FALLING, RISING = np.arange(6)[::-1] * 1000.0, np.arange(6) * 1000.0


def frames(y: Any = None, x: Any = None, **coordinates: Any) -> xr.DataArray:
    values = np.arange(2 * 6 * 8, dtype=np.float32).reshape(2, 1, 6, 8)
    given = {name: each for name, each in (("y", y), ("x", x)) if each is not None}
    return xr.DataArray(
        values, dims=("time", "channel", "y", "x"), coords={**given, **coordinates}, attrs={"repairs": []}
    )


@pytest.mark.parametrize(
    ("y", "order"),
    [
        (("y", FALLING, {"units": "m"}), "north_first"),
        (("y", RISING, {"units": "m"}), "south_first"),
        (("y", RISING), "south_first"),
        (("y", np.arange(6.0) + 48, {"units": "degrees_north"}), "south_first"),
        (("y", np.arange(6.0), {"units": "degrees_north"}), "south_first"),
        (("y", np.arange(6.0)[::-1] / 100, {"units": "rad"}), "north_first"),
        (("y", np.arange(6), {"standard_name": "projection_y_coordinate"}), "south_first"),
        (("y", np.arange(6)), None),
        (("y", np.arange(6.0), {"units": "1"}), None),
        (("y", list("abcdef")), None),
        (None, None),
    ],
)
def test_rows_by_their_coordinate(y: Any, order: str | None) -> None:
    assert row_order(frames(y)) == order


def test_rows_of_a_projection_are_positions_even_if_they_look_like_numbers() -> None:
    assert row_order(frames(("y", np.arange(6.0)), crs=0)) == "south_first"


def test_rows_and_columns_of_a_curvilinear_grid() -> None:
    latitude, longitude = np.meshgrid(48 + np.arange(6.0), 5 + np.arange(8.0), indexing="ij")
    given = {"latitude": (("y", "x"), latitude), "longitude": (("y", "x"), longitude)}
    assert orientation_of(frames(**given)) == Orientation(south_first=True, east_first=False)
    turned = {name: (dims, values[::-1, ::-1]) for name, (dims, values) in given.items()}
    assert orientation_of(frames(**turned)) == Orientation(south_first=False, east_first=True)


def test_frames_are_turned_lazily_and_back() -> None:
    south = frames(("y", RISING, {"units": "m"})).chunk(y=4)
    north = turned_like(south, frames(("y", FALLING, {"units": "m"})))
    assert north.chunks is not None
    assert north.values.flags.c_contiguous
    assert north["y"].values.tolist() == FALLING.tolist()
    assert "rows were turned" in north.attrs["repairs"][-1]
    xr.testing.assert_equal(north, south.isel(y=slice(None, None, -1)))
    assert turned_like(south, frames()) is south
    assert turned_like(frames(), south).equals(frames())


@pytest.mark.parametrize(("axis", "name"), [("y", "rows"), ("x", "columns")])
def test_files_of_both_orders_are_joined(axis: str, name: str, tmp_path: Path) -> None:
    grid = {"y": ("y", FALLING, {"units": "m"}), "x": ("x", RISING, {"units": "m"})}
    values = (10 * FALLING[:, None] + RISING).astype(np.float32) / 1000
    for number, step in enumerate((1, -1)):
        time = np.datetime64("2020-01-01", "ns") + number * np.timedelta64(5, "m")
        array = xr.DataArray(
            values[None],
            dims=("time", "y", "x"),
            coords={"time": [time], **grid},
            attrs={"units": "mm h-1"},
            name="rain",
        )
        array.isel({axis: slice(None, None, step)}).to_netcdf(tmp_path / f"{number}.nc", engine="h5netcdf")
    joined = framecast.open(tmp_path)
    assert joined["y"].values.tolist() == FALLING.tolist()
    assert joined["x"].values.tolist() == RISING.tolist()
    np.testing.assert_array_equal(joined.values[:, 0], [values, values])
    assert any(f"{name} were turned" in repair for repair in joined.attrs["repairs"])
