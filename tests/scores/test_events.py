"""Event scores on hand-made cases and against an independent implementation."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from framecast.scores import Metric
from framecast.scores.events import METRICS, Contingency, contingency, csi, far, pod


def _of_counts(metric: Metric) -> Callable[[Contingency], torch.Tensor]:
    return lambda table: torch.from_numpy(np.asarray(metric.formula(torch.stack([*table]).double().numpy())))


SCORES = {metric.name: _of_counts(metric) for metric in METRICS}


def frame(*rows: list[float]) -> torch.Tensor:
    return torch.tensor(rows).reshape(1, 1, 1, len(rows), -1)


def everywhere(truth: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(truth, dtype=torch.bool)


def test_a_table_counted_by_hand() -> None:
    prediction, truth = frame([1, 0, 2, 0], [1, 1, 0, 0]), frame([1, 1, 0, 0], [1, 0, 0, 0])
    table = contingency(prediction, truth, everywhere(truth), [1.0, 2.0])
    assert [count[0, 0].tolist() for count in table] == [[2, 0], [1, 0], [2, 1], [3, 7]]
    values = {name: score(table)[0, 0, 0].item() for name, score in SCORES.items()}
    assert values == pytest.approx(
        {"csi": 2 / 5, "pod": 2 / 3, "far": 1 / 2, "bias": 4 / 3, "ets": 1 / 7, "hss": 1 / 4}
    )


def test_a_value_at_the_threshold_is_an_event() -> None:
    table = contingency(frame([2.0]), frame([2.0]), everywhere(frame([2.0])), [2.0])
    assert table.hits.item() == 1


def test_undefined_is_neither_0_nor_1() -> None:
    dry = frame([0.0, 0.0])
    table = contingency(dry, dry, everywhere(dry), [1.0])
    assert all(torch.isnan(score(table)).all() for score in SCORES.values())
    false_alarm = contingency(frame([1.0, 0.0]), dry, everywhere(dry), [1.0])
    assert csi(false_alarm).item() == 0
    assert far(false_alarm).item() == 1
    assert torch.isnan(pod(false_alarm)).all()


def test_missing_pixels_are_not_counted() -> None:
    truth, prediction = frame([1.0, float("nan"), 0.0]), frame([1.0, 1.0, float("nan")])
    valid = torch.isfinite(truth) & torch.isfinite(prediction)
    assert [count.item() for count in contingency(prediction, truth, valid, [1.0])] == [1, 0, 0, 0]


def test_without_thresholds_the_tables_are_empty() -> None:
    assert contingency(frame([1.0]), frame([1.0]), everywhere(frame([1.0])), []).hits.shape == (1, 1, 0)


@given(seed=st.integers(0, 10_000))
def test_event_scores_lie_in_their_range(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    prediction, truth = torch.rand(2, 3, 2, 1, 6, 6, generator=generator)
    valid = torch.rand(3, 2, 1, 6, 6, generator=generator) > 0.3
    table = contingency(prediction, truth, valid, [0.3, 0.7])
    assert torch.equal(sum(table), valid.flatten(2).sum(2)[..., None].expand(-1, -1, 2))
    swapped = contingency(truth, prediction, valid, [0.3, 0.7])
    torch.testing.assert_close(csi(table), csi(swapped), equal_nan=True)
    halves = [contingency(prediction[p], truth[p], valid[p], [0.3, 0.7]) for p in (slice(1, 3), slice(0, 1))]
    merged = Contingency(*(a.sum(0) + b.sum(0) for a, b in zip(*halves, strict=True)))
    assert all(torch.equal(a, b.sum(0)) for a, b in zip(merged, table, strict=True))


def test_the_scores_package_agrees() -> None:
    categorical = pytest.importorskip("scores.categorical")
    import xarray as xr

    generator = np.random.default_rng(0)
    forecast, observed = generator.random((2, 40, 40))
    observed[generator.random((40, 40)) < 0.1] = np.nan
    table = contingency(
        torch.tensor(forecast)[None, None, None],
        torch.tensor(observed)[None, None, None],
        torch.tensor(np.isfinite(observed))[None, None, None],
        [0.6],
    )
    manager = categorical.ThresholdEventOperator(default_event_threshold=0.6).make_contingency_manager(
        xr.DataArray(forecast), xr.DataArray(observed)
    )
    theirs = {
        "csi": manager.critical_success_index(),
        "pod": manager.probability_of_detection(),
        "far": manager.false_alarm_ratio(),
        "bias": manager.frequency_bias(),
        "ets": manager.equitable_threat_score(),
        "hss": manager.heidke_skill_score(),
    }
    for name, score in SCORES.items():
        assert score(table).item() == pytest.approx(float(theirs[name]))


def test_skill_above_chance_is_undefined_where_everything_is_dry_and_1_for_the_truth() -> None:
    dry = torch.zeros(1, 1, 1, 4, 4)
    valid = torch.ones_like(dry, dtype=torch.bool)
    wet = dry.clone()
    wet[..., :2, :] = 5
    for name in ("ets", "hss"):
        assert SCORES[name](contingency(dry, dry, valid, (1.0,))).isnan().all()
        assert float(SCORES[name](contingency(wet, wet, valid, (1.0,)))) == 1
