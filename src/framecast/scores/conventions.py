"""Frame scores, each with the convention that says how it is computed (spec/models.md, section 12).

`pictures` are values on the scale from 0 to 1; `physical` values have the units of the data. Where the two are the same
(intensities), so are the errors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from framecast.errors import ArgumentError
from framecast.scores.ssim import gaussian_line, mean_similarity, ms_ssim, ssim_map, uniform_line
from framecast.scores.structure import gradient_difference, sharpness_difference, strongest_edge

Sums = dict[str, Tensor]
"""Numerator and weight of each score for each case and lead time: `name` and `name_weight`, `(B, S)` float64."""


@dataclass(frozen=True)
class Convention:
    """How frame scores are computed. `definitions` says it in words, one line for each score."""

    name: str
    errors: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Sums]
    """`(physical prediction, physical truth, picture prediction, picture truth, valid)` -> sums."""
    definitions: dict[str, str]
    logarithmic: frozenset[str] = field(default_factory=frozenset)
    """Scores whose sums are squared errors, led to decibels at the end."""
    signed: bool = True
    """Whether LPIPS sees pictures from -1 to 1, as its authors have it, or from 0 to 1."""

    def tally(self, prediction: Tensor, truth: Tensor, pictures: Tensor, true_pictures: Tensor, valid: Tensor) -> Sums:
        """Sums of `prediction, truth, pictures, true_pictures (B, S, C, H, W)` where `valid (B, S, 1, H, W)`.

        Missing pixels may hold anything, also NaN; no score looks at them.
        """
        p, t, shown, true = (
            values.double().masked_fill(~valid, 0.0) for values in (prediction, truth, pictures, true_pictures)
        )
        return self.errors(p, t, shown, true, valid)

    def base(self, score: str) -> str:
        """The score whose sums a score is made of: its own, but "rmse" is the root of "mse"."""
        return "mse" if score == "rmse" else score

    def value(self, score: str, total: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """A score from sums of any shape, NaN where nothing was counted."""
        known = np.asarray(weight) > 0
        value = np.divide(total, weight, out=np.full(np.shape(total), np.nan), where=known)
        if score in self.logarithmic:
            with np.errstate(divide="ignore"):
                value = -10 * np.log10(value)
        return np.asarray(np.sqrt(value) if score == "rmse" else value)


def _per_frame(values: Tensor) -> Tensor:
    """Sum over channels and pixels: `(B, S, C, H, W)` -> `(B, S)`."""
    return values.flatten(2).sum(2)


def _whole_frames(valid: Tensor) -> Tensor:
    """Weight 1 for each frame with any valid pixel, `(B, S)`."""
    return valid.flatten(2).any(2).double()


def _default(prediction: Tensor, truth: Tensor, pictures: Tensor, true_pictures: Tensor, valid: Tensor) -> Sums:
    error, picture_error = prediction - truth, pictures.clamp(0, 1) - true_pictures.clamp(0, 1)
    elements = _per_frame(valid.double()) * truth.shape[2]
    shown, true = pictures.clamp(0, 1), true_pictures.clamp(0, 1)
    gradients, places = gradient_difference(shown, true, valid)
    return {
        "mse": _per_frame(error**2),
        "mse_weight": elements,
        "mae": _per_frame(error.abs()),
        "mae_weight": elements,
        "psnr": _per_frame(picture_error**2),
        "psnr_weight": elements,
        **_similarities(shown, true, valid),
        "gdl": gradients,
        "gdl_weight": places,
    }


def _similarities(pictures: Tensor, true_pictures: Tensor, valid: Tensor) -> Sums:
    """The mean similarity of each frame over the windows without a missing pixel, at one scale and over several, mean of the
    channels; the weight is 1 where there is one."""
    side = min(11, *(side - (side + 1) % 2 for side in pictures.shape[-2:]))
    shown, true = (values.float().masked_fill(~valid, torch.nan).flatten(0, 2) for values in (pictures, true_pictures))
    similarity, _ = mean_similarity(shown, true, gaussian_line(side), 1.0)
    sums: Sums = {}
    for name, values in (("ssim", similarity), ("ms_ssim", ms_ssim(shown, true))):
        frames = values.view(pictures.shape[:3]).mean(2)
        known = frames.isfinite()
        sums |= {name: frames.masked_fill(~known, 0.0), f"{name}_weight": known.double()}
    return sums


def _bytes(pictures: Tensor) -> Tensor:
    """8-bit pictures by truncation, as the published code makes them."""
    return (pictures.clamp(0, 1).float() * 255).to(torch.uint8).double()


def _frame_sums(valid: Tensor, **scores: Tensor) -> Sums:
    """Scores of frames `(B, S)`, averaged over the frames with any valid pixel."""
    weight = _whole_frames(valid)
    sums = {name: value.masked_fill(weight == 0, 0.0) for name, value in scores.items()}
    return sums | {f"{name}_weight": weight for name in sums}


def _thuml(_: Tensor, __: Tensor, pictures: Tensor, true_pictures: Tensor, valid: Tensor) -> Sums:
    sharp = sharpness_difference(_bytes(pictures), _bytes(true_pictures), 255.0)
    return _frame_sums(valid, **_published(pictures, true_pictures, mae_of=pictures), sharp=sharp)


def _czh98(_: Tensor, __: Tensor, pictures: Tensor, true_pictures: Tensor, valid: Tensor) -> Sums:
    scores = _published(pictures, true_pictures, mae_of=pictures.clamp(0, 1))
    return _frame_sums(valid, **scores, laplacian=strongest_edge(_bytes(pictures)))


def _published(pictures: Tensor, true_pictures: Tensor, mae_of: Tensor) -> dict[str, Tensor]:
    shown, true = _bytes(pictures), _bytes(true_pictures)
    mean_squared = ((shown - true) ** 2).flatten(2).mean(2)
    return {
        "mse": _per_frame((pictures.clamp(0, 1) - true_pictures) ** 2),
        "mae": _per_frame((mae_of - true_pictures).abs()),
        "psnr": 20 * math.log10(255) - 10 * torch.log10(mean_squared),
        "ssim": _uniform_ssim(shown, true, data_range=255.0),
    }


def _openstl(_: Tensor, __: Tensor, pictures: Tensor, true_pictures: Tensor, valid: Tensor) -> Sums:
    shown = pictures.clamp(0, 1)
    noise = ((shown - true_pictures) ** 2).flatten(2).mean(2)
    signal = (true_pictures**2).flatten(2).mean(2)
    sums = _frame_sums(
        valid,
        mse=_per_frame((pictures - true_pictures) ** 2),
        mae=_per_frame((pictures - true_pictures).abs()),
        psnr=-10 * torch.log10(noise),
        snr=(10 * torch.log10(signal / noise)).masked_fill(signal == 0, 0.0),
        ssim=_uniform_ssim(shown, true_pictures, data_range=2.0),
    )
    return sums | {"snr_weight": sums["snr_weight"].masked_fill(signal == 0, 0.0)}


def _uniform_ssim(pictures: Tensor, true_pictures: Tensor, data_range: float) -> Tensor:
    frames = zip(pictures.flatten(0, 2), true_pictures.flatten(0, 2), strict=True)
    values = [ssim_map(shown, true, uniform_line(), data_range, sample=True).mean() for shown, true in frames]
    return torch.stack(values).reshape(pictures.shape[:3]).mean(2)


_FRAME = "summed over the pixels and channels of a frame, averaged over frames"

CONVENTIONS: dict[str, Convention] = {
    convention.name: convention
    for convention in (
        Convention(
            "default",
            _default,
            {
                "mse": "mean squared error over all valid pixels, in the units of the data squared",
                "rmse": "root of the mean squared error",
                "mae": "mean absolute error over all valid pixels, in the units of the data",
                "psnr": "decibels of 1 over the mean squared error of all valid pixels, values scaled and clipped to [0, 1]",
                "ssim": "Gaussian window 11x11, sigma 1.5, values scaled and clipped to [0, 1], windows without missing pixels, "
                "mean of each frame, averaged over frames",
                "ms_ssim": "the same over five scales; for frames of 176 x 176 and more",
                "gdl": "mean squared difference of absolute gradients, values scaled and clipped to [0, 1]",
            },
            frozenset({"psnr"}),
        ),
        Convention(
            "thuml",
            _thuml,
            {
                "mse": f"squared error of pictures clipped to [0, 1], {_FRAME}",
                "mae": f"absolute error of unclipped pictures, {_FRAME}",
                "psnr": "of 8-bit frames (truncated), averaged over frames; infinite for equal frames",
                "ssim": "of 8-bit frames (truncated), uniform window 7x7, sample covariance, averaged over frames",
                "sharp": "decibels of 255^2 over the mean difference of edge strengths of 8-bit frames, averaged over frames",
            },
            signed=False,
        ),
        Convention(
            "czh98",
            _czh98,
            {
                "mse": f"squared error of pictures clipped to [0, 1], {_FRAME}",
                "mae": f"absolute error of pictures clipped to [0, 1], {_FRAME}",
                "psnr": "of 8-bit frames (truncated), averaged over frames; infinite for equal frames",
                "ssim": "of 8-bit frames (truncated), uniform window 7x7, sample covariance, averaged over frames",
                "laplacian": "the largest absolute Laplacian of each 8-bit forecast frame, at most 255, averaged over frames",
            },
        ),
        Convention(
            "openstl",
            _openstl,
            {
                "mse": f"squared error of unclipped pictures, {_FRAME}",
                "rmse": "root of that mean",
                "mae": f"absolute error of unclipped pictures, {_FRAME}",
                "psnr": "of pictures clipped to [0, 1], averaged over frames; infinite for equal frames",
                "snr": "decibels of the mean square of the truth over that of the error, clipped to [0, 1], averaged over the "
                "frames that are not all 0",
                "ssim": "of pictures clipped to [0, 1] with a data range of 2, uniform window 7x7, sample covariance",
            },
        ),
    )
}


def named(convention: str) -> Convention:
    """One of `CONVENTIONS`. Raises `ArgumentError` for another name."""
    if convention not in CONVENTIONS:
        raise ArgumentError(
            f"unknown convention {convention!r}", parameter="convention", remedy=f"one of: {', '.join(CONVENTIONS)}"
        )
    return CONVENTIONS[convention]
