"""What every reader keeps to. A new reader is covered by its entry in `SAMPLES`: a small file of its format.

Each sample begins with three pixels of the top row: a value, the dry value, no data (None for a format that has none).
"""

import gzip
import struct
import warnings
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import binary_files
import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import framecast
from framecast import checks
from framecast.data.archives.opening import open_all
from framecast.data.quantities import quantity_of
from framecast.data.readers import formats, limits
from framecast.data.readers.formats import READERS, find_reader, installed_readers
from framecast.data.readers.options import DEFAULT, Reader, ReadOptions
from framecast.errors import ConfigError, DataError, FramecastError

HEIGHT, WIDTH = 16, 20
TIME = np.datetime64("2020-01-01T00:05", "ns")


class Sample(NamedTuple):
    """A file of one frame (of several for video), and what is in it."""

    path: Path
    value: float
    dry: bool = True
    missing: bool = True
    clock: bool = True
    grid: bool = True
    units: str | None = None
    size: tuple[int, int] = (HEIGHT, WIDTH)
    """Of the frame."""
    size_is_declared: bool = True
    """Whether the file is refused before decoding where a frame is too large; otherwise it is read in parts."""


def pixels(
    value: int, dry: int, missing: int, size: tuple[int, int] = (HEIGHT, WIDTH), dtype: str = "u1"
) -> np.ndarray:
    stored = np.full(size, value, dtype)
    stored[0, :3] = value, dry, missing
    return stored


def dataset() -> xr.Dataset:
    values = np.full((1, HEIGHT, WIDTH), 2.0, np.float32)
    values[0, 0, :3] = 2.0, 0.0, np.nan
    array = xr.DataArray(values, dims=("time", "y", "x"), coords={"time": [TIME]}, attrs={"units": "mm h-1"})
    array = array.assign_coords(y=np.arange(HEIGHT)[::-1] * 1000.0, x=np.arange(WIDTH) * 1000.0)
    array["y"].attrs["units"] = array["x"].attrs["units"] = "m"
    return array.to_dataset(name="rain")


def netcdf(folder: Path) -> Sample:
    dataset().to_netcdf(folder / "rain.nc", engine="h5netcdf")
    return Sample(folder / "rain.nc", 2.0, size_is_declared=False)


def zarr_store(folder: Path) -> Sample:
    dataset().to_zarr(folder / "rain.zarr")
    return Sample(folder / "rain.zarr", 2.0, size_is_declared=False)


def odim(folder: Path) -> Sample:
    with h5py.File(folder / "rain.h5", "w") as file:
        file.attrs["Conventions"] = "ODIM_H5/V2_3"
        file.create_group("what").attrs.update({"date": "20200101", "time": "000500"})
        file.create_group("where").attrs.update(
            {"projdef": "+proj=laea +lat_0=55 +lon_0=10", "LL_lon": 10.0, "LL_lat": 55.0}
            | {"xscale": 1000.0, "yscale": 1000.0, "xsize": WIDTH, "ysize": HEIGHT}
        )
        file.create_group("dataset1/data1/what").attrs.update(
            {"quantity": "DBZH", "gain": 0.5, "offset": -32.0, "nodata": 255.0, "undetect": 0.0}
        )
        file["dataset1/data1/data"] = pixels(104, 0, 255)
    return Sample(folder / "rain.h5", 20.0)


def knmi(folder: Path) -> Sample:
    with h5py.File(folder / "rain_knmi.h5", "w") as file:
        stamps = {
            "product_datetime_start": "01-JAN-2020;00:00:00.000",
            "product_datetime_end": "01-JAN-2020;00:05:00.000",
        }
        file.create_group("overview").attrs.update(stamps)
        file.create_group("geographic").attrs.update(
            {"geo_dim_pixel": "KM,KM", "geo_pixel_size_x": 1.0, "geo_pixel_size_y": -1.0}
            | {"geo_column_offset": 0.0, "geo_row_offset": 3650.0}
        )
        projection = "+proj=stere +lat_0=90 +lon_0=0 +lat_ts=60 +a=6378.14 +b=6356.75 +x_0=0 +y_0=0"
        file.create_group("geographic/map_projection").attrs["projection_proj4_params"] = projection
        file.create_group("image1").attrs["image_geo_parameter"] = "ACCUMULATED_PRECIPITATION_[MM]"
        file["image1/image_data"] = pixels(50, 0, 65535, dtype="u2")
        file.create_group("image1/calibration").attrs.update(
            {"calibration_formulas": "GEO=0.01*PV+0.0", "calibration_missing_data": 65535}
        )
    return Sample(folder / "rain_knmi.h5", 0.5 * 12)


def meteoswiss_gif(folder: Path) -> Sample:
    size = (640, 710)
    Image.fromarray(pixels(100, 0, 255, size), mode="P").save(
        folder / "rain.gif", comment=b"PRDT=AQC200010005 DeltaT=5", optimize=False
    )
    return Sample(folder / "rain.gif", 12 * (10 ** ((100 - 71.5) / 20) / 316) ** (1 / 1.5), size=size)


def fmi_pgm(folder: Path) -> Sample:
    comments = (
        "obstime 202001010005", "param CorrectedReflectivity", "type stereographic", "centrallongitude 25",
        "truelatitude 60", "bottomleft 18.6 57.93", "topright 34.903 69.005",
    )  # fmt: skip
    header = "P5\n" + "".join(f"# {each}\n" for each in comments) + f"{WIDTH} {HEIGHT}\n255\n"
    (folder / "rain.pgm.gz").write_bytes(gzip.compress(header.encode() + pixels(104, 0, 255).tobytes()))
    return Sample(folder / "rain.pgm.gz", 20.0)


def raster(folder: Path) -> Sample:
    rasterio = pytest.importorskip("rasterio")
    transform = rasterio.transform.from_origin(0, 0, 1000, 1000)
    about = {"driver": "GTiff", "dtype": "float32", "count": 1, "height": HEIGHT, "width": WIDTH, "nodata": -1.0}
    with rasterio.open(folder / "rain.tif", "w", crs="EPSG:3067", transform=transform, **about) as file:
        file.write(np.float32(pixels(2, 0, 9) - 10 * (pixels(2, 0, 9) == 9)), 1)
        file.update_tags(units="mm h-1")
    return Sample(folder / "rain.tif", 2.0, clock=False)


def video(folder: Path) -> Sample:
    av = pytest.importorskip("av")
    with av.open(str(folder / "film.avi"), "w") as container:
        stream = container.add_stream("ffv1", rate=5)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "gray"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels(51, 0, 51), format="gray")))
        container.mux(stream.encode(None))
    return Sample(folder / "film.avi", 0.2, missing=False, clock=False, grid=False)


def numpy_files(folder: Path) -> Sample:
    values = dataset()["rain"].values
    np.save(folder / "rain.npy", values)
    return Sample(folder / "rain.npy", 2.0, clock=False, grid=False, units="mm h-1", size_is_declared=False)


def images(folder: Path) -> Sample:
    Image.fromarray(pixels(51, 0, 255)).save(folder / "image.png", transparency=255)
    return Sample(folder / "image.png", 0.2, clock=False, grid=False)


def radolan(folder: Path) -> Sample:
    size = (900, 900)
    (folder / "raa01-ry.bin").write_bytes(binary_files.radolan(pixels(50, 0, 0x29C4, size, "u2")))
    return Sample(folder / "raa01-ry.bin", 0.5 * 12, size=size)


def nimrod(folder: Path) -> Sample:
    (folder / "uk.dat").write_bytes(binary_files.nimrod(pixels(64, 0, -1, dtype="i2")))
    return Sample(folder / "uk.dat", 2.0)


def compressed(folder: Path) -> Sample:
    dataset().to_netcdf(folder / "rain.nc", engine="h5netcdf")
    (folder / "rain.nc.gz").write_bytes(gzip.compress((folder / "rain.nc").read_bytes()))
    return Sample(folder / "rain.nc.gz", 2.0)


SAMPLES: dict[str, Callable[[Path], Sample]] = {
    maker.__name__: maker
    for maker in (
        *(netcdf, zarr_store, odim, knmi, meteoswiss_gif, fmi_pgm, radolan, nimrod, raster, video, numpy_files, images),
        compressed,
    )
}


def name_of(reader: Reader) -> str:
    return str(getattr(reader, "__name__", reader)).rpartition(".")[2]


@pytest.fixture(params=READERS, ids=name_of)
def reader(request: pytest.FixtureRequest) -> Reader:
    return request.param


@pytest.fixture
def sample(reader: Reader, tmp_path: Path) -> Sample:
    assert name_of(reader) in SAMPLES, "give the reader a small file of its format: an entry in SAMPLES"
    return SAMPLES[name_of(reader)](tmp_path)


def test_it_recognises_its_own_files_and_no_others(reader: Reader, tmp_path: Path) -> None:
    for name, maker in SAMPLES.items():
        (tmp_path / name).mkdir()
        try:
            path = maker(tmp_path / name).path
        except pytest.skip.Exception:
            continue
        found = find_reader(path)
        assert found is not None
        assert (found is reader) == (name == name_of(reader))


def test_it_recognises_no_folder_nor_text(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing to read")
    (tmp_path / "nothing").touch()
    for path in (tmp_path, tmp_path / "notes.txt", tmp_path / "nothing", tmp_path / "absent"):
        assert not reader.recognises(path)


def test_it_says_what_it_recognises(reader: Reader) -> None:
    assert reader.RECOGNISES
    assert all(what in formats.list_formats() for what in reader.RECOGNISES)


def test_value_dry_and_no_data_stay_apart(sample: Sample) -> None:
    frames = framecast.open(sample.path, units=sample.units)
    first, second, third = frames.isel(time=0, channel=0).values[0, :3]
    assert first == pytest.approx(sample.value, rel=1e-5)
    assert (second == quantity_of(frames).dry) == sample.dry
    assert np.isnan(third) == sample.missing
    assert np.isnan(frames.isel(time=0)).sum() == sample.missing


def test_dims_clock_grid_and_orientation(sample: Sample) -> None:
    frames = framecast.open(sample.path, units=sample.units)
    assert frames.dims == ("time", "channel", "y", "x")
    assert frames.dtype == np.float32
    assert frames.shape[-2:] == sample.size
    assert (frames["time"].dtype.kind == "M") == sample.clock
    if sample.clock:
        assert frames["time"].values[0] == TIME
    assert ("y" in frames.coords and "x" in frames.coords) == sample.grid
    if sample.grid:
        assert (np.diff(frames["y"]) < 0).all(), "the top row is first, as it lies in the file"
        assert (np.diff(frames["x"]) > 0).all()
    assert set(map(str, frames["source"].values)) == {str(sample.path)}


def test_no_warning_of_a_library_leaks(sample: Sample) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        framecast.open(sample.path, units=sample.units).load()


def test_pixels_are_read_when_they_are_used(reader: Reader, sample: Sample) -> None:
    array = reader.read(sample.path, ReadOptions(units=sample.units))
    part = array.isel(y=slice(0, 1), x=slice(1, 3))
    np.testing.assert_array_equal(part.values, array.compute().isel(y=slice(0, 1), x=slice(1, 3)).values)
    assert set(array.dims) <= {"sequence", "time", "channel", "y", "x"}


def test_a_frame_beyond_the_limit_is_refused_before_it_is_decoded(
    sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not sample.size_is_declared:
        pytest.skip("read in parts, whatever its size")
    monkeypatch.setattr(limits, "MEMORY_LIMIT", 64)
    with pytest.raises(DataError, match=r"limit") as error:
        framecast.open(sample.path, units=sample.units)
    assert sample.path.name in str(error.value)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 0.999), noise=st.binary(max_size=64))
def test_truncated_and_damaged_files_raise_our_errors_that_name_them(
    reader: Reader, sample: Sample, share: float, noise: bytes
) -> None:
    path = sample.path if sample.path.is_file() else sample.path / "zarr.json"
    whole = path.read_bytes()
    failure: FramecastError | None = None
    try:
        path.write_bytes(whole[: int(share * len(whole))] + noise)
        frames = framecast.open(sample.path, units=sample.units)
        if frames.isel(time=0).size < 10_000_000:
            frames.isel(time=0).load()
    except FramecastError as error:
        failure = error
    finally:
        path.write_bytes(whole)
    assert failure is None or sample.path.name in str(failure)


class _Toy:
    """A reader of another package: raw float32 behind a signature and two sizes."""

    RECOGNISES = ("TOY files",)

    @staticmethod
    def recognises(path: Path) -> bool:
        return path.is_file() and path.read_bytes()[:4] == b"TOY!"

    @staticmethod
    def read(path: Path, options: ReadOptions) -> xr.DataArray:
        height, width = struct.unpack("<2I", path.read_bytes()[4:12])
        values = np.frombuffer(path.read_bytes()[12:], "<f4").reshape(height, width)
        return xr.DataArray(values, dims=("y", "x"), name="rain", attrs={"units": "mm h-1"})


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch):
    """Pretend that a package is installed that adds a reader: `install(name, what its entry point loads)`."""

    def add(name: str, load: Callable[[], object]) -> None:
        point = SimpleNamespace(name=name, value=f"package:{name}", dist=SimpleNamespace(name="package"), load=load)
        monkeypatch.setattr(checks, "_entry_points", lambda group: (point,) if group == "framecast.readers" else ())
        installed_readers.cache_clear()

    yield add
    installed_readers.cache_clear()


def test_readers_of_other_packages_are_used_after_those_of_framecast(
    tmp_path: Path, install: Callable[[str, Callable[[], object]], None]
) -> None:
    values = np.arange(12, dtype="<f4").reshape(3, 4)
    (tmp_path / "rain_202001010005.toy").write_bytes(b"TOY!" + struct.pack("<2I", 3, 4) + values.tobytes())
    install("toy", lambda: _Toy)
    frames = framecast.open(tmp_path)
    np.testing.assert_array_equal(frames.values[0, 0], values)
    assert frames["time"].values[0] == TIME
    assert "TOY files" in formats.list_formats()
    install("greedy", lambda: SimpleNamespace(RECOGNISES=[], recognises=lambda path: True, read=_Toy.read))
    np.save(tmp_path / "own.npy", values / 12)
    assert find_reader(tmp_path / "own.npy") in READERS


@pytest.mark.parametrize(
    ("load", "message"),
    [
        (
            EntryPoint("broken", "no_such_package.readers", "framecast.readers").load,
            "cannot be imported.*no_such_package",
        ),
        (lambda: SimpleNamespace(RECOGNISES=[]), "is no reader.*no recognises, read"),
    ],
)
def test_a_broken_reader_of_another_package_is_named(
    tmp_path: Path, install: Callable[[str, Callable[[], object]], None], load: Callable[[], object], message: str
) -> None:
    install("broken", load)
    np.save(tmp_path / "rain.npy", np.zeros((3, 4, 5)))
    assert open_all(tmp_path / "rain.npy", DEFAULT).frames.shape == (3, 1, 4, 5), "it is not needed for that"
    (tmp_path / "rain.other").write_bytes(b"something else")
    with pytest.raises(ConfigError, match=message) as error:
        framecast.open(tmp_path / "rain.other")
    assert "reader 'broken' of package" in str(error.value)
