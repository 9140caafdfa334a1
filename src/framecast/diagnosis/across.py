"""Mode collapse across models: are forecasts blurred where features collapse? ModeRNN (2022), table III."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import pearsonr, spearmanr

from framecast.checks import as_html_path
from framecast.data.readers.options import DEFAULT, ReadOptions
from framecast.diagnosis.collapse import SEQUENCES, TWO_GROUPS, FeatureGroups, group_features, outside
from framecast.diagnosis.groups import FEWEST
from framecast.diagnosis.pages import Diagnosis, Figure, Windows, format_number, plot, windows_for, write
from framecast.errors import ArgumentError, ConfigError, counted
from framecast.forecasting.trained_model import load
from framecast.report.figures import COLOURS
from framecast.verification.windows import FramesLike


def across(
    runs: Mapping[str, str | Path],
    data: FramesLike | None = None,
    *,
    options: ReadOptions = DEFAULT,
    out: str | Path,
    limit: int = 128,
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
        groups_of[name] = group_features(trained.model, windows, reach, min_samples)
    assert first is not None
    # correlation over the models
    diagnosis = correlate({name: (each.groups.silhouette, each.gdl) for name, each in groups_of.items()})
    for name, each in groups_of.items():
        groups = each.groups
        diagnosis.facts[f"{name}: how"] = (
            f"{counted(groups.number, 'group')}, {outside(groups)}, eps {groups.eps:.3g}, "
            f"at least {groups.min_samples} neighbours; "
            f"A-distance of truth and forecast {format_number(each.distance, SEQUENCES)}"
        )
    facts = {"windows": f"{len(first.frames)}, {first.context} + {first.horizon} frames"}
    return diagnosis, write(diagnosis, page, "Mode collapse across models", facts)


def correlate(values: Mapping[str, tuple[float, float]]) -> Diagnosis:
    """The correlation of silhouettes and gradient differences, `values` by name of the model."""
    known = {name: pair for name, pair in values.items() if np.isfinite(pair).all()}
    facts = {
        name: f"silhouette {format_number(one, TWO_GROUPS)}; gradient difference {other:.4g}"
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
    return Diagnosis(verdict, facts, [Figure("Features and forecasts", caption, plot(draw, (5, 4)))] if known else [])
