"""A rectangle of the grid, for crops."""

from __future__ import annotations

from typing import NamedTuple


class Region(NamedTuple):
    """A rectangle of the grid, in pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Its rows and columns."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)
