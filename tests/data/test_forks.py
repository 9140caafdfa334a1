"""Frames are read, forecast and converted in a process that was forked after use, as the workers of PyTorch are."""

import faulthandler
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

import framecast
from framecast.data.coverage import coverage


@pytest.fixture(params=["netcdf", "ours", "foreign"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    rain = np.random.default_rng(0).random((24, 16, 16), dtype=np.float32)
    times = np.datetime64("2020-01-01", "ns") + np.arange(24) * np.timedelta64(300, "s")
    frames = xr.DataArray(rain, dims=("time", "y", "x"), coords={"time": times}, attrs={"units": "mm h-1"}, name="rain")
    frames.to_netcdf(tmp_path / "rain.nc", engine="h5netcdf")
    if request.param == "ours":
        framecast.convert(tmp_path / "rain.nc", tmp_path / "rain.zarr")
    if request.param == "foreign":
        frames.to_dataset().to_zarr(
            tmp_path / "rain.zarr", consolidated=False, encoding={"rain": {"chunks": (8, 8, 8)}}
        )
    return tmp_path / ("rain.nc" if request.param == "netcdf" else "rain.zarr")


def in_fork(work: Callable[[], object], seconds: float = 60) -> None:
    """Run `work` in a fork of this process. Fails if it raises, or takes longer."""
    child = os.fork()
    if child == 0:
        faulthandler.dump_traceback_later(seconds - 5, exit=True)
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, ended = os.waitpid(child, os.WNOHANG)
        if done:
            assert os.waitstatus_to_exitcode(ended) == 0
            return
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    pytest.fail("hangs")


def test_frames_are_read_after_a_fork(path: Path, tmp_path: Path) -> None:
    frames = framecast.open(path)
    values, covered = frames.values, coverage(frames).values

    def work() -> None:
        np.testing.assert_array_equal(frames.values, values)
        np.testing.assert_array_equal(framecast.open(path).values, values)
        np.testing.assert_array_equal(coverage(framecast.open(path)).values, covered)
        framecast.convert(path, tmp_path / "again.zarr")
        np.testing.assert_array_equal(framecast.open(tmp_path / "again.zarr").values, values)

    in_fork(work)


def test_workers_of_pytorch_read_frames(path: Path) -> None:
    frames = framecast.open(path)
    expected = frames.values

    class Windows(torch.utils.data.Dataset):  # type: ignore[type-arg]
        def __len__(self) -> int:
            return 8

        def __getitem__(self, number: int) -> torch.Tensor:
            return torch.from_numpy(np.array(frames.isel(time=slice(number, number + 2)).values))

    loader = torch.utils.data.DataLoader(
        Windows(), batch_size=2, num_workers=1, multiprocessing_context="fork", timeout=60
    )
    for batch, windows in enumerate(loader):
        np.testing.assert_array_equal(windows[0].numpy(), expected[2 * batch : 2 * batch + 2])
