"""Survey an archive in one pass over its frames: counts of pixels, and frames that deserve a look.

One piece of the archive at a time is in memory, whatever its length.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np
import xarray as xr

from framecast.data.chunking import chunk_lengths, spans
from framecast.data.coverage import coverage
from framecast.data.frames import stamp
from framecast.data.quantities import Quantity, quantity_of

_SAMPLE = 2**16
"""Pixels of a frame, evenly sampled, that are counted in the bins."""
_CELLS = 16
"""Side, in cells, of the thumbnail by which frames are compared."""
NEIGHBOURS = 20
"""Distance in frames within which nearly equal ones are expected: clouds and cameras may stand still."""
FrameIndex = tuple[int, int]
"""A frame by its sequence and its number in time."""


@dataclass
class Survey:
    """Counts of pixels, and the frames that deserve a look, by name."""

    quantity: Quantity
    pixels: int = 0
    missing: int = 0
    wet: int = 0
    dry: int = 0
    """Pixels that hold exactly the dry value."""
    infinite: int = 0
    below: int = 0
    outside: int = 0
    """Pixels that were infinite, below what the quantity can be, or outside of the valid range of the file; they count as
    missing."""
    lowest: float = np.inf
    highest: float = -np.inf
    driest: float = 1.0
    wettest: float = 0.0
    """Share of wet pixels among the observed ones, in the frame that has least and in the one that has most."""
    empty: list[str] = field(default_factory=list)
    """Frames without any data."""
    stuck: list[str] = field(default_factory=list)
    """Frames equal to the one before."""
    repeated: list[str] = field(default_factory=list)
    """Frames equal to an earlier one that is not the one before."""
    alike: list[str] = field(default_factory=list)
    """Frames nearly equal to an earlier one at least `NEIGHBOURS` frames away: the same thumbnail, whatever the size,
    brightness or compression."""
    pairs: list[tuple[FrameIndex, FrameIndex]] = field(default_factory=list)
    """Of the frames in `repeated` and `alike`: the earlier one and this one."""
    histogram: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """How many of a sample of the observed pixels lie in each of the bins of the quantity."""
    wet_shares: list[float] = field(default_factory=list)
    """Of each frame, the share of wet pixels among the observed ones; NaN where there are none."""
    data_counts: np.ndarray | None = None
    """How many frames have data at each pixel `(H, W)`."""
    wettest_frame: np.ndarray | None = None
    """`(C, H, W)`: the frame with the most wet pixels, the one with the highest mean where nothing is ever wet."""
    wettest_label: str = ""
    """Its time, or its number."""
    _wettest_rank: tuple[int, float] = (-1, 0.0)
    _previous: dict[int, bytes] = field(default_factory=dict)
    _first_places: dict[bytes, FrameIndex] = field(default_factory=dict)

    @property
    def observed(self) -> int:
        """Pixels with data."""
        return self.pixels - self.missing

    def add(self, frame: np.ndarray, label: str, index: FrameIndex) -> None:
        """Count one frame `(C, H, W)`. Frames of a single value (dry ones) are not compared."""
        sequence = index[0]
        valid = np.isfinite(frame).all(axis=0)
        self.data_counts = valid.astype(np.int64) if self.data_counts is None else self.data_counts + valid
        observed = frame.size - int(np.isnan(frame).sum())
        self.pixels += frame.size
        self.missing += frame.size - observed
        digest = b""
        if observed:
            low, high = float(np.fmin.reduce(frame, axis=None)), float(np.fmax.reduce(frame, axis=None))
            self.lowest, self.highest = min(self.lowest, low), max(self.highest, high)
            self.dry += int((frame == np.float32(self.quantity.dry)).sum())
            wet = int((frame >= self.quantity.wet).sum())
            self.wet += wet
            self.driest, self.wettest = min(self.driest, wet / observed), max(self.wettest, wet / observed)
            self.wet_shares.append(wet / observed)
            self._count(frame)
            if (rank := (wet, float(np.nanmean(frame)))) > self._wettest_rank:
                self._wettest_rank, self.wettest_frame, self.wettest_label = rank, frame.copy(), label
            if low < high:
                digest = blake2b(np.ascontiguousarray(frame).data, digest_size=16).digest()
        else:
            self.empty.append(label)
            self.wet_shares.append(np.nan)
        if digest and digest == self._previous.get(sequence):
            self.stuck.append(label)
        elif digest:
            self._compare(digest, _small(frame), label, index)
        self._previous[sequence] = digest

    def _count(self, frame: np.ndarray) -> None:
        """Count the values in their bins."""
        edges = np.array(self.quantity.bins.edges)
        values = frame.ravel()[:: max(frame.size // _SAMPLE, 1)]
        values = values[np.isfinite(values)]
        if self.quantity.bins.logarithmic:
            values, edges = np.log10(values[values >= edges[0]]), np.log10(edges)
        counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), bins=edges)
        self.histogram = counts if not self.histogram.size else self.histogram + counts

    def _compare(self, digest: bytes, small: bytes, label: str, index: FrameIndex) -> None:
        """Compare a frame with the earlier ones: equal, or nearly equal."""
        if (earlier := self._first_places.get(digest)) is not None:
            self.repeated.append(label)
            self.pairs.append((earlier, index))
        elif (earlier := self._first_places.get(small)) is not None and (
            earlier[0] != index[0] or index[1] - earlier[1] >= NEIGHBOURS
        ):
            self.alike.append(label)
            self.pairs.append((earlier, index))
        self._first_places.setdefault(digest, index)
        if small:
            self._first_places.setdefault(small, index)

    def quantile(self, share: float) -> float:
        """The value below which `share` of the counted pixels lie, as far as the bins tell; NaN where none were counted."""
        if not self.histogram.sum():
            return np.nan
        index = int(np.searchsorted(np.cumsum(self.histogram), share * self.histogram.sum()))
        return self.quantity.bins.edges[index]


def _small(frame: np.ndarray) -> bytes:
    """A fingerprint that nearly equal frames share: means of 16 x 16 cells, in half standard deviations, no data as the
    mean; empty where the frame is too small or shows nothing."""
    height, width = (side // _CELLS * _CELLS for side in frame.shape[-2:])
    if not height or not width:
        return b""
    first = frame[0, :height, :width]
    values = np.where(np.isfinite(first), first, np.nanmean(frame[0]))
    cells = values.reshape(_CELLS, height // _CELLS, _CELLS, width // _CELLS).mean((1, 3))
    spread = float(cells.std())
    if not np.isfinite(spread) or spread < 1e-6 * max(abs(float(cells.mean())), 1e-6):
        return b""
    return bytes(b"small" + np.rint((cells - cells.mean()) / spread * 2).astype(np.int8).tobytes())


def survey(frames: xr.DataArray) -> tuple[Survey, xr.DataArray]:
    """Survey every frame once: the counts, and the share of pixels with data `([sequence,] time)` as
    `coverage.coverage` gives it."""
    clips = "sequence" in frames.dims
    frames = frames if clips else frames.expand_dims("sequence")
    sizes = {str(dim): size for dim, size in frames.sizes.items()}
    frames = frames if frames.chunks is not None else frames.chunk(chunk_lengths(sizes))
    counts, shares = Survey(quantity_of(frames)), []
    for sequences in spans(frames.chunksizes["sequence"]):
        row = []
        for times in spans(frames.chunksizes["time"]):
            piece = frames.isel(sequence=sequences, time=times).compute()
            row.append(coverage(piece))
            counts.infinite += int(row[-1]["infinite"].sum())
            counts.below += int(row[-1]["below"].sum())
            counts.outside += int(row[-1]["outside"].sum())
            labels = [stamp(time) for time in piece["time"].values]
            for i, j in np.ndindex(piece.shape[:2]):
                number = sequences.start + i
                label = f"sequence {number}, {labels[j]}" if clips else labels[j]
                counts.add(piece.values[i, j], label, (number, times.start + j))
        shares.append(_concat(row, "time"))
    shares_of_all = _concat(shares, "sequence")
    return counts, shares_of_all if clips else shares_of_all.isel(sequence=0, drop=True)


def _concat(parts: list[xr.DataArray], dim: str) -> xr.DataArray:
    return xr.concat(parts, dim, coords="minimal", compat="override", join="override", combine_attrs="override")
