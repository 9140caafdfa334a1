"""RoboNet: Sudeep Dasari et al.: "RoboNet: Large-Scale Multi-Robot Learning", CoRL 2019, as in the ModeRNN paper.

Files: `<environment>_..._traj<number>.hdf5`, one trajectory each, in one folder or below it, with `env/cam0_video` as
images (`frame0`, `frame1`, ... JPEG) or as one video (`frames`, MP4, which needs PyAV), and `policy/actions`. Of each
environment the first 2,500 trajectories train and the next 2,000 test, as in the loader of the ModeRNN paper, or with
`random_test` as in its text: so many of all are drawn for the test, the others train. Windows are taken from the end of a
trajectory backwards, every third frame in training and one after the other in the test.

Deviations (docs/specification.md, section 11): the loader of the ModeRNN paper reads images that were reduced before, by code
that is not released; here they are reduced to `size` bilinearly, smoothed first. It lists four environments and then reads
three of them, `environments` here. Actions, for which no loader is released, are those of the file; where a robot has fewer
numbers than `action_size`, the rest are 0, as in RoboNet's own loader. The paper does not print its draw: here it is of the
trajectories whose names have the smallest hashes.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal

import h5py
import numpy as np
from PIL import Image

from framecast.checks import require
from framecast.data.readers.hdf5 import check_dataset, open_hdf5
from framecast.data.sets.clips import Clip, ClipData, Part, check_actions, windows_from_end
from framecast.errors import ConfigError, DataError, counted
from framecast.types import config

TRAINING, TEST = 2_500, 2_000
BETWEEN_STARTS = 3
FORM = "a trajectory of RoboNet"
_TRAJECTORY = re.compile(r"traj[_-]?(\d+)")


@config
class RoboNet(ClipData):
    """RoboNet, colour, the first camera. With `actions` every frame has its action. `test` is the number of trajectories of each
    environment, after those of training, that are the test. With `random_test` the test is instead that number of trajectories
    of all environments together, drawn by their names and `seed`, and all others train."""

    name: Literal["robonet"] = "robonet"
    context: int = 5
    environments: tuple[str, ...] = ("berkeley", "penn", "stanford")
    actions: bool = False
    action_size: int = 5
    test: int = TEST
    random_test: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.random_test is not None and self.random_test < 1:
            raise ConfigError(f"{self.random_test} trajectories, expected 1 or more", where="data.random_test")

    @property
    def number_of_actions(self) -> int:
        """`action_size`, or 0 without `actions`."""
        return self.action_size if self.actions else 0

    def clips(self, part: Part) -> Iterator[Clip]:
        """One clip for each trajectory."""
        length = self.context + self.horizon
        files_of = {name: sorted(Path(self.path).rglob(f"{name}*.hdf5"), key=_number) for name in self.environments}
        if any(files_of.values()) and (missing := [name for name, files in files_of.items() if not files]):
            raise DataError(
                f"no trajectory of {' and '.join(missing)}",
                where=self.path,
                remedy=f"data.environments=[{','.join(name for name, files in files_of.items() if files)}]",
            )
        stride = BETWEEN_STARTS if part == "train" else length
        for environment, files in self._split(files_of, part).items():
            for file in files:
                count = self._count(file)
                windows = windows_from_end(range(count), length, stride)
                frames = partial(_frames, file, self.size)
                labels = {"environment": environment}
                yield Clip(file.stem, windows, frames, partial(_actions, file, self.action_size), labels)

    def _split(self, files_of: Mapping[str, Sequence[Path]], part: Part) -> dict[str, Sequence[Path]]:
        """The files of a part by environment. Raises `DataError` if the draw leaves none for training."""
        if self.random_test is None:
            own = slice(TRAINING) if part == "train" else slice(TRAINING, TRAINING + self.test)
            return {name: files[own] for name, files in files_of.items()}
        every = [file for files in files_of.values() for file in files]
        if 0 < len(every) <= self.random_test:
            raise DataError(
                f"{counted(len(every), 'trajectory', 'trajectories')}, of which {self.random_test} are to be the test",
                where=self.path,
                remedy=f"data.random_test={len(every) // 2 or 1}",
            )
        drawn = set(sorted(every, key=self._rank)[: self.random_test])
        return {
            name: [file for file in files if (file in drawn) == (part == "test")] for name, files in files_of.items()
        }

    def _rank(self, file: Path) -> tuple[bytes, Path]:
        """The place of a trajectory in the draw, of its name alone: others that are present do not change their order."""
        return hashlib.sha256(f"{self.seed} {file.stem}".encode()).digest(), file

    def _count(self, file: Path) -> int:
        """How many frames have an action or follow one. Raises `ConfigError` for actions of more numbers than are asked for."""
        count, numbers = _sizes(file)
        if numbers > self.number_of_actions and self.actions:
            raise ConfigError(
                f"{file.name} has actions of {numbers} numbers, more than {self.action_size}",
                where="data.action_size",
                remedy=f"data.action_size={numbers}",
            )
        return count


def _number(file: Path) -> tuple[int, str]:
    files_of = _TRAJECTORY.search(file.stem)
    return (int(files_of[1]) if files_of else 0), file.name


def _camera(content: h5py.File, file: Path) -> h5py.Group:
    camera = content.get("env/cam0_video")
    if not isinstance(camera, h5py.Group):
        raise DataError("no env/cam0_video, so no trajectory of RoboNet", where=file)
    return camera


@lru_cache(maxsize=200_000)
def _sizes(file: Path) -> tuple[int, int]:
    """How many frames have an action or follow one, and how many numbers an action has. Raises `DataError`."""
    with open_hdf5(file, FORM) as content:
        camera = _camera(content, file)
        frames = int(camera["frames"].attrs["T"]) if "frames" in camera else len(camera)
        actions = content.get("policy/actions")
        if not isinstance(actions, h5py.Dataset) or actions.ndim != 2 or actions.dtype.kind not in "fiu":
            raise DataError("no policy/actions of numbers (T, A), so no trajectory of RoboNet", where=file)
        check_dataset(actions, file)
        return min(frames, len(actions) + 1), actions.shape[1]


def _frames(file: Path, size: int, numbers: Sequence[int]) -> np.ndarray:
    with open_hdf5(file, FORM) as content:
        camera = _camera(content, file)
        if "frames" in camera:
            first = camera["frames"]
            pixels = _decode_video(_bytes(first, file), numbers, file)
        else:
            stored = [camera[f"frame{number}"] for number in numbers]
            first = stored[0]
            pixels = [
                _decode_image(_bytes(image, file), number, file) for image, number in zip(stored, numbers, strict=True)
            ]
        is_bgr = first.attrs.get("image_format", "RGB") in ("BGR", b"BGR")
    frames = [np.asarray(image.resize((size, size), Image.Resampling.BILINEAR)) for image in pixels]
    values = np.stack(frames).astype(np.float32) / 255
    return np.ascontiguousarray((values[..., ::-1] if is_bgr else values).transpose(0, 3, 1, 2))


def _bytes(stored: h5py.Dataset, file: Path) -> bytes:
    check_dataset(stored, file)
    content: bytes = stored[:].tobytes()
    return content


def _decode_image(content: bytes, number: int, file: Path) -> Image.Image:
    try:
        with Image.open(io.BytesIO(content), formats=["JPEG", "PNG"]) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"frame {number} is no complete image", where=file, remedy="fetch it again") from error


def _decode_video(content: bytes, numbers: Sequence[int], file: Path) -> list[Image.Image]:
    """The frames of a video in memory."""
    require("av", extra="video", purpose="video", where=file)
    import av

    remaining, last = set(numbers), max(numbers)
    files_of: dict[int, Image.Image] = {}
    try:
        with av.open(io.BytesIO(content), mode="r") as video:
            for number, frame in enumerate(video.decode(video=0)):
                if number in remaining:
                    files_of[number] = Image.fromarray(frame.to_ndarray(format="rgb24"))
                if number >= last:
                    break
    except av.FFmpegError as error:
        raise DataError(f"the video cannot be decoded ({error})", where=file, remedy="fetch it again") from error
    if missing := remaining - set(files_of):
        raise DataError(f"the video ends before frame {min(missing)}", where=file, remedy="fetch it again")
    return [files_of[number] for number in numbers]


def _actions(file: Path, size: int, numbers: Sequence[int]) -> np.ndarray:
    """`(T, size)`; the last frame of a trajectory has no action, which is 0."""
    with open_hdf5(file, FORM) as content:
        actions = np.asarray(content["policy/actions"], dtype=np.float32)
    padded = np.zeros((max(numbers) + 1, size), dtype=np.float32)
    values_known = actions[: len(padded)]
    padded[: len(values_known), : values_known.shape[1]] = values_known
    return check_actions(padded[list(numbers)], numbers, file)
