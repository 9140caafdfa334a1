"""Several models on the same windows: as long as each needs, never what one of them was trained on, opened as in training."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
import pytest
import xarray as xr
from moving_rain import write_rain
from PIL import Image

import framecast
from command_line import run_command
from framecast.checkpoints.model_folder import load as load_saved
from framecast.config.experiment import Experiment, Optimiser, Training
from framecast.data.archives.opening import open_all
from framecast.data.datasets import ArchiveData
from framecast.data.windows.splits import ByBlocks
from framecast.errors import ArgumentError, ConfigError, FramecastError, RunError
from framecast.forecasting.protocol import Context
from framecast.forecasting.trained_model import load
from framecast.models import ConvLSTM
from framecast.training import train
from framecast.workflows.evaluation import evaluate

Make = Callable[..., Path]


@pytest.fixture(scope="module")
def rain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shower that moves, on two days."""
    path = tmp_path_factory.mktemp("rain") / "rain.nc"
    return write_rain(path, "2020-01-01T21:00", frames=80, height=16, width=20, speed=0.1)


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """A tiny run on some data."""

    def run(name: str, data: ArchiveData) -> Path:
        experiment = Experiment(
            data=data,
            model=ConvLSTM(hidden=(4,), kernel=3),
            optimiser=Optimiser(),
            training=Training(iterations=1, batch_size=2, validate_every=1, checkpoint_every=1, validation_windows=2),
        )
        return train(experiment, out=tmp_path_factory.mktemp("runs") / name)

    return run


def test_each_model_gets_the_frames_before_the_forecast_that_it_needs(rain: Path, make: Make) -> None:
    data = ArchiveData(path=str(rain), context=3, horizon=3)
    short, long = make("short", data), make("long", replace(data, context=5, horizon=4))
    rmtree(long / "best")
    for order in ({"short": short, "long": long}, {"long": long, "short": short}):
        for path in (str(rain), None):
            both = evaluate(order, path, baselines=(), limit=2)
            example = both.examples[0]
            assert len(example.context) == 5
            assert both.sums.sizes["lead_time"] == 3
            assert [note.split(" (")[0] for note in both.repairs] == [
                f"long: {long} has no best weights, which a validation chooses: those of its last iteration are used",
                "the horizons of the models differ",
            ]
            for name, run in order.items():
                model = load(run)
                alone = model.forecast(Context(example.context[None, -model.context :]), 3)[0, 0]
                np.testing.assert_allclose(example.forecasts[name], alone, atol=1e-5)


def test_the_test_split_of_one_that_another_was_trained_on_is_refused(rain: Path, make: Make) -> None:
    data = ArchiveData(path=str(rain), context=3, horizon=3)
    one = make("one", data)
    other = make("other", replace(data, split=ByBlocks(validation=0.3, test=0)))
    with pytest.raises(ConfigError, match=r"other was not trained on the same part.*\n.*data=PATH"):
        evaluate({"one": one, "other": other})
    cropped = make("cropped", replace(data, crop=8, flips=True))
    assert evaluate({"one": one, "cropped": cropped}, baselines=()).forecasters == ["one", "cropped"]


def test_models_of_different_things_are_not_compared(rain: Path, make: Make, tmp_path: Path) -> None:
    np.save(tmp_path / "pictures.npy", np.random.default_rng(0).integers(0, 255, (60, 16, 20), dtype=np.uint8))
    one = make("rain", ArchiveData(path=str(rain), context=3, horizon=3))
    other = make("pictures", ArchiveData(path=str(tmp_path / "pictures.npy"), context=3, horizon=3))
    with pytest.raises(
        ConfigError, match="pictures and rain forecast different things: quantity intensity and rain_rate"
    ):
        evaluate({"rain": one, "pictures": other}, str(rain))


def test_test_data_are_opened_as_the_training_data_were(make: Make, tmp_path: Path) -> None:
    """Grey and small in training, so grey and small in the test, without being asked."""
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
        for number in range(30):
            Image.fromarray(rng.integers(0, 255, (24, 32, 3), dtype=np.uint8)).save(tmp_path / part / f"{number}.png")
    run = make("grey", ArchiveData(path=str(tmp_path / "train"), context=3, horizon=3, grey=True, size=(12, 16)))
    result = evaluate(run, str(tmp_path / "test"), limit=2)
    assert result.examples[0].truth.shape == (3, 1, 12, 16)


def test_what_training_was_told_of_its_files_need_not_be_said_again(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Units and time step, which arrays do not say: in every command that reads new ones; what is stated there goes before."""
    for part in ("train", "new"):
        np.save(tmp_path / f"{part}.npy", np.random.default_rng(0).gamma(1, 2, (40, 16, 20)).astype(np.float32))
    run = make(
        "arrays", ArchiveData(path=str(tmp_path / "train.npy"), context=3, horizon=3, units="mm h-1", time_step=5)
    )
    new, next_ = str(tmp_path / "new.npy"), str(tmp_path / "next.nc")
    commands = (
        ("evaluate", run, "--data", new, "--limit", 2, "--baselines", "persistence"),
        ("compare", run, "--data", new, "--limit", 2, "--baselines", "persistence", "--out", tmp_path / "comparison"),
        ("forecast", run, "--data", new, "--horizon", 3, "--out", next_),
        ("diagnose", run, "gradients", "--data", new, "--limit", 1),
    )
    for command in commands:
        code, _, errors = run_command(monkeypatch, capsys, *command, "--time-step", "10")
        assert code == 2
        assert "a time step of 10 minutes, but the model was trained on 5" in errors
        code, _, errors = run_command(monkeypatch, capsys, *command)
        assert code == 0, errors
    with xr.open_dataset(next_, decode_timedelta=True) as forecast:
        assert forecast["lead_time"].values[-1] == np.timedelta64(15, "m")


def test_frames_that_are_open_can_be_judged(rain: Path, make: Make) -> None:
    run = make("open", ArchiveData(path=str(rain), context=3, horizon=3))
    frames = framecast.open(rain)
    opened, read = (evaluate(run, data, baselines=(), limit=4) for data in (frames, rain))
    xr.testing.assert_equal(opened.sums, read.sums)
    with pytest.raises(ConfigError, match=r"cannot be scored on a cluster\n.*path"):
        evaluate(run, frames, cluster="local:1")


def test_what_was_repaired_is_said_with_the_scores(
    make: Make, rain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with xr.open_dataarray(rain) as frames:
        impossible = frames.isel(time=slice(12)).copy()
    impossible[:, :2] = -1
    impossible.to_netcdf(tmp_path / "below.nc", engine="h5netcdf")
    run = make("repaired", ArchiveData(path=str(rain), context=3, horizon=3))
    for command, words in (("evaluate", "480 pixels in 12 frames"), ("forecast", "120 pixels in 3 frames")):
        more = ("--horizon", "2", "--out", str(tmp_path / "next.nc")) if command == "forecast" else ()
        _, *said = run_command(monkeypatch, capsys, command, run, "--data", tmp_path / "below.nc", *more)
        message = "".join(said)
        assert f"{words} are below 0 mm/h, which cannot be: no data" in message
    assert "which cannot be: no data" in (run / "evaluation" / "report.html").read_text()


def test_a_comparison_says_what_was_seen_in_training(
    rain: Path, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ArchiveData(path=str(rain), context=3, horizon=3)
    one, other = make("one", data), make("two", replace(data, flips=True))
    out = tmp_path / "comparison"
    arguments = ["--data", str(rain), "--baselines", "persistence", "--limit", "4", "--out", str(out)]
    code, message, errors = run_command(monkeypatch, capsys, "compare", one, other, *arguments)
    assert code == 0, errors
    assert "a model was trained on 44 of these frames" in message
    assert "windows hold some of them and were left out" in message
    assert "MSE ↓" in message
    page = (out / "comparison.html").read_text()
    assert "trained on 44 of these frames" in page
    assert "of a single day" in page
    assert (out / "cases.nc").is_file()
    code, _, errors = run_command(monkeypatch, capsys, "compare", one, "--convention", "strange")
    assert code == 2
    assert "unknown convention 'strange'" in errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 0}, "limit: 0 given, expected a whole number"),
        ({"limit": 2.5}, "limit: 2.5 given, expected a whole number"),
        ({"horizon": 0}, "horizon: 0 given, expected a whole number"),
        ({"stride": 0}, "stride: 0 given, expected a whole number"),
        ({"rates": 1.0}, "rates: 1.0 given, expected a list"),
        ({"rates": ("1",)}, "rates: '1' given, expected a rain rate"),
        ({"rates": (-1.0,)}, "rates: -1.0 given, expected a rain rate"),
        ({"zr": (200, 1.6)}, r"zr: \(200, 1.6\) given, expected .*ZR"),
        ({"baselines": "persistence"}, "baselines: 'persistence' given, expected a list"),
        ({"data": xr.DataArray(np.zeros((4, 8, 8)))}, "dims .* are not those of frames"),
    ],
)
def test_what_cannot_be_evaluated_is_said(options: dict[str, Any], message: str, rain: Path, make: Make) -> None:
    run = make("said", ArchiveData(path=str(rain), context=2, horizon=2))
    with pytest.raises(FramecastError, match=message):
        evaluate(run, **options)


@pytest.mark.parametrize("command", ["evaluate", "compare"])
def test_an_evaluation_loads_a_model_once_and_opens_an_archive_once(
    command: str,
    rain: Path,
    make: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Scores, warnings, facts and page come out of the same objects."""
    run = make("once", ArchiveData(path=str(rain), context=2, horizon=2))
    loads, opens = [], []

    def load_model(folder: Path) -> Any:
        loads.append(folder)
        return load_saved(folder)

    def open_archive(*arguments: Any, **options: Any) -> Any:
        opens.append(arguments[0])
        return open_all(*arguments, **options)

    monkeypatch.setattr("framecast.forecasting.trained_model.load_saved", load_model)
    monkeypatch.setattr("framecast.data.archives.opening.open_all", open_archive)
    # figures take seconds and open nothing
    monkeypatch.setattr("framecast.report.write_report", lambda *_, **__: tmp_path)
    monkeypatch.setattr("framecast.report.comparison.write_comparison", lambda *_, **__: tmp_path)
    for data in ((), ("--data", str(rain))):
        loads.clear()
        opens.clear()
        code, *_ = run_command(monkeypatch, capsys, command, run, *data, "--limit", "2", "--out", tmp_path / "out")
        assert code == 0
        assert (len(loads), len(opens)) == (1, 1)


def test_what_is_misspelt_is_said_before_anything_is_opened(rain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "framecast.verification.evaluate.load", lambda *_: pytest.fail("a model was loaded for a misspelt setting")
    )
    for wrong in ({"baselines": ("persistance",)}, {"convention": "thulm"}, {"rates": (0,)}, {"limits": 3}):
        with pytest.raises(ArgumentError):
            evaluate("run", rain, **wrong)
        with pytest.raises(ArgumentError):
            framecast.compare(["run"], rain, **wrong)


def test_settings_can_be_kept_and_changed(rain: Path, make: Make) -> None:
    run = make("kept", ArchiveData(path=str(rain), context=2, horizon=2))
    settings = framecast.EvaluationSettings(limit=3, baselines=["persistence"], rates=[1], scales=[1, 3])
    assert settings == framecast.EvaluationSettings(limit=3, baselines=("persistence",), rates=(1.0,), scales=(1, 3))
    verification = evaluate(run, rain, settings, limit=2)
    assert verification.cases == 2
    assert verification.forecasters == ["convlstm", "persistence"]
    assert verification.sums.sizes["scale"] == 2


def test_a_run_is_not_replaced_by_a_baseline_of_its_name(rain: Path) -> None:
    with pytest.raises(ConfigError, match="'persistence' names a run and a baseline"):
        framecast.evaluate({"persistence": "run"}, rain)


def test_what_is_no_run_is_said() -> None:
    for run, message in (
        ({}, "no run given"),
        (3, "3 given, expected the folder"),
        (["a"], "list given, expected"),
        ("extrapolation", "no run"),
    ):
        with pytest.raises(ConfigError, match=message):
            evaluate(run)  # type: ignore[arg-type]


def test_where_sums_cannot_be_written_is_said_before_they_are_made(rain: Path, make: Make, tmp_path: Path) -> None:
    run = make("unwritten", ArchiveData(path=str(rain), context=2, horizon=2))
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(RunError, match=r"cannot be (created|written)"):
            evaluate(run, limit=1, out=out, progress=lambda done, of: pytest.fail("something was scored"))
    verification = evaluate(run, Path(rain), limit=1)
    with pytest.raises(RunError, match="cannot be written"):
        verification.save(tmp_path / "file" / "cases.nc")


def test_a_stride_holds_for_the_runs_own_windows_too(rain: Path, make: Make) -> None:
    run = make("strided", ArchiveData(path=str(rain), context=3, horizon=3))
    every, third = (evaluate(run, baselines=("persistence",), stride=stride).cases for stride in (None, 3))
    assert abs(3 * third - every) < 3


def test_climatology_of_elsewhere_is_one_number(rain: Path, make: Make, tmp_path: Path) -> None:
    run = make("climate", ArchiveData(path=str(rain), context=3, horizon=3))
    with xr.open_dataset(rain, engine="h5netcdf") as frames:
        for name, x in (("here", np.arange(20)), ("there", np.arange(20) + 100)):
            frames.assign_coords(x=x, y=np.arange(16)).to_netcdf(tmp_path / f"{name}.nc", engine="h5netcdf")
    moved = evaluate(run, str(tmp_path / "there.nc"), baselines=("climatology",))
    at_home = evaluate(run, baselines=("climatology",))
    assert np.ptp(moved.examples[0].forecasts["climatology"]) == 0
    assert np.ptp(at_home.examples[0].forecasts["climatology"]) > 0
