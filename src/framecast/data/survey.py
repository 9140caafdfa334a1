"""What one pass over the frames finds. A piece of the archive at a time is in memory, whatever its length."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import accumulate, pairwise

import numpy as np
import xarray as xr

from framecast.data.frames import stamp
from framecast.data.quantities import Quantity, of
from framecast.data.readers.pieces import pieces

WET = {"rain_rate": 0.1, "reflectivity": 15.0}
"""From which value on a pixel counts as wet, in the unit of the quantity."""


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
    """Pixels that were infinite or below what the quantity can be, and count as missing."""
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
    _last: dict[int, bytes] = field(default_factory=dict)
    _seen: set[bytes] = field(default_factory=set)

    @property
    def observed(self) -> int:
        """Pixels with data."""
        return self.pixels - self.missing

    def add(self, frame: np.ndarray, label: str, sequence: int) -> None:
        """Count one frame `(C, H, W)`. Frames that show one value only (dry ones) may be alike."""
        seen = frame.size - int(np.isnan(frame).sum())
        self.pixels += frame.size
        self.missing += frame.size - seen
        digest = b""
        if seen:
            low, high = float(np.fmin.reduce(frame, axis=None)), float(np.fmax.reduce(frame, axis=None))
            self.lowest, self.highest = min(self.lowest, low), max(self.highest, high)
            self.dry += int((frame == np.float32(self.quantity.dry)).sum())
            wet = int((frame >= WET.get(self.quantity.name, np.inf)).sum())
            self.wet += wet
            self.driest, self.wettest = min(self.driest, wet / seen), max(self.wettest, wet / seen)
            if low < high:
                digest = blake2b(np.ascontiguousarray(frame).data, digest_size=16).digest()
        else:
            self.empty.append(label)
        if digest and digest == self._last.get(sequence):
            self.stuck.append(label)
        elif digest in self._seen:
            self.repeated.append(label)
        self._last[sequence] = digest
        self._seen |= {digest} - {b""}


def survey(frames: xr.DataArray) -> tuple[Survey, xr.DataArray]:
    """Look at every frame once: what was found, and the share of pixels with data `([sequence,] time)` as
    `windows.coverage` gives it."""
    clips = "sequence" in frames.dims
    frames = frames if clips else frames.expand_dims("sequence")
    sizes = {str(dim): size for dim, size in frames.sizes.items()}
    frames = frames if frames.chunks is not None else frames.chunk(pieces(sizes))
    found, shares = Survey(of(frames)), []
    for some in _spans(frames, "sequence"):
        row = []
        for times in _spans(frames, "time"):
            piece = frames.isel(sequence=some, time=times).compute()
            row.append(piece.notnull().mean(("channel", "y", "x")))
            found.infinite += int(piece["infinite"].sum()) if "infinite" in piece.coords else 0
            found.below += int(piece["below"].sum()) if "below" in piece.coords else 0
            labels = [stamp(time) for time in piece["time"].values]
            for i, j in np.ndindex(piece.shape[:2]):
                number = some.start + i
                found.add(piece.values[i, j], f"sequence {number}, {labels[j]}" if clips else labels[j], number)
        shares.append(_concat(row, "time"))
    covered = _concat(shares, "sequence")
    return found, covered if clips else covered.isel(sequence=0, drop=True)


def _spans(frames: xr.DataArray, dim: str) -> list[slice]:
    """The pieces of an archive along a dimension, as they are stored."""
    return [slice(*ends) for ends in pairwise(accumulate(frames.chunksizes[dim], initial=0))]


def _concat(parts: list[xr.DataArray], dim: str) -> xr.DataArray:
    return xr.concat(parts, dim, coords="minimal", compat="override", join="override", combine_attrs="override")
