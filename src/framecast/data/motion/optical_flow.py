"""Estimates a dense motion field from a few frames by multi-scale Lucas-Kanade.

Bruce Lucas, Takeo Kanade, "An Iterative Image Registration Technique with an Application to Stereo Vision", IJCAI 1981, in the
dense, coarse-to-fine form. At each scale a least-squares problem in a Gaussian window around each pixel gives the displacement
that best explains the change between successive frames. It is added to the displacement of the coarser scale, and smoothed with
a weight that measures how well it is determined, so that motion spreads from rain into dry areas. All pairs of frames share one
solution: the motion is assumed steady over the context.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from framecast.data.motion.advection import interpolate, pixel_positions
from framecast.data.quantities import Quantity
from framecast.data.scaling import RainLog
from framecast.ops.frames import filter_fields
from framecast.ops.windows import has_loops

WINDOW = 8.0
"""Standard deviation of the least-squares window, in pixels of each scale."""
SMOOTHING = 12.0
"""Standard deviation of the weighted smoothing, in pixels of each scale."""
COARSEST, FINEST = 24, 800
"""The smallest and the largest side of the scales."""
ROUNDS = 3
"""Iterations at each scale."""
RECENT = 4
"""The motion of a context is that of its newest frames, at most so many."""

_recent: OrderedDict[str, np.ndarray] = OrderedDict()
"""The motion of the contexts that were asked for last, by their digests: several forecasters of one context share it."""
_REMEMBERED = 8
_lock = threading.Lock()


def context_motion(frames: np.ndarray, quantity: Quantity) -> np.ndarray:
    """The displacement per step `(2, H, W)` of the newest of `frames (T, C, H, W)` in physical units, NaN for no data: of rain on
    the logarithm of its rate, one motion for all channels. It is computed once for the contexts that were used last."""
    recent = frames[-RECENT:]
    digest = context_digest(recent, quantity)
    with _lock:
        if digest in _recent:
            _recent.move_to_end(digest)
            return _recent[digest]
    motion = estimate_motion(_fields(recent, quantity))
    with _lock:
        _recent[digest] = motion
        while len(_recent) > _REMEMBERED:
            _recent.popitem(last=False)
    return motion


def context_digest(frames: np.ndarray, quantity: Quantity) -> str:
    """What the motion of `frames (T, C, H, W)` depends on, as a digest."""
    settings = (WINDOW, SMOOTHING, COARSEST, FINEST, ROUNDS, quantity.name, quantity.dry, frames.shape)
    digest = hashlib.blake2b(repr(settings).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(frames, dtype=np.float32).tobytes())
    return digest.hexdigest()


def _fields(frames: np.ndarray, quantity: Quantity) -> np.ndarray:
    """The fields `(T, H, W)` whose motion is estimated; missing pixels are 0."""
    low, high = quantity.usual
    scaled = RainLog().forward(frames, quantity) if quantity.precipitation else (frames - low) / (high - low)
    return np.asarray(np.where(np.isfinite(scaled), scaled, 0.0).mean(axis=1))


def estimate_motion(frames: np.ndarray) -> np.ndarray:
    """Estimate the displacement per step `(2, H, W)`, rows then columns, in pixels, from `frames (T, H, W)` without NaN.

    It is zero if there is no information: a single frame, or constant frames.
    """
    height, width = frames.shape[1:]
    if len(frames) < 2 or not np.ptp(frames):
        return np.zeros((2, height, width), dtype=np.float32)
    with ThreadPoolExecutor() as pool:  # filters of SciPy and NumPy leave the interpreter to others
        scales = [frames.astype(np.float32)]
        while min(scales[-1].shape[1:]) >= 2 * COARSEST:
            scales.append(_downsample(scales[-1], pool))
        flow = np.zeros((2, *scales[-1].shape[1:]), dtype=np.float32)
        for scale in reversed(scales):
            flow = _resample_flow(flow, scale.shape[1:])
            if max(scale.shape[1:]) > FINEST and scale is not scales[-1]:
                continue
            for _ in range(ROUNDS):
                flow = _refine(scale, flow, pool)
    return flow


def _refine(frames: np.ndarray, flow: np.ndarray, pool: ThreadPoolExecutor) -> np.ndarray:
    """Refine `flow (2, H, W)` by one iteration of Lucas-Kanade on `frames (T, H, W)`, in the threads of `pool`."""
    height, width = frames.shape[1:]
    pixels, half = pixel_positions(height, width), torch.from_numpy(flow / 2)

    def normal_equations(before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Warp both frames to the midpoint: the normal equations [a b; b c] u = [d e], `(5, H, W)`."""
        earlier = interpolate(torch.from_numpy(before)[None], pixels - half)[0].numpy()
        later = interpolate(torch.from_numpy(after)[None], pixels + half)[0].numpy()
        middle = (earlier + later) / 2
        dy, dx = _slope(middle), _slope(middle.T).T
        change = later - earlier
        return np.stack([dy * dy, dy * dx, dx * dx, -dy * change, -dx * change])

    sums = np.sum(list(pool.map(normal_equations, frames[:-1], frames[1:])), axis=0)
    a, b, c, d, e = _blur(sums, WINDOW, pool, extend=False)
    # Solve in a Gaussian window, with a ridge for uniform areas.
    ridge = 0.02 * float(np.mean(a + c)) + 1e-9
    determinant = (a + ridge) * (c + ridge) - b * b
    step = np.stack([((c + ridge) * d - b * e) / determinant, ((a + ridge) * e - b * d) / determinant])
    # Smooth with the smaller eigenvalue as weight: it measures how well both components are determined (Shi, Tomasi 1994).
    weight = (a + c) / 2 - np.sqrt(((a - c) / 2) ** 2 + b * b) + 1e-3 * ridge
    updated = flow + np.clip(step, -2, 2)
    weighted = np.stack([weight, weight * updated[0], weight * updated[1]])
    smooth, *parts = _blur(weighted, SMOOTHING, pool, extend=True)
    return np.stack([part / smooth for part in parts]).astype(np.float32)


def _slope(field: np.ndarray) -> np.ndarray:
    """The change of `field (H, W)` from row to row by the operator of Sobel, the border mirrored."""
    wide = np.pad(field, 1, mode="symmetric")
    change = wide[2:] - wide[:-2]
    return np.asarray((change[:, :-2] + 2 * change[:, 1:-1] + change[:, 2:]) / 8)


def _blur(fields: np.ndarray, deviation: float, pool: ThreadPoolExecutor, *, extend: bool) -> list[np.ndarray]:
    """Gaussian filters of `fields (N, H, W)` with a standard `deviation` in pixels, cut off at four of them. What lies outside is
    0, or with `extend` the nearest pixel."""
    if has_loops(*map(torch.from_numpy, fields)):
        half = int(4 * deviation + 0.5)
        line = np.exp(-0.5 / deviation**2 * np.arange(-half, half + 1) ** 2)
        return [*filter_fields(fields, line / line.sum(), extend=extend)]
    from scipy import ndimage  # late: slow to import

    mode = "nearest" if extend else "constant"
    return [*pool.map(lambda part: ndimage.gaussian_filter(part, deviation, mode=mode), fields)]


def _downsample(frames: np.ndarray, pool: ThreadPoolExecutor) -> np.ndarray:
    """Halve the resolution of `frames (T, H, W)`."""
    return np.stack([blurred[::2, ::2] for blurred in _blur(frames, 1.0, pool, extend=True)])


def _resample_flow(flow: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Interpolate the flow to the next finer scale, and double its displacements."""
    if flow.shape[1:] == shape:
        return flow
    lines = [torch.linspace(0, old - 1, new) for new, old in zip(shape, flow.shape[1:], strict=True)]
    positions = torch.stack(torch.meshgrid(*lines, indexing="ij"))
    return interpolate(torch.from_numpy(flow), positions).numpy() * 2
