"""Human3.6M: Catalin Ionescu, Dragos Papava, Vlad Olaru, Cristian Sminchisescu, "Human3.6M: Large Scale Datasets and
Predictive Methods for 3D Human Sensing in Natural Environments", PAMI 2014.

Files: `S11_Walking_1.54138969_000471.jpg` - subject, scenario, camera, number - in one folder, every fifth frame of the video. A
sequence takes every second of them; windows start every tenth file in training and every fifth in the test. The middle half
of the image in both directions is used. Subjects 1, 5, 6, 7 and 8 train, 9 and 11 test.

Deviation (docs/specification.md, section 11): the papers speak of 17 scenarios, the released loader keeps Walking alone, which is
the default here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Literal

import numpy as np

from framecast.data.sets.clips import Clip, ClipData, Part, list_files, load_images
from framecast.errors import DataError
from framecast.types import config

SUBJECTS = {"train": ("S1", "S5", "S6", "S7", "S8"), "test": ("S9", "S11")}
BETWEEN_STARTS = {"train": 10, "test": 5}
INTERVAL = 2
"""Files from one frame of a sequence to the next."""
FILES_EVERY = 5
"""Frames of the video from one file to the next."""
_NAME = re.compile(r"(S\d+)_([^_.]+).*_(\d+)\.jpg")


@config
class Human36M(ClipData):
    """Human3.6M, colour. `scenarios` are those that are used; all if empty."""

    name: Literal["human36m"] = "human36m"
    size: int = 128
    context: int = 4
    horizon: int = 4
    scenarios: tuple[str, ...] = ("Walking",)

    def clips(self, part: Part) -> Iterator[Clip]:
        """One clip for each video of one camera."""
        span = INTERVAL * (self.context + self.horizon - 1)
        matches = [(_NAME.fullmatch(file.name), file) for file in list_files(Path(self.path), "S*_*.jpg")]
        entries = [(name[1], name[2], file) for name, file in matches if name is not None]
        known = {scenario for _, scenario, _ in entries}
        if known and (missing := [scenario for scenario in self.scenarios if scenario not in known]):
            raise DataError(
                f"no image of {' and '.join(missing)}",
                where=self.path,
                remedy=f"data.scenarios: {', '.join(sorted(known))}",
            )
        scenarios = self.scenarios or known
        files = [file for subject, scenario, file in entries if subject in SUBJECTS[part] and scenario in scenarios]
        # The loader of the papers walks through the sorted files of all videos with one stride, so where the windows of a
        # video begin may follow from the video before it; and it needs one file more than the last window covers.
        next_start = position = 0
        for video, group in groupby(files, key=lambda file: file.name.rsplit("_", 1)[0]):
            clip = list(group)
            numbers = [int(file.stem.rsplit("_", 1)[1]) for file in clip]
            windows = []
            while next_start < position + len(clip):
                first = next_start - position
                if first + span >= len(clip) or next_start + span + 1 >= len(files):
                    next_start = position + len(clip)
                    break
                if numbers[first + span] - numbers[first] == FILES_EVERY * span:
                    windows.append(range(first, first + span + 1, INTERVAL))
                next_start += BETWEEN_STARTS[part]
            position += len(clip)
            scenario = re.split("[_.]", video)[1]
            yield Clip(video, windows, partial(_frames, clip, self.size), labels={"scenario": scenario})


def _frames(files: Sequence[Path], size: int, numbers: Sequence[int]) -> np.ndarray:
    return load_images([files[number] for number in numbers], size, _middle)


def _middle(pixels: np.ndarray) -> np.ndarray:
    """The central half of the height and the width."""
    height, width = pixels.shape[:2]
    return pixels[height // 4 : height - height // 4, width // 4 : width - width // 4]
