"""Each event left out in turn: what is trained on, what is judged, resumed, and refused."""

import csv
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import xarray as xr
import yaml
from moving_rain import write_rain
from rich.console import Console
from safetensors.torch import load_file
from typer.testing import CliRunner

import framecast
from framecast.cli import app
from framecast.config.experiment import Experiment, Training
from framecast.config.parsing import plain
from framecast.data.datasets import ArchiveData, MovingDigits
from framecast.data.windows.splits import ByBlocks, ByDates, ByFile
from framecast.errors import ArgumentError, ConfigError, DataError
from framecast.models import ConvLSTM
from framecast.training.run_folder import read_experiment
from framecast.workflows.crossvalidate import CrossValidation
from framecast.workflows.folds import plan_folds

QUIET = Console(quiet=True)
NAMES = ("one", "two", "three")


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Showers of different speeds, on different days and grids."""
    folder = tmp_path_factory.mktemp("archives")
    return {
        name: str(
            write_rain(folder / f"{name}.nc", f"2020-01-0{day}", 24, height=12 + 4 * day, width=16, speed=0.2 * day)
        )
        for day, name in enumerate((*NAMES, "other"), 1)
    }


@pytest.fixture(scope="module")
def experiment(archives: dict[str, str]) -> Experiment:
    data = ArchiveData(path=tuple(archives[name] for name in NAMES), context=2, horizon=2, crop=8)
    training = Training(
        iterations=4,
        batch_size=2,
        workers=0,
        log_every=1,
        validate_every=2,
        validation_windows=2,
        checkpoint_every=2,
        accelerator="cpu",
    )
    return Experiment(data=data, model=ConvLSTM(hidden=(4,), kernel=3, patch=4), training=training)


def run(experiment: Experiment, out: Path, **options: Any) -> CrossValidation:
    return framecast.crossvalidate(experiment, out=out, console=QUIET, limit=6, baselines=("persistence",), **options)


@pytest.fixture(scope="module")
def whole(
    experiment: Experiment, archives: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> CrossValidation:
    return run(experiment, tmp_path_factory.mktemp("whole") / "out", judge=[archives["other"]])


def weights_of(folder: Path) -> torch.Tensor:
    weights = load_file(folder / "last" / "weights.safetensors")
    return torch.cat([weights[name].flatten() for name in sorted(weights)])


def test_each_event_is_judged_by_a_model_that_has_not_seen_it(whole: CrossValidation, archives: dict[str, str]) -> None:
    assert list(whole.verifications) == [*NAMES, "other"]
    assert (whole.waiting, whole.interrupted) == ((), False)
    for name in NAMES:
        data = read_experiment(whole.out / name).data
        assert isinstance(data, ArchiveData)
        assert data.paths == tuple(archives[other] for other in NAMES if other != name)
        assert data.split == ByBlocks(test=0.0)
        again = framecast.evaluate(whole.out / name, archives[name], limit=6, baselines=("persistence",))
        assert again.checksum == whole.verifications[name].checksum
        assert again.frame("convlstm", "mse") == whole.verifications[name].frame("convlstm", "mse")
    everything = read_experiment(whole.out / "all").data
    assert isinstance(everything, ArchiveData)
    assert everything.paths == tuple(archives[name] for name in NAMES)


def test_the_tables_hold_each_event_and_the_mean(whole: CrossValidation) -> None:
    with (whole.out / "summary.csv").open() as file:
        rows = list(csv.DictReader(file))
    values = {(row["event"], row["forecaster"]): float(row["value"]) for row in rows if row["score"] == "MSE"}
    assert len(values) == 5 * 2
    for name, verification in whole.verifications.items():
        assert values[name, "convlstm"] == verification.frame("convlstm", "mse").value
    mean = sum(values[name, "persistence"] for name in whole.verifications) / 4
    assert values["mean", "persistence"] == pytest.approx(mean)
    assert {row["score"] for row in rows} >= {"CSI at 2 mm/h", "Brier score at 2 mm/h"}
    with (whole.out / "lead_times.csv").open() as file:
        leads = [row for row in csv.DictReader(file) if row["event"] == "one" and row["score"] == "MSE"]
    assert [(row["forecaster"], row["lead"], row["minutes"]) for row in leads[:2]] == [
        ("convlstm", "1", "5.0"),
        ("convlstm", "2", "10.0"),
    ]


def test_what_is_finished_is_kept_and_other_scores_need_no_training(
    experiment: Experiment, archives: dict[str, str], tmp_path: Path
) -> None:
    def times(name: str) -> list[int]:
        return [(tmp_path / "out" / name / file).stat().st_mtime_ns for file in ("log.csv", "evaluation/cases.nc")]

    first = run(experiment, tmp_path / "out", events=["one"])
    assert list(first.verifications) == ["one"]
    assert first.waiting == ("two", "three")
    before = times("one")
    second = run(experiment, tmp_path / "out", events=[archives["two"]])
    assert list(second.verifications) == ["one", "two"]
    assert second.waiting == ("three",)
    assert times("one") == before
    (tmp_path / "out/one/evaluation/settings.json").write_text('{"data": ')
    assert run(experiment, tmp_path / "out", events=["two"]).waiting == ("one", "three"), "cut off while it was written"
    third = run(experiment, tmp_path / "out", events=["one"], rates=(1.0,))
    assert third.verifications["one"].rates == (1.0,)
    assert list(third.verifications) == ["one"], "scores of other settings are left out"
    assert times("one")[0] == before[0]
    assert times("one")[1] > before[1]


class Interrupting(Console):
    """A console that presses Ctrl-C when it shows the first validation of the second fold."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.validations = 0

    def print(self, *objects: Any, **options: Any) -> None:
        self.validations += "validation loss" in str(objects)
        if self.validations == 3:
            self.validations += 1
            signal.raise_signal(signal.SIGINT)


def test_interrupted_and_continued_is_as_if_nothing_had_happened(
    experiment: Experiment, whole: CrossValidation, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    options: dict[str, Any] = {"out": out, "limit": 6, "baselines": ("persistence",)}
    stopped = framecast.crossvalidate(experiment, console=Interrupting(), **options)
    assert stopped.interrupted
    assert list(stopped.verifications) == ["one"]
    assert not (out / "two" / "last").exists()
    assert not (out / "three").exists()
    finished = framecast.crossvalidate(experiment, console=QUIET, **options)
    assert (finished.waiting, finished.interrupted) == ((), False)
    for name in NAMES:
        assert torch.equal(weights_of(out / name), weights_of(whole.out / name))
        assert finished.verifications[name].frame("convlstm", "mse") == whole.verifications[name].frame(
            "convlstm", "mse"
        )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (ByBlocks(validation=0.2, test=0.3), ByBlocks(validation=0.2, test=0.0)),
        (ByFile(validation=("a*",), test=("b*",)), ByFile(validation=("a*",))),
        (ByDates(), ByDates()),
    ],
)
def test_the_frames_of_a_test_split_are_trained_on(experiment: Experiment, before: Any, after: Any) -> None:
    for fold in plan_folds(replace(experiment, data=replace(experiment.data, split=before)), ["x.nc"], Path("out")):
        assert fold.experiment.data.split == after


def test_events_of_one_name_are_told_apart_by_their_paths(experiment: Experiment) -> None:
    data = replace(experiment.data, path=("swiss/2020.nc", "dutch/2020.nc"))
    folds = plan_folds(replace(experiment, data=data), ["all.nc"], Path("out"))
    assert [event for fold in folds for event in fold.judged] == ["swiss_2020_nc", "dutch_2020_nc", "all_nc"]


def test_a_folder_of_other_settings_is_refused(experiment: Experiment, whole: CrossValidation) -> None:
    for changed, key in (
        (replace(experiment, training=replace(experiment.training, iterations=8)), r"training.iterations 4, not 8"),
        (replace(experiment, data=replace(experiment.data, path=tuple(reversed(experiment.data.paths)))), "data.path"),
    ):
        with pytest.raises(ConfigError, match=f"other settings: .*{key}"):
            run(changed, whole.out)


@pytest.mark.parametrize("accident", ["replaced", "gone", "moved to another event", "new"])
def test_folds_of_other_files_are_refused(experiment: Experiment, tmp_path: Path, accident: str) -> None:
    def write(name: str, hour: int, speed: float = 0.3) -> Path:
        file = tmp_path / name / f"{hour}.nc"
        file.parent.mkdir(exist_ok=True)
        return write_rain(file, f"2020-01-0{1 + NAMES.index(name)}T{hour}:00", 24, 16, 16, speed)

    for name in NAMES:
        write(name, 12)
    file = write("two", 14)
    data = replace(experiment.data, path=tuple(str(tmp_path / name) for name in NAMES))
    experiment = replace(experiment, data=data)
    assert run(experiment, tmp_path / "out", events=["one"]).waiting == ("two", "three")
    if accident == "replaced":
        write("two", 14, speed=0.7)
    elif accident == "gone":
        file.unlink()
    elif accident == "moved to another event":
        file.rename(tmp_path / "one/14.nc")
    else:
        file = write("two", 16)
    with pytest.raises(ConfigError, match=rf"its model was trained on other files .*{file}(?s:.)*another folder"):
        run(experiment, tmp_path / "out")


def test_what_cannot_be_judged_is_refused_before_anything_is_trained(
    experiment: Experiment, archives: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    data = experiment.data
    assert isinstance(data, ArchiveData)
    single = replace(experiment, data=replace(data, path=archives["one"]))
    generated = replace(experiment, data=MovingDigits())
    for alone in (single, generated):
        with pytest.raises(ArgumentError, match=r"data\.path: .* at least two\n.*data\.path=\[one\.nc, two\.nc"):
            run(alone, out)
    with pytest.raises(ArgumentError, match=r"events: no event 'tow', did you mean 'two'"):
        run(experiment, out, events=["tow"])
    with pytest.raises(ArgumentError, match="given twice"):
        run(experiment, out, judge=[archives["one"]])
    with pytest.raises(ArgumentError, match=r"judge: .* shares .*two\.nc"):
        run(experiment, out, judge=[f"{Path(archives['two']).parent}/t[w]o.nc"])
    with pytest.raises(ConfigError, match="same file in two archives"):
        run(replace(experiment, data=replace(data, path=(*data.paths, f"{Path(archives['two']).parent}/tw*.nc"))), out)
    with pytest.raises(DataError, match="no window of 42 frames"):
        run(experiment, out, horizon=40)
    with pytest.raises(ConfigError, match="cannot change an Experiment"):
        framecast.crossvalidate(experiment, ["training.seed=1"], out=out)
    assert not out.exists()


def test_an_event_of_another_time_step_is_refused_before_anything_is_trained(
    experiment: Experiment, archives: dict[str, str], tmp_path: Path
) -> None:
    with xr.open_dataset(archives["other"], engine="h5netcdf") as frames:
        frames.isel(time=slice(None, None, 2)).to_netcdf(tmp_path / "slow.nc", engine="h5netcdf")
    with pytest.raises(DataError, match=r"slow\.nc: a time step of 10 minutes, and the model .* trained on 5\n"):
        run(experiment, tmp_path / "out", judge=[str(tmp_path / "slow.nc")])
    assert not (tmp_path / "out").exists()
    one = run(experiment, tmp_path / "out", judge=[str(tmp_path / "slow.nc")], events=["one"])
    assert one.waiting == ("two", "three", "slow")


def test_the_command_prints_a_table_and_what_is_left(experiment: Experiment, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(plain(experiment)))
    out = tmp_path / "out"
    arguments = [
        "crossvalidate",
        str(recipe),
        "training.iterations=1",
        "--event",
        "two",
        "--limit",
        "6",
        "--out",
        str(out),
    ]
    result = CliRunner().invoke(app, [*arguments, "--baselines", "persistence"], env={"COLUMNS": "150"})
    assert result.exit_code == 0, result.output
    for text in ("MSE", "persistence", "two 6 cases", "not judged yet: one, three", "summary.csv"):
        assert text in result.output
    refused = CliRunner().invoke(app, [*arguments, "--event", "four"])
    assert refused.exit_code == 2
    assert "--event: no event 'four'" in refused.output
