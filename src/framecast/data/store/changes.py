"""What happens to frames on their way into a store, with the text of each option: the one place where they stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What happens to frames on the way, in this order."""

    crop: Annotated[tuple[int, int, int, int] | None, "Take a part: top, left, height and width in pixels."] = None
    coarsen: Annotated[int, "So many pixels in y and x become one."] = 1
    reproject: Annotated[str | None, "Onto a grid of another projection: EPSG:3035."] = None

    def apply(self, frames: xr.DataArray) -> xr.DataArray:
        """The frames, changed, still lazy. Raises `ConfigError` and `DataError`."""
        from framecast.data.store.regridding import (  # late: the command line starts without
            coarsen,
            crop,
            reproject,
        )

        if self.crop is not None:
            frames = crop(frames, *self.crop)
        if self.coarsen != 1:
            frames = coarsen(frames, self.coarsen)
        if self.reproject is not None:
            frames = reproject(frames, self.reproject)
        return frames


UNCHANGED = Changes()
"""Nothing stated."""
