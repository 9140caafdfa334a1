"""Intervals: what they must contain, and when there are none."""

import numpy as np

from framecast.scores import interval


def mean_of(values: np.ndarray):
    return lambda weights: float((values * weights).sum() / weights.sum())


def test_an_interval_holds_the_mean_and_narrows_with_more_blocks() -> None:
    chance = np.random.default_rng(0)
    few, many = chance.normal(5, 1, 12), chance.normal(5, 1, 300)
    low, high = interval(mean_of(few), np.arange(12))
    assert low < few.mean() < high
    lower, higher = interval(mean_of(many), np.arange(300))
    assert higher - lower < (high - low) / 2
    assert abs((higher - lower) - 2 * 1.96 / np.sqrt(300)) < 0.05


def test_cases_of_one_block_stay_together() -> None:
    values = np.repeat(np.random.default_rng(1).normal(0, 1, 10), 20)
    apart = interval(mean_of(values), np.arange(200))
    together = interval(mean_of(values), np.repeat(np.arange(10), 20))
    assert together[1] - together[0] > 3 * (apart[1] - apart[0])


def test_one_block_has_no_interval() -> None:
    assert interval(mean_of(np.arange(5.0)), np.zeros(5)) is None


def test_the_seed_decides() -> None:
    values, blocks = np.random.default_rng(2).normal(size=30), np.arange(30)
    assert interval(mean_of(values), blocks, seed=1) == interval(mean_of(values), blocks, seed=1)
    assert interval(mean_of(values), blocks, seed=1) != interval(mean_of(values), blocks, seed=2)
