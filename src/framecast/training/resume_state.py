"""Checkpoints to resume a run from, written so that a process killed while writing leaves a valid one.

A sibling file holds the SHA-256 of a checkpoint, and is written first. Kept are the last two checkpoints, and the last that is
proven: from whose weights a step was made. Reading verifies the checksum and the content, and falls back to the previous
checkpoint. A checkpoint holds tensors and plain values only and is read with `weights_only=True`.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import torch

from framecast.errors import ConfigError, RunError
from framecast.reading.paths import check_file, read_text
from framecast.training.settings import describe, differences
from framecast.writing import write_bytes, write_text

VERSION = 2
"""The version of the format. Version 1, that of files without a version, had the entries `_CONTENT_1` only."""
CHECKPOINTS_KEPT = 2
_PREFIX = "iteration-"
_CONTENT_1: dict[str, Any] = {
    "iteration": int,
    "skipped": int,
    "best": float,
    "average": dict | None,
    "model": dict,
    "optimiser": dict,
}
_CONTENT: dict[str, Any] = {**_CONTENT_1, "proven": int, "settings": dict, "data": str, "losses": dict, "log": str}
"""The entries of a checkpoint: numbers of the run, its plain settings and the digest of its data, the losses since the last row
of the log, and the log."""


def write(folder: Path, iteration: int, content: dict[str, Any]) -> Path:
    """Write the checkpoint of `iteration` and remove those that are no longer needed. Raises `RunError` if the folder cannot be
    written."""
    path = folder / f"{_PREFIX}{iteration:09d}.pt"
    buffer = io.BytesIO()  # torch.save into a file fails with errors of its own when the disk is full
    torch.save({"format_version": VERSION, **content}, buffer)
    write_text(_sum_file(path), f"{hashlib.sha256(buffer.getbuffer()).hexdigest()}\n")
    write_bytes(path, buffer.getbuffer())
    _remove_old(folder, content["proven"])
    return path


def _remove_old(folder: Path, proven: int) -> None:
    """Remove all checkpoints but the last two and the newest that is proven; all stay while none is proven."""
    paths = _newest_first(folder)
    good = [path for path in paths if _iteration(path) <= proven]
    for path in paths[CHECKPOINTS_KEPT:] if good else []:
        if path != good[0]:
            _remove(path)


def remove_unproven(folder: Path, proven: int) -> None:
    """Remove the checkpoints after the newest that is proven, from which no step was made; all stay if none is proven."""
    paths = _newest_first(folder)
    if any(_iteration(path) <= proven for path in paths):
        for path in paths:
            if _iteration(path) > proven:
                _remove(path)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    _sum_file(path).unlink(missing_ok=True)


def exists(folder: Path) -> bool:
    """Whether there is a checkpoint, valid or not."""
    return bool(_newest_first(folder))


def read(folder: Path, settings: dict[str, Any], *, before: int | None = None) -> tuple[dict[str, Any], list[str]]:
    """The newest valid checkpoint, of those `before` an iteration if one is given, and a warning for each newer one that is
    passed over: damaged, or of another run than one with these plain `settings`.

    Raises `RunError` if there is none or if a newer framecast wrote it, and `ConfigError` if all have other settings.
    """
    warnings: list[str] = []
    differing: ConfigError | None = None
    for path in _newest_first(folder):
        if before is not None and _iteration(path) >= before:
            continue
        try:
            if read_text(_sum_file(path)).strip() != _sha256(path):
                raise ValueError("its checksum does not match")
            content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            _check_content(content, path)
        except RunError:
            raise
        except Exception as error:  # whatever the damage, the previous one may be valid
            warnings.append(f"{path.name} is damaged and was skipped ({str(error)[:200]})")
            continue
        if changed := differences(content.get("settings", settings), settings):
            warnings.append(f"{path.name} is of a run with other settings and was skipped ({describe(changed)})")
            differing = differing or _differing(changed, folder)
            continue
        if "settings" not in content:
            warnings.append(f"{path.name} is of an earlier framecast, which did not store its settings to compare with")
        return content, warnings
    raise differing or RunError(
        "; ".join(["no valid checkpoint", *warnings]), where=folder, remedy="train again into another folder"
    )


def check_settings(folder: Path, *forms: dict[str, Any]) -> None:
    """Raise `ConfigError` if there are checkpoints with settings, and all have others than the plain settings in each of their
    `forms`. Those that cannot be read are passed over; weights are not read."""
    differing: ConfigError | None = None
    for path in _newest_first(folder):
        try:
            content = torch.load(check_file(path), map_location="cpu", weights_only=True, mmap=True)
            changed = min((differences(content["settings"], form) for form in forms), key=len)
        except Exception:  # whatever the damage, resuming names it
            continue
        if not changed:
            return
        differing = differing or _differing(changed, folder)
    if differing is not None:
        raise differing


def _differing(changed: Any, folder: Path) -> ConfigError:
    return ConfigError(
        f"the settings differ from those of the run: {describe(changed)}",
        where=folder.parent,
        remedy="set them back; only training.iterations may change: start a new run for other settings",
    )


def _check_content(content: Any, path: Path) -> None:
    """Raise `ValueError` unless `content` is that of a checkpoint of the iteration in its name, and `RunError` for one of a newer
    version."""
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__}")
    version = content.get("format_version", 1)
    if not isinstance(version, int) or version < 1:
        raise ValueError(f"a version {version!r}")
    if version > VERSION:
        raise RunError(
            f"a checkpoint of version {version}, expected up to {VERSION}", where=path, remedy="use a newer framecast"
        )
    kinds = _CONTENT if version > 1 else {name: _CONTENT[name] for name in _CONTENT_1}
    for name, kind in kinds.items():
        if name not in content or isinstance(content[name], bool) or not isinstance(content[name], kind):
            raise ValueError(f"no valid {name}")
    if content["iteration"] != _iteration(path) or content["skipped"] < 0:
        raise ValueError(f"it says iteration {content['iteration']}, {content['skipped']} skipped")


def _iteration(path: Path) -> int:
    number = path.stem.removeprefix(_PREFIX)
    return int(number) if number.isdecimal() else -1


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{_PREFIX}*.pt"), key=lambda path: (_iteration(path), path.name), reverse=True)


def _sum_file(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _sha256(path: Path) -> str:
    with check_file(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
