"""Kinds of file that are known but not read, each with what to do: archives of files, pictures, radar formats of one radar.

For messages where no reader recognises a file, or one that does by its name finds another kind in it.
"""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path
from typing import NamedTuple

from framecast.data.readers.benchmark_sets import set_of_name
from framecast.data.readers.compressed import expand, opener_of
from framecast.errors import UnreadableFile


class Foreign(NamedTuple):
    """A kind of file in words, and what to do."""

    what: str
    remedy: str


_POLAR = "grid it first to a composite (wradlib, Py-ART, LROSE) and write CF NetCDF"
_PICTURE = "save its frames as PNG, one file each, or as video; colours of a quantity have lost its values"
_SIGNATURES = {
    b"GIF8": Foreign("a GIF picture", _PICTURE),
    b"\x00\x00\x00\x0cjP  ": Foreign("a JPEG 2000 picture", _PICTURE),
    b"AR2V": Foreign("a polar volume of NEXRAD (level 2)", _POLAR),
    b"ARCHIVE2": Foreign("a polar volume of NEXRAD (level 2)", _POLAR),
    b"<volume": Foreign("a polar volume of Rainbow 5", _POLAR),
    b"BUFR": Foreign("a BUFR message", "convert it to CF NetCDF or GRIB (ecCodes), or grid it first"),
    b"SSF\x00": Foreign("a file of SIGMET", _POLAR),
    b"\x0e\x03\x13\x01": Foreign("HDF4", "convert it to NetCDF: h4toh5 IN OUT, or ncl_convert2nc"),
    b"GRIB\x00": Foreign("GRIB of an edition that is not 1 or 2", "convert it: grib_set -s edition=2 IN OUT"),
    b"7z\xbc\xaf\x27\x1c": Foreign("a 7z archive", "extract it, and give the folder"),
    b"Rar!": Foreign("a RAR archive", "extract it, and give the folder"),
    b"%PDF": Foreign("a PDF document", "give the data it was drawn from"),
    b"\x28\xb5\x2f\xfd": Foreign("a file compressed by zstd", "expand it first: unzstd FILE"),
    b"\x1f\x9d": Foreign("a file compressed by compress (.Z)", "expand it first: uncompress FILE"),
}


_OWN = {".npz": b"PK", ".gif": b"GIF"}
"""How files begin that are read under these names."""
_PAGES = (b"<!doctype", b"<html", b"<?xml")


def explain(error: UnreadableFile, path: Path) -> UnreadableFile:
    """The error that names the kind of a file that is another than its name says; else `error`, with which it was not read."""
    if not path.is_file() or opener_of(path) is not None:
        return error
    own = _OWN.get(path.suffix.lower())
    with path.open("rb") as file:
        if own is not None and file.read(len(own)) == own:
            return error
    kind = _describe_plain(path)
    return UnreadableFile(f"{kind.what}, in spite of its name", where=path, remedy=kind.remedy) if kind else error


def describe(path: Path) -> Foreign | None:
    """The kind of a file; None where it is not known. Compressed files are expanded."""
    if not path.is_file():
        return None
    if benchmark := set_of_name(path):
        return Foreign(f"a file of the benchmark set {benchmark.title}", benchmark.remedy)
    if opener_of(path) is None:
        return _describe_plain(path)
    with expand(path) as (plain, _):
        if opener_of(plain) is not None:
            return Foreign("a file that is compressed twice", "expand it first, and give the file that results")
        inner = _describe_plain(plain)
        return inner and inner._replace(remedy=inner.remedy.replace(plain.name, path.name))


def _describe_plain(path: Path) -> Foreign | None:
    with path.open("rb") as file:
        start = file.read(16)
    if start.lstrip().lower().startswith(_PAGES):
        return Foreign("a web page or XML, as servers answer where they have no such file", "fetch the file again")
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return Foreign("a WebP picture", _PICTURE)
    for signature, kind in _SIGNATURES.items():
        if start.startswith(signature):
            return kind
    if start.startswith(b"PK\x03\x04") and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return _archive("zip", archive.namelist(), f"extract it (unzip {path.name}), and give the folder")
    if tarfile.is_tarfile(path):
        with tarfile.open(path) as archive:
            first = archive.next()
        if first is None:  # as a file of zeros
            return None
        return _archive("tar", [first.name], f"extract it (tar -xf {path.name}), and give the folder")
    return None


def _archive(kind: str, names: list[str], remedy: str) -> Foreign:
    return Foreign(f"a {kind} archive of files{f', the first {names[0][:80]!r}' if names else ''}", remedy)
