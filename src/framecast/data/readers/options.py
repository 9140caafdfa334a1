"""Reading options (`ReadOptions`) and the interface of a reader (`Reader`). This module reads no file."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from framecast.checks import check_values, describe, is_positive
from framecast.errors import ArgumentError, shown

if TYPE_CHECKING:
    import xarray as xr


LEAST_STEP, LONGEST_STEP = 1e-6, 10_000_000
"""Minutes between frames, and frames a second: the longest step is twenty years."""


@dataclass(frozen=True, kw_only=True, repr=False)
class ReadOptions:
    """Options of reading, with the help text of each. This is their only definition: `open`, `inspect`, `convert`,
    `ArchiveData` and the command line derive theirs from it.

    Raises `ArgumentError` for a `time_step`, `size` or `frame_rate` not above 0, a `dry` that is no finite number, a `grey` or
    `by_name` that is neither true nor false, and `units` or a `variable` that is no text."""

    units: Annotated[str | None, "Units of the values, where the files do not say."] = None
    time_step: Annotated[float | None, "Minutes between frames, where the files do not say."] = None
    variable: Annotated[str | None, "Which variable to read, where a file holds several."] = None
    dry: Annotated[float | None, "The value that means dry, where it is not the usual one (0, or -32 dBZ)."] = None
    grey: Annotated[bool, "Of images and video: without colours."] = False
    size: Annotated[tuple[int, int] | None, "Of images and video: another height and width."] = None
    frame_rate: Annotated[float | None, "Of video: so many frames a second."] = None
    by_name: Annotated[
        bool | None,
        "Of many files open three and trust the names of the others; by default of more than 1,000, but not to convert them.",
    ] = None
    like: Annotated[str | None, "Of files on several grids: read those on the grid of this file."] = None

    def __post_init__(self) -> None:
        for name in ("time_step", "frame_rate"):
            value = getattr(self, name)
            if value is not None and not (is_positive(value) and LEAST_STEP <= value <= LONGEST_STEP):
                raise ArgumentError(
                    f"{describe(value)} given, expected a number above 0, up to {LONGEST_STEP:,}", parameter=name
                )
        if self.size is not None and not _is_size(self.size):
            raise ArgumentError(
                f"{shown(self.size)} given, expected height and width, from 1 to {LARGEST_SIDE:,}",
                parameter="size",
                example=(64, 64),
            )
        if not isinstance(self.dry, Real | None):
            raise ArgumentError(f"{describe(self.dry)} given, expected a number", parameter="dry")
        for name in ("units", "variable", "like"):
            if not isinstance(getattr(self, name), str | None):
                raise ArgumentError(f"{describe(getattr(self, name))} given, expected text", parameter=name)
        for name in ("grey", "by_name"):
            if not isinstance(getattr(self, name), bool | None):
                raise ArgumentError(f"{describe(getattr(self, name))} given, expected true or false", parameter=name)
        check_values(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.stated.items())})"

    @property
    def stated(self) -> dict[str, Any]:
        """The options that differ from their defaults, by name."""
        return {each.name: value for each in fields(ReadOptions) if (value := getattr(self, each.name)) != each.default}

    def with_defaults(self, other: ReadOptions) -> ReadOptions:
        """These options; those that are not set are taken from `other`."""
        return replace(other, **self.stated)


LARGEST_SIDE = 65_536
"""Pixels of a side that images are resized to."""


def _is_size(value: Any) -> bool:
    """Whether a value is a height and a width."""
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and not any(isinstance(k, bool) for k in value)
        and all(isinstance(k, Integral) and 0 < int(k) <= LARGEST_SIDE for k in value)
    )


DEFAULT = ReadOptions()
"""All options at their defaults."""


class Reader(Protocol):
    """One format. A module with these three names is a reader."""

    RECOGNISES: list[str]
    """The formats, for messages."""

    def recognises(self, path: Path, /) -> bool:
        """Whether this reader can read `path`: by content if the format has a signature."""
        ...

    def read(self, path: Path, options: ReadOptions, /) -> xr.DataArray:
        """The frames in `path`, lazy, with the values as stored and NaN only where the format marks missing data; dims out
        of `(sequence, time, channel, y, x)` in any order, with the coordinates that the file has.

        Attributes: `units` of the values; where they apply `grid_mapping`, `long_name`, `standard_name`, `dry` (the
        format's own value for "observed, and nothing there") and `repairs` (what was changed, in words). Raises
        `DataError`, and `UnreadableFile` where the file is damaged.
        """
        ...
