"""`framecast diagnose`: the kinds of diagnosis. Each analyses a trained model on some windows and returns facts and figures.

`diagnose` loads the model, selects the windows and writes the page; a kind is a function `(model, windows) -> Diagnosis`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from framecast.checks import as_html_path, as_tuple
from framecast.data.readers.options import DEFAULT, ReadOptions
from framecast.diagnosis import probes
from framecast.diagnosis.collapse import across, collapse
from framecast.diagnosis.groups import FEWEST, find_groups, standardize
from framecast.diagnosis.pages import (
    Diagnosis,
    Windows,
    format_number,
    maps,
    plot,
    project,
    scatter,
    windows_for,
    write,
)
from framecast.errors import ArgumentError, ConfigError, FramecastError, counted
from framecast.forecasting.trained_model import load
from framecast.models.motionrnn import Motion
from framecast.report.figures import COLOURS
from framecast.verification.evaluate import name_runs
from framecast.verification.windows import FramesLike


def diagnose(
    run: str | Path,
    kind: str,
    data: FramesLike | None = None,
    *,
    options: ReadOptions = DEFAULT,
    out: str | Path | None = None,
    limit: int = 32,
    others: Sequence[str | Path] = (),
    reach: float = 1.0,
    min_samples: int = FEWEST,
) -> tuple[Diagnosis, Path]:
    """Analyse the model of `run` on `limit` windows of `data`, by default its own test split, and write the page to `out`, by
    default `RUN/diagnosis-KIND.html`. Data are read with `options` and otherwise as in training; frames are cropped to the size
    of training. Returns the diagnosis and the path of the page.

    With `others`, two runs or more, the kind must be "collapse", and one page compares all models: are forecasts blurred where
    features collapse? `reach` (eps of DBSCAN, in median distances to a neighbour) and `min_samples` apply to that.

    Raises `ArgumentError` for an unknown kind, for `others` with another kind than collapse and if `out` is not an HTML file,
    `ConfigError` if the model lacks the part that the kind analyses, `DataError` without windows, `RunError`."""
    # check the kind
    if kind not in KINDS:
        raise ArgumentError(f"unknown kind {kind!r}", parameter="kind", remedy=f"one of: {', '.join(KINDS)}")
    if others and kind != "collapse":
        raise ArgumentError("several models are diagnosed for collapse only", parameter="others")
    # several models on one page
    if others:
        page = Path(run) / "diagnosis-collapse-across.html" if out is None else as_html_path(out)
        return across(
            name_runs([run, *as_tuple(others, "others")]),
            data,
            options=options,
            out=page,
            limit=limit,
            reach=reach,
            min_samples=min_samples,
        )
    # one model
    page = Path(run) / f"diagnosis-{kind}.html" if out is None else as_html_path(out)
    trained = load(run, device="cpu")
    windows = windows_for(Path(run), trained, data, options, limit)
    try:
        diagnosis = KINDS[kind](trained.model, windows)
    except FramecastError:
        raise
    except ValueError as error:
        raise ConfigError(f"nothing to diagnose: {error}", where=f"{run}, {kind}") from error
    write(
        diagnosis,
        page,
        f"{kind.capitalize()} of {trained.name}",
        {"model": str(run), "windows": f"{len(windows.frames)}, {windows.context} + {windows.horizon} frames"},
    )
    return diagnosis, page


def decoupling(model: Any, windows: Windows) -> Diagnosis:
    """Are the increments of the two memories decoupled? PredRNN-V2 (2022), figure 3."""
    increments = probes.increments(model, windows.frames)
    cosine = probes.cosines(increments).numpy()
    cells, memories = (np.concatenate([pair[k].flatten(2).mean(2).numpy() for pair in increments[-1]]) for k in (0, 1))
    both, labels = np.concatenate([cells, memories]), np.repeat([0, 1], [len(cells), len(memories)])
    silhouette = find_groups(standardize(both), labels=labels).silhouette
    points = project(standardize(both))

    def curve(axes: Any) -> None:
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

    return Diagnosis(
        f"The increments of both memories have a mean absolute cosine of {cosine.mean():.3f}; 0 is decoupled, 1 the same.",
        {"silhouette of the increments of C and of M (scaled to standard deviation 1)": format_number(silhouette, "two windows")},
        [
            ("Cosine of the increments", "By layer and step, the true frames being fed.", plot(curve)),
            ("Increments", "Mean over space at the last step, one point a sequence and layer.",
             plot(lambda axes: scatter(axes, points, labels, {0: "C", 1: "M"}), (5, 4))),
        ],
    )  # fmt: skip


def gradients(model: Any, windows: Windows) -> Diagnosis:
    """How far back does the error reach? PredRNN-V2 (2022), figure 8."""
    norms = probes.gradient_norms(model, windows.frames[:8], windows.context).numpy()
    positive = np.where(norms > 0, norms, np.nan)  # a logarithmic axis has no 0
    first, last = norms[-1, [0, -1]]
    if np.isnan(positive).all():
        return Diagnosis("No gradient of the error reaches a hidden state: all are 0.", {}, [])
    # how much of the gradient reaches the first state
    pull = (
        f"with {first / last:.2g} of the strength"
        if first >= 0 and last > 0
        else "with an undefined share of the strength"
    )

    def draw(axes: Any) -> None:
        for k, line in enumerate(positive):
            axes.plot(
                range(1, len(line) + 1),
                line,
                color=plt.get_cmap("viridis")(k / max(len(norms) - 1, 1)),
                label=f"+{k + 1}",
            )
        axes.axvline(windows.context, color="#999999", linewidth=0.8)
        axes.set(xlabel="step of the hidden state (the line: the last of the context)", ylabel="norm", yscale="log")
        axes.legend(frameon=False, fontsize=7, ncols=6, title="error at lead time")

    return Diagnosis(
        f"The error at the last lead time pulls at the first hidden state {pull} at the last one.",
        {},
        [
            (
                "Gradients",
                "Of the squared error at each lead time with respect to the top hidden state of each step.",
                plot(draw, (8.4, 3.4)),
            )
        ],
    )


def response(model: Any, windows: Windows) -> Diagnosis:
    """How fast does the model adapt to a sudden change? PredRNN-V2 (2022), figure 9."""
    if len(windows.frames) < 2:
        raise ValueError("a sudden change needs two windows")
    other = windows.frames.roll(1, 0)
    changed, alone = (errors.numpy() for errors in probes.response(model, other, windows.frames))
    excess = changed / np.maximum(alone, 1e-12) - 1
    calm = np.flatnonzero(excess < 0.1)
    when = f"after {counted(int(calm[0]) + 1, 'frame')}" if len(calm) else f"not within {len(excess)} frames"

    def draw(axes: Any) -> None:
        steps = range(1, len(alone) + 1)
        axes.plot(steps, changed, color=COLOURS[1], marker="o", markersize=3, label="after a sudden change")
        axes.plot(steps, alone, color=COLOURS[0], marker="s", markersize=3, label="from the beginning")
        axes.set(xlabel="frames of the new sequence seen", ylabel="squared error of the next frame")
        axes.legend(frameon=False)

    return Diagnosis(
        f"After a change to another sequence the error comes within a tenth of that without a past {when}.",
        {},
        [("Response to sudden change", "The true frames are fed; another sequence went before, or none.", plot(draw))],
    )


def slots(model: Any, windows: Windows) -> Diagnosis:
    """How much does each slot matter to the forecast? ModeRNN (2022), figure 14."""
    weights = probes.slot_importance(model, windows.past, windows.horizon).numpy()
    changes = probes.slot_swap(model, windows.past[:8], windows.horizon).numpy()
    groups = find_groups(standardize(probes.features(model, windows.past, windows.horizon).numpy())).labels

    def bars(axes: Any) -> None:
        for k, label in enumerate(sorted(set(groups.tolist()))):
            mean = weights[groups == label].mean(0)
            axes.bar(np.arange(len(mean)) + 0.15 * k, mean, 0.15, color="#bbbbbb" if label < 0 else COLOURS[k % 5],
                     label="no group" if label < 0 else f"group {label}")  # fmt: skip
        count = weights.shape[1]
        names = [f"slot {n + 1}" if n < len(changes) else "shortcut" for n in range(count)]
        axes.set_xticks(range(count), names)
        axes.legend(frameon=False, fontsize=7)

    most = np.unravel_index(changes.argmax(), changes.shape)
    return Diagnosis(
        f"Swapping slots {most[0] + 1} and {most[1] + 1} changes the forecast most, by {changes.max():.3g} (root mean square).",
        {"importance": ", ".join(f"{value:.2f}" for value in weights.mean(0)) + " (slots, then the shortcut)"},
        [
            ("Importance", "Mean weight in the fusion, by group of sequences.", plot(bars)),
            ("Slot swap", "Change of the forecast where two slots are swapped.", maps([("slot", [changes])])),
        ],
    )


def motion(model: Any, windows: Windows) -> Diagnosis:
    """Which motion has MotionRNN learned? MotionRNN (2021), figure 9."""
    motions = probes.motions(model, windows.past[:1], windows.horizon)
    factor = windows.frames.shape[-1] // motions[0][0].trend.shape[-1]
    last: Motion = motions[-1][-1]
    flow = probes.arrows(last, factor)[0].numpy()
    transient = [
        np.hypot(*(row[-1].filter - row[-1].trend)[0].reshape(2, 9, *flow.shape[1:]).mean(1).numpy()) for row in motions
    ]
    # arrows on a coarse grid
    frame = windows.past[0, -1].mean(0).numpy()
    every = max(1, flow.shape[-1] // 16)
    rows, columns = np.mgrid[0 : flow.shape[1] : every, 0 : flow.shape[2] : every]

    def draw(axes: Any) -> None:
        axes.imshow(frame, cmap="gray")
        part = flow[:, ::every, ::every]
        at = (columns + 0.5) * factor - 0.5, (rows + 0.5) * factor - 0.5
        axes.quiver(*at, part[1], part[0], color=COLOURS[1], angles="xy", scale_units="xy", scale=1)
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
        if windows.south_first:
            axes.invert_yaxis()

    speed = float(np.hypot(*flow).mean())
    return Diagnosis(
        f"The trending momentum of the top layer moves by {speed:.2g} pixels a step on average.",
        {"trend": f"{flow[0].mean():.2g} rows down, {flow[1].mean():.2g} columns to the right a step, on average"},
        [
            (
                "Trend",
                "The trending momentum at the last step, over the last frame of the context.",
                plot(draw, (5, 5)),
            ),
            (
                "Transient variation",
                "Its size at each step, top layer.",
                maps([("", transient[:: max(1, len(transient) // 8)])], south_first=windows.south_first),
            ),
        ],
    )


def attention(model: Any, windows: Windows) -> Diagnosis:
    """Where are the attention weights of MoDeRNN large? MoDeRNN (2022), figure 3."""
    weights = probes.attention_maps(model, windows.frames[:1])
    steps = range(0, len(weights), max(1, len(weights) // 8))
    rows = [
        (f"layer {layer + 1}", [weights[t][layer][-1][0].mean(0).numpy() for t in steps])
        for layer in range(len(weights[0]))
    ]
    frames = [("frame", [windows.frames[0, t].mean(0).numpy() for t in steps])]
    values = np.concatenate([each.ravel() for _, row in rows for each in row])
    return Diagnosis(
        f"The weights of the last half-step lie between {values.min():.3g} and {values.max():.3g}.",
        {},
        [
            ("Frames", "What is fed.", maps(frames, "gray", south_first=windows.south_first)),
            (
                "Attention",
                "Weights of the last half-step, mean of the channels, by layer.",
                maps(rows, south_first=windows.south_first),
            ),
        ],
    )


def attribution(model: Any, windows: Windows) -> Diagnosis:
    """Which past frames and places does a forecast pixel depend on?"""
    first = windows.future[:1, -1].mean(1)[0]
    place = divmod(int(first.argmax()), first.shape[1])
    lead = windows.horizon - 1
    dependence = probes.attribution(model, windows.past[:1], windows.horizon, place, lead)[0].numpy()
    share = dependence.sum((1, 2)) / max(dependence.sum(), 1e-30)
    distance = np.hypot(*(np.indices(dependence.shape[1:]) - np.array(place)[:, None, None]))
    reach = float((dependence * distance).sum() / max(dependence.sum(), 1e-30))

    def draw(row: list[np.ndarray], cmap: str = "viridis") -> str:
        return maps([("", row)], cmap, south_first=windows.south_first)

    return Diagnosis(
        f"{share[-1]:.0%} of what the pixel depends on is in the last context frame; it looks {reach:.1f} pixels far on average.",
        {"pixel": f"row {place[0]}, column {place[1]}, lead time {lead + 1}: where the truth is brightest",
         "share of each context frame": ", ".join(f"{value:.0%}" for value in share)},
        [
            ("Context", "The frames that the model sees.", draw(list(windows.past[0].mean(1).numpy()), "gray")),
            ("Dependence", "Absolute gradient of the pixel with respect to each context pixel.", draw(list(dependence))),
        ],
    )  # fmt: skip


KINDS: dict[str, Callable[[Any, Windows], Diagnosis]] = {
    "decoupling": decoupling,
    "gradients": gradients,
    "response": response,
    "collapse": collapse,
    "slots": slots,
    "motion": motion,
    "attention": attention,
    "attribution": attribution,
}
