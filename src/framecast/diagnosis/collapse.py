"""Spatiotemporal mode collapse: in one model, and across models.

ModeRNN (2022), section 4: features of different motions that have collapsed into one group go with blurred forecasts.
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
from framecast.diagnosis.groups import FEWEST, Groups, a_distance, grouped, scaled
from framecast.diagnosis.pages import Diagnosis, Figure, Windows, flat, plot, scatter, told, windows_for, write
from framecast.errors import ArgumentError, ConfigError
from framecast.forecasting.trained_model import load
from framecast.report.figures import COLOURS
from framecast.scores.structure import gradient_difference
from framecast.verification.windows import FramesLike

_TWO_GROUPS, _SEQUENCES = "two groups of several sequences", f"{FEWEST} sequences"


class Seen(NamedTuple):
    """Features `(N, D)` of forecasts and where the true frames are fed, the groups of the first, the gradient difference of the
    forecasts, and the A-distance of both features."""

    said: np.ndarray
    true: np.ndarray
    groups: Groups
    gdl: float
    distance: float


def _seen(model: Any, windows: Windows, reach: float = 1.5, min_samples: int = FEWEST) -> Seen:
    said = probes.features(model, windows.past, windows.horizon).numpy()
    true = probes.features(model, windows.past, windows.horizon, windows.future).numpy()
    forecast = model.forecast(windows.past, windows.horizon)
    valid = torch.ones_like(windows.future[:, :, :1], dtype=torch.bool)
    total, count = gradient_difference(forecast.detach().double(), windows.future.double(), valid)
    distance = a_distance(true, said) if len(said) >= FEWEST else float("nan")
    return Seen(
        said,
        true,
        grouped(scaled(said), reach=reach, min_samples=min_samples),
        float(total.sum() / count.sum()),
        distance,
    )


def collapse(model: Any, windows: Windows) -> Diagnosis:
    """Have the features of different motions collapsed into one? ModeRNN (2022), tables III and IV, figures 5, 7, 9, 10."""
    said, true, groups, gdl, distance = _seen(model, windows)
    facts = {
        "groups found": f"{groups.number}, {int((groups.labels < 0).sum())} of {len(said)} sequences in none (left out)",
        "silhouette": told(groups.silhouette, _TWO_GROUPS),
        "how": f"DBSCAN, eps {groups.eps:.3g}, at least {groups.min_samples} neighbours, features scaled to standard deviation 1",
        "A-distance of truth and forecast (0: the features are alike, 2: always told apart)": told(
            distance, _SEQUENCES
        ),
        "gradient difference": f"{gdl:.4g}",
    }
    between = [
        f"{i} and {j}: {a_distance(said[groups.labels == i], said[groups.labels == j]):.2f}"
        for i in range(groups.number) for j in range(i)
        if min((groups.labels == i).sum(), (groups.labels == j).sum()) >= FEWEST
    ]  # fmt: skip
    if between:
        facts["A-distance between groups"] = "; ".join(between)
    if len(said) < FEWEST:
        return Diagnosis(f"Too few sequences for groups of features: {len(said)}, not {FEWEST}.", facts, [])
    if not np.ptp(np.concatenate([said, true]), axis=0).any():
        return Diagnosis("All sequences have the same features: nothing tells them apart.", facts, [])
    number = "1 group" if groups.number == 1 else f"{groups.number} groups"
    verdict = f"{number} of features; silhouette {told(groups.silhouette, _TWO_GROUPS)}."
    return Diagnosis(verdict, facts, _drawn(said, true, groups.labels))


def _drawn(said: np.ndarray, true: np.ndarray, labels: np.ndarray) -> list[Figure]:
    """Both features `(N, D)` in two dimensions."""
    points = flat(scaled(np.concatenate([said, true])))
    kinds = np.repeat([0, 1], [len(said), len(true)])
    return [
        ("Features", "One point a sequence, the top hidden state averaged over space and the predicted steps.",
         plot(lambda axes: scatter(axes, points[: len(said)], labels, {-1: "no group"}), (5, 4))),
        ("Truth and forecast", "The same, and the features where the true frames are fed.",
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
    """Do forecasts blur where features collapse? The silhouette of several models, by name, against their gradient difference on
    the same windows, with the correlation of both (ModeRNN, tables III and IV); written to `out`. `reach` and `min_samples`
    are those of `groups.grouped`, on features scaled to standard deviation 1: a model's own distances set its eps.

    Raises `ConfigError` for fewer than three models, for models that would not look at the same windows, and for `out` that is
    no page; `DataError` without windows, `RunError`.
    """
    if len(runs) < 3:
        raise ArgumentError(
            f"a correlation needs at least three models, and there are {len(runs)}: {', '.join(runs)}",
            parameter="others",
        )
    page = as_html_path(out)
    seen: dict[str, Seen] = {}
    first: Windows | None = None
    for name, run in runs.items():
        trained = load(run, device="cpu")
        windows = windows_for(Path(run), trained, data, options, limit)
        if first is not None and not (first.context == windows.context and torch.equal(first.frames, windows.frames)):
            raise ConfigError(
                f"{name} would not look at the windows that {next(iter(runs))} looks at",
                where=str(run),
                remedy="compare models of one data set, with one context, horizon and scaling, or give data",
                parameter="data",
                example="PATH",
            )
        first = first or windows
        seen[name] = _seen(trained.model, windows, reach, min_samples)
    assert first is not None
    found = correlated({name: (each.groups.silhouette, each.gdl) for name, each in seen.items()})
    for name, each in seen.items():
        groups = each.groups
        found.facts[f"{name}: how"] = (
            f"{groups.number} groups, {int((groups.labels < 0).sum())} of {len(each.said)} sequences in none (left out), eps "
            f"{groups.eps:.3g}, at least {groups.min_samples} neighbours; A-distance of truth and forecast "
            f"{told(each.distance, _SEQUENCES)}"
        )
    facts = {"windows": f"{len(first.frames)}, {first.context} + {first.horizon} frames"}
    return found, write(found, page, "Mode collapse across models", facts)


def correlated(values: Mapping[str, tuple[float, float]]) -> Diagnosis:
    """What silhouettes and gradient differences of models, by name, say together."""
    known = {name: pair for name, pair in values.items() if np.isfinite(pair).all()}
    facts = {
        name: f"silhouette {told(one, _TWO_GROUPS)}; gradient difference {other:.4g}"
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

    said = "A point a model: to the right, features keep motions apart; below, forecasts keep edges."
    return Diagnosis(verdict, facts, [("Features and forecasts", said, plot(draw, (5, 4)))] if known else [])
