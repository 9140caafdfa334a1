"""The motion of the contexts of windows, estimated once and kept in a folder of the user.

A file is named by a digest of the frames and of the settings of the estimate, so that an archive that has changed has motions of
its own, and archives that share frames share them. The folder is `$FRAMECAST_CACHE`, else `framecast` in `$XDG_CACHE_HOME` or
`~/.cache`; it can be deleted at any time.
"""

from __future__ import annotations

import io
import os
import threading
from collections import OrderedDict
from collections.abc import Hashable
from contextlib import suppress
from pathlib import Path

import numpy as np

from framecast.data.motion.advection import STRIDE, Motion, motion_of
from framecast.data.motion.optical_flow import RECENT, context_digest, context_motion
from framecast.data.quantities import Quantity
from framecast.errors import RunError
from framecast.writing import write_bytes

_REMEMBERED = 2**28
"""Bytes that are kept in memory."""


def cache_folder() -> Path:
    """The folder of what can be computed again."""
    if own := os.environ.get("FRAMECAST_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "framecast"


class KeptMotions:
    """Motions by the key of a window, such as its source and its number; safe to use from several threads and processes."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = cache_folder() / "motion" if folder is None else folder
        self._memory: OrderedDict[Hashable, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def recall(self, key: Hashable) -> Motion | None:
        """The motion of a window whose motion was asked for before; None if it is not in memory."""
        with self._lock:
            if key not in self._memory:
                return None
            self._memory.move_to_end(key)
            return motion_of(self._memory[key], STRIDE)

    def of(self, key: Hashable, frames: np.ndarray, quantity: Quantity) -> Motion:
        """The motion of the context `frames (T, C, H, W)` of the window `key`: from memory, from the folder, or estimated."""
        known = self.recall(key)
        if known is not None:
            return known
        recent = frames[-RECENT:]
        path = self._folder / f"{context_digest(recent, quantity)}.npy"
        displacement = _read(path)
        if displacement is None:
            displacement = context_motion(recent, quantity)[:, ::STRIDE, ::STRIDE]
            _write(path, displacement)
        with self._lock:
            self._memory[key] = displacement
            while sum(each.nbytes for each in self._memory.values()) > _REMEMBERED and len(self._memory) > 1:
                self._memory.popitem(last=False)
        return motion_of(displacement, STRIDE)


def _read(path: Path) -> np.ndarray | None:
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):  # none, or one that is damaged: it is estimated again
        return None
    valid = values.dtype == np.float32 and values.ndim == 3 and len(values) == 2 and np.isfinite(values).all()
    return np.asarray(values) if valid else None


def _write(path: Path, values: np.ndarray) -> None:
    """Write atomically; a folder that cannot be written to is no error, since all of it can be computed again."""
    content = io.BytesIO()
    np.save(content, np.ascontiguousarray(values, dtype=np.float32))
    with suppress(RunError):
        write_bytes(path, content.getbuffer())
