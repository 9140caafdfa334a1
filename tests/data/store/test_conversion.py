"""Archives become one store: the same frames, whatever happens on the way."""

import json
import shutil
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
import zarr
from PIL import Image

import framecast
from framecast.data.frames import actions_of
from framecast.data.readers.options import ReadOptions
from framecast.data.store import conversion, layout
from framecast.data.store.conversion import Changes, convert
from framecast.errors import ConfigError, DataError
from framecast.writing.netcdf import netcdf_bytes

START = np.datetime64("2020-01-01T00:00", "ns")
STEP = np.timedelta64(5, "m")


def write_frame(folder: Path, number: int, height: int = 12, units: str = "mm/h", value: float | None = None) -> Path:
    """One frame of the archive as a NetCDF file of its own, always the same for a number."""
    path = folder / f"rain_{number:03d}.nc"
    path.write_bytes(frame_bytes(number, height, units, value))
    return path


@cache
def frame_bytes(number: int, height: int, units: str, value: float | None) -> bytes:
    values = np.random.default_rng(number).gamma(0.3, 3.0, (1, height, 16)).astype(np.float32)
    values[:, 0, :3] = np.nan
    if value is not None:
        values[:] = value
    coordinates = {
        "time": [START + number * STEP],
        "y": ("y", np.arange(float(height))[::-1] * 1000, {"standard_name": "projection_y_coordinate", "units": "m"}),
        "x": ("x", np.arange(16.0) * 1000, {"standard_name": "projection_x_coordinate", "units": "m"}),
    }
    frame = xr.DataArray(values, dims=("time", "y", "x"), coords=coordinates, name="rain", attrs={"units": units})
    about = {"grid_mapping_name": "transverse_mercator", "crs_wkt": WKT, "towgs84": np.zeros(7)}  # a list in the store
    mapping = xr.Variable((), 0, about)
    dataset = frame.to_dataset().assign(crs=mapping)
    dataset["rain"].attrs["grid_mapping"] = "crs"
    return bytes(netcdf_bytes(dataset))


def _wkt() -> str:
    from pyproj import CRS

    return str(CRS("EPSG:25832").to_wkt())


WKT = _wkt()


SMALL = 4 * 12 * 16 * 4
"""Bytes of a shard of four frames."""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of four frames."""
    monkeypatch.setattr(layout, "SHARD", SMALL)


CHUNKS = (2, 8, 8)


def archive(folder: Path, numbers: range) -> Path:
    folder.mkdir(exist_ok=True)
    for number in numbers:
        write_frame(folder, number)
    return folder


def pictures(folder: Path, numbers: range) -> Path:
    """Pictures with numbers in their names, always the same for a number."""
    folder.mkdir(exist_ok=True)
    for number in numbers:
        pixels = np.random.default_rng(number).integers(0, 255, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"p_{number:03d}.png")
    return folder


def content(store: Path) -> dict[str, bytes]:
    """All files of a store but the manifest."""
    return {
        str(file.relative_to(store)): file.read_bytes()
        for file in store.rglob("*")
        if file.is_file() and file.name != "manifest.json"
    }


def test_frames_come_back_as_they_were(tmp_path: Path, small: None) -> None:
    source = archive(tmp_path / "source", range(10))
    sizes, steps = [], []
    done = convert(
        source, tmp_path / "a.zarr", chunks=CHUNKS, begun=sizes.append, progress=lambda k, of: steps.append((k, of))
    )
    before, after = framecast.open(source), framecast.open(tmp_path / "a.zarr")
    np.testing.assert_array_equal(after.values, before.values)
    for name in ("time", "y", "x"):
        np.testing.assert_array_equal(after[name], before[name])
    assert after["crs"].attrs["crs_wkt"] == WKT
    assert not after.attrs.get("repairs")
    assert (after.attrs["units"], after.attrs["dry"]) == ("mm h-1", 0)
    assert (done.frames, done.added, done.files) == (10, 10, 10)
    assert sizes[0].bytes == 10 * 12 * 16 * 4
    assert steps == [(0, 10), (4, 10), (8, 10), (10, 10)]
    array = zarr.open_group(tmp_path / "a.zarr")["rain"]
    assert isinstance(array, zarr.Array)
    assert array.chunks == (2, 1, 8, 8)
    assert array.shards == (4, 1, 16, 16)


def manifest_of(store: Path) -> str:
    """The manifest, with the order of what is in it."""
    return (store / "manifest.json").read_text()


def test_the_manifest_has_the_checksums_of_what_went_in_and_what_came_out(tmp_path: Path, small: None) -> None:
    source = archive(tmp_path / "source", range(6))
    convert(source, tmp_path / "a.zarr", chunks=CHUNKS)
    manifest = json.loads((tmp_path / "a.zarr/manifest.json").read_text())
    assert list(manifest["files"]) == [str(source / f"rain_{number:03d}.nc") for number in range(6)], "as in time"
    for file, about in manifest["files"].items():
        assert about == {"bytes": Path(file).stat().st_size, "sha256": sha256(Path(file).read_bytes()).hexdigest()}
    assert manifest["stored"] == {
        key: sha256(value).hexdigest()
        for key, value in content(tmp_path / "a.zarr").items()
        if key.startswith("rain/c")
    }


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_interrupted_anywhere_and_run_again_gives_the_same_store(tmp_path: Path, small: None, stop: int) -> None:
    source = archive(tmp_path / "source", range(10))
    convert(source, tmp_path / "whole.zarr", chunks=CHUNKS)
    calls = 0

    def interrupt(done: int, of: int) -> None:
        nonlocal calls
        calls += 1
        if calls > stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(source, tmp_path / "a.zarr", chunks=CHUNKS, progress=interrupt)
    assert not (tmp_path / "a.zarr").exists()
    sizes = []
    convert(source, tmp_path / "a.zarr", chunks=CHUNKS, begun=sizes.append)
    assert sizes[0].already == 4 * min(stop, 2) + 2 * (stop == 3)
    assert content(tmp_path / "a.zarr") == content(tmp_path / "whole.zarr")
    assert manifest_of(tmp_path / "a.zarr") == manifest_of(tmp_path / "whole.zarr")


def test_an_archive_grows_by_new_days(tmp_path: Path, small: None) -> None:
    source = archive(tmp_path / "source", range(6))
    convert(source, tmp_path / "a.zarr", chunks=CHUNKS)
    old = framecast.open(tmp_path / "a.zarr").values
    archive(source, range(6, 13))
    done = convert(source, tmp_path / "a.zarr", chunks=CHUNKS)
    assert (done.frames, done.added) == (13, 7)
    new = framecast.open(tmp_path / "a.zarr")
    np.testing.assert_array_equal(new.values[:6], old)
    np.testing.assert_array_equal(new.values, framecast.open(source).values)
    convert(source, tmp_path / "at_once.zarr", chunks=CHUNKS)
    assert content(tmp_path / "a.zarr") == content(tmp_path / "at_once.zarr")
    assert manifest_of(tmp_path / "a.zarr") == manifest_of(tmp_path / "at_once.zarr")
    assert convert(source, tmp_path / "a.zarr", chunks=CHUNKS).added == 0
    assert not list(tmp_path.glob(".a.zarr.*"))


def test_growing_never_touches_the_finished_store(tmp_path: Path, small: None) -> None:
    source = archive(tmp_path / "source", range(6))
    convert(source, tmp_path / "a.zarr", chunks=CHUNKS)
    before = content(tmp_path / "a.zarr")
    archive(source, range(6, 16))
    calls = 0

    def interrupt(done: int, of: int) -> None:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(source, tmp_path / "a.zarr", chunks=CHUNKS, progress=interrupt)
    assert content(tmp_path / "a.zarr") == before
    convert(source, tmp_path / "a.zarr", chunks=CHUNKS)
    np.testing.assert_array_equal(framecast.open(tmp_path / "a.zarr").values, framecast.open(source).values)


def sums_are_true(store: Path) -> bool:
    """Whether the manifest has the checksums of all that is stored, and of the sources as they are."""
    manifest = json.loads((store / "manifest.json").read_text())
    stored = {key: sha256(value).hexdigest() for key, value in content(store).items() if key.startswith("rain/c")}
    sources = {file: sha256(Path(file).read_bytes()).hexdigest() for file in manifest["files"]}
    return manifest["stored"] == stored and {k: v["sha256"] for k, v in manifest["files"].items()} == sources


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an archive, a store of its first frames, and one of all."""
    folder = tmp_path_factory.mktemp("grown")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "SHARD", SMALL)
        convert(archive(folder / "source", range(10)), folder / "first.zarr", chunks=CHUNKS)
        convert(archive(folder / "source", range(10, 14)), folder / "all.zarr", chunks=CHUNKS)
    return folder


@pytest.mark.parametrize("copied", range(8))
def test_interrupted_while_the_finished_store_is_copied(
    grown: Path, tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch, copied: int
) -> None:
    """A copy that is not whole is not gone on with."""
    source = grown / "source"
    shutil.copytree(grown / "first.zarr", tmp_path / "a.zarr")
    done = 0

    def interrupted(copy: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: object) -> None:
            nonlocal done
            done += 1
            if done > copied:
                raise KeyboardInterrupt
            copy(*arguments)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(conversion, "put_bytes", interrupted(conversion.put_bytes))
        patch.setattr(conversion._Store, "_link", interrupted(conversion._Store._link))
        with pytest.raises(KeyboardInterrupt):
            convert(source, tmp_path / "a.zarr", chunks=CHUNKS)
    convert(source, tmp_path / "a.zarr", chunks=CHUNKS)
    assert content(tmp_path / "a.zarr") == content(grown / "all.zarr")
    assert sums_are_true(tmp_path / "a.zarr")


def test_files_that_are_in_the_store_are_not_late_wherever_they_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = archive(tmp_path / "source", range(6))
    convert(source, tmp_path / "a.zarr")
    archive(source, range(6, 9))
    monkeypatch.chdir(tmp_path)
    assert convert("source", "a.zarr").left_out == {}
    source.rename(tmp_path / "moved")
    archive(tmp_path / "moved", range(9, 12))
    grown = convert("moved", "a.zarr")
    assert (grown.frames, grown.added, grown.left_out) == (12, 3, {})


def test_a_store_goes_on_with_its_own_chunks(tmp_path: Path, small: None) -> None:
    source = archive(tmp_path / "source", range(10))
    convert(source, tmp_path / "a.zarr", chunks=CHUNKS)
    archive(source, range(10, 14))
    assert convert(source, tmp_path / "a.zarr").added == 4

    def interrupt(done: int, of: int) -> None:
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(source, tmp_path / "b.zarr", chunks=CHUNKS, progress=interrupt)
    sizes = []
    convert(source, tmp_path / "b.zarr", begun=sizes.append)
    assert sizes[0].already == 8
    assert content(tmp_path / "a.zarr") == content(tmp_path / "b.zarr")
    with pytest.raises(ConfigError, match="other settings"):
        convert(source, tmp_path / "a.zarr", chunks=(1, 8, 8))


def test_checksums_stay_true_however_a_store_grew(tmp_path: Path, small: None) -> None:
    """Growing, interrupted, gone on with, and interrupted again just before the end."""
    source = archive(tmp_path / "source", range(6))
    convert(source, tmp_path / "a.zarr", chunks=CHUNKS)
    for last in (9, 11, 15):
        archive(source, range(last))
        calls = 0

        def interrupt(done: int, of: int) -> None:
            nonlocal calls
            calls += 1
            if calls > 1:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            convert(source, tmp_path / "a.zarr", chunks=CHUNKS, progress=interrupt)
    convert(source, tmp_path / "a.zarr", chunks=CHUNKS)
    np.testing.assert_array_equal(framecast.open(tmp_path / "a.zarr").values, framecast.open(source).values)
    assert sums_are_true(tmp_path / "a.zarr")


def test_a_file_that_grew_and_one_that_was_mended_are_in_the_manifest_as_they_are(tmp_path: Path, small: None) -> None:
    source = archive(tmp_path / "source", range(3))
    broken = source / "rain_003.nc"
    broken.write_bytes(b"")
    assert str(broken) in convert(source, tmp_path / "a.zarr", chunks=CHUNKS).left_out
    write_frame(source, 3)
    with xr.open_dataset(source / "rain_002.nc") as frame:
        later = frame.load().assign_coords(time=[START + 5 * STEP])
        both = xr.concat([frame, later], "time", data_vars="minimal")
    both.drop_encoding().to_netcdf(tmp_path / "grown.nc", engine="h5netcdf")
    (tmp_path / "grown.nc").replace(source / "rain_002.nc")
    done = convert(source, tmp_path / "a.zarr", chunks=CHUNKS)
    assert (done.frames, done.left_out) == (5, {})
    assert sums_are_true(tmp_path / "a.zarr")


def test_interrupted_in_the_very_last_moment(tmp_path: Path, small: None) -> None:
    """Between the two moves the finished store lies beside its place."""
    source = archive(tmp_path / "source", range(6))
    convert(source, tmp_path / "a.zarr", chunks=CHUNKS)
    (tmp_path / "a.zarr").rename(tmp_path / ".a.zarr.previous")
    assert convert(source, tmp_path / "a.zarr", chunks=CHUNKS).frames == 6


def test_late_frames_are_left_out_and_said(tmp_path: Path, small: None) -> None:
    source = archive(tmp_path / "source", range(2, 6))
    convert(source, tmp_path / "a.zarr", chunks=CHUNKS)
    write_frame(source, 0)
    done = convert(source, tmp_path / "a.zarr", chunks=CHUNKS)
    assert done.frames == 4
    assert "late" in done.left_out[str(source / "rain_000.nc")]


@pytest.mark.parametrize("chunks", [(8, 64), (8, 64, 64, 1), (1.5, 8, 8), (0, 8, 8), 8, "8,64,64"])
def test_chunks_that_are_none_are_refused(tmp_path: Path, chunks: Any) -> None:
    with pytest.raises(ConfigError, match="chunks"):
        convert(tmp_path, tmp_path / "a.zarr", chunks=chunks)


def test_other_settings_and_other_stores_are_refused(tmp_path: Path) -> None:
    source = archive(tmp_path / "source", range(3))
    convert(source, tmp_path / "a.zarr")
    with pytest.raises(ConfigError, match="other settings"):
        convert(source, tmp_path / "a.zarr", changes=Changes(coarsen=2))
    np.save(tmp_path / "amounts.npy", np.ones((3, 8, 8), np.float32))
    amounts = {"source": tmp_path / "amounts.npy", "out": tmp_path / "c.zarr"}
    for units in ("mm per 5 min", "mm/5min"):  # the same in other words
        convert(**amounts, options=ReadOptions(units=units, time_step=5))
    with pytest.raises(ConfigError, match="units stated: mm per 5 min before, now mm per 10 min"):
        convert(**amounts, options=ReadOptions(units="mm per 10 min", time_step=5))
    (tmp_path / "b.zarr").mkdir()
    with pytest.raises(ConfigError, match="not made by this command"):
        convert(source, tmp_path / "b.zarr")
    with pytest.raises(ConfigError, match=r"no format"):
        convert(source, tmp_path / "a.nc")


def test_a_frame_that_cannot_be_decoded_has_no_data_and_is_said(originals: Path, tmp_path: Path, small: None) -> None:
    """The end of the file is there, the middle is not."""
    source = tmp_path / "source"
    source.mkdir()
    files = sorted((originals / "mch_gif/20150515").iterdir())[:3]
    for file in files:
        shutil.copy(file, source)
    damaged = bytearray((source / files[1].name).read_bytes())
    damaged[1200:6000] = b"\xff" * 4800
    (source / files[1].name).write_bytes(damaged)
    done = convert(source, tmp_path / "a.zarr")
    assert done.frames == 3
    if done.missing:  # a decoder may also make something of it
        assert list(done.missing) == ["2015-05-15T15:50:00 UTC"]
        assert np.isnan(framecast.open(tmp_path / "a.zarr").values[1]).all()


@pytest.mark.parametrize("damaged", [["a"], ["b"], ["a", "b"], ["a", "c"], ["a", "b", "c"]])
def test_of_frames_at_one_time_the_first_that_can_be_read_is_taken(tmp_path: Path, damaged: list[str]) -> None:
    source = archive(tmp_path / "source", range(2))
    copied = {"a": 1.0, "b": 2.0, "c": 3.0}
    for name, value in copied.items():
        with xr.open_dataset(write_frame(tmp_path, 3, value=value)) as frame:
            frame.to_netcdf(source / f"x_{name}.nc", engine="h5netcdf", encoding={"rain": {"zlib": True}})
    for name in damaged:
        with h5py.File(source / f"x_{name}.nc") as file:
            begin = file["rain"].id.get_chunk_info(0).byte_offset
        with (source / f"x_{name}.nc").open("r+b") as file:
            file.seek(begin)
            file.write(b"\xff" * 8)
    done = convert(source, tmp_path / "a.zarr")
    good = [value for name, value in copied.items() if name not in damaged]
    frames = framecast.open(tmp_path / "a.zarr")
    assert len(frames) == 3
    np.testing.assert_array_equal(frames.values[2], good[0] if good else np.nan)
    assert len(done.missing) == (not good)
    lost = damaged if good else damaged[1:]
    (said,) = [said for said in done.repairs if "cannot be read" in said]
    assert said.startswith(f"{len(lost)} frame")
    assert all(f"x_{name}.nc (2020-01-01T00:15:00 UTC)" in said for name in lost)


def test_cropped_coarser_reprojected(radar: Path, tmp_path: Path) -> None:
    event = framecast.open(radar / "mch_20150515.nc").isel(time=slice(0, 2))
    small = Changes(crop=(100, 200, 256, 300)).apply(event)
    assert small.shape == (2, 1, 256, 300)
    assert small["y"].values[0] == event["y"].values[100]
    coarse = Changes(coarsen=4).apply(event)
    assert coarse.shape == (2, 1, 160, 177)
    assert float(coarse.mean()) == pytest.approx(float(event.mean()), rel=0.02)
    assert coarse["x"].values[1] - coarse["x"].values[0] == 4000
    moved = Changes(reproject="EPSG:2056").apply(event)  # the same projection with other false origins
    values, truth = moved.values, event.values
    assert moved["crs"].attrs["grid_mapping_name"] == "oblique_mercator"
    assert np.nansum(values) == pytest.approx(np.nansum(truth), rel=0.01)
    assert np.isnan(values).mean() == pytest.approx(np.isnan(truth).mean(), abs=0.01)
    degrees = Changes(reproject="EPSG:4326").apply(event)
    assert 2 < float(degrees["x"][0]) < 4
    assert degrees["y"].values[0] > degrees["y"].values[-1]
    with pytest.raises(ConfigError, match="no projection"):
        Changes(reproject="EPSG:1").apply(event)
    with pytest.raises(ConfigError, match=r"no projection.*Geocentric"):
        Changes(reproject="EPSG:4978").apply(event)
    with pytest.raises(ConfigError, match="does not lie inside"):
        Changes(crop=(600, 0, 100, 100)).apply(event)


def test_reflectivity_is_averaged_as_z() -> None:
    frames = xr.DataArray(
        np.array([[[[40.0, -32], [-32, -32]]]], dtype=np.float32),
        dims=("time", "channel", "y", "x"),
        attrs={"units": "dBZ", "quantity": "reflectivity", "dry": -32.0},
    )
    assert float(Changes(coarsen=2).apply(frames).values.item()) == pytest.approx(40 - 10 * np.log10(4), abs=0.01)
    dry = Changes(coarsen=2).apply(frames.where(frames < 0, -32))
    assert dry.values.item() == -32
    mostly_missing = frames.where(frames > 0)
    assert np.isnan(Changes(coarsen=2).apply(mostly_missing).values.item())


def test_video_becomes_a_store_of_numbered_frames(videos: Path, tmp_path: Path) -> None:
    pytest.importorskip("av")
    source = videos / "bigbuckbunny_160x120.avi"
    convert(source, tmp_path / "a.zarr", options=ReadOptions(grey=True))
    frames = framecast.open(tmp_path / "a.zarr")
    np.testing.assert_array_equal(frames.values, framecast.open(source, grey=True).values)
    assert frames["time"].values.tolist() == list(range(132))


@pytest.mark.parametrize(("first", "then"), [(None, 5), (5, None), (5, 10)])
def test_a_store_of_pictures_keeps_its_clock(tmp_path: Path, first: float | None, then: float | None) -> None:
    """Numbers of frames, or times of a stated step, do not go on as the other, and a late picture shifts no number."""
    folder = pictures(tmp_path / "pics", range(2, 6))
    convert(folder, tmp_path / "a.zarr", options=ReadOptions(time_step=first))
    with pytest.raises(ConfigError, match=r"other settings.*time_step"):
        convert(folder, tmp_path / "a.zarr", options=ReadOptions(time_step=then))
    pictures(folder, range(1, 8))
    grown = convert(folder, tmp_path / "a.zarr", options=ReadOptions(time_step=first))
    assert (grown.frames, list(grown.left_out)) == (6, [str(folder / "p_001.png")])


def test_a_store_made_before_clocks_were_noted_grows_where_it_was_of_numbers(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pics", range(3))
    for name, step in (("numbers", None), ("times", 5)):
        convert(folder, tmp_path / f"{name}.zarr", options=ReadOptions(time_step=step))
        manifest = tmp_path / f"{name}.zarr/manifest.json"
        said = json.loads(manifest.read_text())
        del said["plan"]["clock"], said["plan"]["time_step"]
        manifest.write_text(json.dumps(said))
    pictures(folder, range(5))
    assert convert(folder, tmp_path / "numbers.zarr").frames == 5
    for step in (None, 5):
        with pytest.raises(ConfigError, match="other settings"):
            convert(folder, tmp_path / "times.zarr", options=ReadOptions(time_step=step))


@pytest.mark.parametrize(("step", "changed"), [(None, "a"), (5, "a"), (None, "b")])
def test_frames_that_are_counted_through_are_not_stored_twice(tmp_path: Path, step: float | None, changed: str) -> None:
    """A file that comes before others, or is longer now, shifts their numbers."""
    folder, options = tmp_path / "clips", ReadOptions(time_step=step)
    folder.mkdir()
    frames = np.random.default_rng(0).integers(0, 255, (20, 8, 8), dtype=np.uint8)
    np.save(folder / "b.npy", frames[:12])
    np.save(folder / "c.npy", frames[:12])
    convert(folder, tmp_path / "a.zarr", options=options)
    np.save(folder / "c.npy", frames[:15])
    np.save(folder / "d.npy", frames[:4])
    assert convert(folder, tmp_path / "a.zarr", options=options).added == 7
    np.save(folder / f"{changed}.npy", frames)
    with pytest.raises(ConfigError, match=rf"numbers of its frames have shifted.*{changed}\.npy"):
        convert(folder, tmp_path / "a.zarr", options=options)


def test_interrupted_and_with_other_numbers_a_conversion_begins_anew(tmp_path: Path, small: None) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    frames = np.random.default_rng(0).integers(0, 255, (20, 8, 8), dtype=np.uint8)
    np.save(folder / "b.npy", frames)

    def interrupt(done: int, of: int) -> None:
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(folder, tmp_path / "a.zarr", progress=interrupt)
    np.save(folder / "a.npy", frames[:5])
    convert(folder, tmp_path / "a.zarr")
    np.testing.assert_array_equal(framecast.open(tmp_path / "a.zarr").values, framecast.open(folder).values)


def test_actions_go_along(tmp_path: Path, small: None) -> None:
    """Interrupted, gone on with, grown, without new frames; and a store without actions has no room for them."""
    chance = np.random.default_rng(0)
    frames, actions = chance.integers(0, 255, (30, 8, 8), dtype=np.uint8), chance.normal(size=(30, 3))

    def interrupt(done: int, of: int) -> None:
        if done == 8:
            raise KeyboardInterrupt

    source, store = tmp_path / "robot.npz", tmp_path / "a.zarr"
    np.savez(source, frames=frames[:20], actions=actions[:20])
    with pytest.raises(KeyboardInterrupt):
        convert(source, store, progress=interrupt)
    for length in (20, 20, 30):
        np.savez(source, frames=frames[:length], actions=actions[:length])
        convert(source, store)
        found = framecast.open(store)
        np.testing.assert_array_equal(found.values, framecast.open(source).values)
        np.testing.assert_array_equal(actions_of(found), actions_of(framecast.open(source)))
    np.savez(source, frames=frames)
    with pytest.raises(ConfigError, match=r"other settings.*\(actions\)"):
        convert(source, store)


def test_clips_are_no_archive(tmp_path: Path) -> None:
    np.save(tmp_path / "clips.npy", np.zeros((5, 6, 1, 8, 8), dtype=np.uint8))
    with pytest.raises(DataError, match="set of clips"):
        convert(tmp_path / "clips.npy", tmp_path / "a.zarr")


def test_large_frames_are_written_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in memory at a time is a shard, not sixteen frames of a continent."""
    monkeypatch.setattr(layout, "SHARD", 12 * 16 * 4)
    source = archive(tmp_path / "source", range(3))
    convert(source, tmp_path / "a.zarr")
    array = zarr.open_group(tmp_path / "a.zarr")["rain"]
    assert isinstance(array, zarr.Array)
    assert array.shards == (1, 1, 12, 16)
    np.testing.assert_array_equal(framecast.open(tmp_path / "a.zarr").values, framecast.open(source).values)
