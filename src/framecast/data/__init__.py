"""From files to batches: readers, frames, windows, splits, scaling, batches."""

from framecast.data.opening import open

__all__ = ["open"]
