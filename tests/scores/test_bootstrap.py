"""Intervals: what they must contain, and when there are none."""

import numpy as np
import pytest

from framecast.scores.bootstrap import by_block, draw_blocks, limits, resample


def interval(values: np.ndarray, blocks: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """Of a mean."""
    total, count = resample(np.stack([values, np.ones_like(values)]), blocks, draw_blocks(blocks, seed=seed))
    low, high = limits(total / count)
    return float(low), float(high)


def test_an_interval_holds_the_mean_and_narrows_with_more_blocks() -> None:
    rng = np.random.default_rng(0)
    few, many = rng.normal(5, 1, 12), rng.normal(5, 1, 300)
    low, high = interval(few, np.arange(12))
    assert low < few.mean() < high
    lower, higher = interval(many, np.arange(300))
    assert higher - lower < (high - low) / 2
    assert abs((higher - lower) - 2 * 1.96 / np.sqrt(300)) < 0.05


def test_cases_of_one_block_stay_together() -> None:
    values = np.repeat(np.random.default_rng(1).normal(0, 1, 10), 20)
    apart = interval(values, np.arange(200))
    together = interval(values, np.repeat(np.arange(10), 20))
    assert together[1] - together[0] > 3 * (apart[1] - apart[0])


def test_blocks_need_not_lie_together() -> None:
    table = np.arange(12.0).reshape(2, 6)
    np.testing.assert_array_equal(by_block(table, np.array([1, 0, 1, 0, 3, 0])), [[9, 2, 4], [27, 14, 10]])


def test_one_block_has_no_interval() -> None:
    assert np.isnan(interval(np.arange(5.0), np.zeros(5))).all()


def test_draws_depend_on_the_seed_alone() -> None:
    values, blocks = np.random.default_rng(2).normal(size=30), np.arange(30)
    assert interval(values, blocks, seed=1) == interval(values, blocks, seed=1)
    assert interval(values, blocks, seed=1) != interval(values, blocks, seed=2)


def test_limits_are_of_what_is_defined() -> None:
    values = np.array([[np.nan, 1.0], [np.nan, np.inf], [np.nan, 3.0]])
    low, high = limits(values, level=0.9)
    assert np.isnan(low[0])
    assert 1 <= low[1] < high[1] <= 3


@pytest.mark.filterwarnings("error")
def test_an_infinite_sum_has_no_interval_and_warns_of_nothing() -> None:
    values = np.array([1.0, np.inf, 2.0, 3.0])
    assert np.isnan(interval(values, np.arange(4))).all()
