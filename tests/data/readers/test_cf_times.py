"""Times of CF files are decoded, or refused by a name that is true."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import framecast
from framecast.data.readers.cf_times import decode_times
from framecast.errors import DataError, UnreadableFile


def times(numbers: object, units: str, calendar: str = "standard") -> list[str]:
    variable = xr.Variable(("time",), numbers, {"units": units, "calendar": calendar})
    return np.datetime_as_string(decode_times(variable, "time", "a.nc").values, "s").tolist()


@pytest.mark.parametrize(
    ("number", "units", "expected"),
    [
        (5, "minutes since 2024-03-31 00:00:00", "2024-03-31T00:05:00"),
        (5, "minutes since 2024-03-31", "2024-03-31T00:05:00"),
        (5, "mins since 2024-3-31 0:0:0.0", "2024-03-31T00:05:00"),
        (5.0, "min since 2024-03-31T00:00:00Z", "2024-03-31T00:05:00"),
        (5, "minutes since 2024-03-31 02:00:00 +02:00", "2024-03-31T00:05:00"),
        (5, "minutes since 2024-03-30 18:30:00 -0530", "2024-03-31T00:05:00"),
        (5, "minutes since 2024-03-31 00:00 UTC", "2024-03-31T00:05:00"),
        (1711843500, "seconds since 1970-01-01", "2024-03-31T00:05:00"),
        (1711843500000000000, "nanoseconds since 1970-01-01", "2024-03-31T00:05:00"),
        (45381 + 5 / 1440, "days since 1899-12-31", "2024-03-31T00:05:00"),
        (60400 + 5 / 1440, "days since 1858-11-17", "2024-03-31T00:05:00"),
        (17743560 + 1 / 12, "hours since 1-1-1 00:00:0.0", "2025-03-04T00:05:00"),
    ],
)
def test_instants(number: float, units: str, expected: str) -> None:
    assert times(np.array([number]), units) == [expected]


def test_the_standard_calendar_is_julian_before_1582() -> None:
    """1582-10-15 follows 1582-10-04; 1-1-1 lies two days before the proleptic 1-1-1."""
    assert times(np.array([141428]), "days since 1582-10-04") == ["1970-01-01T00:00:00"]
    assert times(np.array([719164]), "days since 1-1-1") == ["1970-01-01T00:00:00"]
    assert times(np.array([719162]), "days since 1-1-1", "proleptic_gregorian") == ["1970-01-01T00:00:00"]


def test_missing_times_and_integers_of_xarray() -> None:
    assert times(np.array([np.nan, 1.0]), "days since 2024-01-01") == ["NaT", "2024-01-02T00:00:00"]
    assert times(np.array([np.iinfo(np.int64).min, 1]), "days since 2024-01-01") == ["NaT", "2024-01-02T00:00:00"]


@pytest.mark.parametrize(
    ("numbers", "units", "calendar", "said"),
    [
        ([0, 1], "days since 2024-01-01", "360_day", "in the calendar '360_day'"),
        ([0, 1], "days since 2024-01-01", "noleap", r"convert_calendar\('standard'\)"),
        ([0.5, 1.5], "months since 2024-01-01", "standard", "a month has no fixed length"),
        ([0, 1], "years since 2024-01-01", "standard", "a year has no fixed length"),
        ([0, 1], "fortnights since 2024-01-01", "standard", "the unit 'fortnights' is not understood"),
        ([0, 1], "days since yesterday", "standard", "the reference date is not understood"),
        ([0, 1], "days since 2024-01-01 00:00 CET", "standard", "the reference date is not understood"),
        ([0, 1], "days since 2024-02-30", "standard", "the reference date is none"),
        ([0, 1], "days since 0000-01-01", "standard", "in the year 0"),
        ([0, 1], "days since 3000-01-01", "standard", "beyond the years 1678 to 2261 .*year 3000"),
        ([1e300, 0], "days since 2024-01-01", "standard", "beyond a million years"),
        ([2**62, 0], "days since 2024-01-01", "standard", "beyond a million years"),
        ([0, 1], "days since 24-03-31", "standard", "beyond the years 1678 to 2261 .*year 24"),
        (
            np.array([45000.0, 45000.0035], "f4"),
            "days since 1900-01-01",
            "standard",
            "float32 numbers of days and exact to",
        ),
    ],
)
def test_what_is_no_instant_is_named(tmp_path: Path, numbers: object, units: str, calendar: str, said: str) -> None:
    time = ("time", numbers, {"units": units, "calendar": calendar})
    rain = (("time", "y", "x"), np.zeros((2, 2, 2), "f4"), {"units": "mm h-1"})
    xr.Dataset({"rain": rain}, {"time": time}).to_netcdf(tmp_path / "a.nc")
    with pytest.raises(DataError, match=rf"(?s)a\.nc: .*'time'.*{said}") as refusal:
        framecast.open(tmp_path / "a.nc")
    assert not isinstance(refusal.value, UnreadableFile), "the file is whole"


def test_coarse_numbers_that_hold_their_steps_are_read() -> None:
    assert times(np.array([45000, 45001], "f4"), "days since 1900-01-01") == [
        "2023-03-17T00:00:00",
        "2023-03-18T00:00:00",
    ]
    assert times(np.array([45000.5], "f4"), "days since 1900-01-01") == ["2023-03-17T12:00:00"]


def test_a_file_without_frames_is_named(tmp_path: Path) -> None:
    rain = (("time", "y", "x"), np.zeros((0, 2, 2), "f4"), {"units": "mm h-1"})
    time = ("time", np.zeros(0, "i4"), {"units": "days since 2024-01-01"})
    xr.Dataset({"rain": rain}, {"time": time}).to_netcdf(tmp_path / "a.nc")
    with pytest.raises(DataError, match=r"a\.nc: variable 'rain' of .* holds no frame"):
        framecast.open(tmp_path / "a.nc")
