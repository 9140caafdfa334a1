"""A file or a store is read, and nothing else: what refers to other files is refused by name."""

import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

import framecast
from framecast.errors import DataError

SHAPE = (3, 4, 4)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    times = np.datetime64("2020-01-01", "ns") + np.arange(3) * np.timedelta64(300, "s")
    rain = xr.DataArray(
        np.ones(SHAPE, "f4"), dims=("time", "y", "x"), coords={"time": times}, attrs={"units": "mm h-1"}, name="rain"
    )
    rain.to_netcdf(tmp_path / "rain.nc", engine="h5netcdf")
    rain.to_netcdf(tmp_path / "secret.nc", engine="h5netcdf")
    return tmp_path / "rain.nc"


def add_external_link(file: h5py.File, secret: Path) -> None:
    file.create_group("deep/inside")["other"] = h5py.ExternalLink(str(secret), "/rain")


def add_link_to_a_device(file: h5py.File, secret: Path) -> None:
    file["other"] = h5py.ExternalLink("/dev/zero", "/rain")


def add_external_storage(file: h5py.File, secret: Path) -> None:
    file.create_dataset("other", SHAPE, "f4", external=[(str(secret), 0, 4 * 48)])


def add_virtual_data_set(file: h5py.File, secret: Path) -> None:
    layout = h5py.VirtualLayout(SHAPE, "f4")
    layout[:] = h5py.VirtualSource(str(secret), "rain", SHAPE)
    file.create_virtual_dataset("other", layout)


@pytest.mark.parametrize(
    ("add", "reason"),
    [
        (add_external_link, "/deep/inside/other is an external link"),
        (add_link_to_a_device, "/other is an external link"),
        (add_external_storage, "/other is stored in other files"),
        (add_virtual_data_set, "/other is a virtual data set"),
    ],
)
def test_hdf5_that_refers_to_other_files_is_refused(file: Path, add: object, reason: str) -> None:
    with h5py.File(file, "a") as content:
        add(content, file.with_name("secret.nc"))  # type: ignore[operator]
    with pytest.raises(DataError, match=reason):
        framecast.open(file)


def test_links_inside_a_file_are_followed(file: Path) -> None:
    with h5py.File(file, "a") as content:
        content["again"] = h5py.SoftLink("/rain")
        group = content.create_group("loop")
        group["itself"] = group
    assert framecast.open(file, variable="rain").shape == (3, 1, 4, 4)


def test_odim_whose_groups_lie_elsewhere_is_refused(file: Path) -> None:
    with h5py.File(file, "w") as content:
        content.attrs["Conventions"] = "ODIM_H5/V2_2"
        for name in ("what", "where", "dataset1"):
            content[name] = h5py.ExternalLink("secret.nc", "/")
    with pytest.raises(DataError, match="is an external link"):
        framecast.open(file)


@pytest.fixture
def store(file: Path) -> Path:
    framecast.convert(file, file.with_name("rain.zarr"))
    return file.with_name("rain.zarr")


def test_a_link_inside_a_store_is_refused(store: Path) -> None:
    (store / "other").symlink_to(store.with_name("secret.nc"))
    for path in (store, f"file://{store}"):
        with pytest.raises(DataError, match="other is a symbolic link"):
            framecast.open(path)


def test_a_pipe_in_place_of_a_chunk_is_refused(store: Path) -> None:
    chunk = next(path for path in (store / "rain" / "c").rglob("*") if path.is_file())
    chunk.unlink()
    os.mkfifo(chunk)
    with pytest.raises(DataError, match="is neither a file nor a folder"):
        framecast.open(store)


def test_a_link_to_a_whole_store_is_followed(store: Path) -> None:
    link = store.with_name("link.zarr")
    link.symlink_to(store)
    assert framecast.open(link).shape == (3, 1, 4, 4)
    shutil.rmtree(store)


@pytest.mark.parametrize(
    "address", ["reference://refs.json", "simplecache::file:///etc/passwd", "zip://a.zip", "local:///a"]
)
def test_addresses_of_references_are_refused(address: str) -> None:
    with pytest.raises(DataError, match="an address of the kind"):
        framecast.open(address)
