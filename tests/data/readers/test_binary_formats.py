"""RADOLAN, NIMROD, GRIB of edition 1 and compressed files, byte by byte as their standards have them."""

import bz2
import gzip
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from binary_files import grib1, nimrod, radolan
from pyproj import Transformer

import framecast
from framecast.data.readers import limits
from framecast.data.readers.formats import find_reader
from framecast.errors import DataError, UnreadableFile


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def codes(value: int, kind: str = "u2", size: tuple[int, int] = (900, 900)) -> np.ndarray:
    return np.full(size, value, kind)


def test_radolan_flags_and_codes(tmp_path: Path) -> None:
    stored = codes(0)
    stored[0, :8] = 67, 67 | 0x1000, 0x29C4, 67 | 0x2000, 67 | 0x8000, 2490, 2500, 67 | 0x4000
    frames = framecast.open(write(tmp_path / "ry.bin", radolan(stored)))
    nan = np.nan
    np.testing.assert_allclose(frames.values[0, 0, 0, :9], [8.04, 8.04, nan, nan, nan, nan, nan, nan, 0], rtol=1e-6)
    assert frames["time"].values[0] == np.datetime64("2020-01-01T00:05")
    assert frames.name == "RY"


@pytest.mark.parametrize(
    ("product", "precision", "interval", "factor"),
    [
        ("RW", "E-01", "  60", 0.1),
        ("SF", "E-01", "1440", 0.1 / 24),
        ("W1", "E-01", "   1U1", 0.1 / 24),
        ("RY", "E-02", "   5", 0.12),
    ],
)
def test_radolan_amounts_are_rates_over_their_interval(
    tmp_path: Path, product: str, precision: str, interval: str, factor: float
) -> None:
    content = radolan(codes(50), product, precision=precision, interval=interval)
    frames = framecast.open(write(tmp_path / "rain.bin", content))
    assert frames.attrs["units"] == "mm h-1"
    np.testing.assert_allclose(frames.values, 50 * factor, rtol=1e-5)


def test_radolan_reflectivity_of_one_and_two_bytes(tmp_path: Path) -> None:
    one = codes(0, "u1")
    one[0, :4] = 105, 249, 250, 255
    frames = framecast.open(write(tmp_path / "rx.bin", radolan(one, "RX", precision="E+00")))
    np.testing.assert_array_equal(frames.values[0, 0, 0, :5], [20, np.nan, np.nan, np.nan, -32])
    two = codes(0, size=(1200, 1100))
    two[0, :3] = 1050, 0x29C4, 0
    frames = framecast.open(write(tmp_path / "wn.bin", radolan(two, "WN", precision="E-01", version=5)))
    np.testing.assert_allclose(frames.values[0, 0, 0, :3], [20, np.nan, -32])


@pytest.mark.parametrize(
    ("size", "version", "corner"),
    [  # of the lower left pixel, in the description of the composites of DWD
        ((900, 900), 3, (3.5889, 46.9526)),
        ((1100, 900), 3, (4.6759, 46.1929)),
        ((1500, 1400), 3, (2.3419, 43.9336)),
        ((1200, 1100), 5, (3.56699463, 45.69642538)),
    ],
)
def test_radolan_grids(tmp_path: Path, size: tuple[int, int], version: int, corner: tuple[float, float]) -> None:
    frames = framecast.open(write(tmp_path / "ry.bin", radolan(codes(0, size=size), version=version)))
    assert frames["y"].values[0] > frames["y"].values[-1]
    crs = frames["crs"].attrs["crs_wkt"]
    to_degrees = (
        Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
        if version == 5
        else Transformer.from_crs(crs, "+proj=longlat +a=6370040 +b=6370040", always_xy=True)
    )
    place = to_degrees.transform(frames["x"].values[0] - 500, frames["y"].values[-1] - 500)
    assert place == pytest.approx(corner, abs=2e-4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (radolan(codes(0), "RV", more="VV 025"), "forecast for 25 minutes after 2020-01-01 00:05.*\n.*VV 0"),
        (radolan(codes(0), "RE"), "the RADOLAN product RE is neither rain.*\n.*RY"),
        (radolan(codes(0, size=(800, 900))), "800 x 900 pixels are none of the grids.*\n.*900 x 900"),
        (radolan(codes(0))[:5000], "incomplete: it declares"),
        (radolan(codes(0)).replace(b"GP", b"GX"), "the header is damaged"),
        (radolan(codes(0)).replace(b"PR E", b"XX E"), "the header is damaged .no .PR"),
        (radolan(codes(0)).replace(b"INT ", b"IXT "), "the header is damaged"),
    ],
)
def test_radolan_refusals_are_true(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        framecast.open(write(tmp_path / "raa01.bin", content))


def test_nimrod_units_missing_and_corners(tmp_path: Path) -> None:
    stored = np.arange(16 * 20, dtype=np.int16).reshape(16, 20)
    stored[0, 0] = -1
    expected = np.where(stored < 0, np.nan, stored / 32)
    orders = {0: stored, 1: stored[::-1], 2: stored[:, ::-1], 3: stored[::-1, ::-1]}
    for origin, ordered in orders.items():
        frames = framecast.open(write(tmp_path / f"{origin}.dat", nimrod(ordered, origin=origin)))
        np.testing.assert_array_equal(frames.values[0, 0], expected)
        assert frames["y"].values[[0, -1]].tolist() == [15_500, 500]
        assert frames["x"].values[[0, -1]].tolist() == [500, 19_500]
    assert frames["crs"].attrs["grid_mapping_name"] == "transverse_mercator"
    assert frames["time"].values[0] == np.datetime64("2020-01-01T00:05")


def test_nimrod_amounts_real_numbers_and_several_fields(tmp_path: Path) -> None:
    stored = np.full((4, 5), 2.0, np.float32)
    stored[0, 0] = -5.0
    one = nimrod(stored, units="mm", period=15, title="Accumulation", missing=-5)
    other = nimrod(stored, units="mm", period=15, title="Accumulation", missing=-5, time=(2020, 1, 1, 0, 20, 0))
    frames = framecast.open(write(tmp_path / "two.dat", one + other))
    assert frames.sizes["time"] == 2
    np.testing.assert_array_equal(frames.values[1, 0, 0, :2], [np.nan, 8])
    write(tmp_path / "several.dat", one + nimrod(stored, units="mm/h", title="Rate"))
    with pytest.raises(DataError, match="several fields: Accumulation, Rate"):
        framecast.open(tmp_path / "several.dat")
    assert float(framecast.open(tmp_path / "several.dat", variable="Rate").max()) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (nimrod(np.zeros((4, 5), np.int16), data_time=(2019, 12, 31, 23, 0, 0)), "a forecast of 2019-12-31 23:00"),
        (nimrod(np.zeros((4, 5), np.int16), units="mm"), "does not say over what time"),
        (nimrod(np.zeros((4, 5), np.int16), grid=3), "a grid of kind 3"),
        (nimrod(np.zeros((4, 5), np.int16))[:-10], "values of 'Rainfall rate Composite' are incomplete"),
        (nimrod(np.zeros((4, 5), np.int16))[:300], "a header is incomplete"),
    ],
)
def test_nimrod_refusals_are_true(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        framecast.open(write(tmp_path / "radar.dat", content))


@pytest.mark.parametrize("scan", [0, 32, 64, 128, 192])
def test_grib1_scanning_modes_bitmap_and_accumulation(tmp_path: Path, scan: int) -> None:
    pytest.importorskip("rasterio")
    stored = np.arange(12, dtype=np.uint8).reshape(3, 4)
    missing = stored == 2
    content = grib1(stored, missing, scan=scan, last=2) + grib1(stored, missing, scan=scan, hour=6, last=3)
    path = write(tmp_path / "rain.01h", content)
    frames = framecast.open(path)
    assert frames["time"].values.astype("datetime64[h]").astype(str).tolist() == ["2020-01-01T02", "2020-01-01T09"]
    assert frames["y"].values.tolist() == [50, 49, 48]
    assert frames["x"].values.tolist() == [5, 6, 7, 8]
    expected = np.where(missing, np.nan, stored)
    np.testing.assert_allclose(frames.values[:, 0], [expected / 2, expected / 3], rtol=1e-6)


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
def test_any_format_compressed(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    stored = np.arange(16 * 20, dtype=np.int16).reshape(16, 20)
    plain = framecast.open(write(tmp_path / "uk.dat", nimrod(stored)))
    packed = framecast.open(write(tmp_path / f"uk.dat{suffix}", pack(nimrod(stored))))
    np.testing.assert_array_equal(plain.values, packed.values)
    assert set(map(str, packed["source"].values)) == {str(tmp_path / f"uk.dat{suffix}")}
    cut = write(tmp_path / f"cut.dat{suffix}", pack(nimrod(stored))[:-20])
    with pytest.raises(UnreadableFile, match="compressed file is incomplete or damaged") as error:
        framecast.open(cut)
    assert cut.name in str(error.value)


def test_a_bomb_is_refused_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MEMORY_LIMIT", 2**22)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    path = write(tmp_path / "zeros.nc.gz", gzip.compress(bytes(2**24)))
    with pytest.raises(DataError, match=r"expands to more than the limit of 4 MiB\n.*gunzip"):
        framecast.open(path)
    assert not list((tmp_path / "tmp").iterdir())


def test_files_in_files_are_not_expanded_without_end(tmp_path: Path) -> None:
    path = write(tmp_path / "rain.dat.gz.gz", gzip.compress(gzip.compress(nimrod(np.zeros((4, 5), np.int16)))))
    assert find_reader(path) is None
    with pytest.raises(DataError, match="compressed twice"):
        framecast.open(path)


@pytest.mark.parametrize("name", ["RY202001.tar", "RY202001.tar.gz", "RY202001.zip"])
def test_archives_of_files_are_named_with_the_remedy(tmp_path: Path, name: str) -> None:
    inner = write(tmp_path / "raa01-ry.bin", b"x" * 2000)
    if name.endswith("zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.write(inner, inner.name)
    else:
        with tarfile.open(tmp_path / name, "w:gz" if name.endswith("gz") else "w") as archive:
            archive.add(inner, inner.name)
    with pytest.raises(DataError, match=r"archive of files, the first 'raa01-ry.bin'.*\n.*extract it") as error:
        framecast.open(tmp_path / name)
    assert name in str(error.value)


@pytest.mark.parametrize(
    ("name", "start", "message"),
    [
        ("KTLX.ar2v", b"AR2V0006", "polar volume of NEXRAD"),
        ("radar.bufr", b"BUFR1234", "BUFR.*\n.*NetCDF"),
        ("loop.gif", b"GIF89a\x04\0\x04\0", "GIF picture.*\n.*as PNG"),
        ("loop.webp", b"RIFF\0\0\0\0WEBPVP8 ", "WebP picture.*\n.*as PNG"),
        ("sat.hdf", b"\x0e\x03\x13\x01", "HDF4.*\n.*h4toh5"),
        (
            "train-images-idx3-ubyte.gz",
            gzip.compress(b"\x00\x00\x08\x03", mtime=0),
            "MNIST.*\n.*data.name=moving_digits",
        ),
        ("traj_0_to_255.tfrecords", b"\x00" * 16, "BAIR.*\n.*data.name=bair"),
    ],
)
def test_known_kinds_are_named(tmp_path: Path, name: str, start: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        framecast.open(write(tmp_path / name, start))
    with pytest.raises(DataError, match=message):
        framecast.open(tmp_path)
