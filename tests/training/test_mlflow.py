"""Curves in MLflow: all of them and none twice, and nothing that depends on them."""

import csv
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import changed
from framecast.config.experiment import Experiment
from framecast.errors import ConfigError
from framecast.training.events import Finished, Progress, Warned
from framecast.training.loop import train


def test_without_mlflow_the_remedy_is_named(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    with pytest.raises(ConfigError, match=r'pip install "framecast\[mlflow\]"'):
        list(train(changed(experiment, mlflow="http://nowhere"), tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where MLflow may write: files, for which it wants to be asked twice."""
    pytest.importorskip("mlflow", reason="needs MLflow: pip install 'framecast[mlflow]'")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return f"file:{tmp_path / 'mlruns'}"


def runs_in(store: str) -> list[Any]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=store)
    found = client.get_experiment_by_name("framecast")
    return list(client.search_runs([found.experiment_id]))


def curve(store: str, run: str, name: str) -> list[tuple[int, float]]:
    from mlflow.tracking import MlflowClient

    return [(value.step, value.value) for value in MlflowClient(tracking_uri=store).get_metric_history(run, name)]


def logged(run: Path, name: str) -> list[tuple[int, float]]:
    with (run / "log.csv").open(newline="") as file:
        return [(int(row["iteration"]), float(row[name])) for row in csv.DictReader(file) if row[name]]


def test_a_run_that_is_resumed_goes_on_in_the_same_run_of_mlflow(
    experiment: Experiment, tmp_path: Path, store: str
) -> None:
    settings, out = changed(experiment, mlflow=store), tmp_path / "run"
    for event in train(settings, out):  # killed after iteration 6; the checkpoint is of 4
        if isinstance(event, Progress) and event.iteration == 6:
            break
    first = (out / "mlflow.txt").read_text().strip()
    events = list(train(settings, out, resume=True))
    assert events[0].iteration == 4
    (run,) = runs_in(store)
    assert run.info.run_id == first == (out / "mlflow.txt").read_text().strip()
    assert (run.info.run_name, run.info.status) == ("run", "FINISHED")
    for name in ("loss", "learning_rate", "validation_loss"):
        assert curve(store, first, name) == logged(out, name)
    assert [step for step, _ in curve(store, first, "loss")] == [2, 4, 6, 8, 10, 12]


def test_training_goes_on_without_a_server_that_is_gone(
    experiment: Experiment, tmp_path: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.tracking import MlflowClient

    sent = []

    def refused(self: Any, run: str, name: str, value: float, step: int) -> None:
        sent.append(step)
        if step == 4:
            raise ConnectionError("connection refused")

    monkeypatch.setattr(MlflowClient, "log_metric", refused)
    events = list(train(changed(experiment, mlflow=store), tmp_path / "run"))
    (warned,) = (event for event in events if isinstance(event, Warned) and "MLflow" in event.message)
    assert warned.iteration == 4
    assert "log.csv has all of them" in warned.message
    assert max(sent) == 4
    assert events[-1] == Finished(tmp_path / "run", 12, interrupted=False)
    assert [step for step, _ in logged(tmp_path / "run", "loss")] == [2, 4, 6, 8, 10, 12]


def test_an_address_that_is_none_is_refused_before_anything_is_written(
    experiment: Experiment, tmp_path: Path, store: str
) -> None:
    for wrong in ("http://127.0.0.1:9", "nowhere://"):
        with pytest.raises(ConfigError, match=f"training.mlflow: {wrong} cannot be used"):
            list(train(changed(experiment, mlflow=wrong), tmp_path / "run"))
    assert not (tmp_path / "run").exists()
