"""Evaluation of trained models and baselines on the same windows, in this process or on a cluster.

A `Job` states which models are scored on which windows; `open` loads each model once and opens each archive once. This file
reads run folders, data and weights, and writes `cases.nc`; it computes no score.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import xarray as xr
from pyproj import CRS
from pyproj.exceptions import CRSError

from framecast.checkpoints.model_folder import ModelCard
from framecast.checks import as_path, ensure_folder
from framecast.data.archives.outputs import check_output, source_files
from framecast.data.datasets import ArchiveData
from framecast.data.frames import same_grid
from framecast.data.identity import identify_files
from framecast.data.orientation import CURVILINEAR
from framecast.data.readers.options import ReadOptions
from framecast.data.windows.inputs import Input, with_paths
from framecast.data.windows.known_frames import KnownFrames
from framecast.data.windows.record import DataRecord, read_record
from framecast.data.windows.sources import DataSplits
from framecast.data.windows.splits import NAMES
from framecast.errors import ArgumentError, ConfigError
from framecast.forecasting.baselines import BaselineData, assumptions, build_all
from framecast.forecasting.loading import is_baseline
from framecast.forecasting.protocol import Forecaster
from framecast.forecasting.trained_model import TrainedModel, load
from framecast.maps.mesh import is_curvilinear, mesh_of
from framecast.progress import Progress, no_progress
from framecast.training.run_data import open_run_data
from framecast.training.run_folder import check_in_files, read_experiment
from framecast.verification.case_sums import PerceptualNetworks
from framecast.verification.dask_cluster import map_on_cluster
from framecast.verification.examples import Grid
from framecast.verification.perceptual_weights import PerceptualWeights
from framecast.verification.result import Verification
from framecast.verification.resuming import dependencies, score_parts
from framecast.verification.run import PartialResult, ScoringPlan, assemble, make_plan, score
from framecast.verification.settings import EvaluationSettings
from framecast.verification.stored_parts import EVALUATION, FOLDER, StoredParts
from framecast.verification.windows import FramesLike, model_notes, pixel_size, training_warning, windows_of

DEFAULTS = EvaluationSettings()
"""All settings at their defaults."""
CASES = "cases.nc"
BATCHES = 2
"""Batches of cases that a worker of a cluster scores at a time."""

Runs = str | Path | Mapping[str, str | Path]
"""The folder of a run, or the folders of several by name."""


class JobResources(NamedTuple):
    """The open resources of a job: trained models, all forecasters (models first, then baselines), windows, the networks of
    perceptual scores, and notes on the models and on what baselines assume of the frames."""

    models: dict[str, TrainedModel]
    forecasters: dict[str, Forecaster]
    sources: DataSplits
    networks: PerceptualNetworks
    notes: list[str]


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
        by_name: Mapping[Any, Any] = runs if isinstance(runs, Mapping) else {None: runs}
        if not by_name:
            raise ArgumentError("no run given", parameter="run")
        folders = tuple((name, str(as_path(folder, "the folder of a run", "run"))) for name, folder in by_name.items())
        for name, folder in folders:
            if is_baseline(folder):
                raise ArgumentError(
                    "a baseline is no run; it is scored beside those of trained models",
                    where=folder,
                    parameter="baselines",
                    example=[folder],
                    remedy="give the folder of a run, and name the baseline",
                )
            _check_name(name, folder, settings)
        return Job(folders, data, options, settings)

    @property
    def weights(self) -> PerceptualWeights:
        """The files of the networks that scores need."""
        return PerceptualWeights.of(self.settings)

    def open(self) -> JobResources:
        """Load the models and open the data, each once. Raises `DataError`, `ConfigError` and `RunError`."""
        networks = self.weights.networks()
        models: dict[str, TrainedModel] = {}
        for name, folder in self.runs:
            model = load(folder)
            model.members = self.settings.members if model.draws_members else None
            _check_name(name or model.name, folder, self.settings)
            models[name or model.name] = model
        (first_name, first), *others = models.items()
        for name, model in others:
            if different := _difference(model, first):
                raise ConfigError(f"{name} and {first_name} forecast different things: {different}")
        run, horizon = Path(self.runs[0][1]), self.settings.horizon or min(each.horizon for each in models.values())
        if self.data is None and others:
            _check_same_split([Path(folder) for _, folder in self.runs])
        sources = windows_of(
            run,
            first,
            self.data,
            options=self.options,
            context=max(model.context for model in models.values()),
            horizon=horizon,
            stride=self.settings.stride,
            inputs=with_paths(_inputs(models), self.settings.inputs),
            others=[Path(folder) for _, folder in self.runs[1:]],
        )
        data = baseline_data(first, sources, run)
        baselines = build_all(self.settings.baselines, data)
        notes = [*model_notes(models, sources.frames), *assumptions(baselines, data)]
        horizons = {name: model.horizon for name, model in models.items()}
        if self.settings.horizon is None and len(set(horizons.values())) > 1:
            each = ", ".join(f"{name} {count}" for name, count in horizons.items())
            notes.append(f"the horizons of the models differ ({each}): scores are of the first {horizon} lead times")
        return JobResources(models, {**models, **baselines}, sources, networks, notes)

    def warnings(self, resources: JobResources) -> list[str]:
        """Warnings that scores are too good: models that were trained on the data."""
        warnings = list(resources.sources.warnings)
        if self.data is None:
            return warnings
        for name, (_, folder) in zip(resources.models, self.runs, strict=True):
            if text := training_warning(Path(folder), resources.models[name].card, resources.sources.frames):
                warnings.append(text if len(self.runs) == 1 else f"{name}: {text}")
        return warnings


def run_job(
    job: Job, *, out: str | Path | None = None, cluster: str | None = None, progress: Progress | None = None
) -> Evaluation:
    """Score the models of a job. `out`, `cluster`, `progress` and the errors are those of `framecast.evaluate`."""
    check_cluster(cluster, job.data)
    if progress is not None and not callable(progress):
        raise ArgumentError(f"{progress!r} given, expected a function of two numbers", parameter="progress")
    resources, settings = job.open(), job.settings
    source = resources.sources.held_out()
    plan = make_plan(source, settings, where=resources.sources.where)
    if out is not None:
        check_output(Path(out) / CASES, resources.sources.frames, job.data)
        ensure_folder(out)  # now, not after hours of work
    batches = 1 if cluster is None else BATCHES
    store = None
    if out is not None:
        store = StoredParts(Path(out) / FOLDER, _dependencies(job, resources, plan, batches), EVALUATION)
    score_these = partial(_score_here, resources) if cluster is None else partial(_score_on_cluster, job, cluster)
    parts = score_parts(plan, batches, score_these, progress or no_progress, store)
    verification = replace(
        assemble(parts, plan, source, resources.sources.step), grid=grid_of(resources.sources.frames)
    )
    verification.sums.encoding["sources"] = source_files(*resources.sources.frames)
    verification.sums.attrs |= (
        pixel_size(resources.sources.frames)
        | job.weights.describe()
        | {
            "repairs": "\n".join([*resources.sources.repairs, *resources.notes]),
            "warnings": "\n".join(job.warnings(resources)),
        }
    )
    if out is not None:
        verification.save(Path(out) / CASES)
    if store is not None:
        store.remove()
    return Evaluation(verification, resources.models)


def check_cluster(cluster: object, data: FramesLike | None) -> None:
    """Raise `ArgumentError` for what is no cluster, and for `data` that no other process can open."""
    if cluster is None:
        return
    if not isinstance(cluster, str):
        raise ArgumentError(
            f"{cluster!r} given, expected an address or local:N", parameter="cluster", example="local:4"
        )
    if isinstance(data, xr.DataArray):
        raise ArgumentError(
            "frames in memory cannot be scored on a cluster", parameter="cluster", remedy="give the path of the frames"
        )


def _dependencies(job: Job, resources: JobResources, plan: ScoringPlan, batches: int) -> dict[str, str]:
    """What the bits of the result of a job depend on."""
    models, settings, sources = resources.models, job.settings, resources.sources
    weights = {name: identify_files([str(model.folder)])[0].sha256 for name, model in models.items()}
    inputs = {path for model in models.values() for each in model.card.inputs for path in _paths(each.path)}
    work = {"models": weights, "settings": (settings, plan.rules, plan.batch_size, batches)}
    others = [*sorted(inputs), *settings.inputs, *settings.weight_files]
    in_memory = isinstance(job.data, xr.DataArray)
    return dependencies(work, plan, sources.held_out(), sources.frames, others, in_memory=in_memory)


def _paths(path: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """The paths of an extra input."""
    return (path,) if isinstance(path, str) else path or ()


def _check_name(name: str | None, folder: str, settings: EvaluationSettings) -> None:
    """Raise `ArgumentError` if a run has the name of a baseline."""
    if name in settings.baselines:
        raise ArgumentError(
            f"{name!r} names a run and a baseline",
            where=folder,
            parameter="baselines",
            remedy="give the folder of the run another name, or leave that baseline out",
        )


def grid_of(frames: Sequence[xr.DataArray]) -> Grid | None:
    """The grid of all archives, as they are drawn; None if they differ or have no coordinates."""
    if not frames or not all(same_grid(frames[0], other) for other in frames):
        return None
    first = frames[0]
    if is_curvilinear(first):
        planes = [first[name].transpose("y", "x").values for name in CURVILINEAR]
        latitude, longitude, pixels = mesh_of(*planes).regular()
        return Grid(latitude, longitude, "degrees", "", pixels)
    if "y" not in first.coords:
        return None
    attributes = first["crs"].attrs if "crs" in first.coords else {}
    try:
        crs = CRS.from_cf(attributes).to_wkt() if attributes else ""
    except CRSError:
        crs = ""
    return Grid(first["y"].values, first["x"].values, str(first["x"].attrs.get("units", "")), crs)


def _difference(one: TrainedModel, other: TrainedModel) -> str:
    """The differences between two models that prevent scoring them on the same frames, as text; empty without any."""
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
    """The extra inputs of the models. Raises `ConfigError` if models have different ones."""
    inputs = {name: model.card.inputs for name, model in models.items() if model.inputs}
    if len(set(inputs.values())) > 1:
        raise ConfigError(f"{' and '.join(inputs)} have different extra inputs", remedy="evaluate them one by one")
    return next(iter(inputs.values()), ())


def _check_same_split(runs: Sequence[Path]) -> None:
    """Raise `ConfigError` if runs were not trained on the same part of the same data: the test split of one may be training
    data of another, and is where their records say so."""
    held_out = []
    first = read_record(runs[0])
    for run in runs:
        record = read_record(run)
        if first is not None and record is not None and (shared := _trained_on_test(record, first)):
            raise ConfigError(
                f"{run.name} was trained on {shared} frames of the test split of {runs[0].name}",
                where=run,
                remedy="give data on which none was trained",
                parameter="data",
                example="PATH",
            )
        data = read_experiment(run).data
        changes: dict[str, Any] = {"context": 1, "horizon": 1}
        if isinstance(data, ArchiveData):
            # sampling, crops, augmentation and extra inputs do not change the split
            changes |= {"stride": 1, "crop": None, "flips": False, "rotations": False, "sampling": None, "inputs": ()}
        held_out.append(replace(data, **changes))
        if held_out[-1] != held_out[0]:
            raise ConfigError(
                f"{run.name} was not trained on the same part of the same data as {runs[0].name}, so it may have been "
                "trained on the test split of that run",
                where=run,
                remedy="give data on which none was trained",
                parameter="data",
                example="PATH",
            )


def _trained_on_test(record: DataRecord, first: DataRecord) -> int:
    """On how many frames of the test split of `first` the run of `record` was trained."""
    known, label = KnownFrames([record], "train"), NAMES.index("test")
    tables = [archive.table for archive in first.archives]
    return sum(int((known.mask(table) & (table.labels == label)).sum()) for table in tables)


_open_job = lru_cache(maxsize=1)(Job.open)
"""Cached: a worker process that scores several parts of one job opens it once."""


def _score_part(job: Job, plan: ScoringPlan) -> PartialResult:
    resources = _open_job(job)
    return score(plan, resources.forecasters, resources.sources.held_out(), networks=resources.networks)


def _score_here(
    resources: JobResources, pieces: Sequence[ScoringPlan], finished: Callable[[PartialResult], None]
) -> None:
    for piece in pieces:
        source = resources.sources.held_out()
        finished(score(piece, resources.forecasters, source, networks=resources.networks))


def _score_on_cluster(
    job: Job, cluster: str, pieces: Sequence[ScoringPlan], finished: Callable[[PartialResult], None]
) -> None:
    """Score parts on a Dask cluster: the address of a scheduler, or "local:N". The parts of a worker that dies are repeated by
    another. Raises `ConfigError` if `distributed` is not installed or the address is invalid, `RunError` if the cluster cannot be
    reached or a part fails repeatedly."""
    if pieces:
        map_on_cluster(partial(_score_part, job), pieces, cluster, finished)


def baseline_data(trained: TrainedModel, sources: DataSplits, run: Path) -> BaselineData:
    """The data from which the baselines of a run are built."""

    def training() -> DataSplits:
        return sources if sources.train and not sources.tables else _training_data(run, trained.card)

    return BaselineData(trained.card.quantity, sources.step, sources.frames, training)


def _training_data(run: Path, card: ModelCard) -> DataSplits:
    """The training data of the run. Raises `DataError` and `RunError`."""
    experiment = read_experiment(run)
    check_in_files(experiment, run, "leave the climatology out, which is the mean of the training frames")
    return open_run_data(run, ("train",), card)
