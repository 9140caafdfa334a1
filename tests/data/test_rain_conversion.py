"""Reflectivity as rain rate: lazy, and three states stay three."""

import numpy as np
import pytest
import xarray as xr

from framecast.data.conversion import WEAKEST, as_rain_rate
from framecast.data.datasets import IN_MEMORY, ArchiveData
from framecast.data.lazy import lazy_variable
from framecast.data.quantities import RAIN_RATE, ZR, quantity_of
from framecast.data.windows.sampling import Importance
from framecast.data.windows.splits import ByBlocks
from framecast.errors import DataError

DBZ = np.array([np.nan, -32.0, 2.0, 20.0, 45.0], dtype=np.float32)


def frames(count: int = 8, quantity: str = "reflectivity", minutes: int = 5) -> xr.DataArray:
    return xr.DataArray(
        np.broadcast_to(DBZ, (count, 1, 4, 5)).copy(),
        dims=("time", "channel", "y", "x"),
        coords={"time": np.datetime64("2020-01-01", "ns") + np.arange(count) * np.timedelta64(minutes, "m")},
        attrs={"units": "dBZ", "quantity": quantity, "dry": -32.0, "repairs": ["sorted"], "grid_mapping": "crs"},
        name="dbz",
    )


def test_no_data_dry_and_values_stay_what_they_are() -> None:
    rates = as_rain_rate(frames())
    row = rates.values[0, 0, 0]
    assert np.isnan(row[0])
    assert row[1] == 0
    assert row[2] == 0  # weaker than a radar tells from nothing
    assert ZR().rain_rate(2.0) < WEAKEST
    np.testing.assert_allclose(row[3:], ZR().rain_rate(DBZ[3:].astype(float)), rtol=1e-5)
    assert quantity_of(rates) == RAIN_RATE
    assert rates.attrs["repairs"] == ["sorted", "reflectivity was converted to rain rate by Z = 223 R^1.53"]
    assert rates.attrs["grid_mapping"] == "crs"


def test_nothing_is_read_before_it_is_asked_for() -> None:
    read: list[object] = []

    def values(selection: tuple[int | slice, ...]) -> np.ndarray:
        read.append(selection)
        return frames().values[selection]

    lazy = frames()
    lazy = xr.DataArray(lazy_variable(lazy.dims, lazy.shape, values), coords=lazy.coords, attrs=lazy.attrs)
    rates = as_rain_rate(lazy)
    assert not read
    assert rates.isel(time=slice(2, 4)).values.shape == (2, 1, 4, 5)
    assert len(read) == 1


def test_rain_rates_pass_and_images_are_refused() -> None:
    rates = as_rain_rate(frames())
    assert as_rain_rate(rates) is rates
    images = frames()
    images.attrs |= {"quantity": "intensity", "units": "1", "dry": 0.0}
    with pytest.raises(DataError, match="not related to rain"):
        as_rain_rate(images)


def test_radars_of_both_kinds_and_several_steps_are_trained_on_together() -> None:
    data = ArchiveData(
        path=IN_MEMORY,
        context=2,
        horizon=2,
        quantity="rain_rate",
        several_steps=True,
        crop=4,
        split=ByBlocks(validation=0, test=0),
        sampling=Importance(by="archive"),
    )
    opened = data.open(frames=[as_rain_rate(frames()), frames(20, minutes=10)])
    assert opened.train is not None
    assert opened.train.quantity == RAIN_RATE
    assert opened.probabilities is not None
    windows = len(opened.train)
    assert windows == 5 + 17
    assert opened.probabilities[:5].sum() == pytest.approx(0.5)
    assert opened.probabilities[5:].sum() == pytest.approx(0.5)
