"""Where pixels lie: coordinates of many kinds at their places, or refused, or without a map that could be wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from pyproj import CRS, Transformer

import framecast
from framecast.data.place import degrees_of, place_of
from framecast.errors import DataError
from framecast.maps.ground import ground_of

LAT, LON = np.linspace(50, 48, 9), np.linspace(5, 8, 13)
HEIGHT = 35785831.0
GEOSTATIONARY = CRS(f"+proj=geos +h={HEIGHT} +lon_0=0 +sweep=y +a=6378169 +b=6356583.8")
LAEA = CRS("EPSG:3035")
KILOMETRES = CRS("+proj=laea +lat_0=52 +lon_0=10 +x_0=4321000 +y_0=3210000 +units=km +ellps=GRS80")
FEET = CRS("EPSG:2263")
ROTATED = CRS.from_cf(
    {
        "grid_mapping_name": "rotated_latitude_longitude",
        "grid_north_pole_latitude": 39.25,
        "grid_north_pole_longitude": -162.0,
    }
)
Y, X = np.arange(3300e3, 3260e3, -5e3), np.arange(4200e3, 4250e3, 5e3)


def encoded(longitude: Any, latitude: Any) -> np.ndarray:
    """Values that tell where they lie."""
    return 20 + 0.5 * np.asarray(latitude) + 0.05 * ((np.asarray(longitude) + 180) % 360 - 180)


def dataset(
    y: np.ndarray, x: np.ndarray, crs: CRS | None = None, *, names: tuple[str, str] = ("y", "x"), **about: Any
) -> xr.Dataset:
    """Rain on the pixels at `y` and `x` of a projection, longitudes and latitudes without; `units`, `factor` and `mapping` are
    those of the file."""
    columns, rows = np.meshgrid(x, y)
    if crs is not None:
        columns, rows = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(columns, rows)
    values = encoded(columns, rows)[None].astype(np.float32)
    units = about.get("units", ("degrees_north", "degrees_east") if crs is None else ("m", "m"))
    factor = about.get("factor", 1.0)
    coordinates = {
        name: (name, axis * factor, {} if unit is None else {"units": unit})
        for name, axis, unit in zip(names, (y, x), units, strict=True)
    }
    rain = xr.DataArray(values, dims=("time", *names), attrs={"units": "mm h-1"})
    result = xr.Dataset({"rain": rain}, {"time": [np.datetime64("2024-03-31T12:00", "ns")], **coordinates})
    if crs is not None:
        result["rain"].attrs["grid_mapping"] = about.get("mapping_name", "crs")
        result["crs"] = ((), 0, about.get("mapping", crs.to_cf()))
    return result


def open_written(data: xr.Dataset, path: Path) -> xr.DataArray:
    data.to_netcdf(path, engine="h5netcdf")
    return framecast.open(path)


def without(mapping: dict[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key not in names}


MERCATOR = np.degrees(np.arctan(np.sinh(np.linspace(1.2, 0.4, 21))))
TWO = "wgs: lat lon crs: x y"
AT_THEIR_PLACES = {
    "float32": dataset(LAT.astype("f4"), LON.astype("f4")),
    "3 decimals": dataset(np.round(47 + 0.0045 * np.arange(60), 3), np.round(8 + 0.0045 * np.arange(70), 3)),
    "over Greenwich": dataset(LAT, np.linspace(355, 365, 21) % 360),
    "over the date line": dataset(LAT, (np.linspace(175, 185, 21) + 180) % 360 - 180),
    "names without units": dataset(LAT, LON, names=("lat", "lon"), units=(None, None)),
    "other spellings of degrees": dataset(LAT, LON, units=("Degrees_North", "deg")),
    "radians": dataset(LAT, LON, names=("lat", "lon"), units=("rad", "rad"), factor=np.pi / 180),
    "uneven latitudes": dataset(MERCATOR, LON),
    "kilometres": dataset(Y, X, LAEA, units=("km", "km"), factor=1e-3),
    "1000 m": dataset(Y, X, LAEA, units=("1000 m", "1000 m"), factor=1e-3),
    "metres without units": dataset(Y, X, LAEA, units=(None, None)),
    "a projection in km": dataset(Y / 1e3, X / 1e3, KILOMETRES, units=("km", "km")),
    "a false origin in km": dataset(
        Y / 1e3, X / 1e3, KILOMETRES, units=("km", "km"), mapping=without(KILOMETRES.to_cf(), "crs_wkt")
    ),
    "feet": dataset(
        np.arange(300e3, 200e3, -5e3), np.arange(900e3, 990e3, 5e3), FEET, units=("US_survey_foot", "US_survey_foot")
    ),
    "scanning angles": dataset(
        np.arange(4500e3, 4000e3, -50e3),
        np.arange(0, 700e3, 50e3),
        GEOSTATIONARY,
        units=("rad", "rad"),
        factor=1 / HEIGHT,
    ),
    "a string of PROJ": dataset(
        Y, X, LAEA, mapping={"proj4": "+proj=laea +lat_0=52 +lon_0=10 +x_0=4321000 +y_0=3210000"}
    ),
    "a number of EPSG": dataset(Y, X, LAEA, mapping={"epsg_code": "EPSG:3035"}),
    "two mappings": dataset(Y, X, LAEA, mapping_name=TWO).assign(wgs=((), 0, CRS("EPSG:4326").to_cf())),
    "a rotated pole": dataset(np.arange(2, -2, -0.2), np.arange(-3, 3, 0.2), ROTATED, units=("degrees", "degrees")),
    "latitudes with a projection": dataset(LAT, LON, names=("lat", "lon")).assign(
        crs=((), 0, LAEA.to_cf()), rain=lambda data: data["rain"].assign_attrs(grid_mapping="crs")
    ),
}


@pytest.mark.parametrize("name", AT_THEIR_PLACES)
def test_pixels_lie_where_they_lie(tmp_path: Path, name: str) -> None:
    frames = open_written(AT_THEIR_PLACES[name], tmp_path / "rain.nc")
    degrees = degrees_of(frames)
    assert not isinstance(degrees, str)
    np.testing.assert_allclose(encoded(*degrees), frames.values[0, 0], atol=2e-5)
    assert ("latitude" in frames.coords) == (name == "uneven latitudes")
    if "latitude" not in frames.coords:
        assert not isinstance(place_of(frames), str)
        box = getattr(ground_of(frames), "box", None)
        assert box is not None
        west, south, east, north = box
        assert abs((np.mean(degrees[0]) - (west + east) / 2 + 180) % 360 - 180) < 0.5
        assert abs(np.mean(degrees[1]) - (south + north) / 2) < 0.5
    if "crs" in frames.coords:
        assert {axis["units"] for axis in (frames["y"].attrs, frames["x"].attrs)} in ({"m"}, {"degrees"})
        assert CRS.from_cf(frames["crs"].attrs).axis_info[0].unit_name in ("metre", "degree")


def changed(values: np.ndarray, number: int, value: float) -> np.ndarray:
    values = values.copy()
    values[number] = value
    return values


REFUSED = {
    "nan": (dataset(changed(LAT, 3, np.nan), LON), r"'y' are not those of a grid: number 3 is nan"),
    "nan first": (dataset(changed(LAT, 0, np.nan), LON), "number 0 is nan"),
    "infinite": (dataset(LAT, changed(LON, 3, np.inf)), "'x' hold inf, which is no longitude"),
    "fill value": (dataset(changed(LAT, 3, 9.96921e36), LON), "hold 9.96921e.36, which is no latitude"),
    "repeated": (dataset(changed(LAT, 3, LAT[2]), LON), "numbers 2 and 3 are both 49.5"),
    "zeros": (dataset(LAT * 0, LON), "numbers 0 and 1 are both 0"),
    "turned back": (dataset(LAT[[0, 1, 3, 2, 4, 5, 6, 7, 8]], LON), "turn back from 49.25 to 49.5 at number 3"),
    "a row is missing": (dataset(np.delete(LAT, 4), LON), "step from 49.25 to 48.75 at number 4, elsewhere by -0.25"),
    "half a pixel": (dataset(LAT, np.where(LON > 6.5, LON + 0.125, LON)), "step from 6.5 to 6.875 at number 7"),
    "no latitudes": (dataset(LAT + 50, LON), "hold 100, which is no latitude"),
    "texts": (dataset(LAT, LON).assign_coords(y=("y", [f"row {n}" for n in range(9)])), "'y' are no numbers"),
    "degrees": (dataset(Y, X, LAEA, units=("degrees", "degrees")), "are in degrees, and those of the projection"),
    "lengths": (
        dataset(LAT, LON, CRS("EPSG:4326")),
        "'y' are in m, and those of the grid are latitudes and longitudes",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_grid_is_refused(tmp_path: Path, name: str) -> None:
    data, message = REFUSED[name]
    with pytest.raises(DataError, match=message) as error:
        open_written(data, tmp_path / "rain.nc")
    assert str(tmp_path / "rain.nc") in str(error.value)
    assert "xarray.open_dataset(FILE).drop_vars(['y', 'x']).to_netcdf(OUT)" in str(error.value)
    frames = open_written(data.drop_vars(["y", "x"]), tmp_path / "again.nc")
    assert isinstance(place_of(frames), str)


WITHOUT_MAP = {
    "kilometres without units": (dataset(Y, X, LAEA, units=(None, None), factor=1e-3), "units of 'y' and 'x'"),
    "pixels": (dataset(Y, X, LAEA).assign_coords(y=np.arange(8.0), x=np.arange(10.0)), "units of 'y' and 'x'"),
    "a rotated pole that is not stated": (
        dataset(LAT, LON, names=("rlat", "rlon"), units=("degrees", "degrees")),
        "'rlat' and 'rlon' are those of a rotated pole",
    ),
    "an unknown projection": (dataset(Y, X, LAEA, mapping={"about": "?"}), "the projection is not understood"),
    "uneven metres": (dataset(MERCATOR * 1e4, LON, units=("m", "m")), "'y' are not evenly spaced"),
}


@pytest.mark.parametrize("name", WITHOUT_MAP)
def test_what_is_not_known_tells_no_place(tmp_path: Path, name: str) -> None:
    data, message = WITHOUT_MAP[name]
    frames = open_written(data, tmp_path / "rain.nc")
    assert isinstance(degrees_of(frames), str)
    assert [repair for repair in frames.attrs["repairs"] if message in repair and repair.endswith("without a map")]


def test_bounds_tell_the_middles(tmp_path: Path) -> None:
    data = dataset(Y, X, LAEA).assign_coords(x=("x", X - 2500, {"units": "m", "bounds": "x_bnds"}))
    data["x_bnds"] = (("x", "side"), np.stack([X - 2500, X + 2500], axis=1))
    frames = open_written(data, tmp_path / "rain.nc")
    np.testing.assert_allclose(frames["x"], X)
    assert "stand at edges of pixels" in frames.attrs["repairs"][0]


def planes(**changes: Any) -> xr.Dataset:
    """Pixels with two-dimensional latitudes and longitudes and with numbers of columns and rows."""
    data = dataset(LAT, LON).drop_vars(["y", "x"])
    longitude, latitude = np.meshgrid(LON, LAT)
    longitude = longitude + 0.1 * latitude
    data["rain"].values[0] = encoded(longitude, latitude)
    data["lat"] = (("y", "x"), changes.get("latitude", lambda plane: plane)(latitude), {"units": "degrees_north"})
    data["lon"] = (("y", "x"), changes.get("longitude", lambda plane: plane)(longitude), {"units": "degrees_east"})
    return data


def with_a_wrong_one(plane: np.ndarray) -> np.ndarray:
    return np.where(np.arange(plane.size).reshape(plane.shape) == 5, -999.0, plane)


def test_planes_of_positions(tmp_path: Path) -> None:
    numbered = planes().assign_coords(
        y=("y", 1e3 * np.arange(9), {"units": "m"}), x=("x", 1e3 * np.arange(13), {"units": "m"})
    )
    for name, data in {"planes": planes(), "and numbers": numbered, "wrong": planes(latitude=with_a_wrong_one)}.items():
        frames = open_written(data, tmp_path / f"{name}.nc")
        degrees = degrees_of(frames)
        assert not isinstance(degrees, str)
        assert np.isnan(degrees[1]).sum() == (name == "wrong")
        here = np.isfinite(degrees[1])
        np.testing.assert_allclose(encoded(*degrees)[here], frames.values[0, 0][here], atol=2e-5)
    for name, data, message in (
        ("zeros", planes(latitude=np.zeros_like), "'lat', 'lon' tell no places"),
        ("rows", planes(latitude=repeated, longitude=repeated), "repeat in the rows 2 and 3"),
    ):
        with pytest.raises(DataError, match=message):
            open_written(data, tmp_path / f"{name}.nc")


def repeated(plane: np.ndarray) -> np.ndarray:
    return plane[[0, 1, 2, 2, *range(4, len(plane))]]


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (lambda axis: axis.astype("f4"), True),
        (lambda axis: np.round(axis, 3), True),
        (lambda axis: axis[::-1], True),
        (lambda axis: axis + 0.005, False),
        (lambda axis: axis + 0.01, False),
    ],
)
def test_files_of_one_grid_are_joined(tmp_path: Path, change: Any, same: bool) -> None:
    y, x = 47.0033 + 0.01 * np.arange(9), 8 + 0.01 * np.arange(12)
    dataset(y, x).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    later = dataset(change(y), x)
    later = later.assign_coords(time=later["time"] + np.timedelta64(5, "m"))
    later.to_netcdf(tmp_path / "b.nc", engine="h5netcdf")
    if not same:
        with pytest.raises(DataError, match="the files lie on 2 grids"):
            framecast.open(tmp_path)
        return
    frames = framecast.open(tmp_path)
    assert frames.sizes["time"] == 2
    degrees = degrees_of(frames)
    for values in frames.values[:, 0]:
        np.testing.assert_allclose(encoded(*degrees), values, atol=1e-3)


def test_other_projections_are_other_grids(tmp_path: Path) -> None:
    shifted = CRS("+proj=laea +lat_0=52 +lon_0=10.5 +x_0=4321000 +y_0=3210000 +ellps=GRS80")
    named = LAEA.to_cf() | {"long_name": "the same in other words"}
    for number, (crs, mapping) in enumerate([(LAEA, LAEA.to_cf()), (LAEA, named), (shifted, shifted.to_cf())]):
        data = dataset(Y, X, crs, mapping=mapping)
        data = data.assign_coords(time=data["time"] + np.timedelta64(5 * number, "m"))
        data.to_netcdf(tmp_path / f"{number}.nc", engine="h5netcdf")
    assert framecast.open([tmp_path / "0.nc", tmp_path / "1.nc"]).sizes["time"] == 2
    with pytest.raises(DataError, match="the files lie on 2 grids"):
        framecast.open([tmp_path / "0.nc", tmp_path / "2.nc"])
