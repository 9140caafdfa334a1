"""Forecasts in ODIM HDF5 are refused as observations by what says that they are forecasts, and opened as forecasts."""

import datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import framecast
from framecast.errors import DataError

WHERE = {"projdef": "+proj=laea +lat_0=55 +lon_0=10", "LL_lon": 10.0, "LL_lat": 55.0}
SIZE = {"xsize": 5, "ysize": 4, "xscale": 1000.0, "yscale": 2000.0}
PACKING = {"gain": 0.5, "offset": -32.0, "nodata": 255.0, "undetect": 0.0}
NOMINAL = datetime.datetime(2020, 1, 1, 0, 0)


def period(start: float, end: float, *, numbers: bool = False) -> dict[str, Any]:
    """The attributes `what` of a field from one minute after the nominal time to another; as numbers, zeros in front are lost."""
    stated = {}
    for name, minutes in (("start", start), ("end", end)):
        time = NOMINAL + datetime.timedelta(minutes=minutes)
        for part, form in (("date", "%Y%m%d"), ("time", "%H%M%S")):
            stated[name + part] = int(time.strftime(form)) if numbers else time.strftime(form)
    return stated


def odim(
    path: Path,
    datasets: list[dict[str, Any]],
    *,
    quantity: str = "DBZH",
    members: int = 1,
    how: dict[str, Any] | None = None,
    what: dict[str, Any] | None = None,
) -> Path:
    """A composite with a dataset for each `datasets`, its `what`; the pixels of dataset n, member m are 64 + 2 (4 n + m)."""
    with h5py.File(path, "w") as file:
        file.create_group("what").attrs.update({"date": "20200101", "time": "000000", "object": "COMP"} | (what or {}))
        file.create_group("where").attrs.update(WHERE | SIZE)
        file.create_group("how").attrs.update(how or {})
        for number, about in enumerate(datasets, 1):
            group = file.create_group(f"dataset{number}")
            group.create_group("what").attrs.update(about)
            for member in range(1, members + 1):
                data = group.create_group(f"data{member}")
                data.create_group("what").attrs.update({"quantity": quantity, **PACKING})
                pixels = np.full((4, 5), 64 + 2 * (4 * number + member), np.uint8)
                pixels[0, 0], pixels[0, 1] = 255, 0
                data["data"] = pixels
    return path


LEADS = [period(lead, lead) for lead in (5, 10, 15)]


@pytest.mark.parametrize(
    ("datasets", "about", "evidence"),
    [
        (LEADS, {}, "its DBZH begins 5 minutes after its nominal time"),
        ([period(30, 30)], {}, "its DBZH begins 30 minutes"),
        ([period(0, 30), period(0, 60)], {}, "its DBZH is of 2 times up to 60 minutes after its nominal time"),
        ([period(-5, 0)], {"how": {"nowcast_timestep": 5}}, "its how/nowcast_timestep is 5"),
        ([period(-5, 0)], {"how": {"task": "xx.service.nowcast"}}, "its how/task is 'xx.service.nowcast'"),
        ([period(-5, 0) | {"prodname": "Forecast +30"}], {}, r"its what/prodname is 'Forecast \+30'"),
    ],
)
def test_forecasts_are_refused_as_observations(
    tmp_path: Path, datasets: list[dict[str, Any]], about: dict[str, Any], evidence: str
) -> None:
    path = odim(tmp_path / "a.h5", datasets, **about)
    with pytest.raises(DataError, match=rf"a forecast \({evidence}(.|\n)*framecast.open_forecast\('{path}'\)"):
        framecast.open(path)


@pytest.mark.parametrize(
    ("datasets", "about"),
    [
        ([period(-10, 5)], {}),
        ([period(0.2, 4.9)], {}),
        ([{}], {}),
        ([period(-5, 0) | {"starttime": "-"}], {}),
        ([period(-5, 0)], {"how": {"nowcast": "False", "lead_time": 0, "task": "composite"}}),
    ],
)
def test_observations_stay_observations(tmp_path: Path, datasets: list[dict[str, Any]], about: dict[str, Any]) -> None:
    assert framecast.open(odim(tmp_path / "a.h5", datasets, **about))["time"].values[0] == np.datetime64(NOMINAL, "ns")


@pytest.mark.parametrize("numbers", [False, True])
def test_leads_and_members_are_opened(tmp_path: Path, numbers: bool) -> None:
    """More than nine datasets: the order is that of time, not of names."""
    datasets = [period(lead, lead, numbers=numbers) for lead in range(5, 60, 5)]
    forecast = framecast.open_forecast(odim(tmp_path / "a.h5", datasets, members=2, what={"source": "ORG:1"}))
    values = forecast["DBZH"]
    assert values.dims == ("init_time", "member", "lead_time", "channel", "y", "x")
    assert values["init_time"].values.tolist() == [np.datetime64(NOMINAL, "ns").item()]
    assert (values["lead_time"].values / np.timedelta64(60, "s")).astype(int).tolist() == list(range(5, 60, 5))
    expected = 4.0 * np.arange(1, 12) + np.arange(1, 3)[:, None]
    np.testing.assert_array_equal(values.values[0, :, :, 0, 3, 4], expected)
    assert np.isnan(values.values[..., 0, 0]).all()
    assert (values.values[..., 0, 1] == values.attrs["dry"]).all()
    assert values["y"].values.tolist() == [7000, 5000, 3000, 1000]
    assert "crs" in values.coords
    assert forecast.attrs["source"] == "ORG:1"


def test_amounts_of_a_forecast_are_rates(tmp_path: Path) -> None:
    path = odim(tmp_path / "a.h5", [period(0, 30), period(30, 60)], quantity="ACRR")
    values = framecast.open_forecast(path)["ACRR"]
    assert values.attrs["units"] == "mm h-1"
    assert values.dims == ("init_time", "lead_time", "channel", "y", "x")
    assert values.values[0, :, 0, 3, 4].tolist() == [10, 18]


@pytest.mark.parametrize(
    ("datasets", "quantity", "reason"),
    [
        ([period(-10, 0)], "DBZH", "no field ends after the nominal time"),
        ([{}], "DBZH", "does not state the time"),
        ([period(5, 5), period(5, 5), period(10, 10)], "DBZH", "1 to 2 fields for a time"),
        ([period(0, 30), period(0, 60)], "ACRR", "amounts over 30, 60 minutes"),
        ([period(5, 5)], "VRAD", "no quantities; it has none that is read"),
    ],
)
def test_what_is_no_simple_forecast_is_named(
    tmp_path: Path, datasets: list[dict[str, Any]], quantity: str, reason: str
) -> None:
    with pytest.raises(DataError, match=reason):
        framecast.open_forecast(odim(tmp_path / "a.h5", datasets, quantity=quantity))


def test_fields_on_other_grids_are_refused(tmp_path: Path) -> None:
    path = odim(tmp_path / "a.h5", LEADS)
    with h5py.File(path, "a") as file:
        file.create_group("dataset2/where").attrs["xscale"] = 500.0
    with pytest.raises(DataError, match="/dataset2/data1 lies on another grid"):
        framecast.open_forecast(path)
