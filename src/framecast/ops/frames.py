"""Sums over the pixels of frames for scores (scores/conventions.py, events.py, structure.py), and weighted windows for motion
(data/motion/optical_flow.py), as loops in C (frames.c): each frame is read once, and no map of results is written.

On CPUs, in float32; anywhere else, and with `use_algorithm("direct")`, the callers compute with PyTorch and SciPy.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from framecast.ops.native.library import ADDRESS, COUNT, REAL, SIZE, c_array, load_function, threads


class _Shape(ctypes.Structure):
    """`Shape` of frames.c."""

    _fields_ = tuple((name, ctypes.c_int64) for name in ("frames", "channels", "height", "width"))


_errors = load_function("framecast_frame_errors", *[ADDRESS] * 5, _Shape, ADDRESS, COUNT)
_events = load_function("framecast_events", *[ADDRESS] * 3, _Shape, ADDRESS, SIZE, ADDRESS, COUNT)
_rings = load_function("framecast_rings", ADDRESS, SIZE, SIZE, ADDRESS, ADDRESS, SIZE, ADDRESS, COUNT)
_filter = load_function("framecast_filter", ADDRESS, SIZE, SIZE, SIZE, ADDRESS, SIZE, COUNT, ADDRESS, ADDRESS, COUNT)

_sample = load_function("framecast_sample", ADDRESS, *[SIZE] * 3, ADDRESS, ADDRESS, SIZE, ADDRESS, COUNT)


def frame_errors(forecast: Tensor, truth: Tensor, images: Tensor, true_images: Tensor, valid: Tensor) -> Tensor:
    """Sums over channels and valid pixels of the squared error, of the absolute error, of the squared error of the images, cut to
    [0, 1], and of the squared difference of their absolute gradients down and along, where the pixels above and to the left are
    valid too: fields `(B, S, C, H, W)`, `valid (B, S, 1, H, W)` -> `(4, B, S)` float64."""
    fields = [values.contiguous() for values in (forecast, truth, images, true_images)]
    mask, shape = _arguments(truth, valid)
    sums = torch.empty(*truth.shape[:2], 4, dtype=torch.float64)
    _errors(*(each.data_ptr() for each in fields), mask.data_ptr(), shape, sums.data_ptr(), threads())
    return sums.movedim(-1, 0)


def count_events(forecast: Tensor, truth: Tensor, valid: Tensor, limits: Sequence[float]) -> Tensor:
    """The numbers of valid pixels, in all channels, at which the forecast, the truth and both reach each of K limits, and of all
    valid pixels: `(4, B, S, K)` int64."""
    fields = [values.contiguous() for values in (forecast, truth)]
    mask, shape = _arguments(truth, valid)
    counts = torch.empty(*truth.shape[:2], len(limits), 4, dtype=torch.int64)
    _events(
        *(each.data_ptr() for each in fields),
        mask.data_ptr(),
        shape,
        c_array(REAL, limits),
        len(limits),
        counts.data_ptr(),
        threads(),
    )
    return counts.movedim(-1, 0)


def ring_sums(coefficients: Tensor, ring: Tensor, weight: Tensor, rings: int) -> Tensor:
    """The sums of the power of Fourier coefficients `(N, h, w)`, complex64, in each of `rings`: `ring` int64 and `weight` float32
    `(h, w)` -> `(N, rings)` float64."""
    values = torch.view_as_real(coefficients.contiguous())
    sums = torch.empty(len(values), rings, dtype=torch.float64)
    _rings(
        values.data_ptr(),
        len(values),
        ring.numel(),
        ring.data_ptr(),
        weight.data_ptr(),
        rings,
        sums.data_ptr(),
        threads(),
    )
    return sums


def filter_fields(fields: np.ndarray, line: np.ndarray, *, extend: bool) -> np.ndarray:
    """Correlate `fields (N, H, W)` with the symmetric weights `line (2 half + 1,)` along rows and columns. Outside of a field is
    0, or with `extend` its nearest pixel."""
    values, weights = (np.ascontiguousarray(each, dtype=np.float32) for each in (fields, line))
    count, height, width = values.shape
    half = len(weights) // 2
    result = np.empty_like(values)
    workspace = np.empty((threads(), height + 2 * half, width + 2 * half), dtype=np.float32)
    arrays = (values.ctypes.data, count, height, width, weights.ctypes.data, half, int(extend), result.ctypes.data)
    _filter(*arrays, workspace.ctypes.data, threads())
    return result


def sample(fields: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """`fields (K, H, W)` at the positions `rows` and `columns (h, w)` in pixels, by linear interpolation with the border
    extended: `(K, h, w)`."""
    values, down, along = (each.contiguous() for each in (fields, rows, columns))
    result = torch.empty(len(values), *rows.shape)
    places = down.data_ptr(), along.data_ptr(), down.numel()
    _sample(values.data_ptr(), *values.shape, *places, result.data_ptr(), threads())
    return result


def _arguments(truth: Tensor, valid: Tensor) -> tuple[Tensor, _Shape]:
    """The mask as bytes, and the sizes."""
    cases, leads, channels, height, width = truth.shape
    return valid.contiguous().view(torch.uint8), _Shape(cases * leads, channels, height, width)
