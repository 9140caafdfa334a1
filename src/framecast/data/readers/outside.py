"""Refuses files and stores that refer to data outside of themselves.

The rule: a file or a store is read, and nothing else. HDF5 can hold links to other files, raw storage in other files and virtual
data sets made of other files; a Zarr store can hold symbolic links, pipes and devices, and an address can name references to any
other. Someone who may choose a file could so have others read with it. All of these are refused by name, also where they lead
back into the file. Symbolic links to whole files and stores are followed, as everywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import h5py

from framecast.errors import DataError
from framecast.reading.paths import is_folder, links_out_of

PROTOCOLS = ("s3", "gs", "gcs", "az", "abfs", "abfss", "adl", "http", "https", "file", "memory")
"""What an address of a remote store may begin with; `reference` and others refer to files elsewhere."""
_REMEDY = "copy what it refers to into the file itself: h5repack, or xarray.open_dataset(...).load().to_netcdf(...)"


def check_hdf5(file: h5py.File, path: Path) -> None:
    """Raise `DataError` if an HDF5 file has external links, external storage, virtual data sets, or links of unknown kinds."""
    groups: list[h5py.Group] = [file]
    visited = {_address(file)}
    while groups:
        group = groups.pop()
        for name in group:
            place = f"{group.name.rstrip('/')}/{name}"
            if not _is_hard_link(group, name):
                _check_link(group, name, place, path)
                continue
            item = group[name]
            if isinstance(item, h5py.Dataset):
                _check_storage(item, place, path)
            elif isinstance(item, h5py.Group) and _address(item) not in visited:
                visited.add(_address(item))
                groups.append(item)


def has_inside(file: h5py.File, name: str) -> bool:
    """Whether a file has `name`, a group or a data set, reached without any link to elsewhere."""
    group: Any = file
    for part in filter(None, name.split("/")):
        if not isinstance(group, h5py.Group) or part not in group.keys() or not _is_hard_link(group, part):  # noqa: SIM118
            return False
        group = group[part]
    return True


def _is_hard_link(group: h5py.Group, name: str) -> bool:
    return bool(group.id.links.get_info(name.encode("utf-8", "surrogateescape")).type == h5py.h5l.TYPE_HARD)


def _check_link(group: h5py.Group, name: str, place: str, path: Path) -> None:
    """Raise `DataError` for a link that leads out of the file; a soft link leads to another place inside it."""
    kind = group.id.links.get_info(name.encode("utf-8", "surrogateescape")).type
    if kind != h5py.h5l.TYPE_SOFT:
        what = "an external link" if kind == h5py.h5l.TYPE_EXTERNAL else "a link of an unknown kind"
        raise DataError(f"{place} is {what}, which leads out of the file", where=path, remedy=_REMEDY)


def _check_storage(dataset: h5py.Dataset, place: str, path: Path) -> None:
    properties = dataset.id.get_create_plist()
    if properties.get_external_count():
        raise DataError(f"{place} is stored in other files (external storage)", where=path, remedy=_REMEDY)
    if properties.get_layout() == h5py.h5d.VIRTUAL:
        raise DataError(f"{place} is a virtual data set, made of others", where=path, remedy=_REMEDY)


def _address(item: Any) -> tuple[int, int]:
    info = h5py.h5o.get_info(item.id)
    return info.fileno, info.addr


def protocol_of(address: str) -> str:
    """What stands before "://"."""
    return address.partition("://")[0]


def check_store(path: Path | str) -> None:
    """Raise `DataError` if a Zarr store holds anything but files and folders, or if an address is
    one of references to other files."""
    if isinstance(path, str):
        protocol = protocol_of(path)
        if protocol not in PROTOCOLS or "::" in path:
            raise DataError(
                f"an address of the kind {protocol!r}",
                where=path,
                remedy=f"use an address that begins with one of: {', '.join(PROTOCOLS)}",
            )
        if protocol != "file":
            return
        path = Path(unquote(urlsplit(path).path))
    if not is_folder(path):
        return
    for entry in links_out_of(path):
        kind = "a symbolic link" if entry.is_symlink() else "neither a file nor a folder"
        raise DataError(
            f"{entry.relative_to(path)} is {kind}, which may lead out of the store",
            where=path,
            remedy="copy the store with what its links lead to: cp -rL",
        )
