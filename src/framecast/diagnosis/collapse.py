"""Spatiotemporal mode collapse in one model: groups of features and their distances.

ModeRNN (2022), section IV: a model collapses where the features of different motions mix, and its forecasts are then blurred.
`collapse` draws figures 5(a), 5(b), 7, 9 and 10 and computes the columns of table III.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import torch

from framecast.diagnosis import probes
from framecast.diagnosis.groups import FEWEST, Groups, a_distance, find_groups, standardize
from framecast.diagnosis.pages import (
    Diagnosis,
    Figure,
    Windows,
    describe_projection,
    format_number,
    plot,
    project,
    scatter,
)
from framecast.errors import counted
from framecast.report.figures import COLOURS
from framecast.scores.structure import gradient_difference

TWO_GROUPS, SEQUENCES = "two groups of several sequences", f"{FEWEST} sequences"


class WindowGroups(NamedTuple):
    """The group of each window, `codes (N,)`, -1 for none; their `names`; the `label` of the data set by which they are, None for
    groups of DBSCAN; and a description."""

    codes: np.ndarray
    names: dict[int, str]
    label: str | None
    description: str


class FeatureGroups(NamedTuple):
    """Features of forecasts and of the truth (true frames as input), the groups that DBSCAN finds in the former, the gradient
    difference of the forecasts, and the A-distance between forecast and truth."""

    forecast: probes.Features
    truth: probes.Features
    groups: Groups
    gdl: float
    distance: float


def group_features(model: Any, windows: Windows, reach: float = 1.5, min_samples: int = FEWEST) -> FeatureGroups:
    """The features of a model on windows. The distance of truth and forecast is that of the outputs H (figure 9)."""
    forecast = probes.features(model, windows.past, windows.horizon, actions=windows.actions)
    truth = probes.features(model, windows.past, windows.horizon, windows.future, windows.actions)
    distance = float("nan")
    if len(windows.frames) >= FEWEST:
        distance = a_distance(truth.output.numpy(), forecast.output.numpy())
    groups = find_groups(standardize(forecast.latent.numpy()), reach=reach, min_samples=min_samples)
    return FeatureGroups(forecast, truth, groups, _blur(model, windows), distance)


def _blur(model: Any, windows: Windows) -> float:
    """The gradient difference of the forecasts, lower for sharper ones."""
    sums = torch.zeros(2, dtype=torch.float64)
    for part in windows.split(8):
        forecast = model.forecast(part.past, part.horizon, part.actions).detach().double()
        valid = torch.ones_like(part.future[:, :, :1], dtype=torch.bool)
        total, count = gradient_difference(forecast, part.future.double(), valid)
        sums += torch.stack([total.sum(), count.sum()])
    return float(sums[0] / sums[1])


def group_windows(model: Any, windows: Windows, groups: Groups | None = None) -> WindowGroups:
    """The groups of the windows: by their label, else those of DBSCAN in their features (`groups`, if they are known)."""
    if windows.labels is not None:
        values = sorted(set(windows.labels.values))
        codes = np.array([values.index(value) for value in windows.labels.values])
        counts = ", ".join(f"{value} ({(codes == k).sum()})" for k, value in enumerate(values))
        return WindowGroups(codes, dict(enumerate(values)), windows.labels.name, f"by {windows.labels.name}: {counts}")
    if groups is None:
        features = probes.features(model, windows.past, windows.horizon, actions=windows.actions)
        groups = find_groups(standardize(features.latent.numpy()))
    names = {-1: "no group"} | {k: f"group {k + 1}" for k in range(groups.number)}
    return WindowGroups(groups.labels, names, None, "by DBSCAN: no label differs among the windows")


def collapse(model: Any, windows: Windows) -> Diagnosis:
    """Have the features of different motions collapsed into one group?"""
    computed = group_features(model, windows)
    groups = computed.groups
    named = group_windows(model, windows, groups)
    latent, true_latent = computed.forecast.latent.numpy(), computed.truth.latent.numpy()
    facts = {
        "groups": named.description,
        "groups that DBSCAN finds": f"{groups.number}, {outside(groups)}",
        "silhouette of those (SC)": format_number(groups.silhouette, TWO_GROUPS),
        "how": f"DBSCAN, eps {groups.eps:.3g}, at least {groups.min_samples} neighbours, features scaled to standard deviation 1",
        "A-distance of truth and forecast (0: equal features, 2: perfectly separable)": format_number(
            computed.distance, SEQUENCES
        ),
        "gradient difference": f"{computed.gdl:.4g}",
    }
    if len(latent) < FEWEST:
        return Diagnosis(f"Too few sequences for groups of features: {len(latent)}, not {FEWEST}.", facts, [])
    if not np.ptp(np.concatenate([latent, true_latent]), axis=0).any():
        return Diagnosis("All sequences have the same features: they cannot be separated.", facts, [])
    figures = _feature_figures(latent, true_latent, named)
    verdict = (
        f"{counted(groups.number, 'group')} of features; silhouette {format_number(groups.silhouette, TWO_GROUPS)}."
    )
    if named.label is not None:
        facts["silhouette by label"] = format_number(
            find_groups(standardize(latent), labels=named.codes).silhouette, TWO_GROUPS
        )
        if between := between_groups(computed.forecast.memory.numpy(), named):
            facts["A-distance between groups"] = "; ".join(f"{pair}: {each:.2f}" for pair, each in between.items())
            verdict = _compare(between, computed.distance, named.label)
            figures.append(_distances(between, computed.distance))
    return Diagnosis(verdict, facts, figures)


def between_groups(memory: np.ndarray, named: WindowGroups) -> dict[str, float]:
    """The A-distance between the memories `(N, D)` of each pair of groups of `FEWEST` sequences or more."""
    members = {name: memory[named.codes == code] for code, name in named.names.items()}
    large = {name: each for name, each in members.items() if len(each) >= FEWEST}
    return {f"{one} / {other}": a_distance(large[one], large[other]) for one, other in combinations(large, 2)}


def _compare(between: dict[str, float], distance: float, label: str) -> str:
    """The comparison of figure 9: it is a sign of collapse if groups are closer to each other than forecasts are to the truth."""
    mean = float(np.mean(list(between.values())))
    sign = "a sign of collapse" if mean < distance else "no sign of collapse"
    return f"A-distance {mean:.2f} between groups by {label}, {distance:.2f} between truth and forecast: {sign}."


def outside(groups: Groups) -> str:
    """The number of sequences that belong to no group, as text."""
    return f"{int((groups.labels < 0).sum())} of {len(groups.labels)} sequences in none (left out)"


def _feature_figures(latent: np.ndarray, true_latent: np.ndarray, named: WindowGroups) -> list[Figure]:
    """Figures of both sets of features `(N, D)`, projected to two dimensions."""
    own = project(standardize(latent)) if np.ptp(latent, axis=0).any() else None
    both = project(standardize(np.concatenate([latent, true_latent])))
    origin = np.repeat([0, 1], [len(latent), len(true_latent)])
    figures = [
        Figure(
            "Truth and forecast",
            f"The same, with the features of the truth (true frames as input). {describe_projection(len(both))}.",
            plot(lambda axes: scatter(axes, both, origin, ["forecast", "truth"]), (5, 4)),
        )
    ]
    if own is not None:
        caption = (
            "One point a sequence: the slot bus or the hidden state of the top layer, mean over space and the predicted steps. "
            f"Colours {named.description}. {describe_projection(len(own))}."
        )
        draw = plot(lambda axes: scatter(axes, own, named.codes, named.names, named.label), (5, 4))
        figures.insert(0, Figure("Features", caption, draw))
    return figures


def _distances(between: dict[str, float], distance: float) -> Figure:
    """Bars of figure 9."""

    def draw(axes: Any) -> None:
        names = [*between, "truth / forecast"]
        colours = [COLOURS[0]] * len(between) + [COLOURS[1]]
        axes.barh(range(len(names)), [*between.values(), distance], 0.6, color=colours)
        axes.set_yticks(range(len(names)), names)
        axes.set(xlim=(0, 2), xlabel="A-distance")
        axes.invert_yaxis()
        axes.set_axisbelow(True)

    return Figure(
        "A-distance",
        "Between the memories of two groups (slot bus or cell state, blue: higher is better), and between the outputs H with the "
        "truth and with the forecast as input (orange: lower is better).",
        plot(draw, (4.6, 0.9 + 0.35 * (len(between) + 1))),
    )
