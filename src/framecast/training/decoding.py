"""What it takes to decode training windows from files that cannot be read in parts. Reads one frame of each archive."""

from __future__ import annotations

import time
from pathlib import Path
from shlex import quote

from framecast.config.experiment import Experiment
from framecast.data.datasets import ArchiveData
from framecast.data.frames import files_of
from framecast.data.readers.zarr_store import recognises
from framecast.data.windows.sources import ArchiveSource, DataSplits

_LARGER = 16
"""How many times as many pixels as a crop has a frame must have: below, little is decoded in vain."""
_SLOW = 1.0
"""Seconds of decoding in an iteration from which on a store is recommended."""


def describe_decoding(experiment: Experiment, sources: DataSplits) -> list[str]:
    """For each archive whose frames are decoded whole, or nearly, for much smaller crops: what that takes in an iteration, by the
    time of one frame, and how to avoid it. Frames in memory and Zarr stores are read in parts."""
    data, source, settings = experiment.data, sources.train, experiment.training
    if not isinstance(data, ArchiveData) or not isinstance(source, ArchiveSource) or data.crop_size is None:
        return []
    height, width = data.crop_size
    count = settings.batch_size * (data.context + data.horizon)
    names = ["ARCHIVE"] * len(source.readers) if data.in_memory else data.paths
    messages = []
    for name, reader in zip(names, source.readers, strict=True):
        rows, columns = (reader.frames.sizes[axis] for axis in ("y", "x"))
        files = files_of(reader.frames)
        if rows * columns < _LARGER * height * width or not files or recognises(Path(min(files))) or reader.is_kept:
            continue
        start = time.perf_counter()
        reader.decode(sequence=slice(0, 1), time=slice(0, 1), y=slice(0, height), x=slice(0, width))
        seconds = time.perf_counter() - start
        if count * seconds < _SLOW:
            continue
        messages.append(
            f"a crop of {height} x {width} takes {seconds:.2g} s to decode from a frame of {rows} x {columns}, so the {count} "
            f"frames of an iteration take about {count * seconds:.0f} s of one core; convert {quote(name)} once to a Zarr store, "
            "of which only crops are read: `framecast convert`, then data.path=archive.zarr"
        )
    return messages
