"""A forecast as a figure."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

import framecast
from framecast.errors import DataError


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
    assert titles[:8] == [f"+{5 * k} min" for k in range(1, 8)] + [""]
    assert sum(bool(axes.images) for axes in rain.axes) == 7
    assert "mm/h" in [axes.get_xlabel() for axes in rain.axes]
    assert rain.get_suptitle() == "a model: frames, from 2020-06-01T12:00:00 UTC"
    images = framecast.plot(forecast("1", "intensity", "i"))
    assert images.axes[0].get_title().endswith("+1")
    assert len(images.axes) == 12, "no colour scale for grey"
    plt.close(rain)
    plt.close(images)


def test_what_is_no_forecast_is_refused() -> None:
    with pytest.raises(DataError, match="expected a forecast"):
        framecast.plot(np.zeros((1, 7, 1, 12, 16)))  # type: ignore[arg-type]
