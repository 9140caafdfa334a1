"""Helpers of all HDF5 readers: open a file, check its filters and declared sizes, and decode its attributes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from framecast.data.readers.limits import check_chunk
from framecast.data.readers.outside import check_hdf5, has_inside
from framecast.data.readers.single import first_line
from framecast.errors import DataError, UnreadableFile, shown
from framecast.reading.paths import is_file

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_FILTERS = {1: "deflate", 2: "shuffle", 3: "fletcher32", 4: "szip", 5: "nbit", 6: "scaleoffset", 32000: "lzf"}
_DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, IndexError, OverflowError)


def is_hdf5(path: Path) -> bool:
    """Whether a file has the signature of HDF5."""
    if not is_file(path):
        return False
    with path.open("rb") as file:
        return file.read(len(SIGNATURE)) == SIGNATURE


def has_names(path: Path, *names: str) -> bool:
    """Whether the file opens as HDF5 and has all these groups, data sets, or attributes of its root (`@Conventions`)."""
    if not is_hdf5(path):
        return False
    try:
        with h5py.File(path) as file:
            return all(name[1:] in file.attrs if name.startswith("@") else has_inside(file, name) for name in names)
    except _DAMAGE:
        return False


@contextmanager
def open_hdf5(path: Path, form: str) -> Iterator[h5py.File]:
    """Open a file. Raises `DataError` for one that refers to others, and `UnreadableFile` for any error in its structure; `form`
    names the expected format."""
    try:
        with h5py.File(path) as file:
            check_hdf5(file, path)
            yield file
    except DataError:
        raise
    except (OSError, RuntimeError) as error:
        raise UnreadableFile(
            f"the file is incomplete or unreadable ({first_line(error)})",
            where=path,
            remedy=f"expected {form}; fetch the file again",
        ) from error
    except _DAMAGE as error:
        raise UnreadableFile(
            f"the file is not laid out as expected ({first_line(error)})",
            where=path,
            remedy=f"expected {form}; if others of its kind are read, it is damaged: fetch it again",
        ) from error


def check_dataset(dataset: h5py.Dataset, path: Path) -> None:
    """Raise `DataError` where a stored chunk would expand to more than `MEMORY_LIMIT`, and where the filters are not among the
    known ones (others would load foreign code)."""
    check_chunk(path, str(dataset.name), dataset.chunks or (), dataset.dtype.itemsize)
    properties = dataset.id.get_create_plist()
    filters = [properties.get_filter(number)[0] for number in range(properties.get_nfilters())]
    if unknown := [number for number in filters if number not in _FILTERS]:
        raise DataError(
            f"{dataset.name} is stored with the HDF5 filter {unknown[0]}",
            where=path,
            remedy=f"understood are {', '.join(_FILTERS.values())}",
        )


def text(value: Any) -> str:
    """A text attribute as `str`, stored as bytes, text or an array."""
    value = np.asarray(value).ravel()[0]
    return (value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)).strip()


def number(attributes: Mapping[str, Any], name: str) -> float:
    """A numeric attribute as `float`, stored as a scalar, an array or text. Raises `KeyError` and `ValueError`."""
    value = attributes[name]
    try:
        return float(text(value))
    except (ValueError, IndexError) as error:
        raise ValueError(f"the attribute {name} is {shown(value)}, expected a number") from error
