"""Checkpoints to resume a run from, written so that a process killed while writing leaves a valid one.

A sibling file holds the SHA-256 of a checkpoint, and is written first. The last two checkpoints are kept. Reading verifies the
checksum and falls back to the previous checkpoint. A checkpoint holds tensors and plain values only and is read with
`weights_only=True`.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import torch

from framecast.errors import RunError
from framecast.writing import write_bytes, write_text

VERSION = 1
"""The version of the format; files without one have version 1."""
CHECKPOINTS_KEPT = 2
_PREFIX = "iteration-"


def write(folder: Path, iteration: int, content: dict[str, Any]) -> Path:
    """Write the checkpoint of `iteration` and remove all but the last two. Raises `RunError` if the folder cannot be written."""
    path = folder / f"{_PREFIX}{iteration:09d}.pt"
    buffer = io.BytesIO()  # torch.save into a file fails with errors of its own when the disk is full
    torch.save({"format_version": VERSION, **content}, buffer)
    write_text(_sum_file(path), f"{hashlib.sha256(buffer.getbuffer()).hexdigest()}\n")
    write_bytes(path, buffer.getbuffer())
    for old in _newest_first(folder)[CHECKPOINTS_KEPT:]:
        old.unlink(missing_ok=True)
        _sum_file(old).unlink(missing_ok=True)
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
