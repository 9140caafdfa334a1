"""Scaling is invertible, fills missing pixels with dry and nothing else, and knows the Z-R relation."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from framecast.data.quantities import INTENSITY, RAIN_RATE, REFLECTIVITY, ZR, Quantity
from framecast.data.scaling import DBZ, RainLog, Scaling, Unit, check_scaling, default_scaling
from framecast.errors import ConfigError

PAIRS = [
    pytest.param(Unit(), INTENSITY, 0.0, 1.0, id="unit"),
    pytest.param(Unit(low=-3, high=7), INTENSITY, -3.0, 7.0, id="unit, stated range"),
    pytest.param(RainLog(), RAIN_RATE, 0.001, 300.0, id="rain_log of rain"),
    pytest.param(RainLog(), REFLECTIVITY, 9.0, 70.0, id="rain_log of reflectivity"),
    pytest.param(DBZ(), REFLECTIVITY, 0.1, 70.0, id="dbz of reflectivity"),
    pytest.param(DBZ(), RAIN_RATE, 0.1, 300.0, id="dbz of rain"),
]


@pytest.mark.parametrize(("scaling", "quantity", "low", "high"), PAIRS)
@given(share=st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_what_is_scaled_comes_back(
    scaling: Scaling, quantity: Quantity, low: float, high: float, share: list[float]
) -> None:
    physical = (low + (high - low) * np.array(share)).astype(np.float32)
    physical = np.maximum(physical, np.float32(low * 1.001))
    scaled = scaling.forward(physical, quantity)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaling.inverse(scaled, quantity), physical, rtol=2e-4, atol=1e-5)
    as_tensor = scaling.forward(torch.from_numpy(physical), quantity)
    np.testing.assert_allclose(as_tensor.numpy(), scaled, atol=1e-6)
    np.testing.assert_allclose(scaling.inverse(as_tensor, quantity).numpy(), physical, rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize(("scaling", "quantity", "low", "high"), PAIRS)
def test_missing_is_shown_as_dry_and_dry_stays_dry(
    scaling: Scaling, quantity: Quantity, low: float, high: float
) -> None:
    values = np.array([np.nan, quantity.dry, high], dtype=np.float32)
    scaled = scaling.forward(values, quantity)
    assert np.isfinite(scaled).all()
    assert scaled[0] == scaled[1] < scaled[2]
    assert scaling.inverse(scaled, quantity)[1] == quantity.dry


@pytest.mark.parametrize(("scaling", "quantity", "low", "high"), PAIRS)
def test_scaling_grows_with_the_value(scaling: Scaling, quantity: Quantity, low: float, high: float) -> None:
    scaled = scaling.forward(np.linspace(low, high, 200, dtype=np.float32), quantity)
    assert (np.diff(scaled) > 0).all()


def test_the_stated_numbers() -> None:
    """log(1 + R / 0.1), 1 at 100 mm/h, 200 not cut off; and Z = 223 R^1.53, so that 10 mm/h is 38.8 dBZ."""
    np.testing.assert_allclose(
        RainLog().forward(np.float32([0, 0.1, 1, 100, 200]), RAIN_RATE), [0, 0.10032, 0.34708, 1, 1.10026], atol=1e-4
    )
    np.testing.assert_allclose(
        DBZ().forward(np.float32([10.0]), RAIN_RATE) * 60, [10 * np.log10(223) + 15.3], atol=1e-3
    )
    np.testing.assert_allclose(
        DBZ(zr=ZR(a=200, b=1.6)).forward(np.float32([10.0]), RAIN_RATE) * 60, [10 * np.log10(200) + 16], atol=1e-3
    )


def test_a_forecast_of_almost_nothing_is_almost_nothing() -> None:
    """No step between dry and the least rain that can be forecast."""
    assert RainLog().inverse(np.float32([1e-3]), RAIN_RATE)[0] < 0.001
    assert RainLog().inverse(np.float32([1e-3]), REFLECTIVITY)[0] < -15


def test_every_quantity_has_a_scaling_and_intensities_no_logarithm() -> None:
    assert default_scaling(RAIN_RATE) == RainLog()
    assert default_scaling(REFLECTIVITY) == DBZ()
    assert default_scaling(INTENSITY) == Unit()
    with pytest.raises(ConfigError, match="rain rate and reflectivity"):
        check_scaling(RainLog(), INTENSITY)


@pytest.mark.parametrize("build", [lambda: Unit(low=1, high=1), lambda: RainLog(floor=0), lambda: DBZ(low=5, high=0)])
def test_empty_ranges_are_refused(build: object) -> None:
    with pytest.raises(ConfigError):
        build()  # type: ignore[operator]
