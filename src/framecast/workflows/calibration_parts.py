"""What an interrupted calibration has forecast: how it is stored, and on what it depends."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

import framecast
from framecast.checkpoints.model_folder import find
from framecast.data.archives.outputs import source_files
from framecast.data.identity import identify_files, stamp_files
from framecast.data.windows.sources import DataSplits
from framecast.forecasting.calibration import SamplePart
from framecast.ops.native.library import status
from framecast.verification.run import spread_evenly
from framecast.verification.stored_parts import DAMAGE, PartFormat, load_arrays, pack_arrays

PARTIAL = ".partial"
"""The end of the name of the hidden folder."""


def sample_dependencies(
    pairs: Sequence[tuple[Path, Any]], sources: Sequence[tuple[Any, DataSplits]], limit: int | None
) -> dict[str, str]:
    """What the bits of a sample depend on, by what it is called."""
    digest = hashlib.blake2b(digest_size=16)
    for (_, archive), (_, splits) in zip(pairs, sources, strict=True):
        source: Any = splits.held_out()
        files = sorted(source_files(*splits.frames))
        digest.update(f"{stamp_files(files)} {source.shape}".encode())
        for index in spread_evenly(len(source), limit):
            digest.update(repr(source.init_time(index)).encode())
            if isinstance(archive, xr.DataArray) or not files:  # these may differ from the file that they name
                digest.update(np.ascontiguousarray(source.read(index)).tobytes())
    program = (framecast.__version__, torch.__version__, str(status()), torch.get_num_threads())
    return {
        "version of the program or number of threads": repr(program),
        "models": repr([identify_files([str(find(judge))])[0].sha256 for judge, _ in pairs]),
        "data": digest.hexdigest(),
    }


def _pack(parts: Mapping[int, SamplePart]) -> memoryview:
    """Parts as the content of a file."""
    arrays: dict[str, np.ndarray] = {}
    for number, part in parts.items():
        arrays |= {f"{number}/logits": part.logits, f"{number}/events": part.events}
    return pack_arrays({str(number): part.state for number, part in parts.items()}, arrays)


def _load(file: Path) -> dict[int, SamplePart]:
    """The parts in a file; none of one that is damaged."""
    try:
        header, content = load_arrays(file)
        return {
            int(number): SamplePart(content[f"{number}/logits"], content[f"{number}/events"], state)
            for number, state in header.items()
        }
    except DAMAGE:
        return {}


SAMPLE = PartFormat("a calibration", _pack, _load)
