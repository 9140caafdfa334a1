"""Work shared out among processes: everything once, also when a process dies."""

import os
from functools import partial
from pathlib import Path

import pytest
import xarray as xr
from cluster_work import broken, square
from moving_rain import write_rain

from framecast.config.experiment import Experiment, Optimiser, Training
from framecast.data.readers.options import ReadOptions
from framecast.errors import ConfigError, RunError
from framecast.models import ConvLSTM
from framecast.training import train
from framecast.verification import dask_cluster
from framecast.verification.dask_cluster import map_on_cluster
from framecast.verification.evaluate import Job
from framecast.verification.run import PartialResult, ScoringPlan
from framecast.verification.settings import EvaluationSettings
from framecast.workflows.evaluation import evaluate

pytest.importorskip("distributed")


def test_a_worker_that_dies_costs_nothing_but_time(tmp_path: Path) -> None:
    seen: list[int] = []
    results = map_on_cluster(partial(square, tmp_path), range(8), "local:2", seen.append)
    assert results == [k**2 for k in range(8)]
    assert sorted(seen) == sorted(results)
    assert (tmp_path / "died").exists()


def test_what_cannot_be_reached_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_cluster, "TIMEOUT", 1)
    with pytest.raises(ConfigError, match="no number of processes"):
        map_on_cluster(abs, [1], "local:none")
    with pytest.raises((RunError, ConfigError), match="cluster"):
        map_on_cluster(abs, [1], "tcp://127.0.0.1:9")


@pytest.mark.parametrize("number", [0, 1])
def test_a_fault_of_the_work_is_none_of_the_cluster(cluster: str, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(dask_cluster, "RETRIES", 0)
    with pytest.raises((OSError, ValueError), match="a fault of the work"):
        map_on_cluster(broken, [number], cluster)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tiny trained run, and rain it has not seen."""
    folder = tmp_path_factory.mktemp("shared")
    write_rain(folder / "rain.nc", "2020-01-01", frames=60, height=24, width=28, speed=0.3)
    from framecast.data.datasets import ArchiveData

    experiment = Experiment(
        data=ArchiveData(path=str(folder / "rain.nc"), context=3, horizon=3),
        model=ConvLSTM(hidden=(4,), kernel=3),
        optimiser=Optimiser(),
        training=Training(iterations=2, batch_size=2, validate_every=2, checkpoint_every=2, validation_windows=2),
    )
    return train(experiment, out=folder / "run"), folder / "rain.nc"


def test_on_a_cluster_the_result_is_the_same(run: tuple[Path, Path], cluster: str, tmp_path: Path) -> None:
    folder, data = run
    seen: list[tuple[int, int]] = []
    alone = evaluate(folder, str(data), limit=8, out=tmp_path / "a")
    shared = evaluate(
        folder, str(data), limit=8, out=tmp_path / "b", cluster=cluster, progress=lambda *k: seen.append(k)
    )
    xr.testing.assert_identical(alone.sums, shared.sums)
    assert [e.case for e in alone.examples] == [e.case for e in shared.examples]
    assert [e.why for e in alone.examples] == [e.why for e in shared.examples]
    assert seen[-1] == (8, 8)
    one, two = (xr.load_dataset(tmp_path / f"{name}/cases.nc", engine="h5netcdf") for name in "ab")
    xr.testing.assert_identical(one, two)


def score_or_die(folder: Path, job: Job, plan: ScoringPlan) -> PartialResult:
    """Dies once, midway."""
    from framecast.verification.evaluate import _score_part

    if plan.cases[0] > 8 and not (folder / "died").exists():
        (folder / "died").touch()
        os._exit(1)
    return _score_part(job, plan)


def test_killed_midway_the_result_is_the_same(run: tuple[Path, Path], cluster: str, tmp_path: Path) -> None:
    from framecast.verification.run import assemble, make_plan, score

    folder, data = run
    settings = EvaluationSettings(stride=1, baselines=("persistence",))
    job = Job.of({"model": folder}, str(data), ReadOptions(), settings)
    opened = job.open()
    forecasters, source = opened.forecasters, opened.sources.test
    assert source is not None
    plan = make_plan(source, EvaluationSettings(limit=8))
    parts = map_on_cluster(partial(score_or_die, tmp_path, job), plan.parts(1), cluster)
    assert (tmp_path / "died").exists()
    shared, alone = (
        assemble(parts, plan, source),
        assemble([score(plan, forecasters, source)], plan, source),
    )
    xr.testing.assert_identical(shared.sums, alone.sums)
