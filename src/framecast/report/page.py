"""The page: one HTML file with everything in it."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup

from framecast.checks import a_page, in_words
from framecast.errors import DataError, RunError
from framecast.report.figures import animation, curves, lead_labels, legend, performance, spectra, strip
from framecast.report.maps import place
from framecast.report.probabilities import diagrams, ensembles
from framecast.report.verdict import cases, verdict
from framecast.scores.probability import NEIGHBOURHOOD, brier, roc
from framecast.verification.metrics import Measure
from framecast.verification.result import Example, Score, Verification


def write_report(
    verification: Verification,
    out: str | Path,
    *,
    title: str = "Forecast verification",
    facts: Mapping[str, str] | None = None,
    settings: str = "",
) -> Path:
    """Write the report of a verification to `out`, in place of what is there, and return its path. Its folder is made.

    `facts` are said in a table as they are: what was trained, on what, at what cost; `settings` are a text to unfold: all that
    the training was told. Raises `DataError` for what is no verification, `ConfigError` for `out` that is no page, and
    `RunError` where it cannot be written.
    """
    if not isinstance(verification, Verification):
        raise DataError(
            f"{in_words(verification)} given, expected a verification", remedy="framecast.evaluate gives one"
        )
    out = a_page(out)
    leads, label = lead_labels(verification)
    frames, objects = verification.frame_measures(), verification.object_measures()
    thresholds = range(len(verification.thresholds))
    return write_page(
        "page.html",
        out,
        title=title,
        verdict=verdict(verification),
        facts={**(facts or {}), **_facts(verification)},
        frame_table=_with_fvd(_table(verification, frames, [measure.name for measure in frames]), verification),
        event_tables=[_event_table(verification, k) for k in thresholds],
        curves=Markup(curves(verification)),
        leads=[f"{lead:g}" for lead in leads],
        by_lead=_by_lead(verification),
        legend=Markup(legend(verification.quantity)),
        performance=Markup(performance(verification)),
        spectra=Markup(spectra(verification)),
        neighbourhoods=[_neighbourhoods(verification, k) for k in thresholds]
        + [_largest(verification, k) for k in range(len(verification.percentiles))],
        object_table=_table(verification, objects, [measure.name for measure in objects]) if objects else None,
        scenes=f"{int(verification.sums['sal_weight'].isel(forecaster=0).sum()):,}" if objects else "",
        probabilities=_probabilities(verification),
        neighbourhood=NEIGHBOURHOOD,
        diagrams=Markup(diagrams(verification)),
        ensembles=Markup(ensembles(verification)),
        place=place(verification),
        place_case=_case(verification.examples[0]) if verification.examples else "",
        settings=settings,
        costs=[
            (name, f"{verification.members(name)}", f"{seconds:.3g}") for name, seconds in verification.seconds.items()
        ],
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
        with suppress(OSError):
            temporary.unlink()
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
        if np.isfinite(share := verification.frequency(number)):
            text += f", {share:.2%} of the scored at {rate:g} mm/h or more"
    return text


def _by_lead(verification: Verification) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """Every score of every forecaster at each lead time, in groups, with the counts they rest on."""
    pixels = verification.sums["pixels"].sum("case").values
    counts = [("pixels scored", [f"{count:,}" for count in pixels])]
    counts.append(("of those observed", [f"{share:.1%}" for share in verification.scored]))
    for number, rate in enumerate(verification.rates):
        counts.append((f"events, {rate:g} mm/h", [f"{count:,}" for count in verification.events(number)]))
    groups = [("Counts", counts)]
    for measure in verification.measures():
        curves = {name: verification.curve(name, measure).values for name in verification.forecasters}
        groups.append((measure.name, [(name, [_number(value) for value in row]) for name, row in curves.items()]))
    return groups


def _number(value: float) -> str:
    return "undefined" if np.isnan(value) else f"{value:.4g}"


def _table(verification: Verification, measures: Sequence[Measure], heads: Sequence[object]) -> dict[str, Any]:
    """Scores of all forecasters, the best of each marked."""
    values = {name: [verification.score(name, measure) for measure in measures] for name in verification.forecasters}
    best = [_best([row[k].value for row in values.values()], measure) for k, measure in enumerate(measures)]
    rows = [
        (name, [(shown(score), place == best[k]) for k, score in enumerate(row)])
        for place, (name, row) in enumerate(values.items())
    ]
    return {"head": heads, "rows": rows}


def _best(values: list[float], measure: Measure) -> int | None:
    """The place of the best value, None where none is defined or the best lies in between."""
    known = [place for place, value in enumerate(values) if not np.isnan(value)]
    if not known or measure.lower_is_better is None:
        return None
    return min(known, key=lambda place: values[place] if measure.lower_is_better else -values[place])


def _with_fvd(table: dict[str, Any], verification: Verification) -> dict[str, Any]:
    """A table with a column more, where features were computed; no interval, since the distance needs all cases."""
    values = [verification.fvd(name) for name in verification.forecasters]
    if np.isnan(values).all():
        return table
    rows = [
        (name, [*row, (_number(value), value == min(values))])
        for (name, row), value in zip(table["rows"], values, strict=True)
    ]
    return {"head": [*table["head"], "FVD"], "rows": rows}


def _event_table(verification: Verification, threshold: int) -> dict[str, Any]:
    measures = verification.event_measures(threshold)
    limit, rate = verification.thresholds[threshold], verification.rates[threshold]
    title = f"{rate:g} mm/h" if verification.quantity.rain == "rate" else f"{rate:g} mm/h ({limit:.1f} dBZ)"
    return _table(verification, measures, [measure.name.split(" at ")[0] for measure in measures]) | {
        "title": title,
        "events": f"{int(verification.events(threshold).sum()):,}",
    }


def _neighbourhoods(verification: Verification, threshold: int) -> dict[str, Any]:
    """Fractions skill score by scale."""
    events = f"Events at or above {verification.rates[threshold]:g} mm/h"
    frequency = verification.frequency(threshold)
    return _useful(verification, verification.fss_measures(threshold), frequency, f"{events}: random {frequency:.3f}")


def _largest(verification: Verification, number: int) -> dict[str, Any]:
    """The same for the largest values of each field."""
    share = 1 - verification.percentiles[number]
    title = f"The largest {share:.0%} of each field: random at most {share:.3f}"
    return _useful(verification, verification.percentile_measures(number), share, title)


def _useful(verification: Verification, measures: Sequence[Measure], frequency: float, title: str) -> dict[str, Any]:
    """Scores by scale, marked from half-way between a random forecast, which scores the frequency, and a perfect one."""
    limit = 0.5 + frequency / 2
    scores = {name: [verification.score(name, measure) for measure in measures] for name in verification.forecasters}
    rows = [(name, [(shown(score), score.value >= limit) for score in row]) for name, row in scores.items()]
    return {"title": f"{title}, useful from {limit:.3f}", "rows": rows}


def _probabilities(verification: Verification) -> list[tuple[str, list[str]]]:
    """Brier score with its parts, and the area under the ROC curve, for each threshold and forecaster."""
    rows = []
    for number, rate in enumerate(verification.rates):
        for name in verification.forecasters:
            sums = verification.probabilities(name, number)
            found, area = brier(sums), roc(sums).area
            climate = 1 - found.score / found.uncertainty if found.uncertainty > 0 else float("nan")
            parts = (found.score, found.reliability, found.resolution, found.uncertainty, climate, area)
            rows.append((f"{rate:g} mm/h, {name}", [*map(_number, parts), f"{found.counted:,}"]))
    return rows


def _case(example: Example) -> str:
    said = f"Case {example.case}"
    if isinstance(example.init_time, np.datetime64):
        said += f", from {np.datetime_as_string(example.init_time, unit='m')} UTC"
    return {"best": "The best case: ", "worst": "The worst case: "}.get(example.why, "") + said


def _moving(verification: Verification) -> list[Example]:
    """The cases that are shown moving: the best and the worst, else the first."""
    extremes = {example.case: example for example in verification.examples if example.why}
    return list(extremes.values()) or verification.examples[:1]


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
