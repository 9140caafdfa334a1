"""`framecast diagnose`: the kinds of diagnosis. Each analyses a trained model on some windows and returns facts and figures.

`diagnose` loads the model, selects the windows and writes the page; a kind is a function `(model, windows) -> Diagnosis`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from framecast.checks import as_html_path, as_tuple, check_counts, describe, is_positive, refuses_arrays
from framecast.data.readers.options import DEFAULT, ReadOptions
from framecast.diagnosis import probes
from framecast.diagnosis.across import across
from framecast.diagnosis.collapse import collapse
from framecast.diagnosis.groups import FEWEST
from framecast.diagnosis.intensity import response
from framecast.diagnosis.memories import decoupling, gradients
from framecast.diagnosis.pages import Diagnosis, Figure, Windows, maps, picture, plot, windows_for, wrapped, write
from framecast.diagnosis.slots import slots
from framecast.errors import ArgumentError, ConfigError, FramecastError
from framecast.forecasting.trained_model import load
from framecast.report.figures import COLOURS
from framecast.verification.run_names import name_runs
from framecast.verification.windows import FramesLike

LIMITS = {"collapse": 128, "slots": 128, "response": 32, "decoupling": 8, "gradients": 8}
"""Windows by default, one of kinds that are not listed. t-SNE with the perplexity of the papers takes 91."""


@refuses_arrays
def diagnose(
    run: str | Path,
    kind: str,
    data: FramesLike | None = None,
    *,
    options: ReadOptions = DEFAULT,
    out: str | Path | None = None,
    limit: int | None = None,
    others: Sequence[str | Path] = (),
    reach: float = 1.0,
    min_samples: int = FEWEST,
    group_by: str | None = None,
    layer: int | None = None,
) -> tuple[Diagnosis, Path]:
    """Analyse the model of `run` on `limit` windows of `data`, by default its own test split, and write the page to `out`, by
    default `RUN/diagnosis-KIND.html`. Data are read with `options` and otherwise as in training; frames are cropped to the size
    of training. `limit` is by default 128 for "collapse" and "slots", which group windows, 32 for "response", 8 for "decoupling"
    and "gradients", else 1. Returns the diagnosis and the path of the page.

    `group_by` names the label of the data set by which windows are grouped (such as "action", "environment", "season",
    "digits"), by default the first that differs among them; without labels DBSCAN finds the groups. `layer`, counted from below,
    is that of "gradients" and "motion", by default 1 as in the papers.

    With `others`, two runs or more, the kind must be "collapse", and one page compares all models: are forecasts blurred where
    features collapse? `reach` (eps of DBSCAN, in median distances to a neighbour) and `min_samples` apply to that.

    Raises `ArgumentError` for an unknown kind, for `others` with another kind than collapse, for a label or a layer that does not
    exist and if `out` is not an HTML file,
    `ConfigError` if the model lacks the part that the kind analyses, `DataError` without windows, `RunError`."""
    others = as_tuple(others, "others")
    # check the kind
    if kind not in KINDS:
        raise ArgumentError(f"unknown kind {kind!r}", parameter="kind", remedy=f"one of: {', '.join(KINDS)}")
    if others and kind != "collapse":
        raise ArgumentError("several models are diagnosed for collapse only", parameter="others")
    if group_by is not None and (kind not in GROUPED or others):
        raise ArgumentError(f"windows are grouped for {' and '.join(GROUPED)} of one model only", parameter="group_by")
    if layer is not None and kind not in LAYERED:
        raise ArgumentError(f"a layer is for {' and '.join(LAYERED)} only", parameter="layer")
    if not is_positive(reach):
        raise ArgumentError(f"{describe(reach)} given, expected a number above 0", parameter="reach")
    check_counts(min_samples=min_samples, limit=limit)
    limit = LIMITS.get(kind, 1) if limit is None else limit
    # several models on one page
    if others:
        page = Path(run) / "diagnosis-collapse-across.html" if out is None else as_html_path(out)
        return across(
            name_runs([run, *others]),
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
    if trained.card.shape.actions and kind not in WITH_ACTIONS:
        raise ConfigError(
            f"{kind} is not for models with actions", where=run, remedy=f"one of: {', '.join(WITH_ACTIONS)}"
        )
    windows = windows_for(Path(run), trained, data, options, limit, group_by)
    try:
        diagnosis = KINDS[kind](trained.model, windows, **({} if layer is None else {"layer": layer}))
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


def motion(model: Any, windows: Windows, layer: int = 1) -> Diagnosis:
    """Which motion has MotionRNN learned? MotionRNN (2021), figure 9: the momentum of the first MotionGRU."""
    steps = probes.motions(model, windows.past[:1], windows.horizon)
    number = probes.layer_index(layer, len(steps[0]))
    motions = [row[number] for row in steps]
    factor = windows.frames.shape[-1] // motions[0].trend.shape[-1]
    flow = probes.arrows(motions[windows.context - 1], factor)[0].numpy()
    transient = [
        np.hypot(*(each.filter - each.trend)[0].reshape(2, 9, *flow.shape[1:]).mean(1).numpy()) for each in motions
    ]
    # arrows on a coarse grid
    frame = picture(windows.past[0, -1])
    every = max(1, flow.shape[-1] // 16)
    rows, columns = np.mgrid[0 : flow.shape[1] : every, 0 : flow.shape[2] : every]

    def draw(axes: Any) -> None:
        axes.imshow(frame, cmap="gray")
        part = flow[:, ::every, ::every]
        at = (columns + 0.5) * factor - 0.5, (rows + 0.5) * factor - 0.5
        longest = float(np.hypot(*part).max())
        if longest > 0:  # the longest arrow is as long as the grid is wide
            scale = longest / (every * factor)
            axes.quiver(
                *at, part[1], part[0], color=COLOURS[1], angles="xy", scale_units="xy", scale=scale, width=0.005
            )
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
        if windows.south_first:
            axes.invert_yaxis()

    speeds = np.hypot(*flow)
    down, right = float(flow[0].mean()) * (-1 if windows.south_first else 1), float(flow[1].mean())
    chosen = np.unique(np.linspace(0, len(transient) - 1, min(5, len(transient))).round().astype(int))
    return Diagnosis(
        f"The trending momentum of layer {layer} moves by {speeds.mean():.2g} pixels a step on average.",
        {
            "layer": f"{layer}, the MotionGRU above cell {layer}",
            "trend": f"{abs(down):.2g} rows {'down' if down >= 0 else 'up'}, {abs(right):.2g} columns to the "
            f"{'right' if right >= 0 else 'left'} a step, on average; at most {speeds.max():.2g} pixels",
        },
        [
            Figure(
                "Trend",
                f"The trending momentum of layer {layer} at the last step of the context, over its frame. The longest arrow is "
                f"{speeds.max():.2g} pixels a step.",
                plot(draw, (5, 5)),
            ),
            Figure(
                "Transient variation",
                f"Its size in layer {layer} at steps {', '.join(str(t + 1) for t in chosen)}.",
                maps([("", [transient[t] for t in chosen])], south_first=windows.south_first),
            ),
        ],
    )


def attention(model: Any, windows: Windows) -> Diagnosis:
    """Where are the attention weights of MoDeRNN large? MoDeRNN (2022), figure 3."""
    weights = probes.attention_maps(model, windows.frames[:1])
    steps = range(0, len(weights), max(1, len(weights) // 10))
    by_layer = [[weights[t][layer][-1][0].mean(0).numpy() for t in steps] for layer in range(len(weights[0]))]
    numbers = [t + 1 for t in steps]
    few = np.unique(np.linspace(0, len(steps) - 1, min(5, len(steps))).round().astype(int))
    values = np.stack(by_layer)
    return Diagnosis(
        f"The weights of the last half-step lie between {values.min():.3g} and {values.max():.3g}.",
        {"steps": ", ".join(map(str, numbers))},
        [
            Figure(
                "Frames",
                "What is fed, at those steps.",
                maps(
                    wrapped([picture(windows.frames[0, t]) for t in steps], numbers),
                    "gray",
                    south_first=windows.south_first,
                ),
            ),
            Figure(
                "Attention of the last layer",
                "Weights of the last half-step, mean of the channels, at the same steps; the brighter the higher.",
                maps(wrapped(by_layer[-1], numbers), "inferno", south_first=windows.south_first),
            ),
            Figure(
                "Attention by layer",
                f"The same in each layer, at steps {', '.join(str(numbers[k]) for k in few)}.",
                maps(
                    [(f"layer {layer + 1}", [row[k] for k in few]) for layer, row in enumerate(by_layer)],
                    "inferno",
                    south_first=windows.south_first,
                ),
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
        return maps(wrapped(row, range(1, len(row) + 1)), cmap, south_first=windows.south_first)

    return Diagnosis(
        f"{share[-1]:.0%} of what the pixel depends on is in the last context frame; it looks {reach:.1f} pixels far on average.",
        {"pixel": f"row {place[0]}, column {place[1]}, lead time {lead + 1}: where the truth is brightest",
         "share of each context frame": ", ".join(f"{value:.0%}" for value in share)},
        [
            Figure("Context", "The frames that the model sees.", draw([picture(each) for each in windows.past[0]], "gray")),
            Figure("Dependence", "Absolute gradient of the pixel with respect to each context pixel.", draw(list(dependence))),
        ],
    )  # fmt: skip


KINDS: dict[str, Callable[..., Diagnosis]] = {
    "decoupling": decoupling,
    "gradients": gradients,
    "response": response,
    "collapse": collapse,
    "slots": slots,
    "motion": motion,
    "attention": attention,
    "attribution": attribution,
}
"""Kinds by their names: functions of a model and `Windows`, and for those in `LAYERED` of a layer."""
GROUPED = ("collapse", "slots")
WITH_ACTIONS = ("collapse", "decoupling", "gradients")
LAYERED = ("gradients", "motion")
