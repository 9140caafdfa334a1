"""The part of the world that frames cover."""

import numpy as np
import pytest
import xarray as xr

from framecast.data.place import bounds_of, is_same_place

EUROPE = (0.0, 45.0, 10.0, 55.0)


def frames(x: np.ndarray, units: str = "degrees") -> xr.DataArray:
    y = np.linspace(50, 40, 30)
    coordinates = {"y": ("y", y, {"units": f"{units}_north"}), "x": ("x", x, {"units": f"{units}_east"})}
    return xr.DataArray(np.zeros((30, len(x))), dims=("y", "x"), coords=coordinates)


def test_bounds_in_degrees() -> None:
    assert bounds_of(frames(np.linspace(5, 15, 40))) == (5, 40, 15, 50)
    assert bounds_of(frames(np.linspace(170, 190, 40) % 360)) == (170, 40, 190, 50)
    wrapped = (np.linspace(170, 190, 40) + 180) % 360 - 180
    assert bounds_of(frames(wrapped)) == (170, 40, 190, 50)
    assert bounds_of(frames(np.linspace(5, 15, 40), units="pixel")) is None
    assert bounds_of(xr.DataArray(np.zeros((3, 4)), dims=("y", "x"))) is None


def test_bounds_of_a_curvilinear_grid() -> None:
    longitude, latitude = np.meshgrid(np.linspace(5, 15, 7), np.linspace(50, 40, 9))
    array = xr.DataArray(
        np.zeros((9, 7)),
        dims=("y", "x"),
        coords={"latitude": (("y", "x"), latitude), "longitude": (("y", "x"), longitude)},
    )
    assert bounds_of(array) == (5, 40, 15, 50)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (EUROPE, True),
        ((2.0, 47.0, 3.0, 48.0), True),  # a crop
        ((4.0, 45.0, 14.0, 55.0), True),
        ((6.0, 45.0, 16.0, 55.0), False),
        ((20.0, 45.0, 30.0, 55.0), False),
        ((360.0, 45.0, 370.0, 55.0), True),
    ],
)
def test_places_that_share_half_of_the_smaller_are_one(other: tuple[float, float, float, float], same: bool) -> None:
    assert is_same_place(EUROPE, other) == is_same_place(other, EUROPE) == same
