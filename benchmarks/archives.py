"""Measures the benefit of converting an archive to one Zarr store: random crops from the store against the original files.

    python benchmarks/archives.py ORIGINALS [--frames 100000] [--files 10000]

ORIGINALS is a folder of single radar files. All is measured in one process. Prints:

* the time to open the folder and to convert it, and for comparison the time to decode its frames once;
* the time of a batch of 16 random crops of 128 x 128, 15 frames, from the originals, opened for each window, and from the store,
  with one thread and two (medians; ratios are within one round);
* the time of a training step of PredRNN-V2 (32, 32) on such a batch;
* with `--frames`, the memory to write, convert, open and sample a synthetic archive of so many frames of 64 x 64;
* with `--files`, the time to open so many NetCDF files of one frame, reading every header or listing them by name.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import psutil
import torch
import xarray as xr
import zarr

import framecast
from framecast.data import lazy as stored
from framecast.data.datasets import ArchiveData
from framecast.data.inspection.inspect import bytes_in_words
from framecast.data.windows.batches import Batches
from framecast.data.windows.splits import ByBlocks
from framecast.losses import L1L2
from framecast.models import PredRNNV2
from framecast.ops import free_running
from framecast.types import FrameShape

CROP, CONTEXT, HORIZON, BATCH = 128, 5, 10, 16


def seconds(work: Callable[[], object]) -> float:
    """The duration of one call of `work`."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def batches_of(path: Path, crop: int = CROP, threads: int = 1) -> Batches:
    """Random crops of an archive, read window by window."""
    data = ArchiveData(
        path=str(path), context=CONTEXT, horizon=HORIZON, split=ByBlocks(validation=0, test=0), min_valid=0
    )
    opened = data.open()
    assert opened.train is not None
    return Batches(opened.train, opened.scaling, BATCH, crop=(crop, crop), workers=threads)


def read(batches: Batches, count: int) -> None:
    """Read `count` batches."""
    for _ in islice(batches.stream(), count):
        pass


def from_originals(folder: Path, threads: int) -> None:
    """Read a batch without a converted archive: each window opens its own files, with so many threads of Dask."""
    files = sorted(folder.iterdir())
    rng = np.random.default_rng(0)
    for _ in range(BATCH):
        start = int(rng.integers(len(files) - CONTEXT - HORIZON + 1))
        frames = framecast.open(files[start : start + CONTEXT + HORIZON])
        top, left = (int(rng.integers(size - CROP + 1)) for size in frames.shape[-2:])
        frames.isel(y=slice(top, top + CROP), x=slice(left, left + CROP)).compute(num_workers=threads)


def step() -> Callable[[], None]:
    """Build a training step on such a batch."""
    model = PredRNNV2(hidden=(32, 32), kernel=5, patch=4).build(FrameShape(1, CROP, CROP, CONTEXT, HORIZON)).train()
    frames = torch.rand(BATCH, CONTEXT + HORIZON, 1, CROP, CROP)
    valid, teacher = torch.ones_like(frames, dtype=torch.bool), free_running(BATCH, CONTEXT, HORIZON)

    def run() -> None:
        prediction = model(frames, teacher)
        loss = L1L2()(prediction.frames, frames[:, 1:], valid[:, 1:]) + sum(prediction.losses.values())
        loss.backward()

    return run


def compare(originals: Path, repeats: int) -> None:
    """Print the times of the originals and of the store."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "archive.zarr"
        frames = framecast.open(originals)
        print(f"{originals.name}: {' x '.join(map(str, frames.shape))}")
        opening = [seconds(lambda: framecast.open(originals)) for _ in range(repeats)]
        decoding = [seconds(lambda: framecast.open(originals).values) for _ in range(repeats)]
        converting = [
            seconds(lambda number=k: framecast.convert(originals, Path(folder) / f"{number}.zarr"))  # type: ignore[misc]
            for k in range(repeats)
        ]
        framecast.convert(originals, store)
        print(f"open {statistics.median(opening):.2f} s, decode all {statistics.median(decoding):.2f} s, "
              f"convert {statistics.median(converting):.2f} s "
              f"({statistics.median(converting) / statistics.median(decoding):.2f} x decoding)")  # fmt: skip
        stored.FRAME_CACHE_BYTES = 0  # as for archives larger than memory
        one, two = batches_of(store), batches_of(store, threads=2)
        train = step()
        train()
        works: dict[str, Callable[[], float]] = {
            "originals, one thread": lambda: seconds(lambda: from_originals(originals, 1)),
            "originals, two": lambda: seconds(lambda: from_originals(originals, 2)),
            "store, one thread": lambda: seconds(lambda: read(one, 20)) / 20,
            "store, two": lambda: seconds(lambda: read(two, 20)) / 20,
            "training step": lambda: seconds(train),
        }
        times = [{name: work() for name, work in works.items()} for _ in range(repeats)]
        for name in works:
            each = [row[name] for row in times]
            print(
                f"a batch of {BATCH}, {name:21} {statistics.median(each):6.3f} s ({min(each):.3f} to {max(each):.3f})"
            )
        for slow, quick in (
            ("originals, one thread", "store, one thread"),
            ("originals, two", "store, two"),
            ("training step", "store, one thread"),
        ):
            ratios = [row[slow] / row[quick] for row in times]
            print(f"{slow} / {quick}: {statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})")


def listing(files: int) -> None:
    """Print the time to open many small files."""
    start, step = np.datetime64("2019-01-01", "ns"), np.timedelta64(5, "m")
    values = np.random.default_rng(0).gamma(0.3, 3.0, (1, 64, 64)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(files):
            time_ = start + number * step
            stamp = str(time_)[:16].replace("-", "").replace("T", "_").replace(":", "")
            frame = xr.Dataset(
                {"rain": (("time", "y", "x"), values, {"units": "mm/h"})},
                coords={"time": [time_], "y": np.arange(64) * 1e3, "x": np.arange(64) * 1e3},
            )
            frame.to_netcdf(
                Path(folder) / f"rain_{stamp}.nc",
                encoding={"time": {"units": "minutes since 2019-01-01"}},
                engine="h5netcdf",
            )
        for by_name in (True, False):
            process = psutil.Process()
            before = process.memory_info().rss
            duration = seconds(lambda by_name=by_name: framecast.open(folder, by_name=by_name))  # type: ignore[misc]
            how = "listed by name" if by_name else "every header read"
            print(f"{files:,} files, {how}: {duration:.2f} s, {(process.memory_info().rss - before) / 2**20:.0f} MiB")


def synthetic(frames: int) -> None:
    """Print the memory over a long synthetic archive."""
    process = psutil.Process()

    def resident() -> str:
        return bytes_in_words(process.memory_info().rss)

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source.zarr"
        rng = np.random.default_rng(0)
        grid = {"y": np.arange(64.0)[::-1], "x": np.arange(64.0)}
        xr.Dataset(coords=grid).to_zarr(source, zarr_format=3, consolidated=False)
        group = zarr.open_group(source, mode="r+")
        values = group.create_array(
            "rain", shape=(frames, 64, 64), chunks=(64, 64, 64), dtype="float32",
            dimension_names=("time", "y", "x"), attributes={"units": "mm h-1"},
        )  # fmt: skip
        times = group.create_array(
            "time", shape=(frames,), dtype="int64", dimension_names=("time",),
            attributes={"units": "minutes since 2020-01-01"},
        )  # fmt: skip
        times[:] = 5 * np.arange(frames)
        for start in range(0, frames, 6400):
            stop = min(start + 6400, frames)
            values[start:stop] = rng.gamma(0.1, 4, (stop - start, 64, 64)).astype(np.float32)
        print(f"{frames:,} frames of 64 x 64, {bytes_in_words(4 * 4096 * frames)} as float32; before: {resident()}")
        memory: list[int] = []
        duration = seconds(
            lambda: framecast.convert(
                source, Path(folder) / "archive.zarr", progress=lambda *_: memory.append(process.memory_info().rss)
            )
        )
        tenth = len(memory) // 10
        print(f"converted in {duration:.1f} s; memory at a tenth {bytes_in_words(memory[tenth])}, at the end "
              f"{bytes_in_words(memory[-1])}, at most {bytes_in_words(max(memory))}")  # fmt: skip
        duration = seconds(lambda: framecast.open(Path(folder) / "archive.zarr"))
        print(f"opened in {duration:.2f} s")
        stored.FRAME_CACHE_BYTES = 0
        batches = batches_of(Path(folder) / "archive.zarr", crop=64)
        read(batches, 5)
        before = process.memory_info().rss
        duration = seconds(lambda: read(batches, 50))
        print(f"50 batches of {BATCH} in {duration:.1f} s; memory before {bytes_in_words(before)}, after {resident()}")


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("originals", type=Path, help="a folder of single files")
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--frames", type=int, default=0, help="length of the synthetic archive")
    options.add_argument("--files", type=int, default=0, help="how many files to list")
    arguments = options.parse_args()
    if arguments.files:
        listing(arguments.files)
    compare(arguments.originals, arguments.repeats)
    if arguments.frames:
        synthetic(arguments.frames)


if __name__ == "__main__":
    main()
