"""Evaluating runs: their models and the baselines on the same windows, in this process or on a cluster.

A `Job` says which models are scored on which windows; `open` loads each model once and opens each archive once, and everything
that is said of the evaluation comes from those objects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import xarray as xr
from pyproj import CRS
from pyproj.exceptions import CRSError

from framecast.checks import as_path, as_tuple, ensure_folder
from framecast.data.datasets import ArchiveData
from framecast.data.frames import same_grid
from framecast.data.readers.options import ReadOptions
from framecast.data.windows.inputs import Input, moved
from framecast.data.windows.sources import DataSplits
from framecast.errors import ArgumentError, ConfigError
from framecast.forecasting.baselines import BaselineData, build
from framecast.forecasting.protocol import Forecaster
from framecast.forecasting.trained_model import TrainedModel, load
from framecast.progress import Progress, no_progress
from framecast.training.run_folder import check_in_files, settings_of
from framecast.verification.case_sums import Networks
from framecast.verification.dask_cluster import map_on_cluster
from framecast.verification.perceptual_weights import Weights
from framecast.verification.result import Grid, Verification
from framecast.verification.run import PartialResult, ScoringPlan, assemble, plan, score
from framecast.verification.settings import EvaluationSettings
from framecast.verification.windows import FramesLike, training_warning, windows_of

DEFAULTS = EvaluationSettings()
"""Nothing stated."""
CASES = "cases.nc"
BATCHES = 2
"""Batches of cases that a worker of a cluster scores at a time."""

Runs = str | Path | Mapping[str, str | Path]
"""The folder of a run, or the folders of several by name."""


def named_runs(runs: Mapping[str, str | Path] | Sequence[str | Path]) -> dict[str, Path]:
    """Runs by the names of their folders, by their paths if two have one name. Raises `ArgumentError` for what are no runs."""
    if isinstance(runs, Mapping):
        return {name: as_path(run, "the folder of a run") for name, run in runs.items()}
    folders = [
        as_path(run, "the folder of a run")
        for run in ([runs] if isinstance(runs, str | Path) else as_tuple(runs, "runs"))
    ]
    named = {folder.resolve().name: folder for folder in folders}
    return named if len(named) == len(folders) else {str(folder): folder for folder in folders}


class Opened(NamedTuple):
    """What a job needs: the trained models, all forecasters (models first, then baselines), windows and networks of scores."""

    models: dict[str, TrainedModel]
    forecasters: dict[str, Forecaster]
    sources: DataSplits
    networks: Networks


class Evaluation(NamedTuple):
    """The scores, and the models that were loaded for them, by name."""

    verification: Verification
    models: dict[str, TrainedModel]


@dataclass(frozen=True)
class Job:
    """Which models are scored on which windows: what a process needs to know to score some of them. A single run may be without
    a name, and has then that of its model."""

    runs: tuple[tuple[str | None, str], ...]
    data: FramesLike | None
    options: ReadOptions
    settings: EvaluationSettings

    @staticmethod
    def of(runs: Runs, data: FramesLike | None, options: ReadOptions, settings: EvaluationSettings) -> Job:
        """The job of one or several runs. Raises `ArgumentError` for what is no run, and for the name of a baseline."""
        named: Mapping[Any, Any] = runs if isinstance(runs, Mapping) else {None: runs}
        if not named:
            raise ArgumentError("no run given", parameter="run")
        folders = tuple((name, str(as_path(folder, "the folder of a run"))) for name, folder in named.items())
        for name, folder in folders:
            _check_name(name, folder, settings)
        return Job(folders, data, options, settings)

    @property
    def weights(self) -> Weights:
        """The files of the networks that scores need."""
        return Weights(self.settings.lpips, self.settings.fvd, self.settings.convention)

    def open(self) -> Opened:
        """Load the models and open the data, each once. Raises `DataError`, `ConfigError` and `RunError`."""
        networks = self.weights.networks()
        models: dict[str, TrainedModel] = {}
        for name, folder in self.runs:
            model = load(folder)
            _check_name(name or model.name, folder, self.settings)
            models[name or model.name] = model
        (first_name, first), *others = models.items()
        for name, model in others:
            if different := _difference(model, first):
                raise ConfigError(f"{name} and {first_name} forecast different things: {different}")
        run = Path(self.runs[0][1])
        if self.data is None and others:
            _check_same_split([Path(folder) for _, folder in self.runs])
        sources = windows_of(
            run,
            first,
            self.data,
            options=self.options,
            context=max(model.context for model in models.values()),
            horizon=self.settings.horizon,
            stride=self.settings.stride,
            inputs=moved(_inputs(models), self.settings.inputs),
        )
        baselines = {name: baseline(name, first, sources, run) for name in self.settings.baselines}
        return Opened(models, {**models, **baselines}, sources, networks)

    def warnings(self, opened: Opened) -> list[str]:
        """What makes the scores look better than they are: models that were trained on the data."""
        if self.data is None:
            return []
        warnings = []
        for name, (_, folder) in zip(opened.models, self.runs, strict=True):
            if text := training_warning(Path(folder), opened.sources.frames):
                warnings.append(text if len(self.runs) == 1 else f"{name}: {text}")
        return warnings


def run_job(
    job: Job, *, out: str | Path | None = None, cluster: str | None = None, progress: Progress | None = None
) -> Evaluation:
    """Score the models of a job. `out`, `cluster` and `progress` are those of `framecast.evaluate`, which says what is raised."""
    if cluster is not None and isinstance(job.data, xr.DataArray):
        raise ArgumentError(
            "frames in memory cannot be shared out", parameter="cluster", remedy="give the path of the frames"
        )
    opened, settings = job.open(), job.settings
    source = opened.sources.held_out()
    todo = plan(source, settings, where=opened.sources.where)
    if out is not None:
        ensure_folder(out)  # hours before what is written there
    if cluster is None:
        parts = [score(todo, opened.forecasters, source, progress or no_progress, opened.networks)]
    else:
        parts = distributed(job, todo, cluster, progress or no_progress)
    verification = replace(assemble(parts, todo, source, opened.sources.step), grid=_grid(opened.sources.frames))
    verification.sums.attrs |= job.weights.described() | {
        "repairs": "\n".join(opened.sources.repairs),
        "warnings": "\n".join(job.warnings(opened)),
    }
    if out is not None:
        verification.save(Path(out) / CASES)
    return Evaluation(verification, opened.models)


def _check_name(name: str | None, folder: str, settings: EvaluationSettings) -> None:
    """Raise `ArgumentError` for a run that has the name of a baseline."""
    if name in settings.baselines:
        raise ArgumentError(
            f"{name!r} names a run and a baseline",
            where=folder,
            parameter="baselines",
            remedy="give the folder of the run another name, or leave that baseline out",
        )


def _grid(frames: Sequence[xr.DataArray]) -> Grid | None:
    """Where all of some archives lie."""
    if not frames or not all(same_grid(frames[0], other) for other in frames) or "y" not in frames[0].coords:
        return None
    first = frames[0]
    attributes = first["crs"].attrs if "crs" in first.coords else {}
    try:
        crs = CRS.from_cf(attributes).to_wkt() if attributes else ""
    except CRSError:
        crs = ""
    return Grid(first["y"].values, first["x"].values, str(first["x"].attrs.get("units", "")), crs)


def _difference(one: TrainedModel, other: TrainedModel) -> str:
    """In what two models differ that must be the same for them to be judged on the same frames; empty where in nothing."""
    differences = []
    for what, values in (
        ("quantity", [model.card.quantity.name for model in (one, other)]),
        ("channels", [model.card.shape.predicted for model in (one, other)]),
        ("seconds between frames", [model.card.step_seconds for model in (one, other)]),
        ("numbers in an action", [model.card.shape.actions for model in (one, other)]),
    ):
        if values[0] != values[1]:
            differences.append(f"{what} {values[0]} and {values[1]}")
    return ", ".join(differences)


def _inputs(models: Mapping[str, TrainedModel]) -> tuple[Input, ...]:
    """The extra inputs of models: the same for all that have any. Raises `ConfigError`."""
    inputs = {name: model.card.inputs for name, model in models.items() if model.inputs}
    if len(set(inputs.values())) > 1:
        raise ConfigError(
            f"{' and '.join(inputs)} see different inputs beside the frames", remedy="evaluate them one by one"
        )
    return next(iter(inputs.values()), ())


def _check_same_split(runs: Sequence[Path]) -> None:
    """Raise `ConfigError` where runs were not trained on the same part of the same data: the test split of one may be among what
    another was trained on."""
    held_out = []
    for run in runs:
        data = settings_of(run).data
        changes: dict[str, Any] = {"context": 1, "horizon": 1}
        if isinstance(data, ArchiveData):
            # how windows are drawn and cut out, and what is seen beside them, is no matter
            changes |= {"stride": 1, "crop": None, "flips": False, "rotations": False, "sampling": None, "inputs": ()}
        held_out.append(replace(data, **changes))
        if held_out[-1] != held_out[0]:
            raise ConfigError(
                f"{run.name} was not trained on the same part of the same data as {runs[0].name}, so that it may have seen "
                "the test split of that",
                where=run,
                remedy="give data that none has seen",
                parameter="data",
                example="PATH",
            )


_opened = lru_cache(maxsize=1)(Job.open)
"""A process that scores part after part of one job opens it once."""


def _scored(job: Job, todo: ScoringPlan) -> PartialResult:
    opened = _opened(job)
    return score(todo, opened.forecasters, opened.sources.held_out(), networks=opened.networks)


def distributed(job: Job, todo: ScoringPlan, cluster: str, progress: Progress = no_progress) -> list[PartialResult]:
    """Score the parts of a plan on a Dask cluster: the address of a scheduler, or "local:N". The parts of a worker that dies
    are scored by another. Raises `ConfigError` without `distributed` or for an address that is none, `RunError` where the
    cluster cannot be reached or a part fails again and again."""
    done = 0

    def count(part: PartialResult) -> None:
        nonlocal done
        done += len(part.order)
        progress(done, len(todo.cases))

    return map_on_cluster(partial(_scored, job), todo.parts(BATCHES), cluster, count)


def baseline(name: str, trained: TrainedModel, sources: DataSplits, run: Path) -> Forecaster:
    """The baseline of that name. Raises `ConfigError` for another name, or where it needs what is not installed."""

    def training() -> DataSplits:
        return sources if sources.train else _training(run)

    return build(name, BaselineData(trained.card.quantity, sources.step, sources.frames, training))


def _training(run: Path) -> DataSplits:
    """What the run was trained on. Raises `DataError` and `RunError`."""
    experiment = settings_of(run)
    check_in_files(experiment, run, "leave the climatology out, which is the mean of the training frames")
    return experiment.data.open()
