"""`inspect` says which command comes next, with the options and settings that the input needs."""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

import framecast
from framecast.cli import app
from framecast.config.recipes import read
from small_run import SMALL_RUN


def inspect(*arguments: object) -> dict[str, Any]:
    """The result of `framecast inspect` with JSON."""
    done = CliRunner().invoke(app, ["inspect", *map(str, arguments), "--json"])
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout)["result"])


def test_frames_are_inspected_once(rain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    once = framecast.inspect

    def counted(*arguments: Any, **keywords: Any) -> Any:
        calls.append(arguments)
        return once(*arguments, **keywords)

    monkeypatch.setattr(framecast, "inspect", counted)
    inspect(rain)
    assert len(calls) == 1


def test_a_first_archive_of_one_event_trains_with_the_command_that_is_suggested(rain: Path, tmp_path: Path) -> None:
    result = inspect(rain)
    forecast, train = result["next"]
    assert forecast == f"framecast forecast radar --data {rain} --out nowcast.nc"
    _, command, recipe, *settings, _, _ = shlex.split(train)
    assert command == "train"
    assert f"data.path={rain}" in settings
    assert "data.crop=24" in settings
    small = ["data.context=5", "model.hidden=[4,4]", *(each for each in SMALL_RUN if not each.startswith("data."))]
    assert framecast.train(recipe, [*settings, *small], out=tmp_path / "run") == tmp_path / "run"


def test_options_that_were_needed_to_read_are_suggested_too(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).gamma(0.5, 4.0, (40, 20, 24)).astype(np.float32)
    np.save(tmp_path / "rain.npy", np.where(frames < 0.5, 0, frames))
    result = inspect(tmp_path / "rain.npy", "--units", "mm h-1", "--time-step", "5")
    forecast, train = result["next"]
    assert "--units 'mm h-1' --time-step 5.0" in forecast
    assert {"data.units=mm h-1", "data.time_step=5.0"} <= set(shlex.split(train))
    _, _, recipe, *settings, _, _ = shlex.split(train)
    assert read(recipe, settings).data.units == "mm h-1"


def test_frames_without_rain_are_not_forecast_by_the_radar_model(tmp_path: Path) -> None:
    np.save(tmp_path / "video.npy", np.random.default_rng(0).integers(0, 255, (40, 20, 24), dtype=np.uint8))
    (train,) = inspect(tmp_path / "video.npy")["next"]
    assert train.startswith("framecast train ")


@pytest.mark.parametrize(
    ("name", "kind", "command"),
    [
        ("run", "the folder of a run", "framecast evaluate {}"),
        ("mnist", "MNIST's own files, of which moving digits are made", "moving_mnist#predrnn_v2 data.images={}"),
        ("mine.yaml", "a recipe of 1 row", "framecast train '{}#only' data.path=FRAMES"),
    ],
)
def test_what_is_no_frames_is_named_with_its_command(
    name: str, kind: str, command: str, tmp_path: Path, trained: Path
) -> None:
    (tmp_path / "run").symlink_to(trained)
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "train-images-idx3-ubyte.gz").write_bytes(b"")
    recipe = "base: {data: {name: archive, path: x}, model: {name: convlstm}}\nrows: {only: {}}\n"
    (tmp_path / "mine.yaml").write_text(recipe)
    result = inspect(tmp_path / name)
    assert result["kind"] == kind
    assert any(command.format(tmp_path / name) in each for each in result["next"])


def test_a_forecast_and_a_recipe_by_name_are_known(trained: Path, rain: Path, tmp_path: Path) -> None:
    framecast.forecast(trained, rain, out=tmp_path / "nowcast.nc")
    assert inspect(tmp_path / "nowcast.nc")["kind"] == "1 forecast of 3 lead times"
    refused = CliRunner().invoke(app, ["inspect", str(tmp_path / "nowcast.nc"), "--html", str(tmp_path / "page.html")])
    assert refused.exit_code == 2
    assert not (tmp_path / "page.html").exists()
    assert inspect("radar#predrnn")["next"] == ["framecast train 'radar#predrnn' data.path=FRAMES --out runs/mine"]
    assert inspect("moving_mnist")["next"] == ["framecast train 'moving_mnist#convlstm' --out runs/mine"]


def test_an_archive_too_short_for_the_default_split_names_the_setting(rain: Path, tmp_path: Path) -> None:
    with xr.open_dataset(rain) as frames:
        frames.isel(time=slice(20)).to_netcdf(tmp_path / "short.nc", engine="h5netcdf")
    with pytest.raises(framecast.ConfigError) as failed:
        framecast.train(
            "radar#predrnn_v2", [f"data.path={tmp_path / 'short.nc'}", "data.crop=16"], out=tmp_path / "run"
        )
    setting = "data.split={name: blocks, validation: 0, test: 0}"
    assert f"'{setting}'" in str(failed.value)
    small = [each for each in SMALL_RUN if not each.startswith("data.")]
    path = [f"data.path={tmp_path / 'short.nc'}", "data.crop=16", "model.hidden=[4,4]"]
    assert framecast.train("radar#predrnn_v2", [*path, *small, setting], out=tmp_path / "run") == tmp_path / "run"


def test_a_target_that_cannot_be_is_refused_before_anything_is_imported(tmp_path: Path) -> None:
    target = str(tmp_path / "x.xlsx")
    code = (
        "import sys; from framecast.cli import app\n"
        "for command in ('forecast x --data y --out', 'diagnose x slots --out', 'inspect x --html'):\n"
        f"    try: app([*command.split(), {target!r}])\n"
        "    except SystemExit as stop: print(stop.code, 'torch' in sys.modules, 'xarray' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "2 False False\n" * 3, done.stderr
    assert done.stderr.count(target) == 3
