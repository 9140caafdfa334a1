"""The tables of a report: scores with intervals, and marks only where a claim or an interval holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from framecast.report.figures import heading
from framecast.scores import Metric
from framecast.scores.probability import brier, roc
from framecast.verification.metric_selection import describe_scale
from framecast.verification.regimes import regimes
from framecast.verification.result import Score, Verification
from framecast.verification.score_table import lead_times
from framecast.verification.showing import decimals, format_number, split_score
from framecast.verification.views import event_frequency, observed_events, scored_share
from framecast.verification.views import probabilities as probabilities_of

Marks = Mapping[tuple[str, str], str]
"""The mark of a score of a forecaster, see `verdict.marks`."""


class Cell(NamedTuple):
    """A cell: a value, its interval, and its mark."""

    text: str
    interval: str = ""
    mark: str = ""


class Table(NamedTuple):
    """A table with a title and a note above it; a row is a name and its cells."""

    head: list[str]
    rows: list[tuple[str, list[Cell]]]
    title: str = ""
    note: str = ""


def score_table(
    verification: Verification, metrics: Sequence[Metric], marks: Marks, *, title: str = "", note: str = ""
) -> Table:
    """A row for each forecaster and a column for each metric, over all lead times."""
    names = verification.forecasters
    columns = [
        _column(
            [verification.score(name, each) for name in names], [marks.get((each.label, name), "") for name in names]
        )
        for each in metrics
    ]
    rows = [(name, [column[number] for column in columns]) for number, name in enumerate(names)]
    return Table([heading(metric, verification.quantity) for metric in metrics], rows, title, note)


def _column(scores: Sequence[Score], marks: Sequence[str]) -> list[Cell]:
    """The cells of scores that stand below each other, to the same decimal."""
    places = decimals(scores)
    return [Cell(*split_score(score, places), mark) for score, mark in zip(scores, marks, strict=True)]


def event_table(verification: Verification, threshold: int, marks: Marks) -> Table:
    """The event scores at a threshold."""
    title = level = verification.level(threshold)
    if verification.quantity.rain == "reflectivity" and verification.level_units != verification.quantity.label:
        title += f" ({verification.thresholds[threshold]:.1f} {verification.quantity.label})"
    events = int(observed_events(verification, threshold).sum())
    table = score_table(verification, verification.metrics("event", threshold=threshold), marks)
    head = [name.replace(f" at {level}", "") for name in table.head]
    return table._replace(head=head, title=f"Events at or above {title}", note=f"{events:,} event pixels observed.")


def neighbourhood_tables(verification: Verification) -> list[Table]:
    """Fractions skill scores by scale, for each threshold and for the largest values of each field."""
    if "scale" not in verification.sums.dims:
        return []
    tables = []
    for number in range(len(verification.thresholds)):
        frequency = event_frequency(verification, number)
        metrics = verification.metrics("neighbourhood", threshold=number)
        title = f"Events at or above {verification.level(number)}: random {frequency:.3f}"
        tables.append(_scale_table(verification, metrics, frequency, title))
    for number in range(verification.sums.sizes.get("percentile", 0)):
        share = 1 - verification.sums["percentile"].values[number]
        metrics = verification.metrics("neighbourhood", percentile=number)
        title = f"The largest {share:.0%} of each field: random at most {share:.3f}"
        tables.append(_scale_table(verification, metrics, share, title))
    return tables


def _scale_table(verification: Verification, metrics: Sequence[Metric], frequency: float, title: str) -> Table:
    """Scores by scale. Marked where the whole interval is useful: at least half-way between a random forecast, which scores the
    observed frequency, and a perfect one."""
    limit = 0.5 + frequency / 2

    names = verification.forecasters
    columns = []
    for metric in metrics:
        scores = [verification.score(name, metric) for name in names]
        useful = [score.interval is not None and score.interval[0] >= limit for score in scores]
        columns.append(_column(scores, ["useful" if each else "" for each in useful]))
    rows = [(name, [column[number] for column in columns]) for number, name in enumerate(names)]
    scales = verification.sums["scale"].values
    head = [describe_scale(verification, scales[metric.place["scale"]]) for metric in metrics]
    return Table(head, rows, f"{title}, useful from {limit:.3f}")


def probability_table(verification: Verification) -> Table:
    """Brier score with its decomposition, and the area under the ROC curve, for each threshold and forecaster."""
    rows = []
    for number in range(len(verification.thresholds)):
        for name in verification.forecasters:
            sums = probabilities_of(verification, name, number)
            parts, area = brier(sums), roc(sums).area
            climate = 1 - parts.score / parts.uncertainty if parts.uncertainty > 0 else float("nan")
            values = (parts.score, parts.reliability, parts.resolution, parts.uncertainty, climate, area)
            cells = [*(Cell(format_number(value)) for value in values), Cell(f"{parts.samples:,}")]
            rows.append((f"{verification.level(number)}, {name}", cells))
    head = ["Brier score ↓", "reliability ↓", "resolution ↑", "uncertainty", "skill over climate ↑", "area under ROC ↑"]
    return Table([*head, "forecasts"], rows)


def lead_groups(verification: Verification) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """Every score of every forecaster at each lead time, in groups, with the counts they rest on."""
    pixels = verification.sums["pixels"].sum("case").values
    counts = [("pixels scored", [f"{count:,}" for count in pixels])]
    counts.append(("of those observed", [_share(share) for share in scored_share(verification)]))
    for number in range(len(verification.thresholds)):
        events = [f"{count:,}" for count in observed_events(verification, number)]
        counts.append((f"events, {verification.level(number)}", events))
    groups = [("Counts", counts)]
    for metric in filter(lambda metric: metric.additive, verification.metrics()):
        curves = {name: verification.curve(name, metric).values for name in verification.forecasters}
        rows = [(name, [format_number(value) for value in row]) for name, row in curves.items()]
        groups.append((heading(metric, verification.quantity), rows))
    return groups


def _share(share: float) -> str:
    return "undefined" if np.isnan(share) else f"{share:.1%}"


def regime_tables(verification: Verification) -> list[Table]:
    """MSE and the CSI of the middle threshold by regime, with the numbers of cases and blocks."""
    metrics = [verification.metric("mse")]
    if verification.thresholds:
        metrics.append(verification.metric("csi", threshold=len(verification.thresholds) // 2))
    parts = [(regime, verification.subset(regime.cases)) for regime in regimes(verification)]
    tables = []
    for metric in metrics if parts else []:
        rows = []
        for regime, part in parts:
            cells = [Cell(format_number(part.score(name, metric).value)) for name in part.forecasters]
            rows.append((f"{regime.kind}: {regime.label}", [*cells, Cell(f"{part.cases}"), Cell(f"{part.blocks}")]))
        head = [*verification.forecasters, "cases", "blocks"]
        tables.append(Table(head, rows, heading(metric, verification.quantity)))
    return tables


def cost_table(verification: Verification) -> Table | None:
    """Members of each forecast, and how long it takes."""
    rows = [
        (name, [Cell(f"{verification.members(name)}"), Cell(format_number(seconds))])
        for name, seconds in verification.seconds.items()
    ]
    return Table(["members", "seconds"], rows) if rows else None


def lead_labels(verification: Verification) -> tuple[list[str], str]:
    """The lead times as text, and their label with the unit."""
    leads, units = lead_times(verification.sums)
    return [f"{lead:g}" for lead in leads], f"lead time ({units})"


def truth_facts(verification: Verification) -> dict[str, Any]:
    """What there was to forecast: size of the frames, how much of them was observed, how much of that is events."""
    sums = verification.sums
    sizes = dict.fromkeys(zip(sums["height"].values.tolist(), sums["width"].values.tolist(), strict=True))
    area = float((sums["height"] * sums["width"]).sum()) * sums.sizes["lead_time"]
    text = f"{', '.join(f'{height} x {width}' for height, width in sizes)} pixels"
    if (side := verification.pixel_kilometres) is not None:
        text += f" of {side:.3g} km"
    text += f", {float(sums['observed'].sum()) / area:.1%} of them observed"
    for number in range(len(verification.thresholds)):
        if np.isfinite(share := event_frequency(verification, number)):
            text += f", {share:.2%} of the scored at {verification.level(number)} or more"
    return {"true frames": text}
