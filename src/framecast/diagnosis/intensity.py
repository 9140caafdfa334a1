"""How does a model respond to intensity that changes in time? PredRNN-V2 (2022), figure 9.

The frames of windows are multiplied, relative to their lowest value, by a factor for each step: one that falls and rises
suddenly, one that swings on two time scales. The model predicts each next frame from the frames so far. The paper prints neither
the factors nor the length; they are ours.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from framecast.diagnosis.pages import Diagnosis, Figure, Windows, count_axis, plot
from framecast.errors import counted
from framecast.report.figures import COLOURS

LOW = 0.5
"""The factor after a sudden fall."""
FAST = 4
"""Frames of the fast swing; the slow one takes as many as the window has."""
_BATCH = 8


class Response(NamedTuple):
    """Of each predicted step `(T - 1,)`: the mean intensity of the frames given and predicted, and the factor of the intensity in
    the frames, as given, and in the predictions, where it is their ratio to the predictions without a change."""

    given: np.ndarray
    predicted: np.ndarray
    factor: np.ndarray
    predicted_factor: np.ndarray


def sudden(length: int) -> np.ndarray:
    """Factors `(T,)` that fall to `LOW` after a third of the steps, and rise to 1 again after two thirds."""
    steps = np.arange(length)
    return np.where((steps >= length // 3) & (steps < 2 * length // 3), LOW, 1.0)


def two_scales(length: int) -> np.ndarray:
    """Factors `(T,)` between 0.4 and 1 that swing once in `length` steps and, less, once in `FAST`."""
    phase = 2 * np.pi * np.arange(length)
    return 0.7 + 0.2 * np.sin(phase / length) + 0.1 * np.sin(phase / FAST)


def respond(model: nn.Module, frames: Tensor, factors: np.ndarray) -> Response:
    """The response to `frames (B, T, C, H, W)` with the intensity of `factors (T,)`. Raises ValueError for a model that does not
    predict each next frame."""
    base = frames.min()
    scale = torch.from_numpy(factors).to(frames)[:, None, None, None]
    changed = base + (frames - base) * scale
    with_change, without = (_next_frames(model, each) - base for each in (changed, frames))
    plain = without.mean((0, 2, 3, 4)).double().numpy()
    predicted = with_change.mean((0, 2, 3, 4)).double().numpy()
    return Response(
        (changed - base)[:, 1:].mean((0, 2, 3, 4)).double().numpy(),
        predicted,
        factors[1:],
        predicted / np.where(np.abs(plain) > 1e-9, plain, np.nan),
    )


def _next_frames(model: nn.Module, frames: Tensor) -> Tensor:
    """The predictions of frames 1 to T - 1, the true frames being fed."""
    steps = frames.shape[1] - 1
    with torch.no_grad():
        predicted: Tensor = torch.cat(
            [model(part, torch.ones(len(part), steps, dtype=torch.bool)).frames for part in torch.split(frames, _BATCH)]
        )
    if predicted.shape[1] != steps:
        raise ValueError("the model forecasts all frames at once, and responds to none in between")
    return predicted


def delay(response: Response) -> int | None:
    """How many frames of the first new level the model has to see before the factor of its predictions is within a tenth of the
    step of it; None if it never is before the next change."""
    first = int(np.flatnonzero(response.factor != response.factor[0])[0])
    size = abs(response.factor[first] - response.factor[0])
    level = response.factor[first:] == response.factor[first]
    end = len(level) if level.all() else int(level.argmin())
    near = np.abs(response.predicted_factor - response.factor)[first : first + end] <= size / 10
    return int(near.argmax()) if near.any() else None


def response(model: Any, windows: Windows) -> Diagnosis:
    """How fast does predicted intensity follow a sudden change, and does it follow two time scales?"""
    length = windows.frames.shape[1]
    if length < 6:
        raise ValueError(f"windows of {counted(length, 'frame')}, and changes of intensity take 6")
    if windows.frames.min() == windows.frames.max():
        raise ValueError("the windows have one value everywhere, so that their intensity cannot change")
    step, swing = (respond(model, windows.frames, each(length)) for each in (sudden, two_scales))
    frames = delay(step)
    when = "not before it rises again" if frames is None else f"after {counted(frames, 'frame')}"
    error = float(np.sqrt(np.nanmean((swing.predicted_factor - swing.factor) ** 2)))
    repeated = float(np.sqrt(np.mean(np.diff(two_scales(length)) ** 2)))
    return Diagnosis(
        f"After a sudden fall of the intensity to {LOW:.0%} the predictions follow, to a tenth of the fall, {when}.",
        {
            "error of the factor on two time scales": f"{error:.3f} (rms); {repeated:.3f} for the last frame repeated",
            "how": "each next frame is predicted from the true frames so far; the factor of a prediction is its mean intensity "
            "divided by that without a change",
        },
        [
            Figure(
                "Sudden change",
                f"Mean intensity of the frames given and predicted: it falls to {LOW:.0%} and rises again (figure 9, left).",
                plot(lambda axes: _curves(axes, step)),
            ),
            Figure(
                "Two time scales",
                f"The same, with a swing of {length} frames and one of {FAST} (figure 9, right).",
                plot(lambda axes: _curves(axes, swing)),
            ),
        ],
    )


def _curves(axes: Any, response: Response) -> None:
    steps = range(2, len(response.given) + 2)
    axes.plot(steps, response.given, color="#999999", marker="s", markersize=3, label="given")
    axes.plot(steps, response.predicted, color=COLOURS[0], marker="o", markersize=3, label="predicted")
    axes.set(xlabel="frame", ylabel="mean intensity", ylim=(0, None))
    axes.legend(frameon=False, ncols=2)
    count_axis(axes)
