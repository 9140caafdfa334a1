"""The site is built without a network, every link leads somewhere, and pages say what the code does."""

import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

import framecast
from framecast.scores.metric import Metric
from framecast.verification.metrics import METRICS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = {"fss_percentile": "fss", **{f"sal_{part}": "sal" for part in ("s", "a", "l", "s_absolute", "a_absolute")}}
"""Metrics that share a page."""


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    """A reference that leads nowhere is a warning, and a warning is an error. The cells of tutorials run in another test."""
    pytest.importorskip("myst_nb")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", "-D", "nb_execution_mode=off"]
    built = subprocess.run([*command, str(DOCS), str(tmp_path / "html")], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    pages = {path.relative_to(tmp_path / "html").with_suffix("") for path in (tmp_path / "html").rglob("*.html")}
    assert {
        path.relative_to(DOCS).with_suffix("") for path in DOCS.rglob("*.md") if "_build" not in path.parts
    } <= pages
    for page in (tmp_path / "html").rglob("*.html"):
        loaded = re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=\"(https?://[^\"]+)", page.read_text())
        assert loaded == [], f"{page.name} needs a network"


def test_every_public_name_has_its_entry() -> None:
    entries = re.findall(r"auto\w+:: framecast\.(\w+)", (DOCS / "api.md").read_text())
    assert sorted(entries) == sorted(framecast.__all__)


def number(value: float | None) -> str:
    if value is None:
        return "none"
    if math.isinf(value):
        return "infinity" if value > 0 else "-infinity"
    return "-1/3" if value == -1 / 3 else f"{value:g}"


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: f"{metric.convention or 'all'}-{metric.name}")
def test_a_score_has_a_page_that_says_what_its_record_says(metric: Metric) -> None:
    low, high = map(number, metric.range)
    facts = (f"`{metric.name}`", metric.convention or "all", metric.better, number(metric.perfect), f"{low} to {high}")
    row = f"| {' | '.join(facts)} | {metric.definition} |"
    assert row in (DOCS / "scores" / f"{PAGE.get(metric.name, metric.name)}.md").read_text()
