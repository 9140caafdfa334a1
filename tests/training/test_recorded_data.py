"""A run knows its data: its split stays what it was, whatever becomes of the archive, and no frame of training is a test."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
import yaml
from moving_rain import write_rain

import framecast
from conftest import weights_of
from framecast.checkpoints.card_content import CHECKSUM
from framecast.config.experiment import Experiment, Training
from framecast.data.datasets import ArchiveData
from framecast.data.windows.inputs import Input
from framecast.data.windows.record import RECORD, read_record
from framecast.errors import ConfigError, DataError, RunError
from framecast.models import ConvLSTM

QUICK = {"baselines": ("persistence",)}
EARLIER = 40
"""Frames of the shower before midnight."""


def write(path: Path, first: int, count: int, **changes: Any) -> Path:
    """Frames `first`, `first + 1`, ... of a shower; frame 0 is at midnight."""
    start = np.datetime64("2020-01-01T00:00", "m") + np.timedelta64(5 * first, "m")
    write_rain(path, str(start), EARLIER + first + count, 12, 12, **{"speed": 0.05, **changes})
    with xr.open_dataarray(path, engine="h5netcdf") as frames:
        moved = frames.load().isel(time=slice(EARLIER + first, None))
    times = np.datetime64(start, "ns") + np.arange(count) * np.timedelta64(5, "m")
    path.unlink()
    moved.assign_coords(time=times).to_netcdf(path, engine="h5netcdf")
    return path


def settings(archive: Path, **data: Any) -> Experiment:
    return Experiment(
        data=ArchiveData(path=str(archive), context=2, horizon=2, **data),
        model=ConvLSTM(hidden=(2,), kernel=3),
        training=Training(
            iterations=3, batch_size=2, workers=0, validate_every=3, validation_windows=2, accelerator="cpu"
        ),
    )


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run on the three files of an archive, 60 frames."""
    (tmp_path / "archive").mkdir()
    for number in range(3):
        write(tmp_path / "archive" / f"{number + 1}.nc", 20 * number, 20)
    (tmp_path / "archive" / "notes.txt").write_text("about the radar")
    return framecast.train(settings(tmp_path / "archive"), out=tmp_path / "run")


def init_times(run: Path, *data: Any) -> np.ndarray:
    return framecast.evaluate(run, *data, **QUICK).sums["init_time"].values


def repairs(run: Path) -> str:
    return framecast.evaluate(run, **QUICK).sums.attrs["repairs"]


def test_files_times_and_windows_are_recorded(run: Path, tmp_path: Path) -> None:
    record = read_record(run)
    assert record is not None
    (archive,) = record.archives
    assert [Path(file.path).name for file in archive.files] == ["1.nc", "2.nc", "3.nc"]
    assert all(len(file.sha256) == 64 and file.size for file in archive.files)
    assert record.counts() == {"train": 31, "validation": 6, "test": 6}
    assert "6 test windows (2020-01-01T04:15:00 UTC to 2020-01-01T04:55:00 UTC)" in record.describe()
    for folder in ("best", "last"):
        assert (run / folder / RECORD).read_bytes() == (run / RECORD).read_bytes()
        assert json.loads((run / folder / "card.json").read_text())["training_data_sha256"] == record.digest
    frames = framecast.open(tmp_path / "archive")
    assert framecast.forecast(run, frames, 2).attrs["training_data_sha256"] == record.digest
    framecast.forecast(run, frames, 2, out=tmp_path / "next.nc")
    with xr.open_dataset(tmp_path / "next.nc", decode_timedelta=True) as file:
        assert file.attrs["training_data_sha256"] == record.digest


@pytest.mark.parametrize(("name", "first"), [("0.nc", -20), ("4.nc", 60)])
def test_an_archive_that_has_grown_is_split_as_before(run: Path, tmp_path: Path, name: str, first: int) -> None:
    before = init_times(run)
    shutil.copytree(run, tmp_path / "undisturbed")
    framecast.resume(tmp_path / "undisturbed", 6)
    write(tmp_path / "archive" / name, first, 20)
    np.testing.assert_array_equal(init_times(run), before)
    assert f"1 file new since training, not used: {name}" in repairs(run)
    framecast.resume(run, 6)
    assert torch.equal(weights_of(run), weights_of(tmp_path / "undisturbed"))


def test_an_archive_that_has_shrunk_is_refused_where_frames_are_missing(run: Path, tmp_path: Path) -> None:
    before = init_times(run)
    (tmp_path / "archive" / "1.nc").rename(tmp_path / "1.nc")
    np.testing.assert_array_equal(init_times(run), before)
    assert "1 file of training is gone: 1.nc" in repairs(run)
    assert "20 from 2020-01-01T00:00:00 UTC" in repairs(run)
    with pytest.raises(DataError, match=r"train frames 20 from 2020-01-01T00:00:00 UTC(.|\n)*1\.nc"):
        framecast.resume(run, 6)
    with pytest.raises(DataError, match=r"train frames 20 from"):
        framecast.evaluate(run, baselines=("climatology",))
    (tmp_path / "1.nc").rename(tmp_path / "archive" / "1.nc")
    (tmp_path / "archive" / "3.nc").unlink()
    with pytest.raises(DataError, match="test frame"):
        framecast.evaluate(run, **QUICK)


def test_frames_that_have_changed_are_refused(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "archive" / "3.nc"
    before, state = init_times(run), file.stat()
    content = file.read_bytes()
    file.write_bytes(content)
    os.utime(file, ns=(0, 0))  # another time, the same content
    np.testing.assert_array_equal(init_times(run), before)
    assert "content" not in repairs(run)
    write(file, 40, 20, speed=0.06)
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    with pytest.raises(DataError, match=r"test frames 9 from(.|\n)*1 file with another content(.|\n)*3\.nc"):
        framecast.evaluate(run, **QUICK)


def test_frames_that_are_the_same_in_other_files_are_used(run: Path, tmp_path: Path) -> None:
    """One file in which all frames and some more lie, in place of another."""
    before = init_times(run)
    write(tmp_path / "archive" / "3.nc", 0, 70)
    for name in ("1.nc", "2.nc"):
        (tmp_path / "archive" / name).unlink()
    np.testing.assert_array_equal(init_times(run), before)
    assert "10 frames new since training, not used" in repairs(run)


def test_another_archive_at_the_same_relative_path_is_not_used(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    relative = framecast.train(settings(Path("archive")), out="relative")
    (tmp_path / "elsewhere" / "archive").mkdir(parents=True)
    write(tmp_path / "elsewhere" / "archive" / "3.nc", 300, 40)
    monkeypatch.chdir(tmp_path / "elsewhere")
    np.testing.assert_array_equal(init_times(tmp_path / relative), init_times(run))
    assert "archive/3.nc is another file here than in training" in repairs(tmp_path / relative)
    shutil.rmtree(tmp_path / "archive")
    with pytest.raises(DataError, match="no longer those that the run was trained on"):
        framecast.resume(tmp_path / relative, 6)


def test_frames_of_training_are_never_scored_wherever_they_lie(run: Path, tmp_path: Path) -> None:
    archive, copy = tmp_path / "archive", tmp_path / "copy.nc"
    shutil.copy(archive / "1.nc", copy)
    framecast.convert(archive, tmp_path / "store.zarr")
    (tmp_path / "moved").mkdir()
    shutil.copytree(run / "best", tmp_path / "model")
    frames = framecast.open(archive)
    for model in (run, run / "best", tmp_path / "model"):
        for data in (archive / "1.nc", copy, frames.isel(time=slice(5, 25)), frames.isel(time=slice(20)).load()):
            with pytest.raises(DataError, match=r"the model was trained on \d+ of these frames, and all"):
                framecast.evaluate(model, data, **QUICK)
    for data in (archive, tmp_path / "store.zarr", frames):
        result = framecast.evaluate(run, data, **QUICK)
        record = read_record(run)
        assert record is not None
        last = record.archives[0].table.times[33]
        assert (result.sums["init_time"].values.astype("int64") > last).all()
        assert "the model was trained on 34 of these frames" in result.sums.attrs["warnings"]
        assert "9 of these frames are of the validation" in result.sums.attrs["warnings"]
    model = framecast.load(run)
    verified = framecast.verify([model], archive, horizon=2)
    assert (verified.sums["init_time"].values.astype("int64") > last).all()
    with pytest.raises(DataError, match="was trained on 20 of these frames"):
        framecast.verify([model], copy, horizon=2)
    with pytest.raises(DataError, match="was trained on 20 of these frames"):
        framecast.diagnose(run, "gradients", copy, out=tmp_path / "page.html")


def test_a_frame_of_training_is_known_whichever_way_its_rows_run(tmp_path: Path) -> None:
    with xr.open_dataarray(write(tmp_path / "frames.nc", 0, 40), engine="h5netcdf") as frames:
        y, x = ((axis, 1000.0 * np.arange(12), {"units": "m"}) for axis in ("y", "x"))
        placed = frames.load().assign_coords(y=y, x=x)
    placed.to_netcdf(tmp_path / "south_first.nc", engine="h5netcdf")
    placed.isel(y=slice(None, None, -1)).to_netcdf(tmp_path / "north_first.nc", engine="h5netcdf")
    run = framecast.train(settings(tmp_path / "south_first.nc"), out=tmp_path / "run")
    one, two = (
        framecast.evaluate(run, tmp_path / f"{name}_first.nc", **QUICK).sums.attrs["warnings"]
        for name in ("south", "north")
    )
    assert one == two
    assert "was trained on 20 of these frames" in one


def test_frames_of_training_are_known_by_time_and_place_on_a_map(tmp_path: Path) -> None:
    with xr.open_dataarray(write(tmp_path / "frames.nc", 0, 40), engine="h5netcdf") as frames:
        y = ("y", 50 - 0.01 * np.arange(12), {"units": "degrees_north"})
        x = ("x", 8 + 0.01 * np.arange(12), {"units": "degrees_east"})
        placed = frames.load().assign_coords(y=y, x=x)
    placed.to_netcdf(tmp_path / "placed.nc", engine="h5netcdf")
    run = framecast.train(settings(tmp_path / "placed.nc"), out=tmp_path / "run")
    coarse = placed.coarsen(y=2, x=2).mean()
    for axis in ("y", "x"):
        coarse[axis].attrs.update(placed[axis].attrs)
    for name, same in (("crop", placed.isel(y=slice(2, 8), x=slice(4, 12))), ("coarse", coarse)):
        same.assign_attrs(placed.attrs).to_netcdf(tmp_path / f"{name}.nc", engine="h5netcdf")
        warnings = framecast.evaluate(run, tmp_path / f"{name}.nc", **QUICK).sums.attrs["warnings"]
        assert "was trained on 20 of these frames" in warnings, name
    elsewhere = placed.assign_coords(x=placed["x"] + 1.0)
    elsewhere["x"].attrs.update(placed["x"].attrs)
    (elsewhere * 1.1).assign_attrs(placed.attrs).to_netcdf(tmp_path / "elsewhere.nc", engine="h5netcdf")
    result = framecast.evaluate(run, tmp_path / "elsewhere.nc", **QUICK)
    assert "was trained on other frames of 20 of these times: of another place" in result.sums.attrs["warnings"]
    assert result.cases == 37


def test_new_frames_are_scored_when_they_are_asked_for(run: Path, tmp_path: Path) -> None:
    write(tmp_path / "archive" / "4.nc", 60, 20)
    result = framecast.evaluate(run, tmp_path / "archive" / "4.nc", **QUICK)
    assert (result.sums.attrs["warnings"], result.cases) == ("", 17)
    write(tmp_path / "other.nc", 0, 20, speed=0.3)  # the same times elsewhere
    result = framecast.evaluate(run, tmp_path / "other.nc", **QUICK)
    assert result.cases == 17
    assert "was trained on other frames of 20 of these times" in result.sums.attrs["warnings"]
    assert "a crop or another resolution" in result.sums.attrs["warnings"]


def test_frames_without_a_clock_are_known_by_their_content(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.random((40, 12, 12), dtype=np.float32)
    np.save(tmp_path / "frames.npy", values)
    experiment = settings(tmp_path / "frames.npy")
    run = framecast.train(experiment, out=tmp_path / "run")
    np.save(tmp_path / "part.npy", values[3:12])
    with pytest.raises(DataError, match="was trained on 9 of these frames"):
        framecast.evaluate(run, tmp_path / "part.npy", **QUICK)
    np.save(tmp_path / "new.npy", rng.random((12, 12, 12), dtype=np.float32))
    assert framecast.evaluate(run, tmp_path / "new.npy", **QUICK).cases == 9
    np.save(tmp_path / "frames.npy", values[1:])
    with pytest.raises(DataError, match="changed"):
        framecast.resume(run, 6)


def test_frames_in_memory_are_compared_with_those_of_training(run: Path, tmp_path: Path) -> None:
    frames = framecast.open(tmp_path / "archive").load()
    in_memory = framecast.train(settings(Path("-")), data=frames, out=tmp_path / "in memory")
    changed = frames.copy()
    changed[7] += 1
    with pytest.raises(DataError, match=r"train frames 2020-01-01T00:35:00 UTC: changed"):
        framecast.resume(in_memory, 6, data=changed)
    framecast.resume(in_memory, 6, data=frames)
    framecast.resume(run, 6)
    assert torch.equal(weights_of(in_memory), weights_of(run))


def test_an_extra_input_is_part_of_the_data(run: Path, tmp_path: Path) -> None:
    def write_terrain(height: float) -> None:
        xr.DataArray(np.full((12, 12), height), dims=("y", "x"), name="height").to_netcdf(
            tmp_path / "terrain.nc", engine="h5netcdf"
        )

    write_terrain(0.5)
    data = settings(tmp_path / "archive").data
    inputs = (Input(path=str(tmp_path / "terrain.nc")),)
    with_input = replace(settings(tmp_path / "archive"), data=replace(data, inputs=inputs))
    high = framecast.train(with_input, out=tmp_path / "high")
    assert framecast.evaluate(high, **QUICK).cases == 6
    write_terrain(0.7)
    for act in (framecast.resume, lambda run, _: framecast.evaluate(run, **QUICK)):
        with pytest.raises(DataError, match="this extra input is not that of training"):
            act(high, 6)


def test_two_runs_on_one_path_are_compared_by_what_they_were_trained_on(run: Path, tmp_path: Path) -> None:
    write(tmp_path / "archive" / "4.nc", 60, 40)
    later = framecast.train(settings(tmp_path / "archive"), out=tmp_path / "later")
    with pytest.raises(ConfigError, match=r"later was trained on \d+ frames of the test split of run"):
        framecast.compare({"run": run, "later": later}, **QUICK)


def test_other_lengths_of_windows_stay_in_the_recorded_test(run: Path) -> None:
    record = read_record(run)
    assert record is not None
    table = record.archives[0].table
    longer = framecast.evaluate(run, horizon=5, **QUICK)
    assert longer.cases == 3
    assert (longer.sums["init_time"].values.astype("int64") >= table.times[table.labels[0] == 2][1]).all()


def test_a_record_or_settings_that_were_changed_are_refused(run: Path) -> None:
    for edit, message in (
        (lambda text: text.replace('"train":[[0,0,0', '"train":[[0,0,1'), "checksum"),
        (lambda text: text[:-20], "Unterminated string"),
        (lambda text: "[]", "checksum"),
    ):
        content = (run / RECORD).read_text()
        (run / RECORD).write_text(edit(content))
        for act in (framecast.resume, lambda run, _: framecast.evaluate(run, **QUICK)):
            with pytest.raises(RunError, match=f"record of the data(.|\n)*{message}"):
                act(run, 6)
        (run / RECORD).write_text(content)
    file = run / "experiment.yaml"
    written = yaml.safe_load(file.read_text())
    written["data"]["split"]["test"] = 0.3
    file.write_text(yaml.safe_dump(written))
    for act in (framecast.resume, lambda run, _: framecast.evaluate(run, **QUICK)):
        with pytest.raises(ConfigError, match=r"data\.split\.test 0\.15, now 0\.3"):
            act(run, 6)
    (run / RECORD).unlink()
    with pytest.raises(ConfigError, match="settings"):
        framecast.resume(run, 6)
    written["data"]["split"]["test"] = 0.15
    file.write_text(yaml.safe_dump(written))
    with pytest.raises(RunError, match="the record of the data is gone"):
        framecast.resume(run, 6)


def test_a_run_without_a_record_says_so(run: Path) -> None:
    """As earlier versions left them."""
    (run / RECORD).unlink()
    with pytest.raises(RunError, match="the record of the data is gone"):
        framecast.evaluate(run, **QUICK)
    card = json.loads((run / "best" / "card.json").read_text())
    del card["training_data_sha256"], card[CHECKSUM]
    (run / "best" / "card.json").write_text(json.dumps(card))
    assert "the run has no record of its data" in repairs(run)


def test_a_run_is_not_written_into_the_store_of_its_data(tmp_path: Path) -> None:
    framecast.convert(write(tmp_path / "frames.nc", 0, 20), tmp_path / "store.zarr")
    before = sorted((tmp_path / "store.zarr").rglob("*"))
    for out in (tmp_path / "store.zarr", tmp_path / "store.zarr" / "run"):
        with pytest.raises(ConfigError, match=r"from which the result is made|would be overwritten"):
            framecast.train(settings(tmp_path / "store.zarr"), out=out)
    assert sorted((tmp_path / "store.zarr").rglob("*")) == before
