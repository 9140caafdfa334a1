"""A record in the registry is all that a metric needs to be shown, printed, compared and reproduced."""

import io
from pathlib import Path

import pytest
from rich.console import Console
from test_comparison import noisy_pair
from torch import Tensor

import framecast
from framecast.cli.score_tables import print_scores
from framecast.scores.events import Contingency, event_metric
from framecast.verification import metrics
from framecast.verification.comparison import compare
from framecast.verification.metrics import METRICS
from framecast.verification.result import Score, Verification
from framecast.workflows.reproduce import ReproducedScore


def _misses(table: Contingency) -> Tensor:
    return (table.misses / (table.hits + table.misses)).double()


MISS_RATE = event_metric(
    "miss_rate",
    _misses,
    "misses / (hits + misses)",
    title="Miss rate",
    better="lower",
    perfect=0,
    compared=True,
    headline=True,
    curve=True,
)


@pytest.fixture(scope="module")
def noisy() -> Verification:
    return noisy_pair(0.5, 1.5, cases=8)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "METRICS", (*METRICS, MISS_RATE))


def test_a_new_metric_is_in_the_tables_and_figures_of_the_report(noisy: Verification, tmp_path: Path) -> None:
    text = framecast.write_report(noisy, tmp_path / "report.html").read_text()
    assert '<th scope="col">Miss rate ↓</th>' in text
    assert "<dt>Miss rate</dt><dd>misses / (hits + misses), counts pooled over cases; " in text
    assert "<figcaption>Miss rate at 2 mm/h ↓</figcaption>" in text, "drawn against lead time"


def test_a_new_metric_is_printed(noisy: Verification) -> None:
    output = io.StringIO()
    print_scores(noisy, Console(file=output, width=120))
    assert "MISS-RATE" in output.getvalue()


def test_a_new_metric_is_compared_in_its_direction(noisy: Verification) -> None:
    claim = next(claim for claim in compare(noisy).overall if claim.score == "Miss rate at 2 mm/h")
    assert claim.better == "lower"
    assert claim.significant
    assert claim.verdict.startswith("Miss rate at 2 mm/h: a is better than b")


def test_a_new_metric_is_reproduced_in_its_direction() -> None:
    assert ReproducedScore("row", "miss_rate", Score(0.2, None), 0.1).verdict == "100% worse"


def test_a_metric_needs_a_number_for_each_dimension(noisy: Verification) -> None:
    assert noisy.metric("miss_rate", threshold=1).label == "Miss rate at 2 mm/h"
    with pytest.raises(framecast.errors.ConfigError, match="'fvd' is not computed here"):
        noisy.metric("fvd")
