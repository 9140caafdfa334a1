"""A stream of batches can be begun anywhere, in any number of threads and processes, and shows what was read."""

from dataclasses import replace
from itertools import islice
from pathlib import Path
from weakref import WeakKeyDictionary

import dask
import numpy as np
import pytest
import torch
import xarray as xr

import framecast
from framecast.data import lazy as stored
from framecast.data.datasets import ArchiveData, MovingDigits
from framecast.data.quantities import RAIN_RATE, Quantity
from framecast.data.scaling import RainLog, Unit
from framecast.data.windows.batches import Batches, evaluation_batches
from framecast.data.windows.sources import Region
from framecast.data.windows.splits import ByBlocks
from framecast.errors import ConfigError
from framecast.types import Batch, FrameShape

LENGTH, HEIGHT, WIDTH = 4, 12, 16


class Marked:
    """Windows in which each pixel says where it is from: `100 window + 10 row / HEIGHT + ...`, still over time."""

    quantity: Quantity = RAIN_RATE
    shape = FrameShape(1, HEIGHT, WIDTH, 2, 2)

    def __init__(self, count: int = 7, sizes: tuple[tuple[int, int], ...] = ((HEIGHT, WIDTH),)) -> None:
        self.count, self.sizes = count, sizes

    def __len__(self) -> int:
        return self.count

    def size_of(self, index: int) -> tuple[int, int]:
        return self.sizes[index % len(self.sizes)]

    def read(self, index: int, region: Region | None = None) -> np.ndarray:
        height, width = self.size_of(index)
        rows, columns = np.mgrid[:height, :width]
        frames = np.broadcast_to(1 + index * 1000 + rows * width + columns, (LENGTH, 1, height, width)).astype(
            np.float32
        )
        frames[:, :, : height // 3] = np.nan
        if region is None:
            return frames
        return frames[..., region.top : region.top + region.height, region.left : region.left + region.width]

    def valid_mask(self, index: int) -> np.ndarray:
        return np.isfinite(self.read(index)).all((0, 1))

    def init_time(self, index: int) -> int:
        return index

    def block(self, index: int) -> tuple[int, ...]:
        return (index,)


def batches(**options: object) -> Batches:
    return Batches(Marked(), Unit(), 3, seed=5, **options)  # type: ignore[arg-type]


def same(one: Batch, other: Batch) -> bool:
    return torch.equal(one.frames, other.frames) and torch.equal(one.valid, other.valid)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_a_stream_can_be_begun_anywhere_in_any_number_of_threads(workers: int) -> None:
    plain = batches(crop=(8, 8), flips=True, rotations=True)
    threaded = replace(plain, workers=workers)
    expected = list(islice(plain.stream(), 12))
    assert all(map(same, islice(threaded.stream(), 12), expected))
    assert all(map(same, islice(threaded.stream(5), 7), expected[5:]))


def test_digits_are_the_same_in_any_number_of_threads() -> None:
    source = MovingDigits(size=16, train=9, context=2, horizon=2).open().train
    assert source is not None
    one = list(islice(Batches(source, Unit(), 2).stream(), 9))
    four = list(islice(Batches(source, Unit(), 2, workers=4).stream(), 9))
    assert all(map(same, one, four))


def test_two_processes_share_what_one_would_see() -> None:
    whole = Batches(Marked(), Unit(), 4, seed=1, crop=(8, 8), flips=True)
    parts = [replace(whole, batch_size=2, rank=rank, world_size=2) for rank in (0, 1)]
    for number in range(6):
        joined = torch.cat([part.batch(number).frames for part in parts])
        assert torch.equal(joined, whole.batch(number).frames)


def test_an_epoch_shows_every_window_once_in_an_order_of_its_own() -> None:
    windows = [int(batch.frames.max()) // 1000 for batch in islice(Batches(Marked(), Unit(), 1).stream(), 21)]
    epochs = [windows[:7], windows[7:14], windows[14:]]
    assert [sorted(epoch) for epoch in epochs] == [list(range(7))] * 3
    assert epochs[0] != epochs[1] != epochs[2]


def test_crops_and_turns_are_aligned_across_time_and_with_the_mask() -> None:
    for number in range(10):
        batch = batches(crop=(8, 8), flips=True, rotations=True).batch(number)
        frames, valid = batch.frames, batch.valid
        assert torch.equal(frames, frames[:, :1].expand_as(frames))
        assert torch.equal(valid, valid[:, :1].expand_as(valid))
        assert torch.equal(valid, frames > 0), "missing pixels are shown as dry, here 0, and only they"


def test_every_turn_comes_up() -> None:
    crops = batches(crop=(12, 12), rotations=True, flips=True)
    first = [crops.batch(number).frames[0, 0, 0] for number in range(80)]
    turned = {(float(frame[6, 6] - frame[6, 5]), float(frame[6, 6] - frame[5, 6])) for frame in first}
    across, down = 1.0, float(WIDTH)
    assert {(a * x, b * y) for x, y in ((across, down), (down, across)) for a in (1, -1) for b in (1, -1)} <= turned


def test_a_crop_looks_for_pixels_with_data() -> None:
    for number in range(30):
        assert batches(crop=(4, 4)).batch(number).valid.float().mean((1, 2, 3, 4)).min() >= 0.5


def test_evaluation_reads_every_window_once_in_order_and_never_mixes_sizes() -> None:
    seen, sizes = [], []
    for indices, batch in evaluation_batches(Marked(7, ((12, 16), (12, 16), (9, 9))), RainLog(), 2):
        seen += indices
        sizes.append(tuple(batch.frames.shape[-2:]))
        assert len(batch.frames) == len(indices)
    assert seen == list(range(7))
    assert sizes == [(12, 16), (9, 9), (12, 16), (9, 9), (12, 16)]
    ((_, first), *_) = evaluation_batches(Marked(2), Unit(), 2, (6, 8))
    np.testing.assert_array_equal(first.frames[0, 0, 0], np.nan_to_num(Marked().read(0)[0, 0, 3:9, 4:12]))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of rain with a gap in its frames."""
    values = np.random.default_rng(0).gamma(0.3, 3.0, (20, 1, 70, 80)).astype(np.float32)
    values[:, :, :5] = np.nan
    times = np.datetime64("2020-01-01", "ns") + np.delete(np.arange(21), 9) * np.timedelta64(5, "m")
    frames = xr.DataArray(
        values[:, 0], dims=("time", "y", "x"), coords={"time": times}, attrs={"units": "mm/h"}, name="rain"
    )
    frames.to_netcdf(tmp_path / "rain.nc", engine="h5netcdf")
    framecast.convert(tmp_path / "rain.nc", tmp_path / "rain.zarr", chunks=(4, 16, 16))
    return tmp_path / "rain.zarr"


@pytest.mark.parametrize("kept", [0, 2**30])
def test_parts_are_those_of_the_frames(store: Path, kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One stored array is read without Dask, frames made of it in another way with it, small ones from memory."""
    monkeypatch.setattr(stored, "FRAME_CACHE_BYTES", kept)
    opened = framecast.open(store)
    place = {"time": slice(3, 9), "y": slice(2, 60), "x": slice(17, 33)}
    for frames in (
        opened,
        opened.isel(time=slice(2, None)),
        opened.isel(y=slice(None, None, -1)),
        2 * opened,
        opened.load(),
    ):
        np.testing.assert_array_equal(stored.ArrayReader(frames).read(**place), frames.isel(place).values)


def test_a_store_is_sliced_without_planning(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "FRAME_CACHE_BYTES", 0)
    opened = ArchiveData(path=str(store), context=2, horizon=2, split=ByBlocks(validation=0, test=0)).open()
    assert opened.train is not None
    expected = opened.train.read(3)
    monkeypatch.setattr(dask.base, "compute", None)
    monkeypatch.setattr(dask.array.Array, "compute", None)
    np.testing.assert_array_equal(opened.train.read(3), expected)


def test_splits_share_what_is_kept_and_nobody_writes_to_it(store: Path) -> None:
    opened = ArchiveData(path=str(store), context=2, horizon=2, split=ByBlocks(validation=0, test=0.4)).open()
    assert opened.train is not None
    assert opened.test is not None
    one, other = opened.train.read(0), opened.test.read(0)
    assert one.base is other.base
    with pytest.raises(ValueError, match="read-only"):
        one[:] = 0
    frames = framecast.open(store).load()
    stored.ArrayReader(frames).read(time=slice(0, 1))
    frames[:] = 0  # whose they are may


def test_all_archives_together_are_kept_up_to_the_limit(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The room of one that is gone is free again."""

    def kept(parts: stored.ArrayReader) -> bool:
        return np.shares_memory(parts.read(time=slice(0, 2)), parts.read(time=slice(0, 2)))

    opened = framecast.open(store)
    monkeypatch.setattr(stored, "FRAME_CACHE_BYTES", 2.5 * opened.nbytes)
    monkeypatch.setattr(stored, "_RESERVED", WeakKeyDictionary())  # without what other tests left behind
    archives = [stored.ArrayReader(opened) for _ in range(4)]
    assert [kept(parts) for parts in archives] == [True, True, False, False]
    del archives[0]
    assert [kept(parts) for parts in (*archives, stored.ArrayReader(opened))] == [True, False, False, True]


def test_impossible_settings() -> None:
    with pytest.raises(ConfigError, match="does not fit"):
        batches(crop=(13, 4))
    with pytest.raises(ConfigError, match="cannot be rotated"):
        batches(rotations=True)
    with pytest.raises(ConfigError, match="several sizes"):
        Batches(Marked(4, ((12, 16), (9, 9))), Unit(), 2)
    with pytest.raises(ConfigError, match="does not fit"):  # however many windows there are
        Batches(Marked(20_000), Unit(), 2, crop=(32, 32))
