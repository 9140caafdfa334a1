"""KTH actions: Christian Schuldt, Ivan Laptev, Barbara Caputo: "Recognizing Human Actions: A Local SVM Approach", ICPR 2004.

Files: `<action>/person01_<action>_d1_uncomp/image_0001.jpg`, the frames in which the person is seen. Persons 1 to 16 train,
17 to 25 test. Windows are taken from the end of a clip backwards, without a gap in the numbers of their frames: one after
the other for boxing, clapping, waving and walking, every third frame for jogging and running.

Windows are labelled by action, and by the two groups of ModeRNN (2022), section IV-C: motion of the torso or of the hands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from framecast.data.sets.clips import Clip, ClipData, Part, list_files, load_images, windows_from_end
from framecast.types import config

SLOW = ("boxing", "handclapping", "handwaving", "walking")
FAST = ("jogging", "running")
TORSO = ("jogging", "running", "walking")
_PERSON = re.compile(r"person(\d\d)_")
_NUMBER = re.compile(r"image_(\d+)")


@config
class KTH(ClipData):
    """KTH, grey, all six actions."""

    name: Literal["kth"] = "kth"
    size: int = 128
    channels = 1

    def clips(self, part: Part) -> Iterator[Clip]:
        """One clip for each folder of frames."""
        length = self.context + self.horizon
        for action in SLOW + FAST:
            stride = length if action in SLOW else 3
            for folder in list_files(Path(self.path) / action, "person*"):
                person = _PERSON.match(folder.name)
                if person is None or not folder.is_dir() or (int(person[1]) <= 16) != (part == "train"):
                    continue
                matches = [(_NUMBER.match(file.name), file) for file in list_files(folder, "image*")]
                files = {int(name[1]): file for name, file in matches if name is not None}
                windows = windows_from_end(list(files), length, stride)
                labels = {"motion": "torso" if action in TORSO else "hands", "action": action}
                frames = partial(_frames, list(files.values()), self.size)
                yield Clip(f"{action}/{folder.name}", windows, frames, labels=labels)


def _frames(files: Sequence[Path], size: int, numbers: Sequence[int]) -> np.ndarray:
    return load_images([files[number] for number in numbers], size, lambda pixels: pixels[..., :1])
