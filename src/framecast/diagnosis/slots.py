"""What do the slots of a model stand for? ModeRNN (2022), figures 5(c), 5(d) and 14."""

from __future__ import annotations

from typing import Any

import numpy as np

from framecast.diagnosis import slot_probes
from framecast.diagnosis.collapse import WindowGroups, group_windows
from framecast.diagnosis.groups import find_groups, standardize
from framecast.diagnosis.pages import (
    Diagnosis,
    Figure,
    Windows,
    describe_projection,
    format_number,
    legend_below,
    look,
    maps,
    picture,
    plot,
    project,
    scatter,
)

_PAIRS = 8
"""Sequences into which slots of others are put."""
_SHOWN = 5
"""Frames of a forecast in the figure of the swap."""


def slots(model: Any, windows: Windows) -> Diagnosis:
    """Importance by group, features and swaps of slots."""
    past, horizon = windows.past, windows.horizon
    weights = slot_probes.slot_importance(model, past, horizon).numpy()
    features = slot_probes.slot_features(model, past, horizon).numpy()
    count = features.shape[1]
    by_slot = standardize(features.reshape(-1, features.shape[-1]))
    numbers = np.tile(np.arange(count), len(features))
    silhouette = find_groups(by_slot, labels=numbers).silhouette if len(features) > 1 else float("nan")
    changes, swap = _swap(model, windows)
    groups = group_windows(model, windows)
    figures = [
        Figure(
            "Importance",
            f"Mean weight of each slot in the fusion, over layers and steps, {groups.description}.",
            plot(lambda axes: _bars(axes, weights, groups), (4.6, 3)),
        ),
        swap,
    ]
    if np.ptp(by_slot, axis=0).any():
        points = project(by_slot)
        figures.insert(
            1,
            Figure(
                "Features of the slots",
                "One point for each slot of each sequence: the slot in the top layer, mean over space and the predicted steps. "
                f"{describe_projection(len(points))}.",
                plot(lambda axes: scatter(axes, points, numbers, [f"slot {n + 1}" for n in range(count)]), (5, 4)),
            ),
        )
    most = int(changes.argmax())
    return Diagnosis(
        f"Slot {most + 1} of another sequence changes the forecast most, by {changes[most]:.3g} (root mean square).",
        {
            "change of the forecast by the slot of another sequence": _list(changes, ".3g"),
            "importance (slots, then the shortcut)": _list(weights.mean(0), ".2f"),
            "silhouette of the slots": format_number(silhouette, "two sequences"),
            "groups": groups.description,
        },
        figures,
    )


def _list(values: np.ndarray, form: str) -> str:
    return ", ".join(format(float(value), form) for value in values)


def _bars(axes: Any, weights: np.ndarray, groups: WindowGroups) -> None:
    """Mean `weights (B, N)` of the sequences of each group."""
    codes, names, title = groups.codes, groups.names, groups.label
    used = sorted(set(codes.tolist()))
    width = 0.8 / len(used)
    for k, code in enumerate(used):
        mean = weights[codes == code].mean(0)
        axes.bar(np.arange(len(mean)) + width * k, mean, width, color=look(k, code)["color"], label=names[code])
    count = weights.shape[1]
    axes.set_xticks(np.arange(count) + width * (len(used) - 1) / 2, [*map(str, range(1, count)), "shortcut"])
    axes.set(xlabel="slot", ylabel="weight")
    axes.set_axisbelow(True)
    legend_below(axes, len(used), title, gap=0.25)


def _swap(model: Any, windows: Windows) -> tuple[np.ndarray, Figure]:
    """The root mean square change of the forecast by each slot of another sequence `(N,)`, and the figure of one pair."""
    if len(windows.frames) < 2:
        raise ValueError("a slot of another sequence needs two windows")
    order = np.arange(len(windows.frames))
    first = order[:_PAIRS]
    partner = _partners(windows)[:_PAIRS]
    context, other, horizon = windows.past[first], windows.past[partner], windows.horizon
    swapped = slot_probes.slot_swaps(model, context, other, horizon)
    own, foreign = model.forecast(context, horizon).detach(), model.forecast(other[:1], horizon).detach()
    changes = (swapped - own).square().mean((1, 2, 3, 4, 5)).sqrt().numpy()
    steps = np.unique(np.linspace(0, horizon - 1, min(_SHOWN, horizon)).round().astype(int))

    def row(frames: Any) -> list[np.ndarray]:
        return [picture(frames[t]) for t in steps]

    rows = [("sequence", row(own[0])), ("the other", row(foreign[0]))]
    rows += [(f"slot {n + 1}", row(each[0])) for n, each in enumerate(swapped)]
    return changes, Figure(
        "Slot swap",
        "Forecasts of one sequence and of another, at lead times "
        f"{', '.join(str(t + 1) for t in steps)}. Below, those of the first with one slot of the second, in all layers and at "
        "all steps.",
        maps(rows, "gray", south_first=windows.south_first),
    )


def _partners(windows: Windows) -> np.ndarray:
    """For each window another one, of another label where there is one."""
    count = len(windows.frames)
    if windows.labels is None:
        return (np.arange(count) + 1) % count
    values = windows.labels.values
    return np.array(
        [
            next((j % count for j in range(i + 1, i + count) if values[j % count] != value), (i + 1) % count)
            for i, value in enumerate(values)
        ]
    )
