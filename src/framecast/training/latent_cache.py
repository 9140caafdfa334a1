"""A cache of the latents of all training windows, in NumPy files in the folder of the run.

The second stage of a modular design reads them in place of frames, so that its autoencoder runs once a window.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch

from framecast.data.windows.batches import Batches, scaled_batch
from framecast.errors import RunError
from framecast.ops import all_valid
from framecast.types import Batch
from framecast.writing import creating, replacing

FRAMES, VALID = "latents.npy", "valid.npy"


@dataclass(frozen=True)
class LatentBatches:
    """The windows of `batches`, in the same order, as latents from the files in `folder`."""

    batches: Batches
    folder: Path

    def stream(self, start: int = 0) -> Iterator[Batch]:
        """Batches `start`, `start + 1`, ... without end."""
        latents, valid = (np.load(self.folder / name, mmap_mode="r", allow_pickle=False) for name in (FRAMES, VALID))
        for number in count(start):
            indices = [index for index, _, _ in self.batches.windows(number)]
            yield Batch(torch.from_numpy(np.array(latents[indices])), torch.from_numpy(np.array(valid[indices])))


def cache_size(model: Any, batches: Batches) -> int:
    """Size of the latents of all windows in bytes."""
    shape = batches.source.shape
    frames = torch.zeros(1, 1, shape.channels, shape.height, shape.width, device=next(model.parameters()).device)
    latents: torch.Tensor = model.encode(frames)
    return len(batches.source) * (shape.context + shape.horizon) * latents.numel() * 4


def cache_latents(model: Any, batches: Batches, folder: Path, fabric: Any) -> LatentBatches:
    """Write the latents to `folder` unless it exists, in the process of rank zero. The windows must have no random crops, flips
    or rotations (`two_stage.check_cache`). Raises `RunError` if the disk has too little space."""
    if fabric.global_rank == 0 and not folder.is_dir():
        needed, free = cache_size(model, batches), shutil.disk_usage(folder.parent).free
        if needed > free:
            raise RunError(
                f"the latents need {needed / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free",
                where=folder,
                remedy="model.cache=false",
            )
        with replacing(folder) as temporary:
            _fill(model, batches, temporary)
    fabric.barrier()
    return LatentBatches(batches, folder)


def _fill(model: Any, batches: Batches, folder: Path) -> None:
    """Write the files piece by piece: a memory map would crash on a full disk."""
    source, device = batches.source, next(model.parameters()).device
    with creating(folder / FRAMES) as write_frames, creating(folder / VALID) as write_valid:
        for start in range(0, len(source), batches.batch_size):
            indices = list(range(start, min(start + batches.batch_size, len(source))))
            windows = (batches.presentation.read(source, index) for index in indices)
            batch = scaled_batch(windows, indices, source, batches.scaling)
            latents = model.encode(batch.frames.to(device)).cpu()
            valid = all_valid(batch.valid, latents.shape[-2:])
            for write, values in ((write_frames, latents.numpy()), (write_valid, valid.numpy())):
                if start == 0:
                    write(_header(values.dtype, (len(source), *values.shape[1:])))
                write(np.ascontiguousarray(values).data)


def _header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """The header of a .npy file."""
    header = io.BytesIO()
    content = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, content)
    return header.getvalue()
