"""What the numbers of products are, on forecasts whose values are known."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from rain_forecasts import ensemble, label, values, with_probabilities

import framecast
from framecast.errors import ArgumentError, DataError
from framecast.forecasting.products import Request, find
from framecast.forecasting.products.fields import Field
from framecast.forecasting.products.settings import ProductSettings
from framecast.forecasting.products.source import Source
from framecast.forecasting.products.write import possible


def field(name: str, forecast: xr.DataArray | xr.Dataset, *numbers: object, **stated: object) -> Field:
    settings = ProductSettings(**stated)  # type: ignore[arg-type]
    made = find(name).make(Request(Source.of(forecast), settings, numbers))
    assert isinstance(made, Field)
    return made


def test_a_sum_is_rates_times_time() -> None:
    rates = np.full((1, 12, 2, 2), 6.0, dtype=np.float32)
    rates[0, :6, 0, 0] = 12
    rates[0, 3, 1, 1] = np.nan
    made = field("accumulation", label(rates, members=False), (0.0, 60.0), (0.0, 30.0), (30.0, 60.0))
    hour, first, second = made.values[0]
    np.testing.assert_allclose(hour, [[9, 6], [6, np.nan]], rtol=1e-6)
    np.testing.assert_allclose(first, [[6, 3], [3, np.nan]], rtol=1e-6)
    np.testing.assert_allclose(second, [[3, 3], [3, 3]], rtol=1e-6)
    assert [layer.stem for layer in made.layers()] == [
        "accumulation_000_060",
        "accumulation_000_030",
        "accumulation_030_060",
    ]


def test_sums_of_parts_add_up_whatever_the_step() -> None:
    for minutes in (5, 10, 15):
        forecast = label(values(3, leads=60 // minutes), minutes=minutes)
        whole = field("accumulation", forecast, (0.0, 60.0)).values[0, 0]
        halves = field("accumulation", forecast, (0.0, 30.0), (30.0, 60.0)).values[0]
        np.testing.assert_allclose(whole, halves.sum(axis=0), rtol=1e-5)
        mean = forecast.values.mean(axis=(0, 1, 2, 3))
        np.testing.assert_allclose(whole, mean, rtol=1e-5)  # of one hour the sum in mm is the mean rate


def test_a_frame_stands_for_the_time_since_the_one_before() -> None:
    forecast = label(np.full((1, 12, 2, 2), 6.0, dtype=np.float32), members=False).isel(lead_time=[5, 11])
    np.testing.assert_allclose(field("accumulation", forecast, (0.0, 60.0)).values, 6.0)


def test_probabilities_are_counted_of_members() -> None:
    forecast = ensemble()
    rates = forecast.values[0, :, :, 0]
    made = field("exceedance", forecast, 2.0)
    np.testing.assert_array_equal(made.values[0, :, 1:], (rates[:, :, 1:] >= 2).mean(axis=0))
    sums = rates.sum(axis=1) / 12
    made = field("accumulation_exceedance", forecast, 2.0)
    np.testing.assert_array_equal(made.values[0, 0, 1:], (sums[:, 1:] >= 2).mean(axis=0))


def test_stored_probabilities_come_first_and_others_are_not_invented() -> None:
    forecast = with_probabilities()
    made = field("exceedance", forecast, 0.5, 2.0)
    np.testing.assert_array_equal(made.values, forecast["exceedance_probability"].values[0, :, :, 0])
    settings = ProductSettings(products=("exceedance_2", "exceedance_5", "quantile"), formats=())
    left, reasons = possible(forecast, settings)
    assert left is not None
    assert left.products == ("exceedance_2",)
    assert reasons == (
        "exceedance_5: no probability of 5 mm/h is stored, but of 0.5, 2",
        "quantile: the forecast has neither members nor quantiles",
    )


def test_quantiles_are_those_of_numpy() -> None:
    forecast = ensemble()
    made = field("quantile", forecast, 0.1, 0.5, 0.9)
    expected = np.quantile(forecast.values[0, :, :, 0], [0.1, 0.5, 0.9], axis=0)
    np.testing.assert_allclose(made.values, expected, rtol=1e-5)


def test_stored_quantiles_are_those_of_the_forecast() -> None:
    forecast = with_probabilities()
    stored = forecast["exceedance_probability"].rename(threshold="quantile").assign_coords(quantile=[0.5, 0.9])
    forecast = forecast.assign(rain_rate_quantile=stored)
    np.testing.assert_array_equal(field("quantile", forecast, 0.9).values[0], stored.values[0, 1, :, 0])
    left, reasons = possible(forecast, ProductSettings(products=("quantile", "quantile_0.3"), formats=()))
    assert left is not None
    assert left.products == ("quantile",)
    assert reasons == ("quantile_0.3: the quantile 0.3 is not stored, but 0.5, 0.9",)


def test_reflectivity_becomes_rain_and_dry_stays_dry() -> None:
    forecast = label(np.array([[[[-32.0, 20.0], [np.nan, 40.0]]]], dtype=np.float32), members=False)
    forecast.attrs |= {"units": "dBZ", "quantity": "reflectivity", "dry": -32.0}
    (rate,) = [layer.values for layer in field("rate", forecast).layers()]
    expected = [[0, (100 / 223) ** (1 / 1.53)], [np.nan, (10_000 / 223) ** (1 / 1.53)]]
    np.testing.assert_allclose(rate, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rain", "unknown product"),
        ("rate_5", "is no product"),
        ("accumulation_60_30", "is no window"),
        ("exceedance_-2", "expected a number above 0"),
        ("quantile_90", "is no quantile"),
        ("exceedance_two", "is no product"),
        ("alerts", "alerts need areas"),
    ],
)
def test_what_is_no_product_is_refused(text: str, message: str) -> None:
    with pytest.raises(ArgumentError, match=message) as error:
        ProductSettings(products=(text,))
    assert error.value.remedy or error.value.example


@pytest.mark.parametrize(
    ("window", "message"), [("accumulation_120", "reaches 60 min"), ("accumulation_3_60", "begin and end with a frame")]
)
def test_a_window_without_its_frames_is_refused(window: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        framecast.write_products(ensemble(), tmp_path, products=("rate", window))
    assert list(tmp_path.iterdir()) == []
    left, reasons = possible(ensemble(), ProductSettings(products=("rate", window)))
    assert left is not None
    assert left.products == ("rate",)
    assert len(reasons) == 1


def test_a_short_forecast_has_the_sum_that_it_has() -> None:
    made = field("accumulation", ensemble().isel(lead_time=slice(0, 6)), (0.0, 30.0))
    assert Source.of(ensemble().isel(lead_time=slice(0, 6))).default_windows() == ((0.0, 30.0),)
    assert made.values.shape == (1, 1, 8, 10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: xr.concat([f, f.assign_coords(init_time=f["init_time"] + 1)], "init_time"), "2 along init_time"),
        (lambda f: f.assign_attrs(quantity="intensity"), "a forecast of intensity"),
        (lambda f: f.assign_coords(lead_time=np.arange(1, 13)), "numbers of frames"),
        (lambda f: f.isel(lead_time=slice(None, None, -1)), "do not ascend"),
        (lambda f: f.isel(lead_time=0), "not the sizes of a forecast"),
    ],
)
def test_what_has_no_products_is_refused(change: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message) as error:
        framecast.write_products(change(ensemble()), tmp_path / "out")  # type: ignore[operator]
    assert error.value.remedy
