"""What do the memories of a recurrent model hold? PredRNN-V2 (2022), figures 3 and 8."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor

from framecast.diagnosis import probes
from framecast.diagnosis.groups import find_groups
from framecast.diagnosis.pages import (
    LONG,
    WIDE,
    Diagnosis,
    Figure,
    Windows,
    count_axis,
    describe_projection,
    format_number,
    legend_below,
    plot,
    project,
)
from framecast.models.parts.capabilities import probed
from framecast.report.figures import COLOURS

_BATCH, _POINTS = 8, 128
_COLUMNS = 3
"""Steps of which the increments are projected."""
_MEMORIES = {"C": "#d62728", "M": "#1c1e21"}
"""The colours of figure 3: red and black."""


def decoupling(model: Any, windows: Windows) -> Diagnosis:
    """Are the increments of the two memories decoupled? PredRNN-V2 (2022), figure 3, in the space of equation 5."""
    increments = probes.increments(model, windows.frames, windows.actions)
    cosine = probes.cosines(increments).numpy()
    space = "behind W_decouple, as in the loss"
    if not probed(model, "increments"):
        space = "as they are: the model was trained without decoupling and has no W_decouple"
    silhouettes = [[_silhouette(pair) for pair in row] for row in increments]
    return Diagnosis(
        f"The increments of both memories have a mean absolute cosine of {cosine.mean():.3f}; 0 is decoupled, 1 the same.",
        {
            "increments": f"i . g of C and M at each step and layer, {space}",
            "silhouette of C and M, mean over steps and layers": format_number(
                float(np.mean(silhouettes)), "two channels"
            ),
        },
        [
            Figure(
                "Cosine of the increments",
                "Absolute cosine of the maps of C and of M, channel by channel (equation 5), mean over channels and sequences, "
                "by layer and step; the true frames are fed.",
                plot(lambda axes: _cosine_curves(axes, cosine)),
            ),
            _projected(increments),
        ],
    )


def _cosine_curves(axes: Any, cosine: np.ndarray) -> None:
    for layer, line in enumerate(cosine.T):
        axes.plot(
            range(1, len(line) + 1),
            line,
            color=COLOURS[layer % 5],
            marker="o",
            markersize=3,
            label=f"layer {layer + 1}",
        )
    axes.set(xlabel="step", ylabel="mean absolute cosine", ylim=(0, None))
    axes.legend(frameon=False, ncols=4)
    count_axis(axes)


def _channel_maps(pair: tuple[Tensor, Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """The maps of C and of M `(N, h w)` of the channels of as many sequences as give `_POINTS`, each of length 1, so that their
    distance is that of the cosine; and which memory each is of."""
    sequences = -(-_POINTS // (2 * pair[0].shape[1]))
    flat = [increment[:sequences].flatten(2).flatten(0, 1).double().numpy() for increment in pair]
    points = np.concatenate(flat)
    points /= np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
    return points, np.repeat([0, 1], [len(each) for each in flat])


def _silhouette(pair: tuple[Tensor, Tensor]) -> float:
    points, memory = _channel_maps(pair)
    return find_groups(points, labels=memory).silhouette


def _projected(increments: list[list[tuple[Tensor, Tensor]]]) -> Figure:
    """The increments at some steps, by layer."""
    layers = len(increments[0])
    steps = np.unique(np.linspace(0, len(increments) - 1, min(_COLUMNS, len(increments))).round().astype(int))
    count = len(_channel_maps(increments[0][0])[0])

    def draw(grid: Any) -> None:
        for layer, row in enumerate(grid):
            for step, axes in zip(steps, row, strict=True):
                points, memory = _channel_maps(increments[step][layer])
                axes.set(xticks=[], yticks=[])
                axes.set_title(f"step {step + 1}, layer {layer + 1}", fontsize=8)
                if not np.ptp(points, axis=0).any():
                    continue
                places = project(points, LONG)
                for k, (name, colour) in enumerate(_MEMORIES.items()):
                    axes.plot(*places[memory == k].T, "o", color=colour, markersize=2, label=f"Δ{name}")
        legend_below(grid[-1, len(steps) // 2], len(_MEMORIES))

    return Figure(
        "Increments",
        "One point for the map of each channel of the first sequences, scaled to length 1, at the first step, in the middle and "
        f"at the last. {describe_projection(count, LONG)}.",
        plot(draw, (1.6 * len(steps), 1.6 * layers + 0.2), grid=(layers, len(steps))),
    )


def gradients(model: Any, windows: Windows, layer: int = 1) -> Diagnosis:
    """How far back does the error reach? PredRNN-V2 (2022), figure 8, with both of its panels."""
    sums = [
        len(part.frames) * probes.gradient_norms(model, part.frames, part.context, layer, part.actions)
        for part in windows.split(_BATCH)
    ]
    norms = (torch.stack(sums).sum(0) / len(windows.frames)).numpy()
    if not np.nansum(norms):
        return Diagnosis("No gradient of the error reaches a hidden state: all are 0.", {}, [])
    last = norms[-1]
    mean = encoder_gradients(norms, windows.context)
    strongest = int(last.argmax()) + 1
    share = last[0] / last.max() if last.max() else 0.0
    first = "" if strongest == 1 else f", at step 1 with {100 * share:.2g} % of that"
    return Diagnosis(
        f"The error at the last lead time pulls hardest at H of layer {layer} at step {strongest}{first}.",
        {
            "layer": f"{layer}, counted from below",
            "largest norm at the last lead time (left)": f"{last.max():.3g}",
            "largest mean norm over the context (right)": f"{mean.max():.3g}",
            "scale": "each curve is divided by its largest value; gradients of each sequence alone, mean of their norms",
        },
        [
            Figure(
                "By step of the hidden state",
                f"Norm of the gradient of the error at the last lead time with respect to H of layer {layer} at each step "
                "(figure 8, left). The line: the last step of the context.",
                plot(lambda axes: _by_step(axes, last, windows.context)),
            ),
            Figure(
                "By lead time",
                f"Norm of the gradient of the error at each lead time with respect to H of layer {layer}, mean over the "
                "context from its second step on (figure 8, right).",
                plot(lambda axes: _by_lead(axes, mean)),
            ),
            Figure(
                "All lead times",
                f"Norm with respect to H of layer {layer} at each step, of the error at each lead time, not divided.",
                plot(lambda axes: _all_leads(axes, norms, windows.context), (WIDE[0], 3.4)),
            ),
        ],
    )


def encoder_gradients(norms: np.ndarray, context: int) -> np.ndarray:
    """The mean of `norms (S, T - 1)` over the steps 2 to `context`, `(S,)`; over step 1 where that is all."""
    return np.asarray(norms[:, min(1, context - 1) : context].mean(1))


def _by_step(axes: Any, last: np.ndarray, context: int) -> None:
    axes.plot(range(1, len(last) + 1), last / (last.max() or 1.0), color=COLOURS[0], marker="o", markersize=3)
    axes.axvline(context, color="#999999", linewidth=0.8)
    axes.set(xlabel="step t", ylabel="norm / largest", ylim=(0, 1.05))
    count_axis(axes)


def _by_lead(axes: Any, mean: np.ndarray) -> None:
    axes.plot(range(1, len(mean) + 1), mean / (mean.max() or 1.0), color=COLOURS[1], marker="o", markersize=3)
    axes.set(xlabel="lead time", ylabel="mean norm / largest", ylim=(0, 1.05))
    count_axis(axes)


def _all_leads(axes: Any, norms: np.ndarray, context: int) -> None:
    positive = np.where(norms > 0, norms, np.nan)  # a logarithmic axis has no 0
    for k, line in enumerate(positive):
        colour = plt.get_cmap("viridis")(k / max(len(norms) - 1, 1))
        axes.plot(range(1, len(line) + 1), line, color=colour, label=f"+{k + 1}")
    axes.axvline(context, color="#999999", linewidth=0.8)
    axes.set(xlabel="step t", ylabel="norm", yscale="log")
    legend_below(axes, len(norms), "lead time", gap=0.2)
    count_axis(axes)
