"""The report of a verification: one self-contained HTML file that answers first, and its scores as CSV and JSON beside it.

`write_page` fills and writes the templates of all pages. Everything here reads a `Verification`; no score is computed here.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup

from framecast.checks import as_html_path, describe, refuses_arrays
from framecast.errors import DataError
from framecast.report.figures import Panel, curves, legend, performance, spectra, swatches
from framecast.report.probabilities import diagrams, ensembles, reliability_by_lead_time
from framecast.report.tables import (
    cost_table,
    event_table,
    lead_groups,
    lead_labels,
    neighbourhood_tables,
    probability_table,
    regime_tables,
    score_table,
    truth_facts,
)
from framecast.report.tiles import caption, moving, place, strip
from framecast.report.verdict import cases, marks, verdict
from framecast.scores.probability import NEIGHBOURHOOD
from framecast.verification.examples import Example
from framecast.verification.result import Verification
from framecast.verification.score_store import check_no_store
from framecast.verification.score_table import to_csv, to_json
from framecast.verification.views import beyond_ladder, fallbacks
from framecast.writing import write_text

SCORES_CSV, SCORES_JSON = "scores.csv", "scores.json"


@refuses_arrays
def write_report(
    verification: Verification,
    out: str | Path,
    *,
    title: str = "Forecast verification",
    facts: Mapping[str, str] | None = None,
    settings: str = "",
    palette: str | None = None,
) -> Path:
    """Write the report of a verification to `out` and return its path. Creates the folder; replaces an existing file. The scores
    are written beside it, as `scores.csv` and `scores.json`.

    `facts` are rows of a table: model, data, training, cost. `settings` is a text to unfold: all settings of the training.
    `palette` are the colours of rain (`framecast.colours.PALETTES`). Raises `DataError` if `verification` is not one,
    `ArgumentError` for another palette, `ConfigError` if `out` is not an HTML file, and `RunError` if it cannot be written.
    """
    if not isinstance(verification, Verification):
        raise DataError(
            f"{describe(verification)} given, expected a verification", remedy="framecast.evaluate gives one"
        )
    out = as_html_path(out)
    check_no_store(out.parent)
    leads, label = lead_labels(verification)
    marked = marks(verification)
    objects = verification.metrics("object")
    scale = Markup(legend(verification.quantity, palette))
    page = write_page(
        "page.html",
        out,
        title=title,
        model=verification.forecasters[0],
        verdict=verdict(verification),
        subject=_subject(verification),
        facts={**(facts or {}), **_facts(verification)},
        swatches=swatches(verification.forecasters),
        glance=score_table(verification, verification.headlines(), marked),
        has_marks=bool(marked),
        has_intervals=verification.blocks > 1,
        kinds="Kinds of weather" if verification.quantity.precipitation else "Kinds of cases",
        tables=[
            score_table(verification, verification.metrics("frame"), marked, title="Frames"),
            *(event_table(verification, number, marked) for number in range(len(verification.thresholds))),
        ],
        curves=panels(curves(verification)),
        leads=leads,
        by_lead=lead_groups(verification),
        legend=scale,
        performance=Markup(performance(verification)),
        spectra=panels(spectra(verification)),
        neighbourhoods=neighbourhood_tables(verification),
        objects=score_table(verification, objects, marked) if objects else None,
        scenes=f"{int(verification.sums['sal_weight'].isel(forecaster=0).sum()):,}" if objects else "",
        probabilities=probability_table(verification),
        neighbourhood=NEIGHBOURHOOD,
        diagrams=panels(diagrams(verification)),
        beyond=beyond_ladder(verification),
        reliability=panels(reliability_by_lead_time(verification)),
        ensembles=panels(ensembles(verification)),
        place=place(verification, palette),
        place_case=caption(verification.examples[0]) if verification.examples else "",
        settings=settings,
        costs=cost_table(verification),
        regimes=regime_tables(verification),
        strips=[strip(verification, example, palette) for example in verification.examples if not example.why],
        players=[moving(verification, example, palette) for example in _animated_examples(verification)],
        definitions=verification.definitions(),
        lead_label=label,
    )
    write_scores(verification, out.parent)
    return page


def write_scores(verification: Verification, folder: Path, **tables: Any) -> None:
    """Write all scores to `folder` as CSV, and as JSON with what they rest on and further `tables` of rows."""
    rows = verification.rows()
    about = {
        "framecast": version("framecast"),
        "quantity": verification.quantity.name,
        "units": verification.quantity.units,
        "convention": verification.convention.name,
        "cases": verification.cases,
        "independent_blocks": verification.blocks,
        "checksum_of_the_true_frames": verification.checksum,
        "pixel_kilometres": verification.pixel_kilometres,
    }
    write_text(folder / SCORES_CSV, to_csv(rows))
    write_text(folder / SCORES_JSON, to_json(about, scores=rows, **tables))


def write_page(template: str, path: Path, **values: Any) -> Path:
    """Fill a template and write it in one step. Raises `ArgumentError` and `RunError`."""
    environment = Environment(
        loader=PackageLoader("framecast.report", "."), autoescape=select_autoescape(), trim_blocks=True
    )
    text = environment.get_template(template).render(**values)
    write_text(as_html_path(path), text)
    return path


def panels(figures: list[Panel]) -> list[tuple[str, Markup]]:
    """Panels for a template."""
    return [(figure.title, Markup(figure.svg)) for figure in figures]


def _subject(verification: Verification) -> str:
    """What was forecast, how often and when, in a line."""
    count = cases(verification)
    return f"{verification.quantity.title}, {count}, {_period(verification.sums['init_time'].values)}"


def _facts(verification: Verification) -> dict[str, str]:
    fallback_lines = fallbacks(verification)
    return ({"fallbacks": "; ".join(fallback_lines)} if fallback_lines else {}) | {
        "cases": cases(verification),
        "initial times": _period(verification.sums["init_time"].values),
        "quantity": verification.quantity.heading,
        **truth_facts(verification),
        "checksum of the true frames": verification.checksum,
        "convention of the scores": verification.convention.name,
        "versions": f"framecast {version('framecast')}, torch {version('torch')}, Python {platform.python_version()}",
    }


def _period(times: np.ndarray) -> str:
    if times.dtype.kind != "M":
        return "frames without clock"
    first, last = (np.datetime_as_string(time, unit="m").replace("T", " ") for time in (times.min(), times.max()))
    return f"{first} UTC" if first == last else f"{first} to {last} UTC"


def _animated_examples(verification: Verification) -> list[Example]:
    """The examples shown as animations: the best and the worst, else the first."""
    extremes = {example.case: example for example in verification.examples if example.why}
    return list(extremes.values()) or verification.examples[:1]
