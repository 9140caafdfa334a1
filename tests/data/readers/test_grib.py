"""GRIB of edition 2, byte by byte: pixels at their places, messages that are not alike, statistics, damage, other names."""

from pathlib import Path

import numpy as np
import pytest
from binary_files import grib1, grib2, grib2_grid, grib2_product

import framecast
from framecast.data.place import degrees_of
from framecast.errors import DataError, UnreadableFile

pytest.importorskip("rasterio")
CODES = np.arange(1, 36).reshape(5, 7)
GRID, RATE = grib2_grid(5, 7), grib2_product()


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def scanned(codes: np.ndarray, scan: int) -> np.ndarray:
    """Codes from the north and the west in the order of a scanning mode."""
    codes = codes[:: -1 if scan & 64 else 1, :: -1 if scan & 128 else 1]
    codes = codes.T.copy() if scan & 32 else codes.copy()
    if scan & 16:
        codes[1::2] = codes[1::2, ::-1]
    return codes


SCANS = (0, 16, 32, 64, 80, 128, 144, 160, 192, 224)


@pytest.mark.parametrize(("scan", "west"), [*((scan, 5) for scan in SCANS), (0, -3), (128, -3), (0, 177), (0, 200)])
def test_pixels_in_degrees_in_every_scanning_mode(tmp_path: Path, scan: int, west: int) -> None:
    content = grib2(scanned(CODES, scan), grib2_grid(5, 7, scan=scan, west=west), RATE)
    frames = framecast.open(write(tmp_path / "rain.grib2", content))
    np.testing.assert_allclose(frames.values[0, 0], 3600.0 * CODES)
    longitude, latitude = degrees_of(frames)
    np.testing.assert_allclose(latitude[:, 0], 50 - np.arange(5))
    np.testing.assert_allclose((longitude[0] - west + 180) % 360 - 180, np.arange(7), atol=1e-9)


@pytest.mark.parametrize("scan", [0, 64, 128, 192])
@pytest.mark.parametrize("kind", [10, 20, 30, None])
def test_pixels_of_a_projection_in_every_scanning_mode(tmp_path: Path, kind: int | None, scan: int) -> None:
    if kind is None:
        content = grib1(scanned(CODES, scan), CODES < 0, scan=scan, stereographic=True)
    else:
        content = grib2(CODES, grib2_grid(5, 7, kind=kind, scan=scan), RATE)
    frames = framecast.open(write(tmp_path / "rain.grib2", content))
    first = np.unravel_index(np.argmin(frames.values[0, 0]), (5, 7))
    assert first == (4 if scan & 64 else 0, 6 if scan & 128 else 0)
    np.testing.assert_allclose([each[first] for each in degrees_of(frames)], [5, 48], atol=1e-4)


def later(grid: bytes, codes: np.ndarray = CODES, product: bytes = RATE) -> bytes:
    return grib2(CODES, GRID, RATE) + grib2(codes, grid, product, minute=5)


def test_messages_of_one_grid_are_frames(tmp_path: Path) -> None:
    content = later(grib2_grid(5, 7, scan=128), scanned(CODES, 128))
    for name in ("rain.grib2", "rain", "rain.h5"):
        frames = framecast.open(write(tmp_path / name, content))
        np.testing.assert_allclose(frames.values[:, 0], [3600.0 * CODES] * 2)
        assert frames["x"].values.tolist() == [5, 6, 7, 8, 9, 10, 11]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (later(grib2_grid(5, 7, west=25)), r"its messages lie on 2 grids(?s:.*)grib_copy -w md5GridSection"),
        (later(grib2_grid(4, 7), CODES[:4]), "its messages lie on 2 grids"),
        (later(GRID, product=grib2_product(level=1000)), r"PRATE of several levels: 0-SFC, 1000-HTGL(?s:.*)-w level=0"),
        (
            grib2(CODES, GRID, grib2_product(member=1)) + grib2(CODES, GRID, grib2_product(member=2), minute=5),
            r"PRATE of several members: 1, 2(?s:.*)-w number=1",
        ),
        (grib2(CODES, grib2_grid(5, 7, reduced=True), RATE), r"a reduced grid(?s:.*)cdo setgridtype,regular"),
        (grib2(CODES, grib2_grid(5, 7, kind=101), RATE), r"an unstructured grid(?s:.*)cdo remapnn"),
        (grib2(CODES, GRID, grib2_product(statistic=2)), "PRATE is the maximum over 60 minutes, no rate or amount"),
        (grib2(CODES, GRID, RATE, grib2_product(parameter=(16, 195))), r"several elements: PRATE, REFD"),
        (
            grib1(CODES, CODES < 0, last=1) + grib1(CODES, CODES < 0, last=2),
            r"sums since 2020-01-01 00:00 UTC, up to 01:00 and to 02:00(?s:.*)differences",
        ),
        (b"HTZA50 EHDB 311200\r\r\n" + later(GRID), r"GRIB after the heading of a bulletin(?s:.*)grib_copy IN OUT"),
    ],
)
def test_messages_that_are_not_alike(tmp_path: Path, content: bytes, message: str) -> None:
    path = write(tmp_path / "rain.grib2", content)
    with pytest.raises(DataError, match=message) as error:
        framecast.open(path)
    assert str(path) in str(error.value)


def test_statistics_and_units(tmp_path: Path) -> None:
    average = framecast.open(write(tmp_path / "a.grib2", grib2(CODES, GRID, grib2_product(statistic=0))))
    np.testing.assert_allclose(average.values[0, 0], 3600.0 * CODES)
    amount = framecast.open(
        write(tmp_path / "b.grib2", grib2(CODES, GRID, grib2_product(parameter=(1, 8), statistic=1, hours=3)))
    )
    np.testing.assert_allclose(amount.values[0, 0], CODES / 3, rtol=1e-6)
    assert amount["time"].values[0] == np.datetime64("2024-03-31T15:00")
    both = write(tmp_path / "c.grib2", grib2(CODES, GRID, RATE, grib2_product(parameter=(16, 195))))
    assert framecast.open(both, variable="REFD").attrs["quantity"] == "reflectivity"
    np.testing.assert_allclose(framecast.open(both, variable="PRATE").values[0, 0], 3600.0 * CODES)


def test_damage_and_other_names_are_told_apart(tmp_path: Path) -> None:
    for cut in (30, 150):
        with pytest.raises(UnreadableFile, match="the file is incomplete or unreadable"):
            framecast.open(write(tmp_path / "rain.grib2", later(GRID)[:-cut]))
    with pytest.raises(UnreadableFile, match=r"GRIB of edition 2, in spite of its name\n.*another name: rain\.grib"):
        framecast.open(write(tmp_path / "rain.nc", later(GRID)))
    with pytest.raises(DataError, match="GRIB of an edition that is not 1 or 2"):
        framecast.open(write(tmp_path / "rain.grib3", b"GRIB" + bytes(3) + b"\3" + bytes(200)))
