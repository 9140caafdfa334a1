"""From files to batches: readers, frames, windows, splits, scaling, batches."""
