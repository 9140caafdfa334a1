"""The formats that weather services publish, against clean NetCDF of the same events; pictures and video."""

import datetime
import gzip
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Literal

import dask.array as da
import h5py
import numpy as np
import pytest
import xarray as xr
from PIL import Image

import framecast
from framecast.data.datasets import ArchiveData
from framecast.data.readers import zarr_store
from framecast.data.units import identify
from framecast.errors import DataError


@pytest.mark.parametrize(
    ("original", "event", "frames", "quantum"),
    [
        ("mch_gif/20150515", "mch_20150515", 40, 0.00501),
        ("mch_gif/20170131", "mch_20170131", 40, 0.00501),
        ("knmi_hdf5/20100826", "knmi_20100826", 64, 1e-5),
        ("fmi_pgm/20160928", "fmi_20160928", 12, 0),
        ("bom_netcdf/20201031", "bom_20201031", 48, 1e-4),
    ],
)
def test_originals_equal_the_clean_events(
    originals: Path, radar: Path, original: str, event: str, frames: int, quantum: float
) -> None:
    """Times, grid, units and no data are the same; values differ by the quantisation of the clean files at most."""
    ours = framecast.open(originals / original)
    clean = framecast.open(radar / f"{event}.nc").sel(time=ours["time"])
    assert ours.sizes["time"] == frames
    assert ours.attrs["units"] == clean.attrs["units"]
    for axis in ("y", "x"):
        np.testing.assert_allclose(ours[axis], clean[axis], atol=0.011)  # metres
    assert ours["crs"].attrs["grid_mapping_name"] == clean["crs"].attrs["grid_mapping_name"]
    some = slice(None, None, max(frames // 8, 1))
    one, other = ours.isel(time=some).values, clean.isel(time=some).values
    np.testing.assert_array_equal(np.isnan(one), np.isnan(other))
    assert np.nanmax(np.abs(one - other)) <= quantum
    np.testing.assert_array_equal((one == ours.attrs["dry"])[other > 0.1], False)


def test_pysteps_reads_the_same(originals: Path) -> None:
    """A second opinion on three formats."""
    importers = pytest.importorskip("pysteps.io.importers")
    gif = originals / "mch_gif/20150515/AQC151351825F_00005.801.gif"
    theirs, _, about = importers.import_mch_gif(str(gif), "AQC", "mm", 5.0)
    np.testing.assert_allclose(framecast.open(gif).values[0, 0], theirs * 12, rtol=1e-5, equal_nan=True)
    knmi = originals / "knmi_hdf5/20100826/RAD_NL25_RAP_5min_201008260130.h5"
    theirs, _, about = importers.import_knmi_hdf5(str(knmi))
    ours = framecast.open(knmi).values[0, 0]
    np.testing.assert_allclose(ours, theirs * (12 if about["unit"] == "mm" else 1), rtol=1e-5, equal_nan=True)
    pgm = next((originals / "fmi_pgm/20160928").iterdir())
    theirs, _, about = importers.import_fmi_pgm(str(pgm), gzipped=True)
    ours = framecast.open(pgm).values[0, 0]
    np.testing.assert_allclose(ours[np.isfinite(theirs)], theirs[np.isfinite(theirs)])


@pytest.mark.parametrize(
    ("product", "count", "size", "units", "highest", "step"),
    [
        ("20180824", 3, (2200, 1900), "mm h-1", 1205.22, 15),
        ("20241126_cirrus", 2, (4400, 3800), "dBZ", 78.0, 5),
        ("20241126_nimbus", 2, (2200, 1900), "mm h-1", 205.05, 15),
        ("20241126_nimbus_hourly", 1, (2200, 1900), "mm h-1", 86.06, None),
    ],
)
def test_opera_composites(
    originals: Path, product: str, count: int, size: tuple[int, int], units: str, highest: float, step: int | None
) -> None:
    folder = originals / "opera_odim" / product
    frames = framecast.open(folder)
    assert frames.shape == (count, 1, *size)
    assert frames.attrs["units"] == units
    values = frames.isel(time=0).values[0]
    assert np.nanmax(values) == pytest.approx(highest, abs=0.01)
    with h5py.File(min(folder.iterdir())) as file:
        stored = file["dataset1/data1/data"][()]
    np.testing.assert_array_equal(np.isnan(values), stored == -9999000)
    assert (values[stored == -8888000] == frames.attrs["dry"]).all()
    assert frames["y"].values[0] == pytest.approx(-4_400_000 / size[0] / 2, abs=4)  # half a pixel below the top
    if step:
        assert np.diff(frames["time"].values)[0] == np.timedelta64(step, "m")
        assert str(frames["time"].values[0])[14:16] == "00"  # the nominal time, not that of dataset1/what


def test_an_odim_file_with_two_quantities_wants_one_named(originals: Path, tmp_path: Path) -> None:
    path = tmp_path / "two.h5"
    shutil.copy(min((originals / "opera_odim/20180824").iterdir()), path)
    with h5py.File(path, "a") as file:
        file["dataset2/what"].attrs["quantity"] = np.bytes_("DBZH")
    with pytest.raises(DataError, match=r"RATE in /dataset1/data1, DBZH in /dataset2/data1"):
        framecast.open(path)
    assert framecast.open(path, variable="DBZH").attrs["quantity"] == "reflectivity"


@pytest.mark.parametrize(
    ("product", "variable", "place"),
    [
        ("20180824", "QIND", "dataset2/data1"),
        ("20241126_cirrus", "QIND", "dataset1/data1/quality1"),
        ("20241126_nimbus", "quality1", "dataset1/data1/quality1"),
        ("20241126_nimbus", "pl.imgw.quality.qi_total", "dataset1/data1/quality1"),
    ],
)
def test_fields_of_quality_are_read_where_one_is_named(
    originals: Path, product: str, variable: str, place: str
) -> None:
    path = min((originals / "opera_odim" / product).iterdir())
    quality = framecast.open(path, variable=variable)
    assert quality.attrs["quantity"] == "intensity"
    with h5py.File(path) as file:
        stored = file[f"{place}/data"][()]
    known = stored >= 0
    values = quality.values[0, 0]
    np.testing.assert_allclose(values[known], stored[known], atol=1e-6)
    assert np.isnan(values[stored == -9999000]).all()
    assert 0 <= np.nanmin(values) <= np.nanmax(values) <= 1
    with pytest.raises(DataError, match=r"no field 'quality7'\n.*QIND"):
        framecast.open(path, variable="quality7")


def test_geotiff_and_grib(originals: Path) -> None:
    pytest.importorskip("rasterio")
    tiff = framecast.open(originals / "fmi_geotiff/20160928")
    assert tiff.shape == (3, 1, 7316, 4963)
    assert tiff.attrs["units"] == "dBZ"
    assert str(tiff["time"].values[0]).startswith("2016-09-28T14:45")
    assert tiff["crs"].attrs["grid_mapping_name"] == "transverse_mercator"
    part = tiff.isel(time=0).values
    assert np.nanmin(part) == -32
    assert np.nanmax(part) == 53
    grib = framecast.open(originals / "mrms_grib2/20190610")
    assert grib.shape == (4, 1, 3500, 7000)
    assert np.diff(grib["time"].values).tolist() == [120 * 10**9] * 3
    frame = grib.isel(time=0).values
    assert np.isnan(frame).mean() == pytest.approx(0.358, abs=0.001)
    assert frame[np.isfinite(frame)].min() == 0


def test_reflectivity_of_mrms_keeps_three_states(tmp_path: Path) -> None:
    """A message as MRMS describes it (discipline 209, category 10), in which -999 is no coverage and -99 no echo."""
    rasterio = pytest.importorskip("rasterio")
    from rasterio import shutil

    values = np.full((30, 40), -99, dtype=np.float32)
    values[:5] = -999
    values[10:20, 10:20] = np.linspace(5, 55, 100).reshape(10, 10)
    with rasterio.open(
        tmp_path / "echo.tif", "w", driver="GTiff", width=40, height=30, count=1, dtype="float32",
        crs="EPSG:4326", transform=rasterio.Affine(0.01, 0, -100, 0, -0.01, 50),
    ) as file:  # fmt: skip
        file.write(values, 1)
    shutil.copy(
        str(tmp_path / "echo.tif"), str(tmp_path / "echo.grib2"), driver="GRIB", DISCIPLINE="209",
        IDS="CENTER=161 REF_TIME=2019-06-10T00:00:00Z", PDS_PDTN="0",
        PDS_TEMPLATE_ASSEMBLED_VALUES="10 0 8 0 97 0 0 0 0 102 0 500 255 0 0",
    )  # fmt: skip
    frames = framecast.open(tmp_path / "echo.grib2")
    assert frames.attrs["units"] == "dBZ"
    assert frames["time"].values.tolist() == [np.datetime64("2019-06-10", "ns").astype(int)]
    found = frames.values[0, 0]
    np.testing.assert_array_equal(np.isnan(found), values == -999)
    np.testing.assert_array_equal(found == -32, values == -99)
    np.testing.assert_allclose(found[10:20, 10:20], values[10:20, 10:20], atol=0.01)


def test_a_georeferenced_tiff_keeps_grid_and_no_data(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    values = np.array([[1.5, -9.0], [0.0, 3.0]], dtype=np.float32)
    with rasterio.open(
        tmp_path / "rain_20200101_0005.tif", "w", driver="GTiff", width=2, height=2, count=1, dtype="float32",
        crs="EPSG:3035", transform=rasterio.Affine(1000, 0, 4e6, 0, -1000, 3e6), nodata=-9,
    ) as file:  # fmt: skip
        file.write(values, 1)
        file.units = ["mm/h"]
    frames = framecast.open(tmp_path / "rain_20200101_0005.tif")
    np.testing.assert_array_equal(frames.values[0, 0], [[1.5, np.nan], [0, 3]])
    assert frames["x"].values.tolist() == [4_000_500, 4_001_500]
    assert str(frames["time"].values[0]).startswith("2020-01-01T00:05")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("truncated.h5", "incomplete or unreadable"),
        ("truncated.gif", "incomplete or unreadable"),
        ("truncated.pgm.gz", "incomplete"),
        ("truncated.mp4", "incomplete or unreadable"),
    ],
)
def test_damage_is_told_alone_and_counted_among_others(
    bad: Path, originals: Path, videos: Path, tmp_path: Path, name: str, said: str
) -> None:
    with pytest.raises(DataError, match=said) as error:
        framecast.open(bad / name)
    assert name in str(error.value)
    good = {
        "truncated.h5": next((originals / "opera_odim/20180824").iterdir()),
        "truncated.gif": originals / "mch_gif/20150515/AQC151351825F_00005.801.gif",
        "truncated.pgm.gz": next((originals / "fmi_pgm/20160928").iterdir()),
        "truncated.mp4": videos / "bigbuckbunny.mp4",
    }[name]
    shutil.copy(good, tmp_path / good.name)
    shutil.copy(bad / name, tmp_path / name)
    frames = framecast.open(tmp_path)
    assert frames.sizes["time"] in (1, 132)
    assert "1 of 2 files could not be read and were left out" in frames.attrs["repairs"][0]
    assert name in frames.attrs["repairs"][0]


def test_a_video_that_breaks_off_is_read_up_to_its_last_whole_frame(bad: Path, videos: Path) -> None:
    pytest.importorskip("av")
    frames = framecast.open(bad / "truncated.avi", grey=True)
    assert frames.shape == (71, 1, 120, 160)
    assert any("declares 132 frames, 71 are whole" in said for said in frames.attrs["repairs"])
    whole = framecast.open(videos / "bigbuckbunny_160x120.avi", grey=True)
    np.testing.assert_array_equal(frames.values, whole.values[:71])


def test_any_frame_of_a_video_is_the_same_alone_and_in_order(videos: Path) -> None:
    av = pytest.importorskip("av")
    path = videos / "bigbuckbunny.mp4"
    frames = framecast.open(path, size=(90, 160))
    assert frames.shape == (132, 3, 90, 160)
    with av.open(str(path)) as container:
        truth = [
            frame.reformat(160, 90, "rgb24", interpolation="AREA").to_ndarray() for frame in container.decode(video=0)
        ]
    for k in (100, 0, 131, 57):
        np.testing.assert_allclose(frames.isel(time=k).values, truth[k].transpose(2, 0, 1) / 255, rtol=1e-6)


def test_fewer_frames_a_second_are_every_kth(videos: Path) -> None:
    pytest.importorskip("av")
    path = videos / "bigbuckbunny_160x120.avi"
    whole, slow = framecast.open(path, grey=True), framecast.open(path, grey=True, frame_rate=5)
    np.testing.assert_array_equal(slow.values, whole.values[::5])
    with pytest.raises(DataError, match=r"10 frames a second cannot be taken out of 25\n.*12\.5"):
        framecast.open(path, frame_rate=10)


def test_colours_of_a_video_are_no_values_and_frames_before_its_beginning_are_none(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
        for number in range(6):
            frame = av.VideoFrame.from_ndarray(np.full((16, 32, 3), 40 * number, np.uint8), "rgb24")
            frame.pts, frame.time_base = 100 * number - 200, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    frames = framecast.open(tmp_path / "a.mp4", grey=True)
    np.testing.assert_allclose(frames.values.mean((1, 2, 3)) * 255, [80, 120, 160, 200], atol=2)
    assert not any("breaks off" in repair for repair in frames.attrs["repairs"])
    with pytest.raises(DataError, match=r"the frames are colours.*not values in 'dBZ'"):
        framecast.open(tmp_path / "a.mp4", units="dBZ")
    assert framecast.open(tmp_path / "a.mp4", units="dBZ", grey=True).attrs["quantity"] == "reflectivity"


def test_jpeg_folders_in_grey_and_another_size(tmp_path: Path) -> None:
    for number in range(3):
        Image.fromarray(np.full((32, 48, 3), 60 * number, dtype=np.uint8)).save(tmp_path / f"{number}.jpg")
    assert framecast.open(tmp_path).shape == (3, 3, 32, 48)
    frames = framecast.open(tmp_path, grey=True, size=(16, 12))
    np.testing.assert_allclose(
        frames.values, np.broadcast_to(np.arange(3)[:, None, None, None] * 60 / 255, (3, 1, 16, 12)), atol=0.01
    )
    content = (tmp_path / "1.jpg").read_bytes()
    (tmp_path / "1.jpg").write_bytes(content[: len(content) // 2])
    assert framecast.open(tmp_path)["time"].values.tolist() == [0, 2]


def test_another_size_is_the_mean_over_areas() -> None:
    from framecast.data.readers.single import resize

    values = np.arange(24, dtype=np.float32).reshape(4, 6)
    np.testing.assert_allclose(resize(values, (2, 3)), values.reshape(2, 2, 3, 2).mean(axis=(1, 3)))
    values[0, 0] = np.nan
    assert resize(values, (2, 3))[0, 0] == pytest.approx((1 + 6 + 7) / 3)
    assert resize(np.ones((5, 7), dtype=np.float32), (3, 4)) == pytest.approx(1)


@pytest.mark.parametrize(
    ("name", "factor", "offset"),
    [("thuml", 1 / 2, 15), ("hko7", 70 / 255, -10), ("tctn", 70 / 255, 0), ("cikm", 95 / 255, -10)],
)
def test_pictures_of_reflectivity_by_a_named_map(tmp_path: Path, name: str, factor: float, offset: float) -> None:
    pixels = np.arange(0, 240, 4, dtype=np.uint8).reshape(6, 10)
    for number in range(2):
        Image.fromarray(pixels).save(tmp_path / f"radar_{number}.png")
    frames = framecast.open(tmp_path, units=f"pixels {name}")
    assert frames.attrs["units"] == "dBZ"
    np.testing.assert_allclose(frames.values[0, 0], factor * pixels + offset, rtol=1e-5, atol=1e-5)
    assert frames.attrs["dry"] == pytest.approx(float(frames.values[0, 0, 0, 0]))


def test_published_maps() -> None:
    """The thresholds that the papers print: pixels 10, 30, 50, 70 are 20, 30, 40, 50 dBZ."""
    thuml, hko7 = (identify(f"pixels {name}", variable="v", where="f") for name in ("thuml", "hko7"))
    assert [pixel * thuml.factor + thuml.offset for pixel in (10, 30, 50, 70)] == [20, 30, 40, 50]
    assert 255 * hko7.factor + hko7.offset == pytest.approx(60)


def test_amounts_over_a_stated_time(tmp_path: Path) -> None:
    np.save(tmp_path / "rain.npy", np.full((3, 8, 9), 0.5, dtype=np.float32))
    frames = framecast.open(tmp_path / "rain.npy", units="mm per 5 min")
    np.testing.assert_allclose(frames.values, 6)
    assert frames.attrs["units"] == "mm h-1"


@pytest.mark.parametrize("through", ["obstore", "fsspec"])
def test_a_store_behind_an_address(tmp_path: Path, through: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if through == "fsspec":
        monkeypatch.setattr(zarr_store, "find_spec", lambda name: None)
    values = xr.DataArray(
        np.random.default_rng(0).random((24, 8, 8), dtype=np.float32),
        dims=("time", "y", "x"),
        coords={"time": np.datetime64("2020-01-01", "ns") + np.arange(24) * np.timedelta64(5, "m")},
        attrs={"units": "mm/h"},
        name="rain",
    )
    values.to_dataset().to_zarr(tmp_path / "store.zarr", zarr_format=3, consolidated=False)
    frames = framecast.open(f"file://{tmp_path}/store.zarr")
    np.testing.assert_array_equal(frames.values[:, 0], values.values)
    assert isinstance(zarr_store._remote_store(f"file://{tmp_path}"), str) == (through == "fsspec")
    data = ArchiveData(path=f"file://{tmp_path}/store.zarr", context=1, horizon=1)
    assert data.open().train is not None
    with pytest.raises(DataError, match="incomplete or unreadable"):
        framecast.open(f"file://{tmp_path}/nothing.zarr")


def test_an_address_that_only_fsspec_knows() -> None:
    values = xr.DataArray(
        np.random.default_rng(0).random((2, 4, 4), dtype=np.float32),
        dims=("time", "y", "x"),
        coords={"time": np.array(["2020-01-01T00:00", "2020-01-01T00:05"], dtype="datetime64[ns]")},
        attrs={"units": "mm/h"},
        name="rain",
    )
    values.to_dataset().to_zarr("memory://rain.zarr", zarr_format=3, consolidated=False, mode="w")
    np.testing.assert_array_equal(framecast.open("memory://rain.zarr").values[:, 0], values.values)


def test_a_foreign_filter_is_refused(tmp_path: Path) -> None:
    """Filters outside the list are code that HDF5 would load from elsewhere."""
    path = tmp_path / "filtered.nc"
    with h5py.File(path, "w") as file:
        space, properties = h5py.h5s.create_simple((4, 8, 8)), h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((1, 8, 8))
        properties.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (3,))
        h5py.h5d.create(file.id, b"rain", h5py.h5t.NATIVE_FLOAT, space, properties)
    with pytest.raises(DataError, match=r"HDF5 filter 32015\n.*deflate"):
        framecast.open(path)


def test_declared_sizes_are_checked_before_anything_is_read(tmp_path: Path, originals: Path) -> None:
    header = b"P5\n# obstime 201609281540\n40000 40000\n255\n"
    with gzip.open(tmp_path / "huge.pgm.gz", "wb") as file:
        file.write(header)
    with pytest.raises(DataError, match=r"40000 x 40000 pixels.*limit"):
        framecast.open(tmp_path / "huge.pgm.gz")
    path = tmp_path / "huge.h5"
    shutil.copy(min((originals / "opera_odim/20180824").iterdir()), path)
    with h5py.File(path, "a") as file:
        del file["dataset1/data1/data"]
        file["dataset1/data1"].create_dataset("data", (100_000, 100_000), "f8", chunks=(100, 100), compression="gzip")
    with pytest.raises(DataError, match="100000 x 100000 pixels"):
        framecast.open(path)


@pytest.mark.parametrize("version", [2, 3])
def test_a_store_with_chunks_larger_than_the_limit_is_refused(tmp_path: Path, version: Literal[2, 3]) -> None:
    rain = xr.DataArray(
        da.zeros((20_000, 20_000), dtype=np.float32, chunks=-1), dims=("y", "x"), attrs={"units": "mm/h"}, name="rain"
    )
    rain.to_zarr(tmp_path / "huge.zarr", zarr_format=version, compute=False, consolidated=False)
    with pytest.raises(DataError, match=r"rain is stored in pieces of 1,526 MiB; the limit is 512"):
        framecast.open(tmp_path / "huge.zarr")


def test_times_with_a_zone_are_brought_to_utc_and_those_without_are_utc() -> None:
    from framecast.data.readers.single import utc

    zone = datetime.timezone(datetime.timedelta(hours=2))
    assert utc(datetime.datetime(2020, 1, 1, 1, 30, tzinfo=zone)) == np.datetime64("2019-12-31T23:30", "ns")
    assert utc(datetime.datetime(2020, 1, 1, 1, 30)) == np.datetime64("2020-01-01T01:30", "ns")


def test_importing_framecast_needs_no_extra() -> None:
    code = "import sys, framecast.data.readers as r; print([m for m in ('av', 'rasterio', 'distributed') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
