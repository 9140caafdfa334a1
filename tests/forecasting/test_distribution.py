"""Forecasts as distributions: what holds for every ladder of probabilities, and values computed by hand."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from framecast.data.quantities import INTENSITY, RAIN_RATE, REFLECTIVITY, ZR
from framecast.errors import ArgumentError, DataError
from framecast.forecasting.distribution import LARGEST, MEAN_ABOVE, TAIL, Distribution, most_skilful_events

RATES = np.array([0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32])


def ladder(probability: np.ndarray, rates: np.ndarray = RATES) -> Distribution:
    """Of `probability (K, N)` a distribution of N pixels in one case and lead time."""
    return Distribution(rates, probability[:, None, None, None].astype(np.float32))


def falling(seed: int, pixels: int = 50) -> Distribution:
    """Random distributions, among them certainties and equal rungs."""
    rng = np.random.default_rng(seed)
    probability = np.sort(rng.beta(0.4, 0.4, (len(RATES), pixels)), axis=0)[::-1].copy()
    probability[:, 0], probability[:, 1], probability[:, 2] = 0, 1, 0.5
    return ladder(probability.clip(0, 1))


@given(seed=st.integers(0, 10_000))
@settings(deadline=None, max_examples=20)
def test_exceedance_is_that_of_the_rungs_and_falls_between_them(seed: int) -> None:
    distribution = falling(seed)
    np.testing.assert_array_equal(distribution.exceedance(RATES), distribution.probability)
    between = distribution.exceedance(np.geomspace(0.02, 500, 200))
    assert (np.diff(between, axis=0) <= 1e-6).all()
    assert ((between >= 0) & (between <= 1)).all()
    np.testing.assert_array_equal(between[0], distribution.probability[0])


def test_exceedance_between_and_above_rungs() -> None:
    """Logits 0 and -2 at 1 and 4 mm/h: -1 at their geometric mean; at 16 mm/h the tail of the probability at 4."""
    two = ladder(1 / (1 + np.exp([[0.0], [2.0]])), np.array([1.0, 4.0]))
    np.testing.assert_allclose(
        two.exceedance([2, 16]).ravel(), [1 / (1 + np.exp(1.0)), 4**-TAIL / (1 + np.exp(2.0))], rtol=1e-5
    )


@pytest.mark.parametrize("rate", [0, -1, np.nan, np.inf])
def test_a_rate_that_is_none(rate: float) -> None:
    with pytest.raises(ArgumentError, match="expected a rain rate in mm/h"):
        falling(0).exceedance([rate])


def test_mean_of_known_distributions() -> None:
    """Dry; between 1 and 2 mm/h for sure, with the median at their geometric mean; above the ladder for sure; half at 4 mm/h."""
    probability = np.zeros((len(RATES), 4))
    probability[:4, 1], probability[:, 2], probability[:6, 3] = 1, 1, 0.5
    np.testing.assert_allclose(ladder(probability).mean().ravel(), [0, 2**0.5, MEAN_ABOVE * 32, 0.53 * 4], rtol=2e-3)


@given(seed=st.integers(0, 10_000))
@settings(deadline=None, max_examples=20)
def test_the_mean_is_the_integral_of_the_exceedance_probability(seed: int) -> None:
    distribution = falling(seed)
    rates = np.geomspace(0.1, 1e5, 20_000)
    above = distribution.exceedance(rates)[:, 0, 0, 0]
    integral = rates[0] * above[0] + (np.diff(rates)[:, None] * (above[1:] + above[:-1]) / 2).sum(0)
    np.testing.assert_allclose(distribution.mean().ravel(), integral, rtol=0.01)


def test_mean_of_a_lognormal_distribution() -> None:
    """On a fine ladder the mean is that of the distribution: exp(mu + sigma^2 / 2)."""
    rates = np.geomspace(0.01, 1000, 200)
    normal = np.random.default_rng(0).normal(0.5, 0.8, 400_000)
    share = (np.exp(normal) >= rates[:, None, None]).mean(-1)
    assert ladder(share, rates).mean().item() == pytest.approx(np.exp(normal).mean(), rel=1e-3)


@given(seed=st.integers(0, 10_000), q=st.floats(0.02, 0.98))
@settings(deadline=None, max_examples=30)
def test_quantiles_are_the_inverse_of_exceedance(seed: int, q: float) -> None:
    distribution = falling(seed)
    quantile = distribution.quantile(q).ravel()
    inside = (quantile > RATES[0]) & (quantile < LARGEST * RATES[-1] * 0.999)
    for number in np.flatnonzero(inside):
        above, below = distribution.exceedance([quantile[number] * 0.999, quantile[number] * 1.001])[
            ..., number
        ].ravel()
        assert above >= 1 - q - 1e-3
        assert below <= 1 - q + 1e-3
    lowest, highest = distribution.probability[0].ravel(), distribution.exceedance([LARGEST * RATES[-1]]).ravel()
    np.testing.assert_array_equal(quantile == 0, lowest < np.float32(1) - np.float32(q))
    assert (highest[quantile >= LARGEST * RATES[-1] * 0.9999] >= 1 - q - 1e-3).all()


def test_quantiles_of_a_field_of_levels_and_the_median() -> None:
    distribution = falling(3)
    levels = np.linspace(0, 1, 50, dtype=np.float32)[None, None, None]
    each = np.array([distribution.quantile(float(q)).ravel()[n] for n, q in enumerate(levels.ravel())])
    np.testing.assert_array_equal(distribution.quantile(levels).ravel(), each)
    np.testing.assert_array_equal(distribution.median(), distribution.quantile(0.5))
    with pytest.raises(ArgumentError, match="outside of 0 to 1"):
        distribution.quantile(1.5)


def test_values_of_rain_rate_and_of_reflectivity() -> None:
    probability = np.zeros((len(RATES), 4))
    probability[:4, 1], probability[0, 2], probability[:, 3] = 1, 0.5, np.nan
    mixed, zr = ladder(probability), ZR()
    assert mixed.values(RAIN_RATE, zr).shape == (1, 1, 1, 1, 4)
    np.testing.assert_array_equal(mixed.values(RAIN_RATE, zr).ravel(), mixed.mean().ravel())
    expected = [-32, zr.reflectivity(mixed.mean().ravel()[1]), -32, np.nan]
    np.testing.assert_allclose(mixed.values(REFLECTIVITY, zr).ravel(), expected, rtol=1e-5)
    with pytest.raises(TypeError, match="not related to rain"):
        mixed.values(INTENSITY, zr)


@given(
    field=arrays.arrays(
        np.float32, (2, 4), elements=st.sampled_from([0, 0.05, 0.1, 0.25, 0.4, 0.5, 0.75, 1, float("nan")])
    )
)
@settings(deadline=None, max_examples=200)
def test_the_most_skilful_events_have_the_largest_expected_csi_of_all_choices(field: np.ndarray) -> None:
    known = np.nan_to_num(field.ravel().astype(np.float64))

    def expected_csi(choice: np.ndarray) -> float:
        hits = known[choice].sum()
        return float(hits / (choice.sum() + known.sum() - hits)) if choice.any() else 0.0

    events = most_skilful_events(field)
    assert not events[np.isnan(field)].any()
    best = max(expected_csi(np.array(choice)) for choice in itertools.product([False, True], repeat=field.size))
    assert expected_csi(events.ravel()) == pytest.approx(best, rel=1e-9)
    assert (known[events.ravel()] > 0).all()


def test_each_case_and_lead_time_has_its_own_events() -> None:
    """0.3 is worth forecasting where nothing is likelier, and not beside many certain pixels."""
    probability = np.zeros((2, 2, 1, 3, 4), dtype=np.float32)
    probability[:, 1, :, :2] = 1
    probability[:, :, :, 2] = 0.3
    events = Distribution(np.array([1.0, 2.0]), probability).most_skilful(1.5)
    assert events[0, 0].tolist() == [[[False] * 4, [False] * 4, [True] * 4]][0]
    assert events[1, 0].tolist() == [[[True] * 4, [True] * 4, [False] * 4]][0]


def test_no_basis_stays_so() -> None:
    probability = np.full((2, 1, 1, 1, 2), 0.5, dtype=np.float32)
    probability[..., 0] = np.nan
    half = Distribution(np.array([1.0, 2.0]), probability)
    for field in (half.mean(), half.median(), *half.exceedance([0.5, 1.5, 3])):
        assert np.isnan(field.ravel()).tolist() == [True, False]


@pytest.mark.parametrize(
    ("rates", "probability", "message"),
    [
        ([2, 1], np.zeros((2, 1, 1, 1, 1)), "ascending"),
        ([0, 1], np.zeros((2, 1, 1, 1, 1)), "above 0"),
        ([1], np.zeros((1, 1, 1, 1, 1)), "two or more"),
        ([1, 2], np.zeros((3, 1, 1, 1, 1)), r"shape \(3, 1, 1, 1, 1\), expected \(2, cases"),
        ([1, 2], np.zeros((2, 1, 1, 1)), "shape"),
        ([1, 2], np.array([0.2, 0.3]).reshape(2, 1, 1, 1, 1), "rise from rung 0"),
        ([1, 2], np.array([1.2, 0.3]).reshape(2, 1, 1, 1, 1), "outside of 0 to 1"),
        ([1, 2], np.array([0.2, -0.3]).reshape(2, 1, 1, 1, 1), "outside of 0 to 1"),
        ([1, 2], np.array([0.2, np.nan]).reshape(2, 1, 1, 1, 1), "missing at other pixels"),
    ],
)
def test_what_is_no_distribution_is_refused(rates: list[float], probability: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Distribution(np.array(rates), probability)
