"""Messages of a conversion name the store that was asked for, never the hidden folder in which it is under construction."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from faulty_disk import FaultyDisk

from framecast.data.store.conversion import convert
from framecast.errors import RunError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    frames = xr.DataArray(
        np.random.default_rng(0).gamma(0.5, 4, (3, 8, 8)).astype(np.float32),
        dims=("time", "y", "x"),
        coords={"time": np.datetime64("2020-01-01", "ns") + np.arange(3) * np.timedelta64(5, "m")},
        attrs={"units": "mm h-1"},
        name="rain",
    )
    frames.to_netcdf(tmp_path / "rain.nc", engine="h5netcdf")
    return tmp_path / "rain.nc"


def test_faults_of_the_disk_name_the_store(source: Path, tmp_path: Path) -> None:
    counter = FaultyDisk(tmp_path / "count")
    with pytest.MonkeyPatch.context() as patch:
        counter.install(patch)
        convert(source, tmp_path / "count" / "a.zarr")
    syncs = [number for number, name in enumerate(counter.calls) if name == "fsync"]
    messages = []
    for at in (syncs[len(syncs) // 4], syncs[len(syncs) // 2], syncs[-3]):
        folder = tmp_path / f"{at}"
        with pytest.MonkeyPatch.context() as patch:
            FaultyDisk(folder, at).install(patch)
            with pytest.raises(RunError, match="No space left") as raised:
                convert(source, folder / "a.zarr")
        messages.append(str(raised.value).replace(str(folder), ""))
    assert [message.partition(":")[0] for message in messages] == ["/a.zarr"] * 3
    assert not [message for message in messages if ".partial" in message or ".writing-" in message]
