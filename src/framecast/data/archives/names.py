"""The numbers of frames in the names of files that hold no time: `frame_000.png`.

Names with a time that is not clear are refused, and numbers that contradict the dates before them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from framecast.data.readers.file_names import WHOLE_DATE, why_unclear
from framecast.errors import DataError

_REMEDY = "name the files by date and time in UTC: rain_20200101_1205.png"
_HOUR = re.compile(r"[-_ .]?(?:[01]\d|2[0-3])h?(?![A-Za-z\d])")
"""What follows a date and may be an hour, or the number of a frame."""


def frame_number(file: Path) -> int:
    """The number of a frame in its file's name, the last one. Raises `DataError` where there is none, and for a name with a time
    that is not clear."""
    if (why := why_unclear(file.stem)) is not None:
        raise DataError(
            f"the name holds a time that is not clear ({why}), and the file states none", where=file, remedy=_REMEDY
        )
    numbers = re.findall(r"\d+", file.stem)
    if not numbers:
        raise DataError(
            "a single frame whose name holds neither a date and time nor a number",
            where=file,
            remedy="name the files in the order of time: frame_000.png, frame_001.png, ...",
        )
    return int(numbers[-1])


def check_numbers(files: Sequence[Path]) -> None:
    """Raise `DataError` if the names of frames hold dates, and their numbers are in another order, or may be hours of several
    days."""
    dates = [(file, match) for file in files if (match := WHOLE_DATE.search(file.stem))]
    if len(dates) < len(files):
        return
    parts = {file: [int(part) for part in re.findall(r"\d+", file.stem[date.start() :])] for file, date in dates}
    for earlier, later in pairwise(sorted(files, key=parts.__getitem__)):
        if parts[later][-1] < parts[earlier][-1]:
            raise DataError(
                f"frame number {parts[later][-1]} by its name, and {earlier.name} has {parts[earlier][-1]}: "
                "the order of the numbers is not that of the dates and numbers before them",
                where=later,
                remedy=_REMEDY,
            )
    days = {date[0] for _, date in dates}
    if len(days) > 1 and all(_HOUR.match(file.stem, date.end()) for file, date in dates):
        raise DataError(
            f"after the date, which is one of {len(days)}, the name holds an hour or the number of a frame: which is not clear",
            where=files[0],
            remedy=_REMEDY,
        )


def natural_key(file: Path) -> list[tuple[int, str]]:
    """frame_2 before frame_10."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", str(file))]
