"""Times in names are read, or refused; numbers never overrule the dates before them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import framecast
from framecast.data.archives.names import frame_number
from framecast.data.readers.file_names import time_in_name
from framecast.errors import DataError


def write_images(folder: Path, names: str) -> list[str]:
    """Images of these names, separated by "|", each brighter than the one before."""
    for number, name in enumerate(names.split("|"), 1):
        Image.fromarray(np.full((4, 6), 10 * number, dtype=np.uint8)).save(folder / f"{name}.png")
    return names.split("|")


@pytest.mark.parametrize(
    ("name", "time"),
    [
        ("rain 2024-03-31 12 50", "2024-03-31T12:50"),
        ("rain 2024 03 31 12 50 30", "2024-03-31T12:50:30"),
        ("2024 03 31 1250", "2024-03-31T12:50"),
        ("rain 2024 03 31", "2024-03-31"),
        ("rain_2024-03-31T22", "2024-03-31T22:00"),
        ("20240331t22Z", "2024-03-31T22:00"),
        ("20240331_22z", "2024-03-31T22:00"),
        ("20240331T22+02", "2024-03-31T20:00"),
        ("rain_20240331t2355z", "2024-03-31T23:55"),
        ("2024-03-31t23:55:30.123z", "2024-03-31T23:55:30"),
        ("D20240331H12M05", "2024-03-31T12:05"),
        ("20240331_12H05", "2024-03-31T12:05"),
        ("20240331125500000", "2024-03-31T12:55"),
        ("20240331T125500123456Z", "2024-03-31T12:55"),
        ("CASE2019_20240331_1200", "2024-03-31T12:00"),
        ("2012_20240331_1205", "2024-03-31T12:05"),
        ("2024033112 05", "2024-03-31T12:00"),
        ("20240331_1205_12345", "2024-03-31T12:05"),
        ("rain_20240331_v2", "2024-03-31"),
        ("IMERG_20240331_V07B", "2024-03-31"),
    ],
)
def test_times_in_other_forms_are_read(name: str, time: str) -> None:
    assert time_in_name(name) == np.datetime64(time, "ns")


@pytest.mark.parametrize(
    "name",
    [
        *("20240331x1205", "20240331_h1205", "20240331_time1205", "rain_20240331t2405"),
        *("2024-03-31 9-05", "20240331_9h05", "20240331_12-5", "20240331t9:05:00"),
        *("2024-3-31 12:05", "2024-3-31", "2024.3.31 12.05"),
        *("202403311255001", "202403311255000012", "20240331_1205utc+2", "2024-03-31T22_CET"),
    ],
)
def test_other_times_that_are_not_clear_are_refused(name: str) -> None:
    assert time_in_name(name) is None
    with pytest.raises(DataError, match=r"a time that is not clear .*\n.*date and time in UTC"):
        frame_number(Path(f"{name}.png"))


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("frame_000123", 123),
        ("20240331_007", 7),
        ("20240331_22", 22),
        ("20240331_0000001", 1),
        ("frame_2020010124", 2020010124),
        ("sample_2020_1_5", 5),
        ("1711886700123456789", 1711886700123456789),
    ],
)
def test_numbers_stay_numbers(name: str, number: int) -> None:
    assert time_in_name(name) is None
    assert frame_number(Path(f"{name}.png")) == number


@pytest.mark.parametrize(
    "names",
    [
        "rain 2024-03-31 12 50|rain 2024-03-31 12 55|rain 2024-03-31 13 00|rain 2024-03-31 13 05",
        "rain_2024-03-31T22|rain_2024-03-31T23|rain_2024-04-01T00|rain_2024-04-01T01",
        "rain_20240331t2350z|rain_20240331t2355z|rain_20240401t0000z",
        "20240331_21|20240331_22|20240331_23",
        "20240331_22|20240331_24|20240401_25",
        "20240331_001|20240331_002|20240401_003",
    ],
)
def test_frames_are_in_the_order_of_their_names(tmp_path: Path, names: str) -> None:
    expected = write_images(tmp_path, names)
    frames = framecast.open(tmp_path)
    assert [Path(str(source)).stem for source in frames["source"].values] == expected
    assert not any("time goes back" in repair for repair in frames.attrs["repairs"])


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ("a_20240331_22|a_20240331_23|a_20240401_00|a_20240401_01", "is not that of the dates"),
        ("a_20240331_855|a_20240331_905|a_20240401_010", "is not that of the dates"),
        ("20240331_8_55|20240331_9_05", "is not that of the dates and numbers before them"),
        ("a_20240331_06|a_20240401_18", "an hour or the number of a frame"),
        ("20240331_06h|20240401_06h", "an hour or the number of a frame"),
    ],
)
@pytest.mark.parametrize("alike", [True, False])
def test_numbers_that_contradict_their_dates_are_refused(tmp_path: Path, names: str, problem: str, alike: bool) -> None:
    first = write_images(tmp_path, names)[0]
    if not alike:  # frames that are not stacked as they are read
        np.save(tmp_path / f"{first}.npy", np.zeros((4, 6), dtype=np.uint8))
        (tmp_path / f"{first}.png").unlink()
    with pytest.raises(DataError, match=rf"{problem}.*\n.*date and time in UTC"):
        framecast.open(tmp_path)
