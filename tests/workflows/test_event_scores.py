"""Scores by event: the mean of events, its interval, and claims about new events."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_rel
from test_result import Clips, Shifted

from framecast.forecasting.baselines.persistence import Persistence
from framecast.verification.result import Verification
from framecast.verification.verify import verify
from framecast.workflows.event_scores import EventScore, event_scores, write_table


def verification(seed: int, cases: int = 8, level: float = 1.0) -> Verification:
    """Persistence against a forecast that is too high, on noise around a level of rain."""
    rng = np.random.default_rng(seed)
    clips = Clips(level + rng.random((cases, 4, 1, 6, 6)))
    return verify({"model": Persistence(), "shifted": Shifted(1.0 + seed / 10)}, clips, rates=(0.5, 50.0))


def select(rows: list[EventScore], event: str, score: str) -> dict[str, EventScore]:
    return {row.forecaster: row for row in rows if (row.event, row.score) == (event, score)}


def test_a_single_event_has_no_mean() -> None:
    rows = event_scores({"a": verification(0)})
    assert {row.event for row in rows} == {"a"}
    model, shifted = select(rows, "a", "MSE").values()
    assert model.verdict == ""
    assert math.isnan(model.difference)
    assert shifted.verdict == "better"
    assert shifted.difference == pytest.approx(model.value - shifted.value)


def test_the_mean_counts_events_alike_and_is_tested_over_events() -> None:
    events = {str(seed): verification(seed, cases=4 + 4 * seed) for seed in range(5)}
    rows = event_scores(events)
    values = {name: [select(rows, event, "MSE")[name].value for event in events] for name in ("model", "shifted")}
    mean = select(rows, "mean", "MSE")
    for name, of_events in values.items():
        assert mean[name].value == pytest.approx(np.mean(of_events))
        assert mean[name].low < mean[name].value < mean[name].high
    assert (mean["model"].events, mean["model"].cases, mean["model"].blocks) == (5, 60, 60)
    against = mean["shifted"]
    test = ttest_rel(values["model"], values["shifted"])
    interval = test.confidence_interval()
    assert (against.difference_low, against.difference_high) == pytest.approx((interval.low, interval.high))
    assert against.verdict == "better"
    assert against.p >= test.pvalue, "corrected for the number of claims"


def test_better_than_extrapolation_alone_is_no_claim() -> None:
    def three(seed: int) -> Verification:
        forecasters = {
            "model": Shifted(0.5),
            "extrapolation": Shifted(1.0 + seed / 10),
            "extrapolation_probability": Persistence(),
        }
        clips = Clips(1 + np.random.default_rng(seed).random((8, 4, 1, 6, 6)))
        return verify(forecasters, clips, rates=(0.5,))

    rows = event_scores({str(seed): three(seed) for seed in range(5)})
    for event in ("0", "mean"):
        of_event = select(rows, event, "MSE")
        assert of_event["extrapolation"].p < 0.05
        assert of_event["extrapolation"].verdict == "no claim"
        assert of_event["extrapolation_probability"].verdict == "worse"


def test_few_events_are_no_evidence_about_new_ones() -> None:
    rows = event_scores({str(seed): verification(seed) for seed in range(4)})
    against = select(rows, "mean", "MSE")["shifted"]
    assert against.verdict == "too few"
    assert math.isnan(against.p)


def test_an_event_without_rain_of_that_rate_is_left_out_of_the_mean(tmp_path: Path) -> None:
    rows = event_scores({"light": verification(0), "heavy": verification(1, level=60.0)})
    assert select(rows, "light", "CSI at 50 mm/h")["model"].verdict == ""
    assert select(rows, "light", "CSI at 50 mm/h")["shifted"].verdict == "undefined"
    heavy, mean = (select(rows, event, "CSI at 50 mm/h")["model"] for event in ("heavy", "mean"))
    assert (mean.value, mean.events, mean.cases) == (heavy.value, 1, heavy.cases)
    write_table(rows, tmp_path / "table.json")
    written = json.loads((tmp_path / "table.json").read_text())
    assert [row["value"] for row in written if row["score"] == "CSI at 50 mm/h"][:2] == [None, None]


def test_an_event_of_a_single_block_leaves_no_interval_of_the_mean() -> None:
    mean = select(event_scores({"a": verification(0), "b": verification(1, cases=1)}), "mean", "MSE")
    assert math.isnan(mean["model"].low)
    assert mean["shifted"].difference < 0
