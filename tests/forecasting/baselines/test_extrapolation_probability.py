"""Extrapolation as a probability: certain inside wide rain, uncertain at its edge, more so later and on a coarser clock."""

import numpy as np
from test_climatology_and_pysteps import shower

from framecast.data.quantities import RAIN_RATE, REFLECTIVITY, ZR
from framecast.data.scale import Scale
from framecast.forecasting.baselines.extrapolation import Extrapolation
from framecast.forecasting.baselines.extrapolation_probability import ExtrapolationProbability
from framecast.forecasting.distribution import Distribution
from framecast.forecasting.protocol import Context
from framecast.models.parts.exceedance import LADDER


def half(rate: float = 3.0) -> np.ndarray:
    """Still frames, rain in the left half: `(1, 4, 1, 64, 64)`."""
    frames = np.zeros((1, 4, 1, 64, 64), np.float32)
    frames[..., :32] = rate
    return frames


def forecast(frames: np.ndarray, horizon: int = 12, scale: Scale | None = None) -> Distribution:
    context = Context(frames, scales=None if scale is None else (scale,) * len(frames))
    distribution = ExtrapolationProbability(RAIN_RATE).forecast(context, horizon).distribution
    assert distribution is not None
    return distribution


def edge(distribution: Distribution, lead: int) -> np.ndarray:
    """The probability of 1 mm/h across the edge of the rain."""
    return distribution.exceedance([1.0])[0, 0, lead, 32, 16:48]


def test_rates_that_rain_reaches_are_certain_far_from_its_edge() -> None:
    distribution = forecast(half(), horizon=2)
    reached = np.array(LADDER) <= 3
    for lead in range(2):
        np.testing.assert_allclose(distribution.probability[reached, 0, lead, 32, 2], 1, atol=1e-3)
        assert not distribution.probability[~reached, 0, lead, 32, 8].any()
        assert not distribution.probability[:, 0, lead, 32, 60].any()


def test_the_edge_is_smooth_and_wider_later_and_on_finer_grids() -> None:
    distribution = forecast(half())
    for lead in (0, 11):
        across = edge(distribution, lead)
        assert (np.diff(across) <= 1e-6).all()
        assert across[15] > 0.5 > across[16]

    def width(across: np.ndarray) -> float:
        return float((across * (1 - across)).sum())

    assert width(edge(distribution, 11)) > 2 * width(edge(distribution, 0))
    slow, fine = (forecast(half(), 4, Scale(*scale)) for scale in ((15.0, 1.0), (5.0, 0.5)))
    assert width(edge(slow, 3)) > width(edge(distribution, 3))
    assert width(edge(fine, 3)) > width(edge(distribution, 3))


def test_each_case_has_its_own_scale() -> None:
    frames = np.concatenate([half(), half()])
    model = ExtrapolationProbability(RAIN_RATE)
    both = model.forecast(Context(frames, scales=(Scale(5.0, 1.0), Scale(15.0, 1.0))), 3)
    for number, minutes in enumerate((5.0, 15.0)):
        alone = model.forecast(Context(half(), scales=(Scale(minutes, 1.0),)), 3)
        np.testing.assert_array_equal(both.values[:, number], alone.values[:, 0])


def test_it_has_a_basis_where_extrapolation_has_one_and_moves_as_it_does() -> None:
    frames = shower(6, 96)[None, :4]
    frames[..., 5:9, 20:30] = np.nan
    context = Context(frames)
    carried = Extrapolation(RAIN_RATE).forecast(context, 3)
    ours = ExtrapolationProbability(RAIN_RATE).forecast(context, 3)
    np.testing.assert_array_equal(np.isnan(ours.values), np.isnan(carried))
    weights = [np.nan_to_num(each[0, 0, :, 0]) for each in (carried, ours.values)]
    centres = [(each * np.arange(96)).sum((1, 2)) / each.sum((1, 2)) for each in weights]
    np.testing.assert_allclose(*centres, atol=1)


def test_reflectivity_is_forecast_as_the_rain_that_it_is() -> None:
    rates = shower(5, 64)[None, :4]
    dbz = np.where(rates > 0, ZR().reflectivity(np.maximum(rates, 1e-3)), -32).astype(np.float32)
    ours = ExtrapolationProbability(REFLECTIVITY).forecast(Context(dbz), 2)
    assert ours.distribution is not None
    # the motion is estimated on the logarithm of either
    np.testing.assert_allclose(ours.distribution.probability, forecast(rates, 2).probability, atol=0.02)
    assert np.nanmin(ours.values) == -32
    assert 20 < np.nanmax(ours.values) < 60
