"""Opening what people have: the real events, and files written here."""

import errno
import re
import resource
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from PIL import Image

import framecast
from framecast.data.archives.opening import open_like
from framecast.data.readers.options import DEFAULT, ReadOptions
from framecast.errors import ArgumentError, DataError, ResourceError

EVENTS = {
    "mch_20150515": (40, 640, 710, "mm h-1", 0.31, 115.5, 0.173),
    "mch_20170131": (40, 640, 710, "mm h-1", 0.28, 29.0, 0.209),
    "knmi_20100826": (64, 765, 700, "mm h-1", 0.74, 20.5, 0.518),
    "bom_20201031": (96, 512, 512, "mm h-1", 0.0, 91.8, 0.188),
    "fmi_20160928": (40, 1226, 760, "dBZ", 0.24, 57.5, 0.217),
}


@pytest.mark.parametrize("event", EVENTS)
def test_real_events_open_with_three_states_kept_apart(radar: Path, event: str) -> None:
    """Against the table in the README of the data; every 8th frame."""
    count, height, width, units, no_data, highest, wet = EVENTS[event]
    frames = framecast.open(radar / f"{event}.nc")
    assert frames.dims == ("time", "channel", "y", "x")
    assert frames.shape == (count, 1, height, width)
    assert frames.dtype == np.float32
    assert frames.attrs["units"] == units
    assert frames.chunks is not None
    assert frames["crs"].attrs["grid_mapping_name"]
    part = frames.isel(time=slice(None, None, 8)).values
    assert np.isnan(part).mean() == pytest.approx(no_data, abs=0.012)
    assert np.nanmax(part) <= highest + 0.05
    dry = frames.attrs["dry"]
    assert (part == dry).any()
    assert np.nanmin(part) == dry
    limit = 15 if units == "dBZ" else 0.1
    assert (part >= limit).sum() / np.isfinite(part).sum() == pytest.approx(wet, abs=0.05)


def test_a_glob_joins_files_and_remembers_where_frames_came_from(radar: Path) -> None:
    frames = framecast.open(f"{radar}/mch_*.nc")
    assert frames.sizes["time"] == 80
    assert {Path(str(name)).name for name in frames["source"].values} == {"mch_20150515.nc", "mch_20170131.nc"}


def test_other_grids_are_refused(radar: Path) -> None:
    with pytest.raises(DataError, match=r"on 2 grids: 640 x 710 pixels.*765 x 700 pixels"):
        framecast.open([radar / "mch_20150515.nc", radar / "knmi_20100826.nc"])


def rain(count: int = 4) -> xr.DataArray:
    values = np.random.default_rng(0).gamma(0.2, 4.0, (count, 6, 8)).astype(np.float32)
    values[:, 0, 0] = np.nan
    values[:, 1, 1] = 0
    return xr.DataArray(
        values,
        dims=("time", "y", "x"),
        coords={
            "time": np.datetime64("2020-01-01T00:00", "ns") + np.arange(count) * np.timedelta64(5, "m"),
            "y": ("y", np.arange(6.0)[::-1] * 1000, {"units": "m", "standard_name": "projection_y_coordinate"}),
            "x": ("x", np.arange(8.0) * 1000, {"units": "m", "standard_name": "projection_x_coordinate"}),
        },
        name="rain",
        attrs={"units": "mm/h"},
    )


@pytest.mark.parametrize("suffix", ["nc", "zarr"])
def test_netcdf_and_zarr_come_back_as_they_were_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"frames.{suffix}"
    if suffix == "nc":
        rain().to_netcdf(path, engine="h5netcdf")
    else:
        rain().to_dataset().to_zarr(path, zarr_format=2, consolidated=True)
    frames = framecast.open(path)
    np.testing.assert_array_equal(frames.values[:, 0], rain().values)
    np.testing.assert_array_equal(frames["x"].values, rain()["x"].values)
    assert frames.attrs["units"] == "mm h-1"


def test_rates_per_second_become_rates_per_hour(tmp_path: Path) -> None:
    slow = rain() / 3600
    slow.attrs["units"] = "kg m-2 s-1"
    slow.to_netcdf(tmp_path / "slow.nc", engine="h5netcdf")
    np.testing.assert_allclose(framecast.open(tmp_path / "slow.nc").values[:, 0], rain().values, rtol=1e-5)


def test_amounts_of_several_frames_become_rates_where_they_are_over_one_time(tmp_path: Path) -> None:
    amounts = rain().assign_attrs(units="mm").to_dataset()
    end = amounts["time"].values
    ten = np.timedelta64(10, "m")
    wrong = end - np.array([1, 1, 2, 1]) * ten
    for name, start in {"one": end - ten, "two": wrong, "none": np.arange(4)}.items():
        amounts.assign(start_time=("time", start), valid_time=("time", end)).to_netcdf(tmp_path / f"{name}.nc")
    np.testing.assert_allclose(framecast.open(tmp_path / "one.nc").values[:, 0], rain().values * 6, rtol=1e-6)
    for name, said in {"two": "are 10, 20 minutes apart", "none": "hold no dates"}.items():
        with pytest.raises(DataError, match=rf"(?s){name}\.nc: .*{said}\n.*correct the bounds"):
            framecast.open(tmp_path / f"{name}.nc")
        frames = framecast.open(tmp_path / f"{name}.nc", units="mm per 5 min")
        np.testing.assert_allclose(frames.values[:, 0], rain().values * 12, rtol=1e-6)


def test_one_of_several_variables_must_be_named(tmp_path: Path) -> None:
    both = xr.Dataset({"rain": rain(), "snow": rain().rename("snow")})
    both.to_netcdf(tmp_path / "both.nc", engine="h5netcdf")
    with pytest.raises(DataError, match=r"several variables.*rain, snow"):
        framecast.open(tmp_path / "both.nc")
    assert framecast.open(tmp_path / "both.nc", variable="snow").name == "snow"


def test_pictures_are_intensities_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (2, 10, 1):
        Image.fromarray(np.full((4, 6), number * 10, dtype=np.uint8)).save(tmp_path / f"frame_{number}.png")
    frames = framecast.open(tmp_path)
    assert frames.attrs["units"] == "1"
    assert frames["time"].values.tolist() == [1, 2, 10]
    np.testing.assert_allclose(frames.values[:, 0, 0, 0] * 255, [10, 20, 100], rtol=1e-6)


def test_pictures_take_the_time_in_their_name(tmp_path: Path) -> None:
    for minute in (0, 5):
        Image.fromarray(np.zeros((4, 6, 3), dtype=np.uint8)).save(tmp_path / f"radar_20200102_03{minute:02d}.png")
    frames = framecast.open(tmp_path)
    assert frames.sizes["channel"] == 3
    assert str(frames["time"].values[1]).startswith("2020-01-02T03:05")


def test_a_truncated_picture_is_left_out(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        Image.fromarray(np.random.default_rng(number).integers(0, 255, (32, 32), dtype=np.uint8)).save(
            tmp_path / f"{number}.png"
        )
    whole = (tmp_path / "2.png").read_bytes()
    (tmp_path / "2.png").write_bytes(whole[: len(whole) // 2])
    frames = framecast.open(tmp_path)
    assert frames["time"].values.tolist() == [1, 3]
    assert "1 of 3 files" in frames.attrs["repairs"][0]


@pytest.mark.parametrize(
    ("shape", "dims"),
    [
        ((5, 6, 8), (5, 1, 6, 8)),
        ((5, 3, 6, 8), (5, 3, 6, 8)),
        ((5, 6, 8, 3), (5, 3, 6, 8)),
        ((7, 5, 6, 8), (7, 5, 1, 6, 8)),
        ((7, 5, 2, 6, 8), (7, 5, 2, 6, 8)),
    ],
)
def test_arrays_by_their_number_of_axes(tmp_path: Path, shape: tuple[int, ...], dims: tuple[int, ...]) -> None:
    np.save(tmp_path / "a.npy", np.zeros(shape, dtype=np.uint8))
    np.savez(tmp_path / "b.npz", frames=np.zeros(shape, dtype=np.uint8))
    assert framecast.open(tmp_path / "a.npy").shape == dims
    assert framecast.open(tmp_path / "b.npz").shape == dims


@pytest.mark.parametrize("shape", [(), (6,), (1, 2, 3, 4, 5, 6)])
def test_arrays_of_too_few_or_many_axes_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "a.npy", np.zeros(shape, dtype=np.uint8))
    with pytest.raises(DataError, match=r"a\.npy: .* is not frames\n.*2 to 5 dimensions"):
        framecast.open(tmp_path / "a.npy")


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("1", 1), ("I;16", 1), ("P", 3), ("RGB", 3)])
def test_a_transparent_colour_is_no_data(tmp_path: Path, mode: str, channels: int) -> None:
    there = np.ones((4, 6), dtype=bool)
    there[1:3, 2] = False
    kinds = {"1": bool, "I;16": np.uint16}
    values = there.astype(kinds.get(mode, np.uint8))
    picture = Image.fromarray(np.stack([values] * 3, axis=-1) if mode == "RGB" else values)
    if mode == "P":
        picture.putpalette([9, 8, 7, 1, 2, 3])
    picture.save(tmp_path / "a.png", transparency=(0, 0, 0) if mode == "RGB" else 0)
    for grey in (False, True):
        frames = framecast.open(tmp_path / "a.png", grey=grey)
        assert frames.sizes["channel"] == (1 if grey else channels)
        np.testing.assert_array_equal(frames.notnull().values[0], np.broadcast_to(there, frames.shape[1:]))
        assert "fully transparent pixels were read as no data" in frames.attrs["repairs"]


def png(path: Path, bits: int, colour: int, row: bytes, width: int, transparent: bytes) -> None:
    """One row of pixels as it lies in the file; Pillow writes no such PNG."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, 1, bits, colour, 0, 0, 0)
    chunks = [chunk(b"IHDR", header), *([chunk(b"tRNS", transparent)] if transparent else [])]
    chunks.append(chunk(b"IDAT", zlib.compress(b"\0" + row)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + chunk(b"IEND", b""))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_transparent_grey_of_few_bits_is_no_data(tmp_path: Path, bits: int) -> None:
    values = np.arange(16) % 2**bits
    row = np.packbits(values[:, None] >> np.arange(bits)[::-1] & 1).tobytes()
    transparent = 2**bits - 1
    png(tmp_path / "a.png", bits, 0, row, 16, struct.pack(">H", transparent))
    found = framecast.open(tmp_path / "a.png").values[0, 0, 0]
    np.testing.assert_allclose(found, np.where(values == transparent, np.nan, values / transparent), rtol=1e-6)


def test_a_transparent_colour_that_cannot_be_found_is_refused(tmp_path: Path) -> None:
    """258 and 259 are both 1 in the upper 8 bits."""
    row = struct.pack(">6H", 258, 5, 7, 259, 5, 7)
    png(tmp_path / "a.png", 16, 2, row, 2, struct.pack(">3H", 258, 5, 7))
    with pytest.raises(DataError, match=r"a\.png: a transparent colour among colours of 16 bits"):
        framecast.open(tmp_path / "a.png")


def test_more_arrays_than_files_may_be_open(tmp_path: Path) -> None:
    for number in range(60):
        np.save(tmp_path / f"{number}.npy", np.full((4, 6), number, dtype=np.uint8))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())) + 30, limits[1]))
    try:
        values = framecast.open(tmp_path).values
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    np.testing.assert_allclose(values[:, 0, 0, 0] * 255, np.arange(60), rtol=1e-6)


@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "Too many open files"), MemoryError("Unable to allocate")])
@pytest.mark.parametrize("when", ["opened", "read"])
def test_a_file_is_not_left_out_for_what_this_machine_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, when: str
) -> None:
    for number in range(3):
        np.save(tmp_path / f"{number}.npy", np.zeros((4, 6), dtype=np.uint8))
    load = np.load
    opened: list[Path] = []

    def lacking(path: Path, **options: object) -> np.ndarray:
        opened.append(path)
        if len(opened) == {"opened": 2, "read": 5}[when]:
            raise error
        return np.asarray(load(path))

    monkeypatch.setattr(np, "load", lacking)
    with pytest.raises(ResourceError, match=r"too many files|not enough memory"):
        framecast.convert(tmp_path, tmp_path.with_suffix(".zarr"))


def test_nothing_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        framecast.open(tmp_path / "absent.nc")
    with pytest.raises(DataError, match="nothing in this folder is understood"):
        framecast.open(tmp_path)


@pytest.mark.parametrize("by_name", [None, True])
def test_folders_by_year_and_day_are_one_archive(tmp_path: Path, by_name: bool | None) -> None:
    for number in range(4):
        day = tmp_path / "2020" / ("01" if number < 2 else "02")
        day.mkdir(parents=True, exist_ok=True)
        np.save(day / f"rain_202001{day.name}_120{number}.npy", np.full((8, 8), number, dtype=np.float32))
    for path in (tmp_path, tmp_path / "2*"):
        frames = framecast.open(path, units="mm h-1", by_name=by_name)
        assert frames[:, 0, 0, 0].values.tolist() == [0, 1, 2, 3]
        assert [Path(str(source)).parent.name for source in frames["source"].values] == ["01", "01", "02", "02"]


def test_what_lies_beside_the_folders_of_an_archive_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "README.txt").write_text("rain")
    (tmp_path / "empty").mkdir()
    (tmp_path / "2020").mkdir()
    np.save(tmp_path / "2020" / "rain.npy", np.zeros((3, 8, 8), dtype=np.float32))
    frames = framecast.open(tmp_path, units="mm h-1")
    assert frames.sizes["time"] == 3
    assert any("passed over what is not understood: README.txt" in repair for repair in frames.attrs["repairs"])
    (tmp_path / "2020" / "rain.npy").unlink()
    with pytest.raises(DataError, match=r"nothing in this folder is understood \(README.txt\)"):
        framecast.open(tmp_path)


def test_what_is_to_be_stated_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "my radar"
    folder.mkdir()
    both = xr.Dataset({"rain rate": rain(), "snow": rain().rename("snow")})
    both.to_netcdf(folder / "both.nc", engine="h5netcdf")
    with pytest.raises(DataError, match="name one: variable='rain rate'"):
        framecast.open(folder / "both.nc")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (None, "None given"),
        ("", "'' given"),
        (3, "3 given"),
        (["a.nc", 3], "3 given"),
        (np.zeros((4, 8, 8)), "ndarray given"),
        (xr.DataArray(np.zeros((4, 8, 8))), "DataArray given"),
        ((path for path in ["a.nc"]), "generator given"),
    ],
)
def test_what_is_no_path_is_said(path: Any, said: str, tmp_path: Path) -> None:
    for call in (framecast.open, lambda given: framecast.convert(given, tmp_path / "out.zarr")):
        with pytest.raises(ArgumentError, match=f"path: {said}, expected a path, or a list of paths"):
            call(path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "option",
    [
        {"time_step": "5"},
        {"time_step": np.timedelta64(5, "m")},
        {"time_step": float("nan")},
        {"frame_rate": "5"},
        {"frame_rate": 0},
        {"size": 64},
        {"size": "64x64"},
        {"size": (64, 64, 3)},
        {"size": (64.5, 64)},
        {"dry": "none"},
        {"by_name": "x"},
        {"grey": 1},
    ],
)
def test_an_option_of_another_kind_is_said(option: dict[str, Any], tmp_path: Path) -> None:
    np.save(tmp_path / "frames.npy", np.zeros((4, 8, 8), dtype=np.uint8))
    ((name, value),) = option.items()
    with pytest.raises(ValueError, match=rf"{name}: ({re.escape(repr(value))}|timedelta64) given"):
        framecast.open(tmp_path / "frames.npy", **option)


def test_frames_without_clock_keep_their_numbers_in_a_store(tmp_path: Path) -> None:
    np.save(tmp_path / "frames.npy", np.random.default_rng(0).random((7, 8, 9)).astype(np.float32))
    before = framecast.open(tmp_path / "frames.npy", units="0-1")
    framecast.convert(tmp_path / "frames.npy", tmp_path / "store.zarr", options=ReadOptions(units="0-1"))
    after = framecast.open(tmp_path / "store.zarr")
    np.testing.assert_array_equal(after["time"].values, before["time"].values)
    assert after["time"].dtype.kind == "i"
    np.testing.assert_array_equal(after.values, before.values)


TRAINING = ReadOptions(variable="rainfall", units="mm per 5 min", time_step=5.0, by_name=True)


@pytest.mark.parametrize(
    ("name", "units", "left"),
    [
        ("rainfall", "", ""),
        ("rainfall", "mm h-1", "units 'mm per 5 min'"),
        ("rain", "", "variable 'rainfall'"),
        ("rain", "mm h-1", "variable 'rainfall', units 'mm per 5 min'"),
    ],
)
def test_what_training_was_told_gives_way_to_what_other_files_say(
    tmp_path: Path, name: str, units: str, left: str
) -> None:
    """Trained on one format, used on another."""
    values = np.ones((4, 6, 8), np.float32)
    xr.DataArray(values, dims=("time", "y", "x"), name=name, attrs={"units": units} if units else {}).to_netcdf(
        tmp_path / "new.nc", engine="h5netcdf"
    )
    frames = open_like(tmp_path / "new.nc", ReadOptions(), TRAINING)
    assert float(frames.max()) == (1 if units else 12)
    said = [repair for repair in frames.attrs["repairs"] if repair.startswith("read without")]
    assert [repair.partition(" of training: ")[0] for repair in said] == ([f"read without {left}"] if left else [])


def test_what_is_read_as_in_training_is_said_once(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    for number in range(3):
        for name in (f"plain/{number}.png", f"clock/rain_20200101_120{number}.png"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            Image.fromarray(chance.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(tmp_path / name)
    before = ReadOptions(grey=True, size=(4, 4), time_step=5)

    def said(name: str, options: ReadOptions) -> list[str]:
        repairs = open_like(tmp_path / name, options, before).attrs["repairs"]
        return [repair for repair in repairs if any(word in repair for word in ("training", "needed", "effect"))]

    assert said("plain", DEFAULT) == ["read as in training: time step 5 minutes, grey, size 4x4"]
    assert said("clock", DEFAULT) == ["read as in training: grey, size 4x4"]
    assert said("clock", ReadOptions(size=(6, 6))) == ["read as in training: grey"]
    assert said("plain", before) == []
    times = np.datetime64("2020-01-01", "ns") + np.arange(3) * np.timedelta64(1, "h")
    xr.DataArray(
        np.ones((3, 6, 8), np.float32), {"time": times}, ("time", "y", "x"), "rain", attrs={"units": "mm h-1"}
    ).to_netcdf(tmp_path / "rain.nc", engine="h5netcdf")
    assert said("rain.nc", DEFAULT) == ["grey, size 4x4 had no effect on these files"]


def test_what_is_stated_gives_way_to_nothing_and_an_error_says_what_is_from_training(tmp_path: Path) -> None:
    xr.DataArray(np.ones((4, 6, 8)), dims=("time", "y", "x"), name="rain", attrs={"units": "mm h-1"}).to_netcdf(
        tmp_path / "new.nc", engine="h5netcdf"
    )
    with pytest.raises(DataError, match=r"no variable 'rainfall'\n"):
        open_like(tmp_path / "new.nc", ReadOptions(variable="rainfall", time_step=5), ReadOptions(time_step=10))
    with pytest.raises(DataError, match=r"has units 'mm h-1', but 'dBZ' are stated \(from training: variable 'rain'\)"):
        open_like(tmp_path / "new.nc", ReadOptions(units="dBZ", time_step=5), ReadOptions(variable="rain"))


def test_a_damaged_file_is_left_out_however_the_files_of_training_were_listed(tmp_path: Path) -> None:
    for minute in range(0, 20, 5):
        Image.fromarray(np.full((6, 8), minute, np.uint8)).save(tmp_path / f"rain_20200101_12{minute:02d}.png")
    damaged = tmp_path / "rain_20200101_1210.png"
    damaged.write_bytes(damaged.read_bytes()[:20])
    frames = open_like(tmp_path, ReadOptions(), ReadOptions(by_name=True)).load()
    assert frames.sizes["time"] == 3


@pytest.mark.parametrize(("colour", "alpha"), [(2, ()), (6, (65535,))])
def test_that_colours_of_16_bits_are_read_as_8_is_said(tmp_path: Path, colour: int, alpha: tuple[int, ...]) -> None:
    png(tmp_path / "a.png", 16, colour, np.array([258, 514, 770, *alpha], dtype=">u2").tobytes(), 1, b"")
    frames = framecast.open(tmp_path / "a.png")
    assert "colours of 16 bits were read as 8" in frames.attrs["repairs"]
    np.testing.assert_allclose(frames.values.ravel() * 255, [1, 2, 3], rtol=1e-6)


def test_grey_of_16_bits_with_alpha_is_refused(tmp_path: Path) -> None:
    png(tmp_path / "a.png", 16, 4, struct.pack(">4H", 258, 65535, 259, 0), 2, b"")
    with pytest.raises(DataError, match=r"a\.png: grey of 16 bits with an alpha channel"):
        framecast.open(tmp_path / "a.png")
