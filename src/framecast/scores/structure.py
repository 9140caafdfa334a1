"""Sharpness of forecasts, on tensors: power spectra, gradient differences and edges.

The power spectrum is averaged over rings of equal wavelength: a blurred forecast has less power at short wavelengths than the
truth. The gradient difference (Michael Mathieu, Camille Couprie, Yann LeCun, "Deep multi-scale video prediction beyond mean
square error", ICLR 2016, with squares as in ModeRNN, 2022) compares edges.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn

from framecast.ops import frames
from framecast.ops import windows as loops

WAVELENGTHS = tuple(2.0 * 2 ** (k / 2) for k in range(18))
"""Limits of the rings in pixels, from 2 to 362, the same for frames of all sizes."""


def spectrum(images: Tensor, valid: Tensor) -> Tensor:
    """Mean power of the first channel in each ring `(B, S, R)` float64, NaN where a frame is too small for the wavelength.

    `images (B, S, C, H, W)`; pixels outside `valid (B, S, 1, H, W)` count as 0. Give truth and forecast the same mask, so that
    their spectra can be compared.
    """
    field = images[:, :, 0].float().masked_fill(~valid[:, :, 0], 0.0)
    height, width = field.shape[-2:]
    coefficients = torch.fft.rfft2(field, norm="ortho")
    ring, weight, counts = _rings(height, width)
    if loops.has_loops(field):
        sums = frames.ring_sums(coefficients.flatten(0, 1), ring, weight, len(counts) + 1).view(*field.shape[:2], -1)
    else:
        power = weight * torch.view_as_real(coefficients).square().sum(-1)
        sums = torch.zeros(*field.shape[:2], len(counts) + 1, dtype=torch.float64)
        sums.index_add_(2, ring.flatten(), power.flatten(2).double())
    return torch.where(counts > 0, sums[..., :-1] / counts.clamp(min=1), torch.nan)


@lru_cache(maxsize=8)
def _rings(height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """The ring of each frequency of a real field (the last number: none), how many frequencies of the full plane it stands for,
    and the number of frequencies of the full plane in each ring."""
    ky, kx = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)
    wavelength = 1 / (ky.square() + kx.square()).sqrt().clamp(min=1e-9)
    ring = torch.bucketize(wavelength.double(), torch.tensor(WAVELENGTHS, dtype=torch.float64), right=True) - 1
    ring[(ring < 0) | (ring >= len(WAVELENGTHS) - 1)] = len(WAVELENGTHS) - 1
    weight = torch.ones_like(wavelength)
    weight[:, 1 : (width + 1) // 2] = 2
    counts = torch.zeros(len(WAVELENGTHS), dtype=torch.float64).index_add_(0, ring.flatten(), weight.flatten().double())
    return ring, weight, counts[:-1]


def gradient_difference(prediction: Tensor, truth: Tensor, valid: Tensor, power: int = 2) -> tuple[Tensor, Tensor]:
    """Sums of the differences of absolute gradients, to the `power`, and the number of gradients, both `(B, S)`. A pixel counts
    if the pixels above and to the left of it are valid too.

    `prediction`, `truth (B, S, C, H, W)`, missing pixels 0; `valid (B, S, 1, H, W)`.
    """
    down = (truth.diff(dim=-2).abs() - prediction.diff(dim=-2).abs()).abs()[..., :, 1:]
    along = (truth.diff(dim=-1).abs() - prediction.diff(dim=-1).abs()).abs()[..., 1:, :]
    values = (down**power + along**power).masked_fill(~_pairs(valid), 0.0)
    return values.flatten(2).sum(2), count_gradients(valid).double() * truth.shape[2]


def count_gradients(valid: Tensor) -> Tensor:
    """The number of pixels `(B, S)` that are valid with the pixels above and to the left of them."""
    return _pairs(valid).flatten(2).sum(2)


def _pairs(valid: Tensor) -> Tensor:
    return valid[..., 1:, 1:] & valid[..., :-1, 1:] & valid[..., 1:, :-1]


def sharpness_difference(prediction: Tensor, truth: Tensor, data_range: float) -> Tensor:
    """Decibels of `data_range`^2 over the mean difference of the sums of both absolute gradients, `(B, S)`; infinite for equal
    edges (Mathieu, Couprie, LeCun, 2016, as the published ModeRNN code computes it). `prediction`, `truth (B, S, C, H, W)`."""
    edges = [
        values.diff(dim=-2).abs()[..., :, :-1] + values.diff(dim=-1).abs()[..., :-1, :]
        for values in (prediction, truth)
    ]
    return 10 * torch.log10(data_range**2 / (edges[0] - edges[1]).abs().flatten(2).mean(2))


_LAPLACE = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]], dtype=torch.float64)


def strongest_edge(images: Tensor) -> Tensor:
    """The largest absolute Laplacian of each 8-bit frame, at most 255, `(B, S)`: `images (B, S, C, H, W)` from 0 to 255."""
    frames = nn.functional.pad(images.flatten(0, 2)[:, None].double(), (1, 1, 1, 1), mode="reflect")
    laplacian = nn.functional.conv2d(frames, _LAPLACE[None, None]).abs().clamp(max=255)
    return laplacian.flatten(1).amax(1).reshape(images.shape[:3]).amax(2)
