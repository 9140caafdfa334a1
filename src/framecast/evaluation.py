"""Evaluating a run: its model beside the baselines, on its own test split or on other data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from framecast.data.config import ArchiveData, Sources
from framecast.data.quantities import ZR
from framecast.data.sources import Source
from framecast.data.splits import ByBlocks
from framecast.errors import DataError
from framecast.forecasting.extrapolation import Extrapolation
from framecast.forecasting.persistence import Persistence
from framecast.forecasting.run import Trained, load
from framecast.training.run import settings_of
from framecast.verification import Report, Verification, verify

CASES = "cases.nc"


def evaluate(
    run: str | Path,
    data: str | None = None,
    *,
    units: str | None = None,
    out: str | Path | None = None,
    rates: tuple[float, ...] | None = None,
    zr: ZR | None = None,
    convention: str = "default",
    horizon: int | None = None,
    stride: int = 1,
    limit: int | None = None,
    report: Report = lambda done, of: None,
) -> Verification:
    """Score the model of `run` beside persistence and extrapolation, whole frames, every window of the test data.

    `data` is what `framecast.open` takes; without it the run's own test split is used. `rates` are thresholds in mm/h.
    With `out` the sums of all cases are written there as `cases.nc`. Raises `DataError`, `ConfigError` and `RunError`.
    """
    trained = load(run)
    sources = windows_of(Path(run), trained, data, units=units, horizon=horizon, stride=stride)
    verification = verify(
        {
            trained.name: trained,
            "persistence": Persistence(),
            "extrapolation": Extrapolation(trained.card.quantity),
        },
        _tested(sources),
        rates=rates,
        zr=zr,
        convention=convention,
        step=sources.step,
        limit=limit,
        report=report,
    )
    if out is not None:
        verification.save(Path(out) / CASES)
    return verification


def windows_of(
    run: Path,
    trained: Trained,
    data: str | None,
    *,
    units: str | None = None,
    horizon: int | None = None,
    stride: int = 1,
) -> Sources:
    """The windows to evaluate: all of `data`, else the test split of the run. Raises `DataError` where there is none."""
    shape = trained.card.shape
    if data is not None:
        archive = ArchiveData(
            path=data,
            units=units,
            context=shape.context,
            horizon=horizon or shape.horizon,
            stride=stride,
            split=ByBlocks(validation=0, test=0),
        )
        sources = archive.open()
        trained.check(sources.frames[0])
        return replace(sources, test=sources.train, train=None)
    experiment = settings_of(run)
    return replace(experiment.data, horizon=horizon or shape.horizon).open()


def _tested(sources: Sources) -> Source:
    if sources.test is None:
        raise DataError("no window is left for the test", remedy="give data to evaluate on: --data PATH")
    return sources.test
