"""The scores of a service: a file that grows, its summaries, and drift that a wet day does not feign."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from framecast.cli import app
from framecast.data.quantities import RAIN_RATE
from framecast.errors import DataError
from framecast.scores import CONVENTIONS
from framecast.verification.drift import drift
from framecast.verification.promise import EvaluationPromise, promise_of
from framecast.verification.result import Verification
from framecast.verification.score_rows import ScoreRow, metric_of
from framecast.verification.score_store import append_scores, compact_scores, read_scores, score_files
from framecast.verification.score_summary import summarise

START = np.datetime64("2026-06-01T00:00", "ns")


def row(
    time: np.datetime64, forecaster: str, sums: tuple[float, ...], *, score: str = "mse", lead: float = 5.0
) -> ScoreRow:
    value = sums[0] / sums[1] if score == "mse" else sums[0] / sum(sums[:3])
    threshold = None if score == "mse" else 2.0
    return ScoreRow(
        init_time=time, lead_minutes=lead, issued="radar", forecaster=forecaster, score=score, threshold=threshold,
        value=value, pixels=100, cases=1, sums=sums,
    )  # fmt: skip


def week(days: int, advantage: float, *, seed: int = 0, first: int = 0) -> list[ScoreRow]:
    """Rows of a model whose error is `1 - advantage` of that of the fallback, on days of very different wetness."""
    rng = np.random.default_rng(seed)
    rows = []
    for day in range(first, first + days):
        wetness = rng.lognormal(0, 1.5)
        for hour in range(0, 24, 6):
            time = START + np.timedelta64(day * 24 + hour, "h")
            error = 100 * wetness * rng.lognormal(0, 0.2)
            rows.append(row(time, "radar", (error * (1 - advantage + rng.normal(0, 0.03)), 100.0)))
            rows.append(row(time, "extrapolation_probability", (error, 100.0)))
    return rows


def test_rows_come_back_and_what_is_repeated_or_cut_counts_once(tmp_path: Path) -> None:
    path, rows = tmp_path / "scores.csv", week(2, 0.2)
    rows.append(row(START, "radar", (3.0, 1.0, 2.0, 94.0), score="csi"))
    append_scores(rows[:5], path)
    append_scores(rows[:5], path)
    path.write_text(path.read_text()[:-7])
    append_scores(rows[5:], path)
    read = list(read_scores(path))
    assert [each.init_time for each in read] == [each.init_time for each in rows]
    np.testing.assert_allclose([each.value for each in read], [each.value for each in rows], rtol=1e-5)
    assert [each.threshold for each in read] == [each.threshold for each in rows]
    assert (
        path.read_text()
        .splitlines()[0]
        .startswith("init_time,lead_minutes,issued,forecaster,score,threshold,value,pixels")
    )
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="columns a, b"):
        list(read_scores(tmp_path / "other.csv"))


def test_the_score_of_a_day_is_that_of_its_sums_also_when_kept_by_day(tmp_path: Path) -> None:
    path, rows = tmp_path / "scores.csv", week(6, 0.2)
    for hour, sums in ((0, (3.0, 1.0, 2.0, 94.0)), (6, (0.0, 5.0, 0.0, 95.0))):
        rows.append(row(START + np.timedelta64(hour, "h"), "radar", sums, score="csi"))
    append_scores(rows, path)
    before = summarise(path, 30)
    size = path.stat().st_size
    compact_scores(path, keep_days=2)
    assert path.stat().st_size < size / 1.5
    once = path.read_bytes()
    compact_scores(path, keep_days=2)
    assert path.read_bytes() == once
    after = summarise(path, 30)
    key = lambda each: (each.forecaster, each.score)  # noqa: E731
    for one, two in zip(sorted(before, key=key), sorted(after, key=key), strict=True):
        assert (one.forecaster, one.score, one.cases, one.pixels, one.days) == (
            two.forecaster, two.score, two.cases, two.pixels, two.days,
        )  # fmt: skip
        assert one.value == pytest.approx(two.value, rel=1e-8)
    csi, pod = (next(each for each in after if each.score == name) for name in ("csi", "pod"))
    assert (csi.value, csi.cases) == (pytest.approx(3 / 11), 2)
    assert pod.value == pytest.approx(3 / 9)  # from the same sums
    yesterday = summarise(path, 1, by_lead_time=False)
    assert {str(each.first_day) for each in yesterday} == {"2026-06-06"}


def test_the_file_of_a_service_is_read_and_shown(tmp_path: Path) -> None:
    """It does not name what was issued: the first row of an initial time tells."""
    (tmp_path / "out" / "south").mkdir(parents=True)
    path = tmp_path / "out" / "south" / "scores.csv"
    append_scores([*week(30, 0.2), *week(7, -0.5, seed=1, first=30)], path)
    lines = [line.split(",") for line in path.read_text().splitlines()]
    path.write_text("\n".join(",".join([*line[:2], *line[3:8], line[9]]) for line in lines) + "\n")
    assert path.read_text().startswith("init_time,lead_minutes,forecaster,score,threshold,value,pixels,sums\n")
    assert {each.issued for each in read_scores(path)} == {"radar"}
    shown = CliRunner().invoke(app, ["scores", str(tmp_path / "out"), "--days", "2"])
    assert shown.exit_code == 0, shown.output
    assert "south, 2026-07-06 to 2026-07-07: 8 forecasts of radar" in shown.stdout
    assert "MSE of radar: -0.496 over extrapolation_probability" in " ".join(shown.stdout.split())
    answer = json.loads(CliRunner().invoke(app, ["scores", str(path), "--json"]).stdout)
    assert any(each["worse"] for each in answer["result"]["drift"] if each["domain"] == "south")
    path.write_bytes(b"\x89PNG\r\n\xff")
    with pytest.raises(DataError, match=r"scores\.csv: columns (.|\n)*expected init_time"):
        list(read_scores(path))
    with pytest.raises(DataError, match=r"no scores\.csv here"):
        score_files(tmp_path)
    with pytest.raises(DataError, match=r"ou: no such file or folder, did you mean 'out'(.|\n)*of one of its domains"):
        score_files(tmp_path / "ou")


def test_drift_is_told_from_a_wet_day() -> None:
    quiet = [*week(30, 0.2), *week(7, 0.2, seed=1, first=30)]
    assert [finding for finding in drift(quiet) if finding.worse] == []
    wet = [each if each.init_time < START + np.timedelta64(36, "D") else row(each.init_time, each.forecaster,
           (each.sums[0] * 50, each.sums[1])) for each in quiet]  # fmt: skip
    assert [finding for finding in drift(wet) if finding.worse] == []
    # the model loses half of its advantage: worse than before, not than the fallback
    found = [each for each in drift([*week(30, 0.2), *week(7, 0.1, seed=1, first=30)]) if each.worse]
    assert [each.since for each in found] == ["in the 30 days before"]
    assert found[0].advantage == pytest.approx(0.1, abs=0.03)
    assert "MSE of radar: +0.1" in found[0].message
    # it is broken
    found = [each for each in drift([*week(30, 0.2), *week(7, -0.5, seed=1, first=30)]) if each.worse]
    assert {each.since for each in found} == {"the fallback itself", "in the 30 days before"}


def test_an_evaluation_can_be_the_promise() -> None:
    """It promises an error of 0.6 of that of the fallback; the last days have 0.8."""
    rng = np.random.default_rng(0)
    error = 100 * rng.lognormal(0, 1, (12, 2))
    sums = xr.Dataset(
        {
            "mse": (("forecaster", "case", "lead_time"), np.stack([0.6 * error * rng.normal(1, 0.02, (12, 2)), error])),
            "mse_weight": (("forecaster", "case", "lead_time"), np.full((2, 12, 2), 100.0)),
        },
        {"forecaster": ["model", "extrapolation_probability"], "block": ("case", np.arange(12))},
    )
    promise = Verification(sums, CONVENTIONS["default"], RAIN_RATE, (), ())
    findings = drift(week(7, 0.2), promise=promise)
    assert [finding.since for finding in findings] == ["promised by the evaluation", "the fallback itself"]
    assert [finding.worse for finding in findings] == [True, False]
    assert findings[0].promised == pytest.approx(0.4, abs=0.02)


def test_an_evaluation_promises_at_its_own_lead_times_only() -> None:
    error = np.array([[1.0, 8.0], [1.0, 8.0]])
    sums = xr.Dataset(
        {
            "mse": (("forecaster", "case", "lead_time"), np.stack([error / [2, 1], error])),
            "mse_weight": (("forecaster", "case", "lead_time"), np.ones((2, 2, 2))),
        },
        {
            "forecaster": ["model", "persistence"],
            "block": ("case", [0, 1]),
            "lead_time": np.array([5, 60], "timedelta64[m]").astype("timedelta64[ns]"),
        },
    )
    promise = EvaluationPromise(Verification(sums, CONVENTIONS["default"], RAIN_RATE, (), ()))
    assert promise.over("persistence", metric_of("mse"), None, [5.0]).value == pytest.approx(0.5)
    assert promise.over("persistence", metric_of("mse"), None, [60.0, 5.0]).value == pytest.approx(1 - 8.5 / 9)
    assert promise.over("persistence", metric_of("mse"), None, [5.0, 30.0]) is None
    assert promise.over("extrapolation", metric_of("mse"), None, [5.0]) is None


def test_the_card_of_the_radar_model_promises_what_it_had_on_events_left_out() -> None:
    promise = promise_of("radar")
    leads = [5.0 * step for step in range(1, 13)]
    brier = promise.over("extrapolation_probability", metric_of("brier"), 0.5, leads)
    assert (brier.blocks, brier.value) == (5, pytest.approx(0.07, abs=0.05))
    assert promise.over("extrapolation_probability", metric_of("brier"), 0.5, leads[:6]) is None
    assert promise.over("extrapolation_probability", metric_of("brier"), 3.0, leads) is None
    findings = drift(week(7, -0.5), promise=replace(promise, leads=1))
    assert any("worse than promised by its card, of 5 events" in each.message for each in findings)
    assert promise_of("extrapolation") is None


def test_false_alarms_are_rare() -> None:
    alarms = [
        any(each.worse for each in drift([*week(20, 0.1, seed=2 * k), *week(7, 0.1, seed=2 * k + 1, first=20)]))
        for k in range(40)
    ]
    assert np.mean(alarms) <= 0.05


def test_a_few_days_are_no_evidence() -> None:
    findings = drift(week(3, -0.5))
    assert findings
    assert not any(finding.worse for finding in findings)
    assert "too few days to tell" in findings[0].message
