"""Frame scores (MSE, MAE, PSNR, SSIM, ...) in the conventions of several publications (docs/specification.md, section 12).

A convention is a function that computes sums and the list of metrics made of them. `images` are values on the scale from 0 to
1; `prediction` and `truth` have the units of the data. For intensities the two are the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from framecast.errors import ArgumentError
from framecast.ops import frames
from framecast.ops import windows as loops
from framecast.scores.metric import Better, Metric, Units, decibels, ratio, root
from framecast.scores.ssim import gaussian_line, mean_similarity, ms_ssim, ssim_map, uniform_line
from framecast.scores.structure import count_gradients, gradient_difference, sharpness_difference, strongest_edge

Sums = dict[str, Tensor]
"""Numerator and weight of each score for each case and lead time: `name` and `name_weight`, `(B, S)` float64."""


@dataclass(frozen=True)
class Convention:
    """How frame scores are computed: the sums, and the metrics that are made of them."""

    name: str
    errors: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Sums]
    """`(prediction, truth, images, true_images, valid)` -> sums."""
    metrics: tuple[Metric, ...]
    signed: bool = True
    """Whether LPIPS is computed on images from -1 to 1, as its authors do, or from 0 to 1."""
    local: bool = False
    """Whether the sums are over windows of valid pixels, so that the frame around these does not matter."""

    def compute_sums(
        self, prediction: Tensor, truth: Tensor, images: Tensor, true_images: Tensor, valid: Tensor
    ) -> Sums:
        """Sums of `prediction, truth, images, true_images (B, S, C, H, W)` where `valid (B, S, 1, H, W)`.

        Missing pixels may hold any value, also NaN; no score uses them.
        """
        return self.errors(prediction, truth, images, true_images, valid)


def _per_frame(values: Tensor) -> Tensor:
    """Sum over channels and pixels: `(B, S, C, H, W)` -> `(B, S)`."""
    return values.flatten(2).sum(2)


def _whole_frames(valid: Tensor) -> Tensor:
    """Weight 1 for each frame with any valid pixel, `(B, S)`."""
    return valid.flatten(2).any(2).double()


def _without_missing(valid: Tensor, *fields: Tensor) -> list[Tensor]:
    """Fields in float64, 0 where they are not valid."""
    return [values.double().masked_fill(~valid, 0.0) for values in fields]


def _default(prediction: Tensor, truth: Tensor, images: Tensor, true_images: Tensor, valid: Tensor) -> Sums:
    elements = valid.flatten(2).sum(2).double() * truth.shape[2]
    squared, absolute, image_error, gradients = _errors(prediction, truth, images, true_images, valid)
    return {
        "mse": squared,
        "mse_weight": elements,
        "mae": absolute,
        "mae_weight": elements,
        "psnr": image_error,
        "psnr_weight": elements,
        **_similarities(images, true_images, valid),
        "gdl": gradients,
        "gdl_weight": count_gradients(valid).double() * truth.shape[2],
    }


def _errors(prediction: Tensor, truth: Tensor, images: Tensor, true_images: Tensor, valid: Tensor) -> Sequence[Tensor]:
    """The same as `ops.frames.frame_errors`, by its loop where there is one."""
    if loops.has_loops(prediction, truth, images, true_images):
        return frames.frame_errors(prediction, truth, images, true_images, valid).unbind()
    forecast, observed = _without_missing(valid, prediction, truth)
    image, true_image = (values.clamp(0, 1) for values in _without_missing(valid, images, true_images))
    error = forecast - observed
    gradients, _ = gradient_difference(image, true_image, valid)
    return _per_frame(error**2), _per_frame(error.abs()), _per_frame((image - true_image) ** 2), gradients


def _similarities(images: Tensor, true_images: Tensor, valid: Tensor) -> Sums:
    """SSIM and MS-SSIM of each frame: the mean over the windows without a missing pixel and over the channels. The weight is 1
    where the value is defined."""
    side = min(11, *(side - (side + 1) % 2 for side in images.shape[-2:]))
    forecast, observed = (
        values.clamp(0, 1).float().masked_fill(~valid, torch.nan).flatten(0, 2) for values in (images, true_images)
    )
    first = mean_similarity(forecast, observed, gaussian_line(side), 1.0)
    sums: Sums = {}
    for name, values in (("ssim", first[0]), ("ms_ssim", ms_ssim(forecast, observed, first=first))):
        known = values.view(images.shape[:3]).mean(2)
        defined = known.isfinite()
        sums |= {name: known.masked_fill(~defined, 0.0), f"{name}_weight": defined.double()}
    return sums


def _bytes(images: Tensor) -> Tensor:
    """8-bit images by truncation, as in the published code."""
    return (images.clamp(0, 1).float() * 255).to(torch.uint8).double()


def _frame_sums(valid: Tensor, **scores: Tensor) -> Sums:
    """Scores of frames `(B, S)`, averaged over the frames with any valid pixel."""
    weight = _whole_frames(valid)
    sums = {name: value.masked_fill(weight == 0, 0.0) for name, value in scores.items()}
    return sums | {f"{name}_weight": weight for name in sums}


def _thuml(_: Tensor, __: Tensor, images: Tensor, true_images: Tensor, valid: Tensor) -> Sums:
    images, true_images = _without_missing(valid, images, true_images)
    sharp = sharpness_difference(_bytes(images), _bytes(true_images), 255.0)
    gradients, _ = gradient_difference(images.clamp(0, 1), true_images, valid)
    return _frame_sums(valid, **_published(images, true_images, mae_of=images), sharp=sharp, gdl=gradients)


def _czh98(_: Tensor, __: Tensor, images: Tensor, true_images: Tensor, valid: Tensor) -> Sums:
    images, true_images = _without_missing(valid, images, true_images)
    scores = _published(images, true_images, mae_of=images.clamp(0, 1))
    return _frame_sums(valid, **scores, laplacian=strongest_edge(_bytes(images)))


def _published(images: Tensor, true_images: Tensor, mae_of: Tensor) -> dict[str, Tensor]:
    forecast, observed = _bytes(images), _bytes(true_images)
    mean_squared = ((forecast - observed) ** 2).flatten(2).mean(2)
    return {
        "mse": _per_frame((images.clamp(0, 1) - true_images) ** 2),
        "mae": _per_frame((mae_of - true_images).abs()),
        "psnr": 20 * math.log10(255) - 10 * torch.log10(mean_squared),
        "ssim": _uniform_ssim(forecast, observed, data_range=255.0),
    }


def _openstl(_: Tensor, __: Tensor, images: Tensor, true_images: Tensor, valid: Tensor) -> Sums:
    images, true_images = _without_missing(valid, images, true_images)
    forecast = images.clamp(0, 1)
    noise = ((forecast - true_images) ** 2).flatten(2).mean(2)
    signal = (true_images**2).flatten(2).mean(2)
    sums = _frame_sums(
        valid,
        mse=_per_frame((images - true_images) ** 2),
        mae=_per_frame((images - true_images).abs()),
        psnr=-10 * torch.log10(noise),
        snr=(10 * torch.log10(signal / noise)).masked_fill(signal == 0, 0.0),
        ssim=_uniform_ssim(forecast, true_images, data_range=2.0),
    )
    return sums | {"snr_weight": sums["snr_weight"].masked_fill(signal == 0, 0.0)}


def _uniform_ssim(images: Tensor, true_images: Tensor, data_range: float) -> Tensor:
    frames = zip(images.flatten(0, 2), true_images.flatten(0, 2), strict=True)
    values = [
        ssim_map(forecast, observed, uniform_line(), data_range, sample=True).mean() for forecast, observed in frames
    ]
    return torch.stack(values).reshape(images.shape[:3]).mean(2)


def _metric(
    name: str,
    definition: str,
    *,
    better: Better,
    perfect: float | None,
    range: tuple[float, float],
    of: str | None = None,
    formula: Callable[[np.ndarray], np.ndarray] = ratio,
    units: Units = "1",
) -> Metric:
    """The record of a frame score. Its sums are those of the score `of` (by default its own); a ratio of sums is a mean over
    cases."""
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
        units=units,
        mean=mean,
        compared=mean and better != "neither",
        headline=name in ("mse", "mae", "ssim"),
        curve=name != "rmse",
    )


def _error(name: str, definition: str, units: Units = "1") -> Metric:
    return _metric(name, definition, better="lower", perfect=0, range=(0, np.inf), units=units)


def _root_of_mse(definition: str, units: Units = "1") -> Metric:
    return _metric(
        "rmse", definition, better="lower", perfect=0, range=(0, np.inf), of="mse", formula=root, units=units
    )


def _similarity(name: str, definition: str, lowest: float = -1) -> Metric:
    return _metric(name, definition, better="higher", perfect=1, range=(lowest, 1))


def _ratio_in_decibels(
    name: str, definition: str, lowest: float = 0, formula: Callable[[np.ndarray], np.ndarray] = ratio
) -> Metric:
    return _metric(
        name, definition, better="higher", perfect=np.inf, range=(lowest, np.inf), formula=formula, units="dB"
    )


_FRAME = "summed over the pixels and channels of a frame, averaged over frames"
_BYTES_PSNR = "of 8-bit frames (truncated), averaged over frames; infinite for equal frames"
_BYTES_SSIM = "of 8-bit frames (truncated), uniform window 7x7, sample covariance, averaged over frames"

_DEFAULT = (
    _error("mse", "mean squared error over all valid pixels, in the units of the data squared", "squares"),
    _root_of_mse("root of the mean squared error", "values"),
    _error("mae", "mean absolute error over all valid pixels, in the units of the data", "values"),
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
    _error("mse", f"squared error of images clipped to [0, 1], {_FRAME}"),
    _error("mae", f"absolute error of unclipped images, {_FRAME}"),
    _ratio_in_decibels("psnr", _BYTES_PSNR),
    _similarity("ssim", _BYTES_SSIM),
    _ratio_in_decibels(
        "sharp",
        "decibels of 255^2 over the mean difference of edge strengths of 8-bit frames, averaged over frames",
    ),
    _error("gdl", f"squared difference of absolute gradients of images clipped to [0, 1], {_FRAME}"),
)
_CZH98 = (
    _error("mse", f"squared error of images clipped to [0, 1], {_FRAME}"),
    _error("mae", f"absolute error of images clipped to [0, 1], {_FRAME}"),
    _ratio_in_decibels("psnr", _BYTES_PSNR),
    _similarity("ssim", _BYTES_SSIM),
    _metric(
        "laplacian",
        "the largest absolute Laplacian of each 8-bit forecast frame, at most 255, averaged over frames",
        better="neither",  # it does not use the truth
        perfect=None,
        range=(0, 255),
    ),
)
_OPENSTL = (
    _error("mse", f"squared error of unclipped images, {_FRAME}"),
    _root_of_mse("root of that mean"),
    _error("mae", f"absolute error of unclipped images, {_FRAME}"),
    _ratio_in_decibels("psnr", "of images clipped to [0, 1], averaged over frames; infinite for equal frames"),
    _ratio_in_decibels(
        "snr",
        "decibels of the mean square of the truth over that of the error, clipped to [0, 1], averaged over the "
        "frames that are not all 0",
        lowest=-np.inf,
    ),
    _similarity("ssim", "of images clipped to [0, 1] with a data range of 2, uniform window 7x7, sample covariance"),
)

CONVENTIONS: dict[str, Convention] = {
    convention.name: convention
    for convention in (
        Convention("default", _default, _DEFAULT, local=True),
        Convention("thuml", _thuml, _THUML, signed=False),
        Convention("czh98", _czh98, _CZH98),
        Convention("openstl", _openstl, _OPENSTL),
    )
}


def find_convention(convention: str) -> Convention:
    """The convention of that name. Raises `ArgumentError` for an unknown name."""
    if not isinstance(convention, str) or convention not in CONVENTIONS:
        raise ArgumentError(
            f"unknown convention {convention!r}", parameter="convention", remedy=f"one of: {', '.join(CONVENTIONS)}"
        )
    return CONVENTIONS[convention]
