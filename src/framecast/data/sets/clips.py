"""Common code of the benchmark sets: windows of clips, read from image files or from arrays of the set."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
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
from framecast.reading.paths import check_file
from framecast.types import FrameShape, config

Part = Literal["train", "test"]


class Clip(NamedTuple):
    """One clip, lazy. `frames(numbers)` reads frames as `(T, C, H, W)` float32 between 0 and 1, `actions(numbers)` their
    actions `(T, A)`; `windows` are the numbers of the frames of each window. `labels` say what is seen, the coarsest first
    (`LabelledSource`)."""

    name: str
    windows: Sequence[Sequence[int]]
    frames: Callable[[Sequence[int]], np.ndarray]
    actions: Callable[[Sequence[int]], np.ndarray] | None = None
    labels: Mapping[str, str] = MappingProxyType({})


class ClipSource:
    """The windows of some clips, one clip after the other. Frames are decoded when they are first used, and kept while there
    is room in `FRAME_CACHE_BYTES`."""

    quantity = INTENSITY

    def __init__(self, clips: Sequence[Clip], shape: FrameShape) -> None:
        self.shape = shape
        self._clips = tuple(clips)
        self._windows = [(number, window) for number, clip in enumerate(clips) for window in clip.windows]
        self._cache: dict[tuple[int, int], np.ndarray] = {}
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
            frames_by_number = {frame: self._cache[number, frame] for frame in window if (number, frame) in self._cache}
        missing = [frame for frame in window if frame not in frames_by_number]
        if missing:
            decoded = dict(zip(missing, self._clips[number].frames(missing), strict=True))
            frames_by_number |= decoded
            self._store(number, decoded)
        frames = np.stack([frames_by_number[frame] for frame in window])
        if region is None:
            return frames
        return frames[..., *region.slices]

    def _store(self, number: int, frames: dict[int, np.ndarray]) -> None:
        with self._lock:
            for frame, values in frames.items():
                if (number, frame) not in self._cache and reserve_memory(self, values.nbytes):
                    self._cache[number, frame] = values.copy()  # not a view of the whole window

    def valid_mask(self, index: int) -> None:
        """None: data everywhere."""

    def actions(self, index: int) -> np.ndarray:
        """The actions of a window `(T, A)`; A is 0 if the set has none, or with `actions=False`."""
        number, window = self._windows[index]
        actions = self._clips[number].actions
        return no_actions(len(window)) if actions is None or not self.shape.actions else actions(window)

    def inputs(self, index: int, region: Region | None = None) -> np.ndarray:
        """No inputs: `(T, 0, H, W)`."""
        return no_inputs(len(self._windows[index][1]), self.size_of(index), region)

    def init_time(self, index: int) -> int:
        """The number of the window: clips have no clock."""
        return index

    def labels(self, index: int) -> Mapping[str, str]:
        """The labels of the clip."""
        return self._clips[self._windows[index][0]].labels

    def block(self, index: int) -> tuple[int, ...]:
        """Windows of one clip belong together."""
        return (self._windows[index][0],)


@config
class ClipData(ABC):
    """A folder with clips of images. `validation` is the share of the training clips, the last ones, that is held out of
    training; the papers hold out none and use the test set instead. A subclass lists its `clips`."""

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
        """The size of an action vector; 0 without actions."""
        return 0

    @property
    def description(self) -> str:
        """A description of the data, for reports."""
        return f"{self.name} ({self.path})"

    @abstractmethod
    def clips(self, part: Part) -> Iterable[Clip]:
        """The clips of one part, in order."""

    def open(self, check: Check = lambda shape: None, frames: object = None) -> DataSplits:
        """The windows of each part; no frame is read. `check` receives the shape of the frames first. Raises `DataError`
        and `ConfigError`."""
        if frames is not None:
            raise ConfigError(f"{self.name} is read from its folder and takes no frames", where="data.name")
        shape = FrameShape(self.channels, self.size, self.size, self.context, self.horizon, self.number_of_actions)
        check(shape)
        if not Path(self.path).is_dir():
            raise DataError("no such folder", where=self.path, remedy=f"see `framecast datasets` for {self.name}")
        training, test_clips = list(self.clips("train")), list(self.clips("test"))
        validation_count = round(self.validation * len(training))
        train_count = len(training) - validation_count
        clips_of = (training[:train_count], training[train_count:], test_clips)
        sources = [_source(clips, shape) for clips in clips_of]
        if not any(sources):
            clips = len(training) + len(test_clips)
            layout = f"see `framecast datasets` for how the files of {self.name} must lie"
            raise DataError(
                f"no window of {shape.context + shape.horizon} frames in {clips} clips",
                where=self.path,
                remedy=f"shorten the windows (data.context, data.horizon), or {layout}" if clips else layout,
            )
        counts = [f"{len(source or ())} {name}" for name, source in zip(NAMES, sources, strict=True)]
        report = (f"{', '.join(counts)} windows of {len(training)} training and {len(test_clips)} test clips",)
        train, validation, test = sources
        return DataSplits(
            train,
            validation,
            test,
            scaling=Unit(),
            step=None,
            report=report,
            clips={name: tuple(clip.name for clip in clips) for name, clips in zip(NAMES, clips_of, strict=True)},
            where=self.path,
            parts=report[0],
        )


def _source(clips: Sequence[Clip], shape: FrameShape) -> WindowSource | None:
    source = ClipSource(clips, shape)
    return source if len(source) else None


def windows_from_end(numbers: Sequence[int], length: int, stride: int) -> list[range]:
    """Windows of frames numbered without a gap, from the last backwards: `stride` frames from one that is taken to the
    next, one frame from a place where there is none."""
    windows, last = [], len(numbers) - 1
    while last >= length - 1:
        first = last - length + 1
        if numbers[last] - numbers[first] == length - 1:
            windows.append(range(first, last + 1))
            last -= stride
        else:
            last -= 1
    return windows


def check_actions(actions: np.ndarray, numbers: Sequence[int], where: Path) -> np.ndarray:
    """The actions `(T, A)` of frames `numbers`. Raises `DataError` if one is not finite."""
    finite = np.isfinite(actions).all(1)
    if not finite.all():
        raise DataError(
            f"the action of frame {numbers[int(np.argmin(finite))]} is not a number",
            where=where,
            remedy="fetch it again",
        )
    return actions


def load_images(files: Sequence[Path], size: int, prepare: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Images as `(T, C, size, size)` between 0 and 1. `prepare` maps the pixels `(H, W, 3)` uint8 of one to those that are
    used, `(h, w, C)`. Raises `DataError` for an image that cannot be read."""
    return np.stack([resize(prepare(decode(file)), size) for file in files])


def decode(file: Path) -> np.ndarray:
    """The pixels `(H, W, 3)` uint8 of an image. Raises `DataError`."""
    try:
        with Image.open(check_file(file), formats=["JPEG", "PNG"]) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"the image cannot be read ({error})", where=file, remedy="fetch it again") from error


def resize(pixels: np.ndarray, size: int) -> np.ndarray:
    """`(H, W, C)` of 0 to 255 as `(C, size, size)` of 0 to 1, bilinear between the centres of pixels, not smoothed first."""
    values = torch.from_numpy(np.ascontiguousarray(pixels, dtype=np.float32)).permute(2, 0, 1)[None]
    if values.shape[-2:] != (size, size):
        values = functional.interpolate(values, (size, size), mode="bilinear", align_corners=False)
    return (values[0] / 255).numpy()


def list_files(folder: Path, pattern: str) -> list[Path]:
    """The entries of `folder` that match `pattern`, sorted by name; empty if the folder does not exist."""
    return sorted(folder.glob(pattern)) if folder.is_dir() else []
