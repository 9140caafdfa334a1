"""The registry of metrics: the records of all score files, in the order of tables. Add a metric here or in a score file."""

from __future__ import annotations

from dataclasses import replace

from framecast.scores import CONVENTIONS, Metric, events, fractions, objects, perceptual, probability
from framecast.scores.metric import Better

METRICS: tuple[Metric, ...] = (
    *(
        replace(metric, convention=convention.name)
        for convention in CONVENTIONS.values()
        for metric in convention.metrics
    ),
    *events.METRICS,
    *probability.METRICS,
    *perceptual.METRICS,
    *fractions.METRICS,
    *objects.METRICS,
)


def direction(name: str) -> Better | None:
    """The direction in which a metric is better, the same in all conventions; None for an unknown name."""
    return next((metric.better for metric in METRICS if metric.name == name), None)
