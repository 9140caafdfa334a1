"""GeoTIFF of FMI: undetect is dry in any unit, times of two forms, and items that are no numbers are named."""

from pathlib import Path

import numpy as np
import pytest

import framecast
from framecast.data.readers.fmi_items import parse_time
from framecast.errors import DataError

rasterio = pytest.importorskip("rasterio")

ITEMS = {"Observation time": "202403311205", "Gain": "0.1", "Offset": "0", "Nodata": "255", "Undetect": "254"}
STORED = np.array([[255, 254, 30, 20]] * 3, np.uint8)


def write(path: Path, unit: str | None = "mm/h", stored: np.ndarray = STORED, **items: str) -> Path:
    """A file with `STORED`; underscores in the names of `items` are spaces."""
    texts = ITEMS | {name.replace("_", " "): text for name, text in items.items()}
    lines = [f'<Item name="{name}">{text}</Item>' for name, text in texts.items()]
    if unit is not None:
        lines.append(f'<Item name="Quantity" unit="{unit}">Q</Item>')
    about = {"driver": "GTiff", "height": 3, "width": 4, "count": 1, "dtype": stored.dtype, "crs": "EPSG:3035"}
    grid = rasterio.transform.from_origin(4e6, 3e6, 1000, 1000)
    with rasterio.open(path, "w", transform=grid, **about) as file:
        file.write(stored, 1)
        file.update_tags(GDAL_METADATA=f"<GDALMetadata>{''.join(lines)}</GDALMetadata>")
    return path


@pytest.mark.parametrize(
    ("unit", "stated", "expected"),
    [
        ("mm/h", None, [np.nan, 0, 3, 2]),
        ("mm min-1", None, [np.nan, 0, 180, 120]),
        ("dBZ", None, [np.nan, -32, 3, 2]),
        ("dbz", None, [np.nan, -32, 3, 2]),
        (None, "dBZ", [np.nan, -32, 3, 2]),
        (None, "pixels thuml", [np.nan, 15, 16.5, 16]),
    ],
)
def test_undetect_is_dry_in_any_unit(
    tmp_path: Path, unit: str | None, stated: str | None, expected: list[float]
) -> None:
    frames = framecast.open(write(tmp_path / "a.tif", unit), units=stated)
    np.testing.assert_allclose(frames.values[0, 0, 0], expected, rtol=1e-6)


def test_undetect_may_be_nan_and_is_no_data_where_both_are_one_code(tmp_path: Path) -> None:
    stored = np.array([[-9, np.nan, 30, 20]] * 3, np.float32)
    frames = framecast.open(write(tmp_path / "a.tif", stored=stored, Nodata="-9", Undetect="nan"))
    np.testing.assert_allclose(frames.values[0, 0, 0], [np.nan, 0, 3, 2], rtol=1e-6)
    same = framecast.open(write(tmp_path / "b.tif", Undetect="255"))
    np.testing.assert_allclose(same.values[0, 0, 0], [np.nan, 25.4, 3, 2], rtol=1e-6)
    note = "nodata and undetect are both 255: dry and no data cannot be told apart; read as no data"
    assert same.attrs["repairs"] == [note]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("202403311205", "12:05"),
        ("20240331120530", "12:05:30"),
        ("2024-03-31T12:05:00Z", "12:05"),
        ("2024-03-31T14:05+02:00", "12:05"),
        ("2024-03-31 12:05:00", "12:05"),
    ],
)
def test_times_are_digits_or_iso_8601(tmp_path: Path, text: str, expected: str) -> None:
    frames = framecast.open(write(tmp_path / "a.tif", Observation_time=text))
    assert frames["time"].values[0] == np.datetime64(f"2024-03-31T{expected}")


@pytest.mark.parametrize("text", ["2024-03-31", "20240331", "noon of 31 March", "202413311205", ""])
def test_a_date_alone_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"time|month|isoformat"):
        parse_time(text)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("Gain", "half", "a number"),
        ("Gain", "0", "a number"),
        ("Offset", "nan", "a number"),
        ("Nodata", "none", "a number"),
        ("Undetect", "dry", "a number"),
        ("Observation_time", "yesterday noon", "202403311205 or 2024-03-31T12:05:00Z"),
    ],
)
def test_an_item_that_is_not_understood_is_named(tmp_path: Path, name: str, text: str, expected: str) -> None:
    folder = tmp_path / "archive"
    folder.mkdir()
    bad = write(folder / "b.tif", **{name: text})
    message = rf"b\.tif: the item {name.replace('_', ' ')} .*is '{text}', expected {expected}\n.*correct it in the file"
    with pytest.raises(DataError, match=message):
        framecast.open(bad)
    for minute in ("00", "10"):
        write(folder / f"a{minute}.tif", Observation_time=f"2024033112{minute}")
    frames = framecast.open(folder)
    assert len(frames) == 2, "the others of a folder are read"
    assert "1 of 3 files could not be read" in frames.attrs["repairs"][0]
