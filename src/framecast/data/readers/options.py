"""What the person who opens frames may state, what a reader is, and how it says that a file cannot be read."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from numbers import Integral
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import xarray as xr

from framecast.checks import positive
from framecast.errors import DataError


@dataclass(frozen=True)
class Options:
    """`units`, `time_step` (minutes) and `variable` where the files do not say; `dry` where it is not the usual value.

    Of pictures and video: `grey` instead of colours, another `size` (height, width), and of video fewer frames a second
    (`frame_rate`). `by_name`: many files are listed by the times in their names; where None, more than 1,000 are.
    Raises `DataError` for a `time_step`, `size` or `frame_rate` not above 0, a `dry` that is no number, and a `grey` or `by_name`
    that is neither true nor false."""

    units: str | None = None
    time_step: float | None = None
    variable: str | None = None
    dry: float | None = None
    grey: bool = False
    size: tuple[int, int] | None = None
    frame_rate: float | None = None
    by_name: bool | None = None

    def __post_init__(self) -> None:
        if self.time_step is not None and not positive(self.time_step):
            raise DataError(f"a time step of {self.time_step!r} minutes", remedy="a number greater than 0")
        if self.size is not None and not _two_sides(self.size):
            raise DataError(f"a size of {self.size!r}", remedy="height and width, both greater than 0: (64, 64)")
        if self.frame_rate is not None and not positive(self.frame_rate):
            raise DataError(f"{self.frame_rate!r} frames a second", remedy="a number greater than 0")
        if not isinstance(self.dry, int | float | np.number | None):
            raise DataError(f"a dry value of {self.dry!r}", remedy="a number")
        for name, value in {"grey": self.grey, "by_name": self.by_name}.items():
            if not isinstance(value, bool | None):
                raise DataError(f"{name} {value!r}", remedy="true or false")

    @property
    def stated(self) -> dict[str, Any]:
        """What is stated, by name."""
        return {each.name: value for each in fields(self) if (value := getattr(self, each.name)) != each.default}

    def over(self, other: Options) -> Options:
        """What is stated here, and where nothing is, what `other` states."""
        return replace(other, **self.stated)


def _two_sides(value: Any) -> bool:
    """Whether it is a height and a width."""
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(isinstance(k, Integral) and int(k) > 0 for k in value)
    )


AS_IT_IS = Options()
"""Nothing stated."""


class Reader(Protocol):
    """One format. A module with these three names is a reader."""

    RECOGNISES: list[str]
    """What it recognises, for messages."""

    def recognises(self, path: Path, /) -> bool:
        """Whether `path` is for this reader: by content where the format has a signature."""
        ...

    def read(self, path: Path, options: Options, /) -> xr.DataArray:
        """The frames in `path`, lazy, values as measured and nothing masked but what the format calls missing, dims out
        of `(sequence, time, channel, y, x)` in any order, with the coordinates that the file has.

        Attributes: `units` of the values; where they apply `grid_mapping`, `long_name`, `standard_name`, `dry` (the
        format's own value for "observed, and nothing there") and `repairs` (what was changed, in words). Raises
        `DataError`, and `Unreadable` where the file is damaged.
        """
        ...
