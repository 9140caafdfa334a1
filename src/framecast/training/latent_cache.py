"""Latents of the training windows, computed once and kept on disk: the second stage of a modular design then reads them
instead of frames, and its autoencoder rests."""

from __future__ import annotations

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

FRAMES, VALID = "latents.npy", "valid.npy"


@dataclass(frozen=True)
class LatentBatches:
    """The batches of `batches`, as latents from the files in `folder`: the same windows in the same order."""

    batches: Batches
    folder: Path

    def stream(self, start: int = 0) -> Iterator[Batch]:
        """Batches `start`, `start + 1`, ... without end."""
        latents, valid = (np.load(self.folder / name, mmap_mode="r", allow_pickle=False) for name in (FRAMES, VALID))
        for number in count(start):
            indices = [index for index, _, _ in self.batches.windows(number)]
            yield Batch(torch.from_numpy(np.array(latents[indices])), torch.from_numpy(np.array(valid[indices])))


def size_of(model: Any, batches: Batches) -> int:
    """Bytes that the latents of all windows take."""
    shape = batches.source.shape
    frames = torch.zeros(1, 1, shape.channels, shape.height, shape.width, device=next(model.parameters()).device)
    latents: torch.Tensor = model.encode(frames)
    return len(batches.source) * (shape.context + shape.horizon) * latents.numel() * 4


def cached(model: Any, batches: Batches, folder: Path, fabric: Any) -> LatentBatches:
    """Fill `folder` unless it is whole already; the first process does. The windows must not be changed at random on the
    way (`two_stage.check_cache`). Raises `RunError` where there is no room."""
    if fabric.global_rank == 0 and not folder.is_dir():
        needed, free = size_of(model, batches), shutil.disk_usage(folder.parent).free
        if needed > free:
            raise RunError(
                f"the latents take {needed / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free",
                where=folder,
                remedy="model.cache=false",
            )
        temporary = folder.with_name(f".{folder.name}")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        _fill(model, batches, temporary)
        temporary.rename(folder)
    fabric.barrier()
    return LatentBatches(batches, folder)


def _fill(model: Any, batches: Batches, folder: Path) -> None:
    source, device = batches.source, next(model.parameters()).device
    files: dict[str, np.memmap] = {}
    for start in range(0, len(source), batches.batch_size):
        indices = list(range(start, min(start + batches.batch_size, len(source))))
        batch = scaled_batch(([source.read(index)] for index in indices), indices, source, batches.scaling)
        latents = model.encode(batch.frames.to(device)).cpu()
        for name, values in ((FRAMES, latents), (VALID, all_valid(batch.valid, latents.shape[-2:]))):
            if name not in files:
                files[name] = np.lib.format.open_memmap(
                    folder / name, mode="w+", dtype=values.numpy().dtype, shape=(len(source), *values.shape[1:])
                )
            files[name][start : start + len(indices)] = values.numpy()
    for file in files.values():
        file.flush()
