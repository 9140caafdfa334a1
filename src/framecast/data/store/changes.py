"""Changes of frames during conversion (crop, coarsen, reproject), with the help text of each option."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, kw_only=True)
class Changes:
    """Changes of frames, applied in this order."""

    crop: Annotated[tuple[int, int, int, int] | None, "Take a part: top, left, height and width in pixels."] = None
    coarsen: Annotated[int, "So many pixels in y and x become one."] = 1
    reproject: Annotated[str | None, "Onto a grid of another projection: EPSG:3035."] = None

    def apply(self, frames: xr.DataArray) -> xr.DataArray:
        """The changed frames, lazy. Raises `ConfigError` and `DataError`."""
        from framecast.data.store.regridding import (  # deferred: the command line starts faster
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
"""No change."""
