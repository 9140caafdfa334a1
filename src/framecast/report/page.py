"""The report of a verification: one self-contained HTML file with verdict, tables, figures and definitions.

`write_page` fills and writes the templates of all pages. Everything here reads a `Verification`; no score is computed here.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup

from framecast.checks import as_html_path, describe
from framecast.errors import DataError
from framecast.report.figures import animation, curves, lead_labels, legend, performance, spectra, strip
from framecast.report.maps import place
from framecast.report.probabilities import diagrams, ensembles, reliability_by_lead_time
from framecast.report.verdict import cases, verdict
from framecast.scores import Metric
from framecast.scores.probability import NEIGHBOURHOOD, brier, roc
from framecast.verification.examples import Example
from framecast.verification.regimes import regimes
from framecast.verification.result import Score, Verification
from framecast.verification.views import beyond_ladder, event_frequency, fallbacks, observed_events, scored_share
from framecast.verification.views import probabilities as probabilities_of
from framecast.writing import write_text


def write_report(
    verification: Verification,
    out: str | Path,
    *,
    title: str = "Forecast verification",
    facts: Mapping[str, str] | None = None,
    settings: str = "",
) -> Path:
    """Write the report of a verification to `out` and return its path. Creates the folder; replaces an existing file.

    `facts` are rows of a table: model, data, training, cost. `settings` is a text to unfold: all settings of the training. Raises
    `DataError` if `verification` is not one, `ConfigError` if `out` is not an HTML file, and `RunError` if it cannot be written.
    """
    if not isinstance(verification, Verification):
        raise DataError(
            f"{describe(verification)} given, expected a verification", remedy="framecast.evaluate gives one"
        )
    out = as_html_path(out)
    leads, label = lead_labels(verification)
    objects = verification.metrics("object")
    thresholds = range(len(verification.thresholds))
    scales = "scale" in verification.sums.dims
    return write_page(
        "page.html",
        out,
        title=title,
        verdict=verdict(verification),
        facts={**(facts or {}), **_facts(verification)},
        frame_table=_table(verification, verification.metrics("frame")),
        event_tables=[_event_table(verification, k) for k in thresholds],
        curves=Markup(curves(verification)),
        leads=[f"{lead:g}" for lead in leads],
        by_lead=_by_lead(verification),
        legend=Markup(legend(verification.quantity)),
        performance=Markup(performance(verification)),
        spectra=Markup(spectra(verification)),
        neighbourhoods=[_neighbourhoods(verification, k) for k in thresholds if scales]
        + [_largest(verification, k) for k in range(verification.sums.sizes.get("percentile", 0))],
        object_table=_table(verification, objects) if objects else None,
        scenes=f"{int(verification.sums['sal_weight'].isel(forecaster=0).sum()):,}" if objects else "",
        probabilities=_probabilities(verification),
        neighbourhood=NEIGHBOURHOOD,
        diagrams=Markup(diagrams(verification)),
        beyond=beyond_ladder(verification),
        reliability=Markup(reliability_by_lead_time(verification)),
        ensembles=Markup(ensembles(verification)),
        place=place(verification),
        place_case=_case(verification.examples[0]) if verification.examples else "",
        settings=settings,
        costs=[
            (name, [f"{verification.members(name)}", f"{seconds:.3g}"])
            for name, seconds in verification.seconds.items()
        ],
        regimes=_regimes(verification),
        strips=[(_case(example), strip(verification, example)) for example in verification.examples if not example.why],
        players=[(_case(example), animation(verification, example)) for example in _animated_examples(verification)],
        definitions=verification.definitions(),
        lead_label=label,
    )


def write_page(template: str, path: Path, **values: Any) -> Path:
    """Fill a template and write it in one step. Raises `ArgumentError` and `RunError`."""
    environment = Environment(loader=PackageLoader("framecast.report", "."), autoescape=select_autoescape())
    text = environment.get_template(template).render(**values)
    write_text(as_html_path(path), text)
    return path


def format_score(score: Score) -> str:
    """A value with its interval as text."""
    if score.value != score.value:
        return "undefined"
    value = f"{score.value:.4g}"
    return value if score.interval is None else f"{value} ({score.interval[0]:.3g} to {score.interval[1]:.3g})"


def _facts(verification: Verification) -> dict[str, str]:
    fallback_lines = fallbacks(verification)
    return ({"fallbacks": "; ".join(fallback_lines)} if fallback_lines else {}) | {
        "cases": cases(verification),
        "initial times": _period(verification.sums["init_time"].values),
        "quantity": f"{verification.quantity.name} ({verification.quantity.units})",
        "true frames": _truth(verification),
        "checksum of the true frames": verification.checksum,
        "convention of the scores": verification.convention.name,
        "versions": f"framecast {version('framecast')}, torch {version('torch')}, Python {platform.python_version()}",
    }


def _period(times: np.ndarray) -> str:
    if times.dtype.kind != "M":
        return "frames without clock"
    first, last = (np.datetime_as_string(time, unit="m") for time in (times.min(), times.max()))
    return f"{first} to {last} UTC"


def _truth(verification: Verification) -> str:
    """What there was to forecast: the size of the frames, how much of them was observed, how much of that is events."""
    sums = verification.sums
    sizes = dict.fromkeys(zip(sums["height"].values.tolist(), sums["width"].values.tolist(), strict=True))
    area = float((sums["height"] * sums["width"]).sum()) * sums.sizes["lead_time"]
    text = f"{', '.join(f'{height} x {width}' for height, width in sizes)} pixels"
    text += f", {float(sums['observed'].sum()) / area:.1%} of them observed"
    for number, rate in enumerate(verification.rates):
        if np.isfinite(share := event_frequency(verification, number)):
            text += f", {share:.2%} of the scored at {rate:g} mm/h or more"
    return text


def _by_lead(verification: Verification) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """Every score of every forecaster at each lead time, in groups, with the counts they rest on."""
    pixels = verification.sums["pixels"].sum("case").values
    counts = [("pixels scored", [f"{count:,}" for count in pixels])]
    counts.append(("of those observed", [f"{share:.1%}" for share in scored_share(verification)]))
    for number, rate in enumerate(verification.rates):
        counts.append((f"events, {rate:g} mm/h", [f"{count:,}" for count in observed_events(verification, number)]))
    groups = [("Counts", counts)]
    for metric in filter(lambda metric: metric.additive, verification.metrics()):
        curves = {name: verification.curve(name, metric).values for name in verification.forecasters}
        groups.append((metric.label, [(name, [_number(value) for value in row]) for name, row in curves.items()]))
    return groups


def _number(value: float) -> str:
    return "undefined" if np.isnan(value) else f"{value:.4g}"


def _table(verification: Verification, metrics: Sequence[Metric]) -> dict[str, Any]:
    """A table of scores of all forecasters, with the best value of each score marked."""
    columns = [{name: verification.score(name, metric) for name in verification.forecasters} for metric in metrics]
    best = [
        metric.best({name: score.value for name, score in column.items()})
        for metric, column in zip(metrics, columns, strict=True)
    ]
    rows = [
        (name, [(format_score(column[name]), name == winner) for column, winner in zip(columns, best, strict=True)])
        for name in verification.forecasters
    ]
    return {"head": [metric.title for metric in metrics], "rows": rows}


def _event_table(verification: Verification, threshold: int) -> dict[str, Any]:
    limit, rate = verification.thresholds[threshold], verification.rates[threshold]
    title = f"{rate:g} mm/h" if verification.quantity.rain == "rate" else f"{rate:g} mm/h ({limit:.1f} dBZ)"
    events = int(observed_events(verification, threshold).sum())
    return _table(verification, verification.metrics("event", threshold=threshold)) | {
        "title": f"Events at or above {title}",
        "note": f"{events:,} event pixels observed.",
    }


def _neighbourhoods(verification: Verification, threshold: int) -> dict[str, Any]:
    """Fractions skill score by scale."""
    metrics = verification.metrics("neighbourhood", threshold=threshold)
    frequency = event_frequency(verification, threshold)
    title = f"Events at or above {verification.rates[threshold]:g} mm/h: random {frequency:.3f}"
    return _scale_table(verification, metrics, frequency, title)


def _largest(verification: Verification, number: int) -> dict[str, Any]:
    """Fractions skill score by scale, for the largest values of each field."""
    share = 1 - verification.sums["percentile"].values[number]
    title = f"The largest {share:.0%} of each field: random at most {share:.3f}"
    return _scale_table(verification, verification.metrics("neighbourhood", percentile=number), share, title)


def _scale_table(verification: Verification, metrics: Sequence[Metric], frequency: float, title: str) -> dict[str, Any]:
    """Scores by scale. Useful ones are marked: at least half-way between a random forecast, which scores the observed frequency,
    and a perfect one."""
    limit = 0.5 + frequency / 2
    scores = {name: [verification.score(name, metric) for metric in metrics] for name in verification.forecasters}
    rows = [(name, [(format_score(score), score.value >= limit) for score in row]) for name, row in scores.items()]
    head = [f"{verification.sums['scale'].values[metric.place['scale']]}" for metric in metrics]
    return {"title": f"{title}, useful from {limit:.3f}", "head": head, "rows": rows}


def _probabilities(verification: Verification) -> dict[str, Any]:
    """Brier score with its decomposition, and the area under the ROC curve, for each threshold and forecaster."""
    rows = []
    for number, rate in enumerate(verification.rates):
        for name in verification.forecasters:
            sums = probabilities_of(verification, name, number)
            decomposition, area = brier(sums), roc(sums).area
            climate = (
                1 - decomposition.score / decomposition.uncertainty if decomposition.uncertainty > 0 else float("nan")
            )
            values = (
                decomposition.score,
                decomposition.reliability,
                decomposition.resolution,
                decomposition.uncertainty,
                climate,
                area,
            )
            rows.append((f"{rate:g} mm/h, {name}", [*map(_number, values), f"{decomposition.samples:,}"]))
    parts = ("Brier score", "reliability", "resolution", "uncertainty", "skill over climate", "area under ROC")
    return {"head": [*parts, "forecasts"], "rows": rows}


def _case(example: Example) -> str:
    caption = f"Case {example.case}"
    if isinstance(example.init_time, np.datetime64):
        caption += f", from {np.datetime_as_string(example.init_time, unit='m')} UTC"
    return {"best": "The best case: ", "worst": "The worst case: "}.get(example.why, "") + caption


def _animated_examples(verification: Verification) -> list[Example]:
    """The examples shown as animations: the best and the worst, else the first."""
    extremes = {example.case: example for example in verification.examples if example.why}
    return list(extremes.values()) or verification.examples[:1]


def _regimes(verification: Verification) -> dict[str, Any] | None:
    """MSE and the CSI of the middle threshold by regime, with the numbers of cases and blocks."""
    metrics = [verification.metric("mse")]
    if verification.thresholds:
        metrics.append(verification.metric("csi", threshold=len(verification.rates) // 2))
    columns = [(metric, name) for metric in metrics for name in verification.forecasters]
    rows = []
    for regime in regimes(verification):
        part = verification.subset(regime.cases)
        values = [part.score(name, metric).value for metric, name in columns]
        texts = ["undefined" if np.isnan(value) else f"{value:.3g}" for value in values]
        rows.append((f"{regime.kind}: {regime.label}", [*texts, f"{part.cases}", f"{part.blocks}"]))
    head = [f"{metric.label}, {name}" for metric, name in columns]
    return {"head": [*head, "cases", "blocks"], "rows": rows} if rows else None
