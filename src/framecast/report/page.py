"""The page: one HTML file with everything in it."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup

from framecast.errors import RunError
from framecast.report.figures import animation, curves, lead_labels, legend, performance, spectra, strip
from framecast.report.verdict import LOWER_IS_BETTER, cases, verdict
from framecast.verification import Example, Score, Verification


def write_report(
    verification: Verification,
    out: str | Path,
    *,
    title: str = "Forecast verification",
    facts: Mapping[str, str] | None = None,
) -> Path:
    """Write the report of a verification to `out` and return its path.

    `facts` are said in a table as they are: what was trained, on what, at what cost. Raises `RunError`.
    """
    leads, label = lead_labels(verification)
    return write_page(
        "page.html",
        Path(out),
        title=title,
        verdict=verdict(verification),
        facts={**(facts or {}), **_facts(verification)},
        frame_table=_frame_table(verification),
        event_tables=[_event_table(verification, k) for k in range(len(verification.thresholds))],
        curves=Markup(curves(verification)),
        leads=[f"{lead:g}" for lead in leads],
        by_lead=_by_lead(verification),
        legend=Markup(legend(verification.quantity)),
        performance=Markup(performance(verification)),
        spectra=Markup(spectra(verification)),
        neighbourhoods=[_neighbourhoods(verification, k) for k in range(len(verification.thresholds))],
        scales=verification.scales,
        regimes=_regimes(verification),
        regime_head=_regime_head(verification),
        strips=[(_case(example), strip(verification, example)) for example in verification.examples if not example.why],
        players=[(_case(example), animation(verification, example)) for example in _moving(verification)],
        definitions=verification.definitions(),
        lead_label=label,
    )


def write_page(template: str, path: Path, **values: Any) -> Path:
    """Fill a template in and write it, whole or not at all. Raises `RunError`."""
    environment = Environment(loader=PackageLoader("framecast.report", "."), autoescape=select_autoescape())
    text = environment.get_template(template).render(**values)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise RunError(f"the report cannot be written ({error})", where=path) from error
    return path


def shown(score: Score) -> str:
    """A value with its interval."""
    if score.value != score.value:
        return "undefined"
    value = f"{score.value:.4g}"
    return value if score.interval is None else f"{value} ({score.interval[0]:.3g} to {score.interval[1]:.3g})"


def _facts(verification: Verification) -> dict[str, str]:
    return {
        "cases": cases(verification),
        "initial times": _period(verification.sums["init_time"].values),
        "quantity": f"{verification.quantity.name} ({verification.quantity.units})",
        "true frames": _truth(verification),
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
    scored = float(sums["pixels"].sum())
    for number, rate in enumerate(verification.rates):
        if scored:
            text += f", {verification.events(number).sum() / scored:.2%} of the scored at {rate:g} mm/h or more"
    return text


def _by_lead(verification: Verification) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """Every score of every forecaster at each lead time, in groups, with the counts they rest on."""

    def group(title: str, values: Mapping[str, np.ndarray]) -> tuple[str, list[tuple[str, list[str]]]]:
        return title, [
            (name, ["undefined" if np.isnan(value) else f"{value:.4g}" for value in row])
            for name, row in values.items()
        ]

    names = verification.forecasters
    pixels = verification.sums["pixels"].sum("case").values
    counts = [("pixels scored", [f"{count:,}" for count in pixels])]
    counts.append(("of those observed", [f"{share:.1%}" for share in verification.scored]))
    for number, rate in enumerate(verification.rates):
        counts.append((f"events, {rate:g} mm/h", [f"{count:,}" for count in verification.events(number)]))
    groups = [("Counts", counts)]
    for score in verification.frame_scores:
        groups.append(group(score.upper(), {name: verification.frame_by_lead(name, score) for name in names}))
    for number, rate in enumerate(verification.rates):
        for score in verification.event_scores:
            values = {name: verification.event_by_lead(name, score, number) for name in names}
            groups.append(group(f"{score.upper()}, {rate:g} mm/h or more", values))
    return groups


def _frame_table(verification: Verification) -> dict[str, Any]:
    scores = verification.frame_scores
    values = {name: [verification.frame(name, score) for score in scores] for name in verification.forecasters}
    best = [
        _best([row[k].value for row in values.values()], lower=score in LOWER_IS_BETTER)
        for k, score in enumerate(scores)
    ]
    rows = [
        (name, [(shown(score), place == best[k]) for k, score in enumerate(row)])
        for place, (name, row) in enumerate(values.items())
    ]
    return {"head": [score.upper() for score in scores], "rows": rows}


def _event_table(verification: Verification, threshold: int) -> dict[str, Any]:
    scores = verification.event_scores
    values = {
        name: [verification.event(name, score, threshold) for score in scores] for name in verification.forecasters
    }
    best = [
        None if score == "bias" else _best([row[k].value for row in values.values()], lower=score == "far")
        for k, score in enumerate(scores)
    ]
    rows = [
        (name, [(shown(score), place == best[k]) for k, score in enumerate(row)])
        for place, (name, row) in enumerate(values.items())
    ]
    limit, rate = verification.thresholds[threshold], verification.rates[threshold]
    title = f"{rate:g} mm/h" if verification.quantity.name == "rain_rate" else f"{rate:g} mm/h ({limit:.1f} dBZ)"
    return {
        "title": title,
        "events": f"{int(verification.events(threshold).sum()):,}",
        "head": [s.upper() for s in scores],
        "rows": rows,
    }


def _best(values: list[float], *, lower: bool) -> int | None:
    """The place of the best value, None where none is defined."""
    known = [place for place, value in enumerate(values) if not np.isnan(value)]
    return min(known, key=lambda place: values[place] if lower else -values[place]) if known else None


def _case(example: Example) -> str:
    said = f"Case {example.case}"
    if isinstance(example.init_time, np.datetime64):
        said += f", from {np.datetime_as_string(example.init_time, unit='m')} UTC"
    return {"best": "The best case: ", "worst": "The worst case: "}.get(example.why, "") + said


def _moving(verification: Verification) -> list[Example]:
    """The cases that are shown moving: the best and the worst, else the first."""
    extremes = {example.case: example for example in verification.examples if example.why}
    return list(extremes.values()) or verification.examples[:1]


def _neighbourhoods(verification: Verification, threshold: int) -> dict[str, Any]:
    """Fractions skill score by scale; marked where it is skilful, at least half-way from a random forecast to a perfect one."""
    useful = 0.5 + verification.frequency(threshold) / 2
    rows = []
    for name in verification.forecasters:
        scores = [verification.fss(name, threshold, place) for place in range(len(verification.scales))]
        rows.append((name, [(shown(score), score.value >= useful) for score in scores]))
    return {"title": f"{verification.rates[threshold]:g} mm/h", "useful": f"{useful:.3f}", "rows": rows}


def _regime_head(verification: Verification) -> list[str]:
    head = [f"MSE, {name}" for name in verification.forecasters]
    if verification.thresholds:
        rate = verification.rates[len(verification.rates) // 2]
        head += [f"CSI at {rate:g} mm/h, {name}" for name in verification.forecasters]
    return head


def _regimes(verification: Verification) -> list[tuple[str, list[str], int, int]]:
    """Scores by kind of weather, with the numbers of cases and blocks they rest on."""
    rows = []
    for regime in verification.regimes():
        part = verification.subset(regime.cases)
        values = [part.frame(name, "mse").value for name in part.forecasters]
        if part.thresholds:
            middle = len(part.thresholds) // 2
            values += [part.event(name, "csi", middle).value for name in part.forecasters]
        shown_values = ["undefined" if np.isnan(value) else f"{value:.3g}" for value in values]
        rows.append((f"{regime.kind}: {regime.label}", shown_values, part.cases, part.blocks))
    return rows
