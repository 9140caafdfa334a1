"""Selection of the metrics that the sums of a verification allow, at each threshold, percentile and scale, and their definitions.

Reads the registry of metrics and the sums; computes no score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from itertools import product
from typing import Protocol

import xarray as xr

from framecast.data.quantities import Quantity
from framecast.data.scaling import default_scaling
from framecast.errors import ConfigError
from framecast.scores import Convention, Metric
from framecast.verification import metrics

ENSEMBLE_EVENTS, LARGEST_CSI = "ensemble_events", "largest expected CSI"
"""The attribute of sums that says which events an ensemble makes; sums of earlier versions lack it: those of its mean."""


class Verified(Protocol):
    """The attributes of a `Verification` that decide which metrics can be computed."""

    @property
    def sums(self) -> xr.Dataset: ...

    @property
    def convention(self) -> Convention: ...

    @property
    def quantity(self) -> Quantity: ...

    def level(self, threshold: int) -> str: ...

    @property
    def ensembles(self) -> list[str]: ...

    @property
    def distributions(self) -> list[str]: ...


def select_metrics(verification: Verified, group: str | None, place: Mapping[str, int]) -> list[Metric]:
    """All metrics that can be computed, in the order of tables; those of a `group` and at a `place` where given."""
    sizes = verification.sums.sizes
    available = [
        metric_at(verification, metric, dict(zip(metric.dims, indices, strict=True)))
        for metric in metrics.METRICS
        if is_available(verification, metric) and group in (None, metric.group)
        for indices in product(*(range(sizes[dim]) for dim in metric.dims))
    ]
    return sorted((metric for metric in available if place.items() <= metric.place.items()), key=_order)


def find_metric(verification: Verified, name: str, place: Mapping[str, int]) -> Metric:
    """The metric of that name at a place. Raises `ConfigError` if it cannot be computed."""
    available = {metric.name: metric for metric in metrics.METRICS if is_available(verification, metric)}
    if name not in available:
        raise ConfigError(f"{name!r} is not computed here", where="score", remedy=f"one of: {', '.join(available)}")
    return metric_at(verification, available[name], place)


def is_available(verification: Verified, metric: Metric) -> bool:
    """Whether a metric belongs to the convention and its sums exist."""
    if metric.convention not in (None, verification.convention.name) or (
        metric.ensembles and not (verification.ensembles or verification.distributions)
    ):
        return False
    return all(name in verification.sums for name in metric.sums)


def metric_at(verification: Verified, metric: Metric, place: Mapping[str, int]) -> Metric:
    """A metric at a place, with the place as text."""

    def describe(dim: str, index: int) -> str:
        if dim == "threshold":
            return f" at {verification.level(index)}"
        value = verification.sums[dim].values[index]
        if dim == "percentile":
            return f" of the largest {1 - value:.0%}"
        return f", {describe_scale(verification, value)}" if dim == "scale" else f", {value} {dim}"

    return metric.at("".join(describe(dim, place[dim]) for dim in metric.dims), **place)


def describe_scale(verification: Verified, pixels: float) -> str:
    """A length as text: in kilometres where the side of a pixel is known."""
    side = verification.sums.attrs.get("pixel_kilometres")
    return f"{pixels:g} pixels" if side is None else f"{pixels * side:.3g} km"


def define_metrics(verification: Verified) -> dict[str, str]:
    """The definition of each score by its title, and that of "scaled"."""
    scaling = default_scaling(verification.quantity)
    settings = ", ".join(f"{key} {value}" for key, value in asdict(scaling).items() if key not in ("name", "zr"))
    texts = {
        metric.title: _definition(verification, metric)
        for metric in metrics.METRICS
        if is_available(verification, metric) or metric.weights
    }
    return texts | {"scaled": f"by {scaling.name} ({settings}), whatever the model was trained with"}


def _definition(verification: Verified, metric: Metric) -> str:
    if not is_available(verification, metric):
        return "not computed: needs the weights of a pretrained network"
    details = [verification.sums.attrs.get(f"{metric.name}_{key}", "") for key in ("range", "weights")]
    if "threshold" in metric.dims:
        details.append(verification.sums.attrs.get("level_source", ""))
    if "threshold" in metric.dims and verification.ensembles and ENSEMBLE_EVENTS not in verification.sums.attrs:
        details.append("of these sums, by an earlier version, the events of an ensemble are those of its mean")
    return "; ".join([metric.definition, *filter(None, details)])


def _order(metric: Metric) -> tuple[int, int]:
    """Sort key of tables: frame scores, then all scores of each threshold, of each percentile, then object scores."""
    place = metric.place
    section = 3 if metric.group == "object" else 2 if "percentile" in place else 1 if "threshold" in place else 0
    return section, place.get("threshold", place.get("percentile", 0))
