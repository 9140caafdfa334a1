"""Moving MNIST: generate sequences of handwritten digits that move and bounce. Reads only the digit images.

The rules of Moving MNIST (Srivastava et al. 2015) as the released generators have them (docs/specification.md, section 11): each
digit starts anywhere, at any angle, with a constant speed of 0.1 of the free range per frame (3.6 pixels for digits of
28 in frames of 64). Each frame steps first; a coordinate that leaves [0, 1] is clamped to the wall and its velocity
reversed, without reflecting the overshoot. Positions are truncated to pixels, digits combined by their maximum.
"""

from __future__ import annotations

import gzip
import zlib
from abc import ABC, abstractmethod
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import scipy  # its parts are imported when they are first used

from framecast.checks import Seed, require
from framecast.data.quantities import INTENSITY, Quantity
from framecast.data.readers.options import DEFAULT
from framecast.data.region import Region
from framecast.data.scaling import Unit
from framecast.data.windows.sources import Check, DataSplits, check_lengths, no_actions, no_inputs
from framecast.errors import ConfigError, DataError
from framecast.reading.paths import check_file
from framecast.types import FrameShape, config

SPEED = 0.1
MNIST_DIGIT, MNIST_FRAME = 28, 64
_SPLITS = ("train", "validation", "test")
Split = Literal["train", "validation", "test"]


class DigitSource:
    """Sequence `index` depends on nothing but the digits, `seed`, the split and `index`."""

    quantity: Quantity = INTENSITY
    channels = 1

    def __init__(
        self,
        images: np.ndarray,
        *,
        size: int,
        digits: int,
        context: int,
        horizon: int,
        count: int,
        seed: int,
        split: Split,
    ) -> None:
        if images.shape[-1] >= size:
            raise ConfigError(f"digits of {images.shape[-1]} pixels do not fit in frames of {size}", where="data.size")
        self.images = images
        self.shape = FrameShape(self.channels, size, size, context, horizon)
        self.digits, self.length = digits, context + horizon
        self._count = count
        self._seed = [seed, _SPLITS.index(split)]

    def __len__(self) -> int:
        return self._count

    def size_of(self, index: int) -> tuple[int, int]:
        """Height and width of the frames."""
        return self.shape.height, self.shape.width

    def read(self, index: int, region: Region | None = None) -> np.ndarray:
        """`(T, C, H, W)` float32 between 0 and 1."""
        frames = self._sequence(self._rng(index))
        if region is None:
            return frames
        return frames[..., *region.slices]

    def labels(self, index: int) -> dict[str, str]:
        """The number of digits."""
        return {"digits": str(self._number(self._rng(index)))}

    def _rng(self, index: int) -> np.random.Generator:
        return np.random.default_rng([*self._seed, index])

    def _number(self, rng: np.random.Generator) -> int:
        """The number of digits of a sequence, drawn first."""
        return self.digits

    def _sequence(self, rng: np.random.Generator) -> np.ndarray:
        frames = np.zeros((self.length, 1, self.shape.height, self.shape.width), dtype=np.float32)
        for _ in range(self._number(rng)):
            draw_moving_digit(frames[:, 0], self.images[rng.integers(len(self.images))], rng)
        return frames

    def valid_mask(self, index: int) -> None:
        """None: data everywhere."""

    def actions(self, index: int) -> np.ndarray:
        """No actions: `(T, 0)`."""
        return no_actions(self.length)

    def inputs(self, index: int, region: Region | None = None) -> np.ndarray:
        """No inputs: `(T, 0, H, W)`."""
        return no_inputs(self.length, self.size_of(index), region)

    def init_time(self, index: int) -> int:
        """The number of the sequence."""
        return index

    def block(self, index: int) -> tuple[int, ...]:
        """Every sequence is independent of every other."""
        return (index,)


@config
class DigitData(ABC):
    """Generated digits. `images` is "bundled" or a folder with MNIST's IDX files; `digits` is how many there are. A data set
    states by what it `source_class` them."""

    name: str
    images: str = "bundled"
    size: int = 64
    digits: int = 2
    context: int = 10
    horizon: int = 10
    train: int = 10_000
    validation: int = 100
    test: int = 1_000
    seed: Seed = 0

    def __post_init__(self) -> None:
        check_lengths(self.context, self.horizon)
        if min(self.size, self.digits, self.train) < 1 or min(self.validation, self.test) < 0:
            raise ConfigError("size, digits and train must be at least 1, validation and test at least 0", where="data")

    crop_size = None
    flips = False
    rotations = False
    split = None
    inputs = ()
    reading = DEFAULT

    @property
    @abstractmethod
    def source_class(self) -> type[DigitSource]:
        """The source of its windows."""

    @property
    def description(self) -> str:
        """A description of the data, for reports."""
        return f"{self.name.replace('_', ' ')} ({self.images})"

    def open(self, check: Check = lambda shape: None, frames: object = None) -> DataSplits:
        """The generators of each split. `check` receives the shape of the frames first. Raises `DataError` and
        `ConfigError`, the latter too where `frames` are given."""
        if frames is not None:
            raise ConfigError("digits are generated and take no frames", where="data.name")
        check(FrameShape(self.source_class.channels, self.size, self.size, self.context, self.horizon))
        report = (
            f"{self.train} train, {self.validation} validation, {self.test} test sequences, made from disjoint digits"
        )
        return DataSplits(
            train=self._part("train", self.train),
            validation=self._part("validation", self.validation) if self.validation else None,
            test=self._part("test", self.test) if self.test else None,
            scaling=Unit(),
            step=None,
            report=(report,),
        )

    def _part(self, part: Split, number: int) -> DigitSource:
        return self.source_class(
            digit_images(self.images, part, self.size),
            size=self.size,
            digits=self.digits,
            context=self.context,
            horizon=self.horizon,
            count=number,
            seed=self.seed,
            split=part,
        )


@config
class MovingDigits(DigitData):
    """Moving MNIST."""

    name: Literal["moving_digits"] = "moving_digits"

    @property
    def source_class(self) -> type[DigitSource]:
        """The source of its windows."""
        return DigitSource


def draw_moving_digit(frames: np.ndarray, image: np.ndarray, rng: np.random.Generator) -> None:
    """Let `image (d, d)` move through `frames (T, H, W)`, combined by the maximum."""
    side = image.shape[-1]
    for frame, (top, left) in zip(frames, _path(rng, len(frames), frames.shape[-1] - side), strict=True):
        part = frame[top : top + side, left : left + side]
        np.maximum(part, image, out=part)


def _path(rng: np.random.Generator, length: int, free: int) -> np.ndarray:
    """Top-left corners `(length, 2)` of a digit, in pixels, within a free range of `free` pixels."""
    position = rng.random(2)
    angle = rng.random() * 2 * np.pi
    velocity = SPEED * np.array([np.sin(angle), np.cos(angle)])
    corners = np.empty((length, 2), dtype=np.int64)
    for t in range(length):
        position = position + velocity
        outside = (position <= 0) | (position >= 1)
        position = np.clip(position, 0, 1)
        velocity = np.where(outside, -velocity, velocity)
        corners[t] = free * position
    return corners


def digit_images(where: str, split: Split, size: int) -> np.ndarray:
    """Digit images `(N, d, d)` between 0 and 1 of one split, none of which is in another split.

    `where` is "bundled" (the 1,797 digits of scikit-learn, 8 x 8, enlarged smoothly) or a folder with MNIST's IDX files,
    gzipped or not; in the latter, test digits come from the t10k file and validation digits are the last 10,000 of the training
    file. In frames smaller than 64 the digits shrink alike. Raises `DataError`.
    """
    side = min(MNIST_DIGIT, round(MNIST_DIGIT * size / MNIST_FRAME))
    if where == "bundled":
        return _bundled_digits(split, side)
    images = read_idx(_idx_file(Path(where), "t10k" if split == "test" else "train")).astype(np.float32) / 255
    validation = min(10_000, len(images) // 6)
    if split != "test":
        images = images[:-validation] if split == "train" else images[-validation:]
    return images if images.shape[-1] == side else _resize(images, side)


@cache
def _bundled_digits(split: Split, side: int) -> np.ndarray:
    """The digits of scikit-learn, enlarged once in a process, since that takes a second; not to be written to."""
    require("sklearn", extra="demo", purpose='the handwriting of images="bundled"')
    from sklearn.datasets import load_digits

    # The digits are stored writer by writer: contiguous parts keep most writers apart as well.
    first, last = {"train": (0.0, 0.7), "validation": (0.7, 0.8), "test": (0.8, 1.0)}[split]
    small = load_digits().images.astype(np.float32) / 16
    small = small[round(first * len(small)) : round(last * len(small))]
    images = _resize(np.pad(small, ((0, 0), (1, 1), (1, 1))), MNIST_DIGIT)
    images = images if side == MNIST_DIGIT else _resize(images, side)
    images.setflags(write=False)
    return images


def _resize(images: np.ndarray, side: int) -> np.ndarray:
    zoomed = scipy.ndimage.zoom(
        images, (1, side / images.shape[1], side / images.shape[2]), order=3, grid_mode=True, mode="grid-constant"
    )
    return np.asarray(np.clip(zoomed, 0, 1), dtype=np.float32)


def _idx_file(folder: Path, part: str) -> Path:
    for name in (f"{part}-images-idx3-ubyte.gz", f"{part}-images-idx3-ubyte", f"{part}-images.idx3-ubyte"):
        if (folder / name).is_file():
            return folder / name
    raise DataError(
        f"no {part}-images-idx3-ubyte[.gz] here", where=folder, remedy="point to a folder with MNIST's own IDX files"
    )


def read_idx(path: Path) -> np.ndarray:
    """Images `(N, rows, columns)` uint8 of an IDX file, gzipped or not. Raises `DataError` for anything else."""
    check_file(path)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            header = np.frombuffer(file.read(16), dtype=">u4")
            if len(header) != 4 or header[0] != 0x0803:
                raise DataError("not an IDX file of images", where=path, remedy="expected MNIST's own files")
            count, rows, columns = (int(size) for size in header[1:])
            if count * rows * columns > 2**30:
                raise DataError(f"declares {count} images of {rows} x {columns}: more than 1 GiB", where=path)
            data = file.read(count * rows * columns + 1)  # to the end, where gzip compares its checksum
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"the file is incomplete or unreadable ({error})", where=path, remedy="fetch the file again"
        ) from error
    if len(data) != count * rows * columns:
        size_found = "more" if len(data) > count * rows * columns else len(data) // max(rows * columns, 1)
        raise DataError(f"declares {count} images, holds {size_found}", where=path, remedy="fetch the file again")
    return np.frombuffer(data, dtype=np.uint8).reshape(count, rows, columns)
