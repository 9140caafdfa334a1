"""Schedules at known points, and the laws of every mask."""

import math
from typing import Any, get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from framecast.curriculum import Curriculum, NoSampling, ReverseScheduled, Scheduled, TeacherForced
from framecast.errors import ConfigError
from framecast.ops import free_running

ALL: list[Any] = [
    Scheduled(draw="batch"),
    *(curriculum() for curriculum in get_args(Curriculum)),
    *(ReverseScheduled(strategy=s, mode=m) for s in (1, 2) for m in ("linear", "exponential", "sigmoid")),
]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(
    curriculum=st.sampled_from(ALL),
    iteration=st.integers(0, 100_000),
    batch=st.integers(1, 4),
    context=st.integers(1, 6),
    horizon=st.integers(1, 6),
)
def test_laws_of_a_mask(curriculum: Any, iteration: int, batch: int, context: int, horizon: int) -> None:
    mask = curriculum(iteration, batch, context, horizon, rng())
    assert mask.shape == (batch, context + horizon - 1)
    assert mask.dtype == torch.bool
    assert mask[:, 0].all()
    assert torch.equal(mask, curriculum(iteration, batch, context, horizon, rng()))


@pytest.mark.parametrize("curriculum", [NoSampling(), TeacherForced(), Scheduled()], ids=repr)
def test_the_context_is_fed(curriculum: Any) -> None:
    assert curriculum(10_000, 50, 4, 5, rng())[:, :4].all()


@pytest.mark.parametrize("curriculum", ALL, ids=repr)
@pytest.mark.parametrize("iteration", [0, 10_000, 30_000, 60_000])
def test_a_scaled_curriculum_is_the_same_at_its_share_of_the_way(curriculum: Any, iteration: int) -> None:
    def fed(schedule: Any, k: int) -> torch.Tensor:
        mask: torch.Tensor = schedule(k, 4_000, 3, 3, rng())
        return mask.float().mean(0)

    short = curriculum.scaled(0.1)
    assert type(short) is type(curriculum)
    torch.testing.assert_close(fed(short, iteration // 10), fed(curriculum, iteration), atol=0.02, rtol=0)


@pytest.mark.parametrize("curriculum", ALL, ids=repr)
def test_what_is_fed_after_the_context_never_rises(curriculum: Any) -> None:
    shares = [float(curriculum(k, 2_000, 2, 4, rng())[:, 2:].float().mean()) for k in range(0, 60_000, 3_000)]
    assert shares == sorted(shares, reverse=True)  # the same random numbers against a threshold that falls


def test_a_name_is_given_to_one_curriculum() -> None:
    names = [curriculum().name for curriculum in get_args(Curriculum)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("curriculum", [each for each in ALL if not isinstance(each, TeacherForced)], ids=repr)
def test_every_schedule_ends_as_the_forecast_begins(curriculum: Any) -> None:
    assert torch.equal(curriculum(200_000, 3, 4, 5, rng()), free_running(3, 4, 5))


def test_scheduled_sampling_is_the_released_schedule() -> None:
    """eta is 1 minus 2e-5 an iteration, counted from 1, and 0 from iteration 50,000."""
    eta = 1.0
    schedule = Scheduled()
    for iteration in range(1, 50_001):
        eta = eta - 2e-5 if iteration < 50_000 else 0.0
        if iteration % 7_777 == 0 or iteration in (1, 49_999, 50_000):
            assert schedule.eta(iteration - 1) == pytest.approx(eta, abs=1e-9)


def test_reverse_sampling_is_the_released_schedule() -> None:
    schedule = ReverseScheduled(alpha=2500)
    assert [schedule.epsilon(k - 1) for k in (1, 24_999)] == [0.5, 0.5]
    assert schedule.epsilon(30_000 - 1) == pytest.approx(1 - 0.5 * math.exp(-2))
    assert [schedule.epsilon(k - 1) for k in (50_000, 80_000)] == [1.0, 1.0]
    assert [schedule.eta(k - 1) for k in (1, 25_000, 37_500, 50_000, 80_000)] == [0.5, 0.5, 0.25, 0.0, 0.0]


@pytest.mark.parametrize("strategy", [1, 2])
@pytest.mark.parametrize("mode", ["linear", "exponential", "sigmoid"])
def test_epsilon_rises_and_eta_falls(strategy: Any, mode: Any) -> None:
    schedule = ReverseScheduled(strategy=strategy, mode=mode)
    epsilon = [schedule.epsilon(k) for k in range(0, 60_000, 500)]
    eta = [schedule.eta(k) for k in range(0, 60_000, 500)]
    assert epsilon == sorted(epsilon)
    assert eta == sorted(eta, reverse=True)
    first = 0.5 if strategy == 2 else 0.0
    assert epsilon[0] == pytest.approx(first, abs=1e-3)
    assert eta[0] == 1 - first
    assert epsilon[-1] == 1.0


def test_coins_are_flipped_for_each_sequence_and_step() -> None:
    mask = ReverseScheduled()(0, 4000, 6, 6, rng())
    share = mask[:, 1:].float().mean(dim=0)
    torch.testing.assert_close(share, torch.full((10,), 0.5), atol=0.04, rtol=0)
    assert len({tuple(row) for row in mask[:, 1:].tolist()}) > 900


def test_the_context_has_its_own_probability() -> None:
    mask = ReverseScheduled(strategy=1)(10_000, 500, 5, 5, rng())
    assert not mask[:, 1:5].any()
    assert mask[:, 5:].all()


def test_impossible_schedules_are_refused() -> None:
    with pytest.raises(ConfigError, match="start 10 and stop 10"):
        ReverseScheduled(start=10, stop=10)
    with pytest.raises(ConfigError, match="probability"):
        Scheduled(start=1.5)
    with pytest.raises(ConfigError, match="stop"):
        Scheduled(stop=0)


def test_one_draw_for_a_batch_feeds_all_sequences_alike() -> None:
    """PhyDNet: teacher forcing is on or off for a whole batch, with the share of the schedule."""
    curriculum = Scheduled(stop=1_000, draw="batch")
    masks = [curriculum(399, 4, 3, 4, rng(seed)) for seed in range(300)]
    assert all(mask[:, :3].all() and torch.equal(mask[:, 3:], mask[:1, 3:4].expand(4, 3)) for mask in masks)
    share = sum(bool(mask[0, 3]) for mask in masks) / len(masks)
    assert share == pytest.approx(curriculum.eta(399), abs=0.08)
    assert curriculum.scaled(0.5) == Scheduled(stop=500, draw="batch")


def test_the_sigmoid_rises_before_its_start() -> None:
    """As equation 9 is printed: beta lies halfway, and no first value is held."""
    curriculum = ReverseScheduled(strategy=1, mode="sigmoid")
    assert curriculum.epsilon(0) == pytest.approx(1 / (1 + math.exp((37_500 - 1) / 5_000)))
    assert curriculum.epsilon(24_999) == pytest.approx(1 / (1 + math.exp(2.5)))
