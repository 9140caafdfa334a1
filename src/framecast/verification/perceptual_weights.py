"""Networks that others trained, by which frames are judged: from files, with their checksums."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from torch import Tensor, nn

from framecast.checkpoints.published.weights import read_weights
from framecast.errors import DataError
from framecast.scores import named
from framecast.scores.i3d import I3D
from framecast.scores.perceptual import LPIPS
from framecast.verification.case_sums import Networks

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Weights:
    """Files with the weights of networks that frames are seen with, and the convention that says how."""

    lpips: tuple[str, ...] = ()
    fvd: str | None = None
    convention: str = "default"

    def networks(self) -> Networks:
        """Those networks. Raises `DataError` for a file that holds none of them."""
        lpips = _built(partial(LPIPS, signed=self._signed), self.lpips, _LPIPS_FILES) if self.lpips else None
        return Networks(lpips, _built(I3D, (self.fvd,), _I3D_FILE) if self.fvd is not None else None)

    def described(self) -> dict[str, str]:
        """What a verification says of them: names and checksums."""
        said = {}
        if self.lpips:
            said["lpips_weights"] = "; ".join(map(_checksum, self.lpips))
            said["lpips_range"] = "from -1 to 1" if self._signed else "from 0 to 1"
        if self.fvd is not None:
            said["fvd_weights"] = _checksum(self.fvd)
        return said

    @property
    def _signed(self) -> bool:
        return named(self.convention).signed


_LPIPS_FILES = "give AlexNet's weights and those of the linear layers: alexnet-owt-7be5be79.pth and alex.pth"
_I3D_FILE = "give the weights of I3D trained on Kinetics-400, with the names of its published PyTorch file"


def _built(build: Callable[[dict[str, Tensor]], Network], files: Sequence[str], remedy: str) -> Network:
    weights: dict[str, Tensor] = {}
    for file in files:
        weights |= read_weights(Path(file))
        _check_name(file)
    try:
        return build(weights)
    except (KeyError, ValueError, RuntimeError) as error:
        raise DataError(
            f"weights are missing or of another shape: {error}", where=", ".join(files), remedy=remedy
        ) from error


def _check_name(file: str) -> None:
    """Raise `DataError` for a file whose name holds the beginning of another SHA-256, as published names do."""
    said = re.search(r"-([0-9a-f]{8})\.", Path(file).name)
    if said and not _sha256(file).startswith(said[1]):
        raise DataError(
            "damaged, or not what its name says: another SHA-256", where=file, remedy="fetch the file again"
        )


def _checksum(file: str) -> str:
    return f"{Path(file).name}, SHA-256 {_sha256(file)}"


def _sha256(file: str) -> str:
    with Path(file).open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
