"""Reads the state dict of a published checkpoint without running any code in the file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from framecast.errors import DataError
from framecast.reading.paths import check_file

_CONTAINERS = ("net_param", "state_dict", "model_state_dict", "model", "net")
_PREFIXES = ("module.", "model.", "network.")
_SIGNATURES = (b"PK", b"\x80")
"""First bytes of files of `torch.save` and `pickle`: those of a zip file, or of pickle's protocol number."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """The state dict of a checkpoint (.pt, .pth, .ckpt, .pkl, .safetensors), taken from its container, without common prefixes of
    the names. Raises `DataError` for a file that holds anything but weights and plain values."""
    check_file(path)
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        else:
            _check_signature(path)
            content = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise DataError(
            "holds more than weights and plain values, which are all that is loaded",
            where=path,
            remedy="if you trust the file, save its state dict alone: torch.save(model.state_dict(), ...)",
        ) from error
    except (OSError, RuntimeError, SafetensorError, EOFError, ValueError, LookupError) as error:
        raise DataError(f"not a readable checkpoint ({str(error) or type(error).__name__})", where=path) from error
    for _ in range(2):
        inner = [
            name for name in _CONTAINERS if isinstance(content, Mapping) and isinstance(content.get(name), Mapping)
        ]
        content = content[inner[0]] if inner else content
    if not isinstance(content, Mapping) or not any(isinstance(value, Tensor) for value in content.values()):
        raise DataError("no state dict found in it", where=path, remedy=f"looked in: {', '.join(_CONTAINERS)}")
    weights = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    while (prefix := _common_prefix(weights)) is not None:
        weights = {name.removeprefix(prefix): value for name, value in weights.items()}
    return weights


def _check_signature(path: Path) -> None:
    with check_file(path).open("rb") as file:
        if not file.read(2).startswith(_SIGNATURES):
            raise DataError(
                "not a checkpoint: neither written by torch.save nor a pickle",
                where=path,
                remedy="use the published file of weights: .pt, .pth, .ckpt, .pkl or .safetensors",
            )


def _common_prefix(weights: Mapping[str, Tensor]) -> str | None:
    return next((prefix for prefix in _PREFIXES if all(name.startswith(prefix) for name in weights)), None)
