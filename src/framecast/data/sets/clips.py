"""Windows of clips: what the benchmark sets have in common."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from framecast.data.lazy import reserve_memory
from framecast.data.quantities import INTENSITY
from framecast.data.readers.options import DEFAULT
from framecast.data.region import Region
from framecast.data.scaling import Unit
from framecast.data.windows.sources import Check, DataSplits, WindowSource, check_lengths, no_actions, no_inputs
from framecast.data.windows.splits import NAMES
from framecast.errors import ConfigError, DataError
from framecast.types import FrameShape, config

Part = Literal["train", "test"]


class Clip(NamedTuple):
    """One clip, not read yet. `frames(numbers)` returns those of its frames as `(T, C, H, W)` float32 between 0 and 1,
    `actions(numbers)` the actions taken then `(T, A)`; `windows` are the numbers of the frames of each of its windows."""

    name: str
    windows: Sequence[Sequence[int]]
    frames: Callable[[Sequence[int]], np.ndarray]
    actions: Callable[[Sequence[int]], np.ndarray] | None = None


class ClipSource:
    """The windows of some clips, one clip after the other. Frames are decoded when they are first used, and kept while there
    is room in `FRAME_CACHE_BYTES`."""

    quantity = INTENSITY

    def __init__(self, clips: Sequence[Clip], shape: FrameShape) -> None:
        self.shape = shape
        self._clips = tuple(clips)
        self._windows = [(number, window) for number, clip in enumerate(clips) for window in clip.windows]
        self._kept: dict[tuple[int, int], np.ndarray] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._windows)

    def size_of(self, index: int) -> tuple[int, int]:
        """Height and width, the same for all."""
        return self.shape.height, self.shape.width

    def read(self, index: int, region: Region | None = None) -> np.ndarray:
        """`(T, C, H, W)` float32 between 0 and 1."""
        number, window = self._windows[index]
        with self._lock:
            found = {frame: self._kept[number, frame] for frame in window if (number, frame) in self._kept}
        missing = [frame for frame in window if frame not in found]
        if missing:
            decoded = dict(zip(missing, self._clips[number].frames(missing), strict=True))
            found |= decoded
            self._keep(number, decoded)
        frames = np.stack([found[frame] for frame in window])
        if region is None:
            return frames
        return frames[..., *region.slices]

    def _keep(self, number: int, frames: dict[int, np.ndarray]) -> None:
        with self._lock:
            for frame, values in frames.items():
                if (number, frame) not in self._kept and reserve_memory(self, values.nbytes):
                    self._kept[number, frame] = values.copy()  # not a view of the whole window

    def valid_mask(self, index: int) -> None:
        """Everywhere."""

    def actions(self, index: int) -> np.ndarray:
        """The actions of a window `(T, A)`; A is 0 where the set has none, or none are asked for."""
        number, window = self._windows[index]
        taken = self._clips[number].actions
        return no_actions(len(window)) if taken is None or not self.shape.actions else taken(window)

    def inputs(self, index: int, region: Region | None = None) -> np.ndarray:
        """Nothing is seen beside clips: `(T, 0, H, W)`."""
        return no_inputs(len(self._windows[index][1]), self.size_of(index), region)

    def init_time(self, index: int) -> int:
        """The number of the window: clips have no clock."""
        return index

    def block(self, index: int) -> tuple[int, ...]:
        """Windows of one clip belong together."""
        return (self._windows[index][0],)


@config
class ClipData(ABC):
    """A folder with clips of pictures. `validation` is the share of the training clips, the last ones, that is held out of
    training; the papers hold out none and look at the test set instead. A set says which `clips` it has."""

    name: str
    path: str
    size: int = 64
    context: int = 10
    horizon: int = 10
    validation: float = 0.0

    def __post_init__(self) -> None:
        check_lengths(self.context, self.horizon)
        if self.size < 1:
            raise ConfigError(f"a size of {self.size} pixels, expected at least 1", where="data.size")
        if not 0 <= self.validation < 1:
            raise ConfigError(f"validation {self.validation} is no share below 1", where="data.validation")

    crop_size = None
    flips = False
    rotations = False
    split = None
    inputs = ()
    reading = DEFAULT
    channels = 3

    @property
    def number_of_actions(self) -> int:
        """How many numbers an action has; 0 where there are none, or none are asked for."""
        return 0

    @property
    def description(self) -> str:
        """What the data are, in words."""
        return f"{self.name} ({self.path})"

    @abstractmethod
    def clips(self, part: Part) -> Iterable[Clip]:
        """The clips of one part, in order."""

    def open(self, check: Check = lambda shape: None, frames: object = None) -> DataSplits:
        """The windows of each part; no frame is read. `check` is handed the shape of the frames first. Raises `DataError`
        and `ConfigError`."""
        if frames is not None:
            raise ConfigError(f"{self.name} is read from its folder and takes no frames", where="data.name")
        shape = FrameShape(self.channels, self.size, self.size, self.context, self.horizon, self.number_of_actions)
        check(shape)
        if not Path(self.path).is_dir():
            raise DataError("no such folder", where=self.path, remedy=f"see `framecast datasets` for {self.name}")
        training, tested = list(self.clips("train")), list(self.clips("test"))
        held_out = round(self.validation * len(training))
        kept = len(training) - held_out
        sources = [_source(clips, shape) for clips in (training[:kept], training[kept:], tested)]
        if not any(sources):
            clips = len(training) + len(tested)
            layout = f"see `framecast datasets` for how the files of {self.name} must lie"
            raise DataError(
                f"no window of {shape.context + shape.horizon} frames in {clips} clips",
                where=self.path,
                remedy=f"shorten the windows (data.context, data.horizon), or {layout}" if clips else layout,
            )
        counts = [f"{len(source or ())} {name}" for name, source in zip(NAMES, sources, strict=True)]
        report = (f"{', '.join(counts)} windows of {len(training)} training and {len(tested)} test clips",)
        train, validation, test = sources
        return DataSplits(
            train, validation, test, scaling=Unit(), step=None, report=report, where=self.path, parts=report[0]
        )


def _source(clips: Sequence[Clip], shape: FrameShape) -> WindowSource | None:
    source = ClipSource(clips, shape)
    return source if len(source) else None


def check_actions(actions: np.ndarray, numbers: Sequence[int], where: Path) -> np.ndarray:
    """The actions `(T, A)` of frames `numbers`. Raises `DataError` where one is not a number."""
    finite = np.isfinite(actions).all(1)
    if not finite.all():
        raise DataError(
            f"the action of frame {numbers[int(np.argmin(finite))]} is not a number",
            where=where,
            remedy="fetch it again",
        )
    return actions


def load_images(files: Sequence[Path], size: int, prepare: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Pictures as `(T, C, size, size)` between 0 and 1. `prepare` takes the pixels `(H, W, 3)` uint8 of one and returns
    what is used of them, `(h, w, C)`. Raises `DataError` for a picture that cannot be read."""
    return np.stack([resize(prepare(decode(file)), size) for file in files])


def decode(file: Path) -> np.ndarray:
    """The pixels `(H, W, 3)` uint8 of a picture. Raises `DataError`."""
    try:
        with Image.open(file, formats=["JPEG", "PNG"]) as picture:
            return np.asarray(picture.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"the picture cannot be read ({error})", where=file, remedy="fetch it again") from error


def resize(pixels: np.ndarray, size: int) -> np.ndarray:
    """`(H, W, C)` of 0 to 255 as `(C, size, size)` of 0 to 1, bilinear between the centres of pixels, not smoothed first."""
    values = torch.from_numpy(np.ascontiguousarray(pixels, dtype=np.float32)).permute(2, 0, 1)[None]
    if values.shape[-2:] != (size, size):
        values = functional.interpolate(values, (size, size), mode="bilinear", align_corners=False)
    return (values[0] / 255).numpy()


def list_files(folder: Path, pattern: str) -> list[Path]:
    """What in `folder` matches, in the order of the names; nothing where there is no such folder."""
    return sorted(folder.glob(pattern)) if folder.is_dir() else []
