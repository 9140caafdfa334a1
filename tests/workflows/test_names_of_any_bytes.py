"""Files and folders may have names of any bytes, also such as are not UTF-8."""

import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import framecast
from framecast.config.experiment import Experiment, Training
from framecast.data.datasets import ArchiveData
from framecast.models import ConvLSTM


def named(folder: Path, name: bytes) -> Path:
    return folder / os.fsdecode(name)


def test_from_frames_to_a_comparison(tmp_path: Path) -> None:
    try:
        named(tmp_path, b"r\xff").mkdir()
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    times = np.datetime64("2020-01-01", "ns") + np.arange(40) * np.timedelta64(5, "m")
    rain = np.random.default_rng(0).random((40, 12, 12)).astype(np.float32)
    source, store, run = (named(tmp_path, name) for name in (b"a\xff.nc", b"s\xff.zarr", b"run\xff"))
    frames = xr.DataArray(rain, dims=("time", "y", "x"), coords={"time": times}, attrs={"units": "mm/h"}, name="rain")
    source.write_bytes(frames.to_netcdf(engine="h5netcdf"))
    framecast.convert(source, store)
    np.testing.assert_array_equal(framecast.open(store).values[:, 0], rain)
    experiment = Experiment(
        data=ArchiveData(path=str(store), context=2, horizon=2),
        model=ConvLSTM(hidden=(2,), kernel=3),
        training=Training(iterations=2, batch_size=1, workers=0, validation_windows=1, accelerator="cpu"),
    )
    framecast.train(experiment, out=run)
    framecast.resume(run, 3)
    framecast.evaluate(run, baselines=(), limit=2)
    written = named(tmp_path, b"f\xff.nc")
    framecast.forecast(run, source, out=written)
    assert framecast.open_forecast(written).sizes["lead_time"] == 2
    other = framecast.train(experiment, out=tmp_path / "other")
    framecast.compare([run, other], out=tmp_path / "comparison", baselines=(), limit=2)
