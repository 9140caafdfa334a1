"""`framecast.forecast` with baselines, a fallback ladder and a maximum age, in Python and on the command line."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from test_ladder import rain
from test_trained_model import save_trained

import framecast
from command_line import run_command
from framecast.errors import ArgumentError, ConfigError, DataError

NOW = np.datetime64("2026-06-01T18:00", "ns")


@pytest.fixture(autouse=True)
def the_present(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is six o'clock."""
    monkeypatch.setattr("framecast.forecasting.api.present", lambda: NOW)


def recent(count: int = 8, minutes: int = 2) -> xr.DataArray:
    """Rain whose newest frame is so many minutes old."""
    newest = NOW - np.timedelta64(minutes, "m")
    return rain(count).assign_coords(time=newest + (np.arange(count) - count + 1) * np.timedelta64(5, "m"))


def store(frames: xr.DataArray, folder: Path) -> Path:
    """One file for each frame, named by its time."""
    folder.mkdir(exist_ok=True)
    plain = frames.drop_attrs().assign_attrs(units="mm h-1")
    for number in range(frames.sizes["time"]):
        frame = plain.isel(time=[number])
        name = np.datetime_as_string(frame["time"].values[0], unit="m").replace(":", "").replace("-", "")
        frame.to_netcdf(folder / f"rain_{name}.nc", engine="h5netcdf")
    return folder


@pytest.mark.parametrize("name", ["persistence", "extrapolation", "extrapolation_probability"])
def test_a_baseline_is_forecast_like_a_model(name: str, tmp_path: Path) -> None:
    forecast = framecast.forecast(name, store(recent(), tmp_path / "archive"), 3, out=tmp_path / "out.nc")
    again = framecast.load(name).forecast(recent(), 3)
    assert forecast.attrs["framecast_rung"] == forecast.attrs["forecaster"] == name
    written = framecast.open_forecast(tmp_path / "out.nc")
    assert set(written.data_vars) == ({"rain"} if isinstance(again, xr.DataArray) else set(again.data_vars))
    np.testing.assert_allclose(written["rain"].values, (again if isinstance(again, xr.DataArray) else again["rain"]))


def test_steps_has_members() -> None:
    pytest.importorskip("pysteps")
    forecast = framecast.forecast("steps", recent(), 2, members=3)
    assert forecast.sizes["member"] == 3
    with pytest.raises(ArgumentError, match="members: extrapolation is no ensemble"):
        framecast.forecast("extrapolation", recent(), 2, members=3)


def test_climatology_is_refused_with_what_to_do() -> None:
    with pytest.raises(ArgumentError, match="made from training data") as error:
        framecast.forecast("climatology", recent(), 2)
    assert "evaluate a trained model with baselines=climatology" in str(error.value)


def test_a_folder_of_the_name_of_a_baseline_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_trained(tmp_path / "extrapolation")
    assert framecast.load("extrapolation").context_length == 3
    (tmp_path / "extrapolation").rename(tmp_path / "other")
    assert framecast.load("extrapolation").context_length == 2


def test_a_stale_frame_is_refused() -> None:
    with pytest.raises(DataError, match="is 20 minutes old, at most 15 minutes"):
        framecast.forecast("extrapolation", recent(minutes=20), 2, max_age="15min")
    with pytest.raises(DataError, match="nothing can be forecast: too_old"):
        framecast.forecast("extrapolation", recent(minutes=20), 2, max_age="15min", fallback=True)
    forecast = framecast.forecast("extrapolation", recent(minutes=10), 2, max_age="15min")
    assert forecast.attrs["framecast_age_seconds"] == 600
    for wrong in ("soon", "-5min", 15, np.timedelta64("NaT")):
        with pytest.raises(ConfigError, match="is no duration"):
            framecast.forecast("extrapolation", recent(), 2, max_age=wrong)  # type: ignore[arg-type]


def test_a_model_that_is_gone_leads_to_a_baseline(tmp_path: Path) -> None:
    forecast = framecast.forecast(tmp_path / "gone", recent(), 2, fallback=["persistence"])
    assert forecast.attrs["framecast_rung"] == "persistence"
    assert "failed: gone: no trained model here" in forecast.attrs["framecast_reasons"]


def test_a_missing_frame_is_bridged_for_a_model(tmp_path: Path) -> None:
    model, frames = save_trained(tmp_path / "model"), recent().isel(time=[0, 1, 2, 3, 4, 5, 7])
    with pytest.raises(DataError, match="a frame is missing among them"):
        framecast.forecast(model, frames, 2)
    forecast = framecast.forecast(model, frames, 2, fallback=True)
    assert forecast.attrs["framecast_rung"] == "model"
    assert "bridged: " in forecast.attrs["framecast_reasons"]


def test_the_command_says_what_it_made_and_prints_the_path_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = store(recent(), tmp_path / "archive")
    newest = max(archive.iterdir())
    newest.write_bytes(newest.read_bytes()[:2000])  # half written
    out = tmp_path / "out.nc"
    run = partial(run_command, monkeypatch, capsys, "forecast")
    code, printed, said = run("extrapolation", "--data", archive, "--out", out)
    assert (code, printed.splitlines()) == (0, [str(out)])
    assert "extrapolation: from 2026-06-01T17:53:00 UTC, 7 minutes old" in said
    assert "lead times: 12, 5 to 60 minutes" in said
    assert "largest values in mm/h: " in said
    assert newest.name in said
    changed = ("--fallback", "--overwrite", "--max-age", "15min")
    code, _, said = run(tmp_path / "gone", "--data", archive, "--out", out, *changed)
    assert code == 0
    assert "extrapolation_probability: from " in said
    assert f"damaged: {newest.name} cannot be read" in said


def test_the_command_writes_nothing_where_nothing_can_be_forecast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    archive, out = store(recent(minutes=30), tmp_path / "archive"), tmp_path / "out.nc"
    arguments = ("forecast", "x", "--data", archive, "--out", out, "--rungs", "persistence", "--max-age", "15min")
    code, _, said = run_command(monkeypatch, capsys, *arguments)
    assert code == 2
    assert not out.exists()
    assert "too_old" in said


def test_files_on_another_grid_are_left_out_of_a_fallback(tmp_path: Path) -> None:
    archive = store(recent(), tmp_path / "archive")
    newest = max(archive.iterdir())
    newest.unlink()
    other = recent().isel(time=[-1], y=slice(4, None))
    store(other, archive)
    with pytest.raises(DataError, match="the files lie on 2 grids"):
        framecast.forecast("extrapolation", archive, 2)
    forecast = framecast.forecast("extrapolation", archive, 2, fallback=True)
    assert forecast.attrs["framecast_rung"] == "extrapolation"
    assert newest.name in forecast.attrs["framecast_reasons"]
