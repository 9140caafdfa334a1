"""Units in all spellings, and the laws of the Z-R relation."""

import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from framecast.data.frames import build
from framecast.data.quantities import (
    INTENSITY,
    RAIN_RATE,
    REFLECTIVITY,
    ZR,
    Quantity,
    event_thresholds,
    quantity_of,
)
from framecast.data.units import identify, resolve_units
from framecast.errors import DataError


@pytest.mark.parametrize(
    ("units", "quantity", "factor"),
    [
        ("mm/h", RAIN_RATE, 1),
        ("mm h-1", RAIN_RATE, 1),
        ("MM/HR", RAIN_RATE, 1),
        ("mm.hr**-1", RAIN_RATE, 1),
        ("kg m^-2 h^-1", RAIN_RATE, 1),
        ("kg/m2/s", RAIN_RATE, 3600),
        ("mm min-1", RAIN_RATE, 60),
        ("mm/day", RAIN_RATE, 1 / 24),
        ("0.1 mm/h", RAIN_RATE, 0.1),
        ("inches/hr", RAIN_RATE, 25.4),
        ("in h-1", RAIN_RATE, 25.4),
        ("cm h^{-1}", RAIN_RATE, 10),
        ("\u00b5m/h", RAIN_RATE, 1e-3),
        ("mm\u00b7h\u207b\u00b9", RAIN_RATE, 1),
        ("kg/(m2*s)", RAIN_RATE, 3600),
        ("l/m2/h", RAIN_RATE, 1),
        ("1e-3 m per hour", RAIN_RATE, 1),
        ("mm (5 min)-1", RAIN_RATE, 12),
        ("0.1 mm/5min", RAIN_RATE, 1.2),
        ("m of water equivalent per day", RAIN_RATE, 1000 / 24),
        ("1000 mm s-1", RAIN_RATE, 3.6e6),
        ("0.5 dBZ", REFLECTIVITY, 0.5),
        ("dBZ", REFLECTIVITY, 1),
        ("dbz", REFLECTIVITY, 1),
        ("1", INTENSITY, 1),
        ("0-255", INTENSITY, 1 / 255),
    ],
)
def test_units_are_understood_in_every_spelling(units: str, quantity: Quantity, factor: float) -> None:
    assert identify(units, variable="v", where="f.nc")[:2] == (quantity, pytest.approx(factor))


@pytest.mark.parametrize("order", list(permutations(["kg", "m-2", "s-1"])))
def test_the_order_of_factors_does_not_matter(order: tuple[str, ...]) -> None:
    assert identify(" ".join(order), variable="v", where="f.nc")[:2] == (RAIN_RATE, 3600)


@pytest.mark.parametrize(
    "units",
    [
        *(
            "parsec",
            "m s-1",
            "mm h",
            "mm2 h-1",
            "h mm-1",
            "0-100",
            "%",
            "mm/h/",
            "-",
            "mm 5min-1",
            "mm/month",
            "mm/h*32",
        ),
        *("0 mm/h", "1e999 mm/h", "mm h-99999", "mm/(5 min", "2*dBZ"),
    ],
)
def test_other_units_are_refused_by_name(units: str) -> None:
    with pytest.raises(DataError, match=r"variable 'v' has units .*; understood are mm h-1.*dBZ") as error:
        identify(units, variable="v", where="f.nc")
    assert repr(units) in str(error.value)
    assert "f.nc" in str(error.value)


def test_the_remedy_is_never_other_units_than_those_of_the_file() -> None:
    with pytest.raises(DataError, match="they are those of wind") as error:
        identify("m s-1", variable="v", where="f.nc")
    assert error.value.example == "1000 mm s-1"
    assert identify("1000 mm s-1", variable="v", where="f.nc").factor == pytest.approx(3.6e6)
    with pytest.raises(DataError, match="an amount") as error:
        identify("0.1 mm", variable="v", where="f.nc")
    assert error.value.example == "0.1 mm per 60 min"
    with pytest.raises(DataError, match="convert the values"):
        identify("hPa", variable="v", where="f.nc")


def test_a_velocity_is_rain_where_its_standard_name_says_so() -> None:
    stored = xr.DataArray(np.full((1, 2, 2), 1e-6), dims=("time", "y", "x"), attrs={"units": "m s-1"})
    for name, units in (("lwe_precipitation_rate", None), ("wind_speed", "1000 mm s-1")):
        frames = build(stored.assign_attrs(standard_name=name), where="f", units=units)
        np.testing.assert_allclose(frames.values, 3.6, rtol=1e-6)
    with pytest.raises(DataError, match="those of wind"):
        build(stored.assign_attrs(standard_name="wind_speed"), where="f")


@pytest.mark.parametrize("units", [None, "", "  "])
def test_no_units_are_no_units(units: str | None) -> None:
    with pytest.raises(DataError, match="variable 'v' has no units") as error:
        identify(units, variable="v", where="f.nc")
    assert error.value.parameter == "units"


@pytest.mark.parametrize(
    ("stated", "found", "units"),
    [
        (None, "dBZ", "dBZ"),
        ("dBZ", None, "dBZ"),
        ("mm per 5 min", "mm", "mm per 5 min"),
        ("0-255", "1", "0-255"),
        ("mm/h", "kg m-2 h-1", "kg m-2 h-1"),
        (None, None, None),
    ],
)
def test_units_are_stated_where_the_file_says_none(stated: str | None, found: str | None, units: str | None) -> None:
    assert resolve_units(stated, found, variable="v", where="f.nc") == units


@pytest.mark.parametrize(("stated", "found"), [("mm h-1", "dBZ"), ("parsec", "dBZ"), ("mm per 10 min", "mm per 5 min")])
def test_units_that_contradict_those_of_the_file_are_refused(stated: str, found: str) -> None:
    with pytest.raises(DataError, match=f"variable 'v' has units '{found}', but '{stated}' are stated") as error:
        resolve_units(stated, found, variable="v", where="f.nc")
    assert "f.nc" in str(error.value)
    assert (error.value.parameter, error.value.example) == ("units", found)


relations = st.builds(ZR, a=st.floats(50, 500), b=st.floats(1.1, 2.5))


@given(zr=relations, rate=st.floats(1e-3, 500))
def test_reflectivity_and_rain_rate_are_inverse(zr: ZR, rate: float) -> None:
    assert zr.rain_rate(zr.reflectivity(rate)) == pytest.approx(rate, rel=1e-9)


@given(zr=relations, rate=st.floats(1e-3, 100), more=st.floats(1.01, 5))
def test_more_rain_reflects_more(zr: ZR, rate: float, more: float) -> None:
    assert zr.reflectivity(more * rate) - zr.reflectivity(rate) == pytest.approx(10 * zr.b * np.log10(more))


def test_one_millimetre_an_hour_reflects_a() -> None:
    """Z = a R^b with R = 1; and Marshall and Palmer's 200 R^1.6 at 10 mm/h is 39 dBZ."""
    assert ZR().reflectivity(1.0) == pytest.approx(10 * np.log10(223))
    assert ZR(a=200, b=1.6).reflectivity(10.0) == pytest.approx(39.01, abs=0.01)


def test_thresholds_are_led_through_the_relation_for_reflectivity_only() -> None:
    assert event_thresholds(RAIN_RATE, (0.5, 8.0), ZR()) == (0.5, 8.0)
    assert event_thresholds(REFLECTIVITY, (1.0,), ZR())[0] == pytest.approx(23.48, abs=0.01)


@given(
    rate=st.floats(0, 300, width=32), units=st.sampled_from(["mm s-1", "kg m-2 s-1", "mm min-1", "mm day-1", "mm/h"])
)
def test_converted_rates_are_the_same_rain(rate: float, units: str) -> None:
    _, factor, _, _ = identify(units, variable="v", where="f")
    stored = xr.DataArray(np.full((1, 2, 2), rate / factor), dims=("time", "y", "x"), attrs={"units": units})
    frames = build(stored, where="f")
    np.testing.assert_allclose(frames.values, rate, rtol=1e-6, atol=1e-30)
    assert frames.attrs["units"] == "mm h-1"


def test_the_stated_dry_value_stays_with_the_frames() -> None:
    stored = xr.DataArray(np.zeros((1, 2, 2)), dims=("time", "y", "x"), attrs={"units": "dBZ"})
    assert quantity_of(build(stored, where="f")).dry == -32
    assert quantity_of(build(stored, where="f", dry=-10.0)).dry == -10


def test_radar_maps_of_the_published_code(parity: Path) -> None:
    with np.load(parity / "metrics.npz") as file:
        values = json.loads(str(file["meta"]))["values"]
    pixels = np.linspace(0, 255, 11)
    np.testing.assert_allclose(_dbz(pixels, "hko7"), values["tctn_pixel_to_dBZ"], atol=1e-9)
    np.testing.assert_allclose(_dbz(pixels, "tctn"), values["tctn_pixel_to_dBZ_2"], atol=1e-9)
    dbz = ZR(a=58.53, b=1.56).reflectivity(np.array([0.5, 2, 5, 10, 30]))
    drawn = identify("pixels hko7", variable="v", where="f")
    pixels = (dbz - drawn.offset) / drawn.factor
    np.testing.assert_allclose(pixels / 255, values["tctn_rainfall_to_pixel_0.5_2_5_10_30"], rtol=1e-6)


def _dbz(pixels: np.ndarray, name: str) -> np.ndarray:
    drawn = identify(f"pixels {name}", variable="v", where="f")
    return drawn.factor * pixels + drawn.offset
