"""Evaluating a run: its model beside the baselines, on its own test split or on other data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import xarray as xr
from pyproj import CRS
from pyproj.exceptions import CRSError

from framecast.checks import a_folder, a_path, at_least_one, several
from framecast.data.archives.opening import open_like
from framecast.data.datasets import IN_MEMORY, ArchiveData
from framecast.data.frames import files_of, same_grid
from framecast.data.quantities import ZR
from framecast.data.readers.options import AS_IT_IS, Options
from framecast.data.windows.inputs import Input, moved
from framecast.data.windows.sources import Sources
from framecast.data.windows.splits import ByBlocks
from framecast.errors import ConfigError, DataError
from framecast.forecasting.baselines import DEFAULT, BaselineData, build
from framecast.forecasting.protocol import Forecaster
from framecast.forecasting.trained_model import TrainedModel, load
from framecast.scores import named
from framecast.training.run_folder import EXPERIMENT, check_in_files, settings_of
from framecast.verification.case_sums import Networks
from framecast.verification.dask_cluster import share_out
from framecast.verification.perceptual_weights import Weights
from framecast.verification.result import Grid, Verification
from framecast.verification.run import PartialResult, Report, ScoringPlan, assemble, plan, score

CASES = "cases.nc"
BATCHES = 2
"""Batches of cases that a worker of a cluster scores at a time."""

Given = str | Path | Sequence[str | Path] | xr.DataArray
"""Frames to judge on: what `framecast.open` takes, or what it gives."""


def evaluate(
    run: str | Path | Mapping[str, str | Path],
    data: Given | None = None,
    *,
    options: Options = AS_IT_IS,
    out: str | Path | None = None,
    rates: tuple[float, ...] | None = None,
    zr: ZR | None = None,
    convention: str = "default",
    horizon: int | None = None,
    stride: int | None = None,
    limit: int | None = None,
    baselines: Sequence[str] = DEFAULT,
    inputs: Sequence[str] = (),
    lpips: Sequence[str | Path] = (),
    fvd: str | Path | None = None,
    cluster: str | None = None,
    report: Report = lambda done, of: None,
) -> Verification:
    """Score the model of `run` beside `baselines`, whole frames, every window of the test data; or the models of several runs, by
    name, on the same cases and pixels. Of several the test split is that of the first, and windows are as long as the model
    needs that looks back furthest; without `data` all must have been trained on the same part of the same data. Returns the
    sums of every case, and the scores they make.

    `data` are opened Frames or what `framecast.open` takes, read as in training where `options` state nothing else; without
    it the run's own test split is used. `rates` are thresholds in mm/h (0.5, 2 and 8 for rain), led to reflectivity by `zr`;
    `convention` is how frame scores are computed: "default", "thuml", "czh98" or "openstl". Windows have the `horizon` of
    training unless stated; of more than `limit` so many are taken, evenly spread. `stride` is how many frames lie between the
    starts of windows: 1 unless stated, of the run's own split as in training. `inputs` are where that lies which the model sees
    beside the frames, in the order of training; where it lay in training, without. `lpips` are files with the weights of
    AlexNet and of the linear layers of LPIPS, `fvd` is one with those of I3D; without them these scores are not computed. With
    `out` the sums of all cases are written there as `cases.nc`.
    `cluster` is the address of a Dask scheduler, or "local:N" for N processes on this machine, among which the cases are shared
    out; the result is the same. `report` is told the cases done and to do. Raises `DataError` for what cannot be read or holds
    no window, `ConfigError` for what cannot be asked for, and `RunError` where there is no trained model.
    """
    named(convention)  # what is misspelt is said before anything is opened
    at_least_one(horizon=horizon, stride=stride, limit=limit)
    runs = run if isinstance(run, Mapping) else {load(run).name: run}
    if not runs:
        raise ConfigError("no run given")
    job = Job(
        runs=tuple((name, str(a_path(folder, "the folder of a run"))) for name, folder in runs.items()),
        data=data,
        options=options,
        horizon=horizon,
        stride=stride,
        baselines=several(baselines, "baselines"),
        inputs=several(inputs, "inputs"),
        weights=Weights(tuple(map(str, several(lpips, "lpips"))), None if fvd is None else str(fvd), convention),
    )
    if cluster is not None and isinstance(data, xr.DataArray):
        raise ConfigError(
            "frames in memory cannot be shared out", where="cluster", remedy="give the path of the frames"
        )
    forecasters, sources, networks = job.opened()
    source = sources.held_out()
    todo = plan(source, rates=rates, zr=zr, convention=convention, limit=limit, where=sources.where)
    if out is not None:
        a_folder(out)  # hours before what is written there
    if cluster is None:
        parts = [score(todo, forecasters, source, report, networks)]
    else:
        parts = distributed(job, todo, cluster, report)
    verification = replace(assemble(parts, todo, source, sources.step), grid=_grid(sources.frames))
    verification.sums.attrs |= job.weights.described() | {"repairs": "\n".join(sources.repairs)}
    if out is not None:
        verification.save(Path(out) / CASES)
    return verification


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


@dataclass(frozen=True)
class Job:
    """Which models are judged on which windows: what a process needs to know to score some of them."""

    runs: tuple[tuple[str, str], ...]
    data: Given | None
    options: Options
    horizon: int | None
    stride: int | None
    baselines: tuple[str, ...]
    inputs: tuple[str, ...] = ()
    weights: Weights = field(default_factory=Weights)

    def opened(self) -> tuple[dict[str, Forecaster], Sources, Networks]:
        """The forecasters by name, the windows, and the networks of scores. Raises `DataError`, `ConfigError` and `RunError`."""
        for name, folder in self.runs:
            if name in self.baselines:
                raise ConfigError(
                    f"{name!r} names a run and a baseline",
                    where=folder,
                    remedy="give the folder of the run another name, or leave that baseline out",
                )
        networks = self.weights.networks()
        models = {name: load(run) for name, run in self.runs}
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
            horizon=self.horizon,
            stride=self.stride,
            inputs=moved(_inputs(models), self.inputs),
        )
        beside = {name: baseline(name, first, sources, run) for name in self.baselines}
        return {**models, **beside}, sources, networks


def _difference(one: TrainedModel, other: TrainedModel) -> str:
    """In what two models differ that must be the same for them to be judged on the same frames; empty where in nothing."""
    said = []
    for what, values in (
        ("quantity", [model.card.quantity.name for model in (one, other)]),
        ("channels", [model.card.shape.predicted for model in (one, other)]),
        ("seconds between frames", [model.card.step_seconds for model in (one, other)]),
        ("numbers in an action", [model.card.shape.actions for model in (one, other)]),
    ):
        if values[0] != values[1]:
            said.append(f"{what} {values[0]} and {values[1]}")
    return ", ".join(said)


def _inputs(models: Mapping[str, TrainedModel]) -> tuple[Input, ...]:
    """What models see beside the frames: the same for all that see anything. Raises `ConfigError`."""
    found = {name: model.card.inputs for name, model in models.items() if model.inputs}
    if len(set(found.values())) > 1:
        raise ConfigError(
            f"{' and '.join(found)} see different inputs beside the frames", remedy="evaluate them one by one"
        )
    return next(iter(found.values()), ())


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
                remedy="give data that none has seen: --data PATH",
            )


_opened = lru_cache(maxsize=1)(Job.opened)
"""A process that scores part after part of one job opens it once."""


def _scored(job: Job, todo: ScoringPlan) -> PartialResult:
    forecasters, sources, networks = _opened(job)
    return score(todo, forecasters, sources.held_out(), networks=networks)


def distributed(
    job: Job, todo: ScoringPlan, cluster: str, report: Report = lambda done, of: None
) -> list[PartialResult]:
    """Score the parts of a plan on a Dask cluster: the address of a scheduler, or "local:N". The parts of a worker that dies
    are scored by another. Raises `ConfigError` without `distributed` or for an address that is none, `RunError` where the
    cluster cannot be reached or a part fails again and again."""
    done = 0

    def count(part: PartialResult) -> None:
        nonlocal done
        done += len(part.order)
        report(done, len(todo.cases))

    return share_out(partial(_scored, job), todo.parts(BATCHES), cluster, count)


def baseline(name: str, trained: TrainedModel, sources: Sources, run: Path) -> Forecaster:
    """The baseline of that name, for the windows of `sources`. Raises `ConfigError` for one that cannot be made."""

    def training() -> Sources:
        return sources if sources.train else _training(run)

    return build(name, BaselineData(trained.card.quantity, sources.step, sources.frames, training))


def _training(run: Path) -> Sources:
    """What the run was trained on. Raises `DataError` and `RunError`."""
    experiment = settings_of(run)
    check_in_files(experiment, run, "leave the climatology out, which is the mean of the training frames")
    return experiment.data.open()


def windows_of(
    run: Path,
    trained: TrainedModel,
    data: Given | None = None,
    *,
    options: Options = AS_IT_IS,
    context: int | None = None,
    horizon: int | None = None,
    stride: int | None = None,
    inputs: Sequence[Input] | None = None,
) -> Sources:
    """The windows to evaluate: all of `data`, read as those were that the model was trained on where `options` state nothing
    else; without it the test split of the run. `context`, `horizon` and `inputs` are those of the model unless stated. Raises
    `DataError` where there is none."""
    shape = trained.card.shape
    context, horizon = context or shape.context, horizon or shape.horizon
    inputs = tuple(trained.card.inputs if inputs is None else inputs)
    if data is not None:
        archive = ArchiveData(
            path=IN_MEMORY,
            context=context,
            horizon=horizon,
            stride=stride or 1,
            actions=bool(shape.actions),
            inputs=inputs,
            split=ByBlocks(validation=0, test=0),
        )
        sources = archive.open(frames=[opened(data, options, trained.card.read_options)])
        trained.check(sources.frames[0])
        judged = replace(sources, test=sources.train, train=None)
        if (found := judged.held_out().shape.actions) != shape.actions:
            said = f"actions of {found} numbers, but {trained.name} was trained on actions of {shape.actions}"
            raise DataError(said, where=sources.where, remedy="give data with the actions that it was trained on")
        return judged
    if options.stated:
        raise ConfigError(
            f"the run's own test split is read as in training, but {', '.join(options.stated)} is stated",
            remedy="leave that out, or give --data",
        )
    experiment = settings_of(run)
    check_in_files(experiment, run, "give frames to look at: --data PATH (in Python: data=PATH)")
    own = experiment.data
    if isinstance(own, ArchiveData):
        own = replace(own, inputs=inputs, stride=stride or own.stride)
    elif stride is not None:
        raise ConfigError(
            "this data set has windows of its own", where="--stride", remedy="leave it out, or give --data"
        )
    return replace(own, context=context, horizon=horizon).open()


def opened(data: Given, options: Options, before: Options) -> xr.DataArray:
    """Frames, read as those of training were, `before`, where they are not open. Raises `DataError`."""
    return data if isinstance(data, xr.DataArray) else open_like(data, options, before)


def trained_on(run: str | Path, data: Given | None, options: Options = AS_IT_IS) -> tuple[str, ...]:
    """Those files of `data` on which the run was trained, so that scores on them flatter the model. Nothing where that
    cannot be told: a saved model without its run, files that are gone."""
    if data is None or not (Path(run) / EXPERIMENT).is_file():
        return ()
    settings = settings_of(Path(run)).data
    if not isinstance(settings, ArchiveData):
        return ()
    try:
        before = {file for frames in settings.opened() for file in files_of(frames)}
        return tuple(sorted(before & files_of(opened(data, options, settings.reading))))
    except DataError:
        return ()


def warning(run: str | Path, data: Given | None, options: Options = AS_IT_IS) -> str:
    """What makes scores of a run on `data` look better than they are; empty where nothing is known to."""
    seen = trained_on(run, data, options)
    names = ", ".join(Path(file).name for file in seen[:5])
    return f"the model was trained on {len(seen)} of these files: {names}" if seen else ""
