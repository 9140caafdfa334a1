"""Opens the folder of a run, new or existing: its data by their record, and its newest checkpoint that fits the model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import xarray as xr
from torch import Tensor, nn

from framecast.config.experiment import Experiment
from framecast.config.parsing import plain
from framecast.data.recorded import open_recorded, record_data
from framecast.data.windows.record import DataRecord
from framecast.data.windows.sources import Check, DataSplits
from framecast.errors import ConfigError, RunError
from framecast.training import resume_state
from framecast.training.optimiser import load_state
from framecast.training.run_folder import CHECKPOINTS, NO_RECORD, check_new, read_run_record, settings_of
from framecast.writing import clean_leftovers


class OpenRun(NamedTuple):
    """The data of a run, their record (None for a run of an earlier version, and in processes of another rank than zero of a new
    one), its checkpoint (None for a new run), and warnings."""

    sources: DataSplits
    record: DataRecord | None
    state: dict[str, Any] | None
    warnings: list[str]


def open_run(
    experiment: Experiment,
    out: Path,
    resume: bool,
    frames: Sequence[xr.DataArray] | None,
    check: Check,
    is_rank_zero: bool,
) -> OpenRun:
    """Check the folder `out`, and open the data: by the record of a run to `resume`, else with a new record. Raises `RunError`,
    `ConfigError` and `DataError`, all before anything is written."""
    if is_rank_zero:
        for folder in (out, out / CHECKPOINTS):
            clean_leftovers(folder)
    if not resume:
        if is_rank_zero:
            check_new(out, experiment)
        sources = experiment.data.open(check, frames)
        record = None
        if is_rank_zero:
            settings = plain(experiment.data)
            record = record_data(experiment.data, sources, settings, in_memory=frames is not None)
        return OpenRun(sources, record, None, [])
    state, warnings = resume_state.read(out / CHECKPOINTS, settings_of(experiment))
    record = read_run_record(out, state.get("data"))
    if record is None:
        return OpenRun(experiment.data.open(check, frames), None, state, [*warnings, NO_RECORD])
    sources = open_recorded(experiment.data, record, ("train", "validation"), check=check, frames=frames)
    return OpenRun(sources, record, state, warnings)


def load_fitting(
    network: nn.Module,
    optimiser: Any,
    average: dict[str, Tensor] | None,
    state: dict[str, Any],
    folder: Path,
    experiment: Experiment,
) -> tuple[dict[str, Any], list[str]]:
    """Load the checkpoint `state`, or the newest before it in `folder` that fits the network; returns it, and a warning for each
    that does not. Raises `ConfigError` if it has more iterations than the settings, and `RunError` if none fits."""
    warnings: list[str] = []
    iterations = experiment.training.iterations
    while state["iteration"] <= iterations:
        try:
            load_state(network, optimiser, average, state)
            return state, warnings
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            reason = f"the checkpoint of iteration {state['iteration']} does not fit the model and was skipped"
            warnings.append(f"{reason} ({str(error)[:200]})")
            cause = error
        try:
            state, more = resume_state.read(folder, settings_of(experiment), before=state["iteration"])
        except RunError as none:
            raise RunError(
                "; ".join([*warnings, none.what]), where=folder, remedy="train again into another folder"
            ) from cause
        warnings += more
    raise ConfigError(f"{state['iteration']} iterations are done, more than {iterations}", where="training.iterations")


def are_finite(network: nn.Module, average: dict[str, Tensor] | None) -> bool:
    """Whether all weights of a network, and their averages, are finite; its buffers may hold what they like."""
    names = {name for name, _ in network.named_parameters()}
    averages = [weight for name, weight in (average or {}).items() if name in names]
    return all(bool(torch.isfinite(weight).all()) for weight in (*network.parameters(), *averages))
