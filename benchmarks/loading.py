"""Measures whether loading keeps up with training: windows per second from NetCDF and Zarr, and of a training step.

    python benchmarks/loading.py archive/event.nc

Writes the frames of the file to both formats, compressed and in chunks of one frame, and reads random crops as training does:
from memory (archives up to 2 GiB), and window by window from disk (larger ones). The training step is one of PredRNN-V2 (32,
32) on the same batches. All is measured in one process, alternating; prints the median and the range of the repeats, and the
ratio to the training step.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import torch

import framecast
from framecast.data import lazy as stored
from framecast.data.datasets import ArchiveData
from framecast.data.windows.batches import Batches
from framecast.data.windows.splits import ByBlocks
from framecast.losses import L1L2
from framecast.models import PredRNNV2
from framecast.ops import free_running
from framecast.types import FrameShape

CONTEXT, HORIZON, CROP, BATCH = 5, 12, 128, 8


def loader(path: Path, workers: int) -> Batches:
    """Random batches of an archive, as in training."""
    data = ArchiveData(path=str(path), context=CONTEXT, horizon=HORIZON, split=ByBlocks(validation=0, test=0))
    opened = data.open()
    assert opened.train is not None
    return Batches(opened.train, opened.scaling, BATCH, crop=(CROP, CROP), flips=True, workers=workers)


def loading_rate(batches: Batches, count: int) -> Callable[[], float]:
    """Build a measurement of windows per second over `count` batches, after one that opens files and fills caches."""

    def measure() -> float:
        stream = batches.stream()
        next(stream)
        start = time.perf_counter()
        for _ in islice(stream, count):
            pass
        return count * BATCH / (time.perf_counter() - start)

    return measure


def training_rate(count: int) -> Callable[[], float]:
    """Build a measurement of windows per second of `count` training steps."""
    model = PredRNNV2(hidden=(32, 32), kernel=5, patch=4).build(FrameShape(1, CROP, CROP, CONTEXT, HORIZON)).train()
    optimiser = torch.optim.Adam(model.parameters())
    frames = torch.rand(BATCH, CONTEXT + HORIZON, 1, CROP, CROP)
    valid = torch.ones_like(frames, dtype=torch.bool)
    teacher = free_running(BATCH, CONTEXT, HORIZON)

    def measure() -> float:
        start = time.perf_counter()
        for _ in range(count):
            optimiser.zero_grad()
            prediction = model(frames, teacher)
            steps = prediction.frames.shape[1]
            loss = L1L2()(prediction.frames, frames[:, -steps:], valid[:, -steps:]) + sum(prediction.losses.values())
            loss.backward()
            optimiser.step()
        return count * BATCH / (time.perf_counter() - start)

    return measure


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("file", help="frames of at least 128 x 128")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--repeats", type=int, default=5)
    arguments = options.parse_args()
    frames = framecast.open(arguments.file)
    with tempfile.TemporaryDirectory() as folder:
        stored = frames.drop_vars(["source"], errors="ignore").load()
        stored.attrs = {"units": frames.attrs["units"]}
        netcdf, zarr = Path(folder) / "frames.nc", Path(folder) / "frames.zarr"
        chunk = (1, 1, *frames.shape[-2:])
        stored.to_netcdf(netcdf, engine="h5netcdf", encoding={stored.name: {"zlib": True, "chunksizes": chunk}})
        stored.chunk({"time": 1}).to_zarr(zarr)
        print(f"{' x '.join(map(str, frames.shape))}, crops of {CROP}, {CONTEXT + HORIZON} frames, batch {BATCH}, "
              f"{arguments.workers} worker(s), {torch.get_num_threads()} threads")  # fmt: skip
        ways: dict[str, Callable[[], float]] = {"training of PredRNN-V2 (32, 32)": training_rate(1)}
        for name, path in (("NetCDF", netcdf), ("Zarr", zarr)):
            ways[f"{name}, in memory"] = loading_rate(loader(path, arguments.workers), 20)
        for name, path in (("NetCDF", netcdf), ("Zarr", zarr)):
            ways[f"{name}, from disk"] = from_disk(loading_rate(loader(path, arguments.workers), 2))
        measured: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(arguments.repeats):
            for name, measure in ways.items():
                measured[name].append(measure())
    need = statistics.median(measured["training of PredRNN-V2 (32, 32)"])
    for name, values in measured.items():
        middle = statistics.median(values)
        print(f"{name:34} {middle:8.1f} windows/s ({min(values):.1f} to {max(values):.1f}), {middle / need:7.1f} x")


def from_disk(measure: Callable[[], float]) -> Callable[[], float]:
    """The same measurement, without decoded archives in memory."""

    def measure_from_disk() -> float:
        limit, stored.FRAME_CACHE_BYTES = stored.FRAME_CACHE_BYTES, 0
        try:
            return measure()
        finally:
            stored.FRAME_CACHE_BYTES = limit

    return measure_from_disk


if __name__ == "__main__":
    main()
