"""Loading the pretrained networks of perceptual scores (LPIPS, FVD) from weight files, with checksums. Reads files only."""

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
from framecast.reading.paths import check_file
from framecast.scores import find_convention
from framecast.scores.i3d import I3D
from framecast.scores.perceptual import LPIPS
from framecast.verification.case_sums import PerceptualNetworks
from framecast.verification.settings import EvaluationSettings

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class PerceptualWeights:
    """The weight files of LPIPS and FVD, and the convention, which decides the range of images for LPIPS."""

    lpips: tuple[str, ...] = ()
    fvd: str | None = None
    convention: str = "default"

    @staticmethod
    def of(settings: EvaluationSettings) -> PerceptualWeights:
        """Those that the settings name."""
        return PerceptualWeights(settings.lpips, settings.fvd, settings.convention)

    def networks(self) -> PerceptualNetworks:
        """Load the networks. Raises `DataError` for a file that does not hold their weights."""
        lpips = _build_network(partial(LPIPS, signed=self._signed), self.lpips, _LPIPS_FILES) if self.lpips else None
        return PerceptualNetworks(lpips, _build_network(I3D, (self.fvd,), _I3D_FILE) if self.fvd is not None else None)

    def describe(self) -> dict[str, str]:
        """Names and checksums of the files, as attributes of the sums."""
        attributes = {}
        if self.lpips:
            attributes["lpips_weights"] = "; ".join(map(_checksum, self.lpips))
            attributes["lpips_range"] = "from -1 to 1" if self._signed else "from 0 to 1"
        if self.fvd is not None:
            attributes["fvd_weights"] = _checksum(self.fvd)
        return attributes

    @property
    def _signed(self) -> bool:
        return find_convention(self.convention).signed


_LPIPS_FILES = "give AlexNet's weights and those of the linear layers: alexnet-owt-7be5be79.pth and alex.pth"
_I3D_FILE = "give the weights of I3D trained on Kinetics-400, with the names of its published PyTorch file"


def _build_network(build: Callable[[dict[str, Tensor]], Network], files: Sequence[str], remedy: str) -> Network:
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
    """Raise `DataError` if the file name contains the beginning of a SHA-256, as published names do, and the file has another."""
    attributes = re.search(r"-([0-9a-f]{8})\.", Path(file).name)
    if attributes and not _sha256(file).startswith(attributes[1]):
        raise DataError(
            "damaged, or not what its name says: another SHA-256", where=file, remedy="fetch the file again"
        )


def _checksum(file: str) -> str:
    return f"{Path(file).name}, SHA-256 {_sha256(file)}"


def _sha256(file: str) -> str:
    with check_file(file).open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
