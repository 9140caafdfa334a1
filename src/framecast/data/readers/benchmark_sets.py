"""Files of benchmark data sets, recognised by their layout or names, with the setting of a recipe that reads them.

For messages: a set is read as a whole, with its own splits (`framecast.data.sets`), not as an archive of frames.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import h5py


class Benchmark(NamedTuple):
    """A benchmark set: its title, and how it is read."""

    title: str
    remedy: str


def _benchmark(title: str, name: str, folder: str) -> Benchmark:
    return Benchmark(title, f"read the set in a recipe: data.name={name} data.path=DIR, {folder}")


SEVIR = _benchmark("SEVIR", "sevir", "the folder of CATALOG.csv and data/vil/<year>/")
ROBONET = _benchmark("RoboNet", "robonet", "the folder of the .hdf5 files")
TAXIBJ = _benchmark("TaxiBJ", "taxibj", "the folder of dataset.npz")
_SEVIR_IMAGES = {"vil", "vis", "ir069", "ir107"}
_NAMES = {
    re.compile(r"person\d\d_[a-z]+_d\d"): _benchmark("KTH", "kth", "the folder of the six actions"),
    re.compile(r"S\d+_[A-Z][A-Za-z]+(_| )?\d*\.\d{8}"): _benchmark("Human3.6M", "human36m", "the folder of the images"),
    re.compile(r"\.tfrecords$"): _benchmark("BAIR robot pushing", "bair", "the folder softmotion30_44k"),
    re.compile(r"idx3-ubyte(\.gz)?$"): Benchmark(
        "MNIST", "digits that move are drawn from it in a recipe: data.name=moving_digits data.images=DIR, its folder"
    ),
}


def set_of_hdf5(file: h5py.File) -> Benchmark | None:
    """The set that an open HDF5 file belongs to; None if it is none of those known."""
    if "id" in file and any(
        isinstance(file.get(name), h5py.Dataset) and file[name].ndim == 4 for name in _SEVIR_IMAGES
    ):
        return SEVIR
    return ROBONET if {"env", "metadata", "policy"} <= set(file) else None


def set_of_arrays(names: Collection[str]) -> Benchmark | None:
    """The set that an .npz with arrays of these names belongs to."""
    return TAXIBJ if {"X_train", "Y_train"} <= set(names) else None


def set_of_name(path: Path) -> Benchmark | None:
    """The set whose files are named like this one, or its folder."""
    return next((each for pattern, each in _NAMES.items() if pattern.search(f"{path.parent.name}/{path.name}")), None)
