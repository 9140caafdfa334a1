"""TaxiBJ: Junbo Zhang, Yu Zheng, Dekang Qi: "Deep Spatio-Temporal Residual Networks for Citywide Crowd Flows Prediction",
AAAI 2017, as the benchmarks of video prediction use it.

File: `dataset.npz` with `X_train`, `Y_train`, `X_test` and `Y_test`, each `(N, 4, 2, 32, 32)` between -1 and 1: inflow and
outflow of taxis in 32 x 32 cells of Beijing, four half hours in and the four after them. Here between 0 and 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal

import numpy as np

from framecast.data.readers.numpy_files import arrays_of
from framecast.data.sets.clips import Clip, ClipData, Part
from framecast.errors import ConfigError, DataError
from framecast.types import config

SIDE, STEPS = 32, 4
LARGEST = 2
"""The test may lie a little outside -1 to 1, which is the range of the training; a count of taxis lies far outside."""


@config
class TaxiBJ(ClipData):
    """Flows of taxis: two channels, 32 x 32, 4 frames in and up to 4 out."""

    name: Literal["taxibj"] = "taxibj"
    size: int = SIDE
    context: int = STEPS
    horizon: int = STEPS

    channels = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size != SIDE or self.context > STEPS or self.horizon > STEPS:
            raise ConfigError(f"TaxiBJ has {STEPS} + {STEPS} frames of {SIDE} x {SIDE}", where="data")

    def clips(self, part: Part) -> Iterator[Clip]:
        """One clip for each window that the set has."""
        file = Path(self.path) / "dataset.npz"
        window = range(STEPS - self.context, STEPS + self.horizon)
        for number in range(len(_windows(file, part))):
            yield Clip(f"{part} {number}", [window], partial(_frames, file, part, number))


@lru_cache(maxsize=4)
def _windows(file: Path, part: Part) -> np.ndarray:
    """All windows of a part `(N, 8, 2, 32, 32)`."""
    if not file.is_file():
        raise DataError("no such file", where=file, remedy="see `framecast datasets` for taxibj")
    past, future = arrays_of(file, (f"X_{part}", f"Y_{part}"), limit=4 * 2**30)
    expected = (STEPS, 2, SIDE, SIDE)
    if past.shape[1:] != expected or future.shape != past.shape:
        raise DataError(f"arrays of shape {past.shape} and {future.shape}, expected (N, 4, 2, 32, 32)", where=file)
    flows = np.concatenate([past, future], axis=1).astype(np.float32)
    if flows.size and not (np.abs(flows) <= LARGEST).all():
        raise DataError(
            f"values from {flows.min():g} to {flows.max():g} in X_{part} and Y_{part}, expected about -1 to 1",
            where=file,
            remedy="divide the flows by half of the largest one, and take 1 away",
        )
    return flows


def _frames(file: Path, part: Part, number: int, frames: Sequence[int]) -> np.ndarray:
    return np.asarray((_windows(file, part)[number][list(frames)] + 1) / 2)
