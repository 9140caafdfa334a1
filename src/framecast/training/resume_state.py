"""Checkpoints to resume a run from, written so that a process killed while writing leaves a valid one.

A checkpoint is written to a temporary file in the same folder, synced to disk, and renamed; a sibling file holds its SHA-256. The
last two are kept. Reading verifies the checksum and falls back to the previous checkpoint. A checkpoint holds tensors and plain
values only and is read with `weights_only=True`.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import torch

from framecast.errors import RunError

VERSION = 1
"""The version of the format; files without one have version 1."""
CHECKPOINTS_KEPT = 2
_PREFIX = "iteration-"


def write(folder: Path, iteration: int, content: dict[str, Any]) -> Path:
    """Write the checkpoint of `iteration` and remove all but the last two. Raises `RunError` if the folder cannot be written."""
    path = folder / f"{_PREFIX}{iteration:09d}.pt"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".tmp{os.getpid()}")
        with temporary.open("wb") as file:
            torch.save({"format_version": VERSION, **content}, file)
            file.flush()
            os.fsync(file.fileno())
        _write_text(_sum_file(path), _sha256(temporary))
        temporary.replace(path)
        _sync(folder)
    except OSError as error:
        raise RunError(
            f"the checkpoint cannot be written ({error})",
            where=path,
            remedy="free disk space, or make the folder writable",
        ) from error
    for old in _newest_first(folder)[CHECKPOINTS_KEPT:]:
        old.unlink(missing_ok=True)
        _sum_file(old).unlink(missing_ok=True)
    for temporary in folder.glob(f"{_PREFIX}*.tmp*"):
        temporary.unlink(missing_ok=True)
    return path


def read(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """The newest valid checkpoint, and a warning for each newer one that is damaged.

    Raises `RunError` if there is none, or if a newer framecast wrote it.
    """
    warnings = []
    for path in _newest_first(folder):
        try:
            if _sum_file(path).read_text().strip() != _sha256(path):
                raise ValueError("its checksum does not match")
            content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # whatever the damage, the previous one may be valid
            warnings.append(f"{path.name} is damaged and was skipped ({error})")
            continue
        if (version := content.get("format_version", 1)) > VERSION:
            raise RunError(
                f"a checkpoint of version {version}, expected up to {VERSION}",
                where=path,
                remedy="use a newer framecast",
            )
        return content, warnings
    raise RunError(
        "; ".join(["no valid checkpoint", *warnings]), where=folder, remedy="train again into another folder"
    )


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{_PREFIX}*.pt"), reverse=True)


def _sum_file(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_text(path: Path, text: str) -> None:
    """Write a small file atomically."""
    temporary = path.with_suffix(f".tmp{os.getpid()}s")
    with temporary.open("w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
