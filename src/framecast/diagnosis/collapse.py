"""Spatiotemporal mode collapse, in one model and across models: groups of features and blur of forecasts.

ModeRNN (2022), section 4: where the features of different motions collapse into one group, forecasts are blurred.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.stats import pearsonr, spearmanr

from framecast.checks import as_html_path
from framecast.data.readers.options import DEFAULT, ReadOptions
from framecast.diagnosis import probes
from framecast.diagnosis.groups import FEWEST, Groups, a_distance, find_groups, standardize
from framecast.diagnosis.pages import (
    Diagnosis,
    Figure,
    Windows,
    format_number,
    plot,
    project,
    scatter,
    windows_for,
    write,
)
from framecast.errors import ArgumentError, ConfigError
from framecast.forecasting.trained_model import load
from framecast.report.figures import COLOURS
from framecast.scores.structure import gradient_difference
from framecast.verification.windows import FramesLike

_TWO_GROUPS, _SEQUENCES = "two groups of several sequences", f"{FEWEST} sequences"


class FeatureGroups(NamedTuple):
    """Features `(N, D)` of forecasts and of the truth (true frames as input), the groups of the former, the gradient difference
    of the forecasts, and the A-distance between both sets of features."""

    forecast_features: np.ndarray
    true_features: np.ndarray
    groups: Groups
    gdl: float
    distance: float


def _group_features(model: Any, windows: Windows, reach: float = 1.5, min_samples: int = FEWEST) -> FeatureGroups:
    forecast_features = probes.features(model, windows.past, windows.horizon).numpy()
    true_features = probes.features(model, windows.past, windows.horizon, windows.future).numpy()
    forecast = model.forecast(windows.past, windows.horizon)
    valid = torch.ones_like(windows.future[:, :, :1], dtype=torch.bool)
    total, count = gradient_difference(forecast.detach().double(), windows.future.double(), valid)
    distance = a_distance(true_features, forecast_features) if len(forecast_features) >= FEWEST else float("nan")
    return FeatureGroups(
        forecast_features,
        true_features,
        find_groups(standardize(forecast_features), reach=reach, min_samples=min_samples),
        float(total.sum() / count.sum()),
        distance,
    )


def collapse(model: Any, windows: Windows) -> Diagnosis:
    """Have the features of different motions collapsed into one? ModeRNN (2022), tables III and IV, figures 5, 7, 9, 10."""
    forecast_features, true_features, groups, gdl, distance = _group_features(model, windows)
    facts = {
        "groups found": f"{groups.number}, {_outside(groups)}",
        "silhouette": format_number(groups.silhouette, _TWO_GROUPS),
        "how": f"DBSCAN, eps {groups.eps:.3g}, at least {groups.min_samples} neighbours, features scaled to standard deviation 1",
        "A-distance of truth and forecast (0: equal features, 2: perfectly separable)": format_number(
            distance, _SEQUENCES
        ),
        "gradient difference": f"{gdl:.4g}",
    }
    between = [
        f"{i} and {j}: {a_distance(forecast_features[groups.labels == i], forecast_features[groups.labels == j]):.2f}"
        for i in range(groups.number) for j in range(i)
        if min((groups.labels == i).sum(), (groups.labels == j).sum()) >= FEWEST
    ]  # fmt: skip
    if between:
        facts["A-distance between groups"] = "; ".join(between)
    if len(forecast_features) < FEWEST:
        return Diagnosis(
            f"Too few sequences for groups of features: {len(forecast_features)}, not {FEWEST}.", facts, []
        )
    if not np.ptp(np.concatenate([forecast_features, true_features]), axis=0).any():
        return Diagnosis("All sequences have the same features: they cannot be separated.", facts, [])
    number = "1 group" if groups.number == 1 else f"{groups.number} groups"
    verdict = f"{number} of features; silhouette {format_number(groups.silhouette, _TWO_GROUPS)}."
    return Diagnosis(verdict, facts, _feature_figures(forecast_features, true_features, groups.labels))


def _outside(groups: Groups) -> str:
    """The number of sequences that belong to no group, as text."""
    return f"{int((groups.labels < 0).sum())} of {len(groups.labels)} sequences in none (left out)"


def _feature_figures(forecast_features: np.ndarray, true_features: np.ndarray, labels: np.ndarray) -> list[Figure]:
    """Figures of both sets of features `(N, D)`, projected to two dimensions."""
    points = project(standardize(np.concatenate([forecast_features, true_features])))
    kinds = np.repeat([0, 1], [len(forecast_features), len(true_features)])
    return [
        ("Features", "One point a sequence, the top hidden state averaged over space and the predicted steps.",
         plot(lambda axes: scatter(axes, points[: len(forecast_features)], labels, {-1: "no group"}), (5, 4))),
        ("Truth and forecast", "The same, with the features of the truth (true frames as input).",
         plot(lambda axes: scatter(axes, points, kinds, {0: "forecast", 1: "truth"}), (5, 4))),
    ]  # fmt: skip


def across(
    runs: Mapping[str, str | Path],
    data: FramesLike | None = None,
    *,
    options: ReadOptions = DEFAULT,
    out: str | Path,
    limit: int = 32,
    reach: float = 1.0,
    min_samples: int = FEWEST,
) -> tuple[Diagnosis, Path]:
    """Are forecasts blurred where features collapse? Computes the silhouette and the gradient difference of several models, by
    name, on the same windows, and their correlation (ModeRNN, tables III and IV), and writes the page to `out`. `reach` and
    `min_samples` are those of `groups.find_groups`, on features with standard deviation 1: eps depends on the distances within
    each model.

    Raises `ConfigError` for fewer than three models, for models with different windows, and if `out` is not an HTML file;
    `DataError` without windows; `RunError`.
    """
    if len(runs) < 3:
        raise ArgumentError(
            f"a correlation needs at least three models, {len(runs)} given: {', '.join(runs)}",
            parameter="others",
        )
    # features and groups of each model, on the same windows
    page = as_html_path(out)
    groups_of: dict[str, FeatureGroups] = {}
    first: Windows | None = None
    for name, run in runs.items():
        trained = load(run, device="cpu")
        windows = windows_for(Path(run), trained, data, options, limit)
        if first is not None and not (first.context == windows.context and torch.equal(first.frames, windows.frames)):
            raise ConfigError(
                f"{name} has other windows than {next(iter(runs))}",
                where=str(run),
                remedy="compare models of one data set, with one context, horizon and scaling, or give data",
                parameter="data",
                example="PATH",
            )
        first = first or windows
        groups_of[name] = _group_features(trained.model, windows, reach, min_samples)
    assert first is not None
    # correlation over the models
    diagnosis = correlate({name: (each.groups.silhouette, each.gdl) for name, each in groups_of.items()})
    for name, each in groups_of.items():
        groups = each.groups
        diagnosis.facts[f"{name}: how"] = (
            f"{groups.number} groups, {_outside(groups)}, eps {groups.eps:.3g}, at least {groups.min_samples} neighbours; "
            f"A-distance of truth and forecast {format_number(each.distance, _SEQUENCES)}"
        )
    facts = {"windows": f"{len(first.frames)}, {first.context} + {first.horizon} frames"}
    return diagnosis, write(diagnosis, page, "Mode collapse across models", facts)


def correlate(values: Mapping[str, tuple[float, float]]) -> Diagnosis:
    """The correlation of silhouettes and gradient differences, `values` by name of the model."""
    known = {name: pair for name, pair in values.items() if np.isfinite(pair).all()}
    facts = {
        name: f"silhouette {format_number(one, _TWO_GROUPS)}; gradient difference {other:.4g}"
        for name, (one, other) in values.items()
    }
    verdict = f"Of {len(values)} models {len(known)} have a silhouette: too few for a correlation."
    one, other = np.array(list(known.values())).reshape(-1, 2).T
    if len(known) >= 3 and not (np.ptp(one) and np.ptp(other)):
        verdict = "The silhouettes, or the gradient differences, are all the same: no correlation."
    elif len(known) >= 3:
        linear, ranks = pearsonr(one, other), spearmanr(one, other)
        verdict = (
            f"Correlation of silhouette and gradient difference over {len(known)} models: {linear.statistic:.2f} "
            f"(p = {linear.pvalue:.2g}), of their ranks {ranks.statistic:.2f} (p = {ranks.pvalue:.2g})."
        )

    def draw(axes: Any) -> None:
        for k, (name, (silhouette, gdl)) in enumerate(known.items()):
            axes.plot(silhouette, gdl, "o", color=COLOURS[k % 5])
            axes.annotate(f" {name}", (silhouette, gdl), fontsize=8)
        axes.set(xlabel="silhouette of the features", ylabel="gradient difference of the forecasts")

    caption = "One point for each model. Right: features separate motions; bottom: forecasts have sharp edges."
    return Diagnosis(verdict, facts, [("Features and forecasts", caption, plot(draw, (5, 4)))] if known else [])
