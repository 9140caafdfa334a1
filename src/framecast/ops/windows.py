"""Sums over moving windows of frames for scores (scores/fractions.py, probability.py, ssim.py), as loops in C (windows.c).

Operation by operation, window by window, each map of results is written and read a dozen times. Here no map is written: pixels
are counted once in a table of cumulative counts, so that a window of any size costs four reads. On CPUs, in float32; anywhere
else, and with `use_algorithm("direct")`, the scores compute with PyTorch.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from framecast.ops.choice import current_algorithm
from framecast.ops.native.library import (
    ADDRESS,
    COUNT,
    REAL,
    SIZE,
    addresses,
    available,
    c_array,
    load_function,
    threads,
)

BAND = 64
"""Rows of windows of a task, as in windows.c."""


class _Size(ctypes.Structure):
    """`Size` of windows.c."""

    _fields_ = tuple((name, ctypes.c_int64) for name in ("frames", "height", "width"))


_fractions = load_function(
    "framecast_fractions", ADDRESS, SIZE, ADDRESS, _Size, ADDRESS, SIZE, ADDRESS, SIZE, SIZE, *[ADDRESS] * 4, COUNT
)
_probabilities = load_function(
    "framecast_probabilities", ADDRESS, SIZE, ADDRESS, _Size, ADDRESS, *[SIZE] * 3, *[ADDRESS] * 3, COUNT
)
_similarity = load_function(
    "framecast_similarity", ADDRESS, ADDRESS, _Size, ADDRESS, SIZE, *[REAL] * 3, *[ADDRESS] * 2, COUNT
)


def has_loops(*fields: Tensor) -> bool:
    """Whether loops in C can compute sums over these fields."""
    return (
        current_algorithm() != "direct" and available() and all(x.is_cpu and x.dtype == torch.float32 for x in fields)
    )


def fractions(
    truth: Tensor, forecasts: Sequence[Tensor], valid: Tensor, limits: Tensor, sides: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Sums of (Pf - Po)^2 and of Pf^2 + Po^2, each `(F, N, K, L)` float64, P being the fractions of events among the valid
    pixels of a window around each valid pixel, every eighth of its side.

    `truth` and each of F `forecasts (N, H, W)`, `valid (N, H, W)` bool; an event is a value at or above one of the `limits
    (N, K, 1 + F)`, of the truth first. `sides` of L windows are odd."""
    size, fields, observed = _as_loops_read([truth, *forecasts], valid)
    limits = limits.float().contiguous()
    error, reference = torch.empty(2, len(forecasts), *limits.shape[:2], len(sides), dtype=torch.float64)
    pad = max(sides) // 2
    workspace, lines = _counts(2 + len(forecasts), size, pad), torch.empty(threads(), 2, size.width)
    _fractions(
        addresses(fields),
        len(forecasts),
        observed.data_ptr(),
        size,
        limits.data_ptr(),
        limits.shape[1],
        c_array(SIZE, sides),
        len(sides),
        pad,
        error.data_ptr(),
        reference.data_ptr(),
        workspace.data_ptr(),
        lines.data_ptr(),
        threads(),
    )
    return error, reference


def probabilities(
    truth: Tensor, forecasts: Sequence[Tensor], valid: Tensor, limits: Sequence[float], side: int, bins: int
) -> tuple[Tensor, Tensor]:
    """Of events at or above each of K `limits`, forecast by the fraction of the window around a valid pixel, in `bins` centred on
    0 to 1: the number, the sum of the forecasts and the number of events, `(F, N, K, 3, bins)`, and the sum of squared errors
    `(F, N, K)`, both float64. `truth`, each of F `forecasts` and `valid` as for `fractions`."""
    size, fields, observed = _as_loops_read([truth, *forecasts], valid)
    binned = torch.empty(len(forecasts), len(truth), len(limits), 3, bins, dtype=torch.float64)
    error = torch.empty(binned.shape[:3], dtype=torch.float64)
    workspace = _counts(2, size, side // 2)
    _probabilities(
        addresses(fields),
        len(forecasts),
        observed.data_ptr(),
        size,
        c_array(REAL, limits),
        len(limits),
        side,
        bins,
        binned.data_ptr(),
        error.data_ptr(),
        workspace.data_ptr(),
        threads(),
    )
    return binned, error


def similarity(x: Tensor, y: Tensor, line: Tensor, c1: float, c2: float, norm: float) -> Tensor:
    """Sums of the structural similarity and of its part without brightness over the windows of each frame that hold no NaN, and
    their number: `x, y (N, H, W)`, weights the products of those of `line (side,)` -> `(N, 3)` float64. `norm` is the factor
    of variances."""
    one, other, weights = (values.contiguous() for values in (x, y, line.float()))
    frames, height, width = one.shape
    bands = -(-(height - len(weights) + 1) // BAND)
    sums = torch.empty(frames, bands, 3, dtype=torch.float64)
    workspace = torch.empty(threads(), 5, width)
    _similarity(
        one.data_ptr(),
        other.data_ptr(),
        _Size(frames, height, width),
        weights.data_ptr(),
        len(weights),
        c1,
        c2,
        norm,
        sums.data_ptr(),
        workspace.data_ptr(),
        threads(),
    )
    return sums.sum(1)


def _as_loops_read(fields: Sequence[Tensor], valid: Tensor) -> tuple[_Size, list[Tensor], Tensor]:
    """The arguments of the loops: sizes, contiguous fields, and the mask as bytes."""
    return _Size(*valid.shape), [field.contiguous() for field in fields], valid.contiguous().view(torch.uint8)


def _counts(many: int, size: _Size, pad: int) -> Tensor:
    """Workspace of `many` tables of cumulative counts for each thread."""
    return torch.empty(threads(), many, size.height + 1, size.width + 1 + 2 * pad, dtype=torch.int32)
