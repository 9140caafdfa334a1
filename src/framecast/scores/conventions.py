"""Frame scores, each with the convention that says how it is computed (spec/models.md, section 12).

`pictures` are values on the scale from 0 to 1; `physical` values have the units of the data. Where the two are the same
(intensities), so are the errors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from framecast.errors import ArgumentError
from framecast.scores.metric import Better, Metric, decibels, ratio, root
from framecast.scores.ssim import gaussian_line, mean_similarity, ms_ssim, ssim_map, uniform_line
from framecast.scores.structure import gradient_difference, sharpness_difference, strongest_edge

Sums = dict[str, Tensor]
"""Numerator and weight of each score for each case and lead time: `name` and `name_weight`, `(B, S)` float64."""


@dataclass(frozen=True)
class Convention:
    """How frame scores are computed: the sums, and the metrics that are made of them."""

    name: str
    errors: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Sums]
    """`(physical prediction, physical truth, picture prediction, picture truth, valid)` -> sums."""
    metrics: tuple[Metric, ...]
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


def _metric(
    name: str,
    definition: str,
    *,
    better: Better,
    perfect: float | None,
    range: tuple[float, float],
    of: str | None = None,
    formula: Callable[[np.ndarray], np.ndarray] = ratio,
) -> Metric:
    """A frame score made of the sums of `of`, its own unless stated. A ratio of sums is a mean over cases."""
    base, mean = of or name, formula is ratio
    return Metric(
        name=name,
        title=name.upper().replace("_", "-"),
        group="frame",
        sums=(base, f"{base}_weight"),
        formula=formula,
        better=better,
        perfect=perfect,
        range=range,
        definition=definition,
        mean=mean,
        compared=mean and better != "neither",
        headline=name in ("mse", "mae", "ssim"),
        curve=name != "rmse",
    )


def _error(name: str, definition: str) -> Metric:
    return _metric(name, definition, better="lower", perfect=0, range=(0, np.inf))


def _root_of_mse(definition: str) -> Metric:
    return _metric("rmse", definition, better="lower", perfect=0, range=(0, np.inf), of="mse", formula=root)


def _similarity(name: str, definition: str, lowest: float = -1) -> Metric:
    return _metric(name, definition, better="higher", perfect=1, range=(lowest, 1))


def _ratio_in_decibels(
    name: str, definition: str, lowest: float = 0, formula: Callable[[np.ndarray], np.ndarray] = ratio
) -> Metric:
    return _metric(name, definition, better="higher", perfect=np.inf, range=(lowest, np.inf), formula=formula)


_FRAME = "summed over the pixels and channels of a frame, averaged over frames"
_BYTES_PSNR = "of 8-bit frames (truncated), averaged over frames; infinite for equal frames"
_BYTES_SSIM = "of 8-bit frames (truncated), uniform window 7x7, sample covariance, averaged over frames"

_DEFAULT = (
    _error("mse", "mean squared error over all valid pixels, in the units of the data squared"),
    _root_of_mse("root of the mean squared error"),
    _error("mae", "mean absolute error over all valid pixels, in the units of the data"),
    _ratio_in_decibels(
        "psnr",
        "decibels of 1 over the mean squared error of all valid pixels, values scaled and clipped to [0, 1]",
        formula=decibels,
    ),
    _similarity(
        "ssim",
        "Gaussian window 11x11, sigma 1.5, values scaled and clipped to [0, 1], windows without missing pixels, "
        "mean of each frame, averaged over frames",
    ),
    _similarity("ms_ssim", "the same over five scales; for frames of 176 x 176 and more", lowest=0),
    _error("gdl", "mean squared difference of absolute gradients, values scaled and clipped to [0, 1]"),
)
_THUML = (
    _error("mse", f"squared error of pictures clipped to [0, 1], {_FRAME}"),
    _error("mae", f"absolute error of unclipped pictures, {_FRAME}"),
    _ratio_in_decibels("psnr", _BYTES_PSNR),
    _similarity("ssim", _BYTES_SSIM),
    _ratio_in_decibels(
        "sharp",
        "decibels of 255^2 over the mean difference of edge strengths of 8-bit frames, averaged over frames",
    ),
)
_CZH98 = (
    _error("mse", f"squared error of pictures clipped to [0, 1], {_FRAME}"),
    _error("mae", f"absolute error of pictures clipped to [0, 1], {_FRAME}"),
    _ratio_in_decibels("psnr", _BYTES_PSNR),
    _similarity("ssim", _BYTES_SSIM),
    _metric(
        "laplacian",
        "the largest absolute Laplacian of each 8-bit forecast frame, at most 255, averaged over frames",
        better="neither",  # it does not look at the truth
        perfect=None,
        range=(0, 255),
    ),
)
_OPENSTL = (
    _error("mse", f"squared error of unclipped pictures, {_FRAME}"),
    _root_of_mse("root of that mean"),
    _error("mae", f"absolute error of unclipped pictures, {_FRAME}"),
    _ratio_in_decibels("psnr", "of pictures clipped to [0, 1], averaged over frames; infinite for equal frames"),
    _ratio_in_decibels(
        "snr",
        "decibels of the mean square of the truth over that of the error, clipped to [0, 1], averaged over the "
        "frames that are not all 0",
        lowest=-np.inf,
    ),
    _similarity("ssim", "of pictures clipped to [0, 1] with a data range of 2, uniform window 7x7, sample covariance"),
)

CONVENTIONS: dict[str, Convention] = {
    convention.name: convention
    for convention in (
        Convention("default", _default, _DEFAULT),
        Convention("thuml", _thuml, _THUML, signed=False),
        Convention("czh98", _czh98, _CZH98),
        Convention("openstl", _openstl, _OPENSTL),
    )
}


def named(convention: str) -> Convention:
    """One of `CONVENTIONS`. Raises `ArgumentError` for another name."""
    if convention not in CONVENTIONS:
        raise ArgumentError(
            f"unknown convention {convention!r}", parameter="convention", remedy=f"one of: {', '.join(CONVENTIONS)}"
        )
    return CONVENTIONS[convention]
