"""ODIM in all its layouts, polar files, variables in groups, plain HDF5, and files of benchmark sets."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
from PIL import Image

import framecast
from framecast.data.scale import scale_of
from framecast.errors import DataError

WHERE = {"projdef": "+proj=laea +lat_0=55 +lon_0=10", "LL_lon": 10.0, "LL_lat": 55.0}
SIZE = {"xsize": 5, "ysize": 4, "xscale": 1000.0, "yscale": 2000.0}
PACKING = {"gain": 0.5, "offset": -32.0, "nodata": 255.0, "undetect": 0.0}


def odim(
    path: Path,
    quantities: tuple[str, ...] = ("DBZH",),
    *,
    what: dict[str, Any] | None = None,
    root: dict[str, Any] | None = None,
    inner: dict[str, Any] | None = None,
    conventions: bool = False,
) -> Path:
    """A composite with a dataset for each quantity; `root` and `inner` are the attributes `where` of the file and a dataset."""
    with h5py.File(path, "w") as file:
        if conventions:
            file.attrs["Conventions"] = "ODIM_H5/V2_3"
        file.create_group("what").attrs.update({"date": "20200101", "time": "000500", **(what or {"object": "COMP"})})
        file.create_group("where").attrs.update(WHERE | SIZE if root is None else root)
        for number, quantity in enumerate(quantities, 1):
            group = file.create_group(f"dataset{number}/data1")
            group.create_group("what").attrs.update({"quantity": quantity, **PACKING})
            group["data"] = np.full((4, 5), 104, np.uint8)
            if inner is not None:
                file.create_group(f"dataset{number}/where").attrs.update(inner)
    return path


@pytest.mark.parametrize("kind", ["COMP", "IMAGE", "comp", np.bytes_("COMP")])
def test_composites_are_known_by_their_object(tmp_path: Path, kind: Any) -> None:
    frames = framecast.open(odim(tmp_path / "a.h5", what={"object": kind}))
    assert float(frames.mean()) == 20
    assert frames["y"].values.tolist() == [7000, 5000, 3000, 1000]


@pytest.mark.parametrize(
    ("root", "inner"),
    [
        (WHERE, SIZE),
        ({}, WHERE | SIZE),
        (WHERE | {"UR_lon": 10.078, "UR_lat": 55.0718}, {"xsize": 5, "ysize": 4}),
        (WHERE | SIZE | {"xscale": 7.0}, {"xscale": 1000.0}),
        (WHERE | SIZE | {"projdef": f"{WHERE['projdef']} +units=km"}, {}),
    ],
)
def test_sizes_and_corners_may_stand_in_the_dataset(
    tmp_path: Path, root: dict[str, Any], inner: dict[str, Any]
) -> None:
    frames = framecast.open(odim(tmp_path / "a.h5", root=root, inner=inner))
    np.testing.assert_allclose(frames["y"], [7000, 5000, 3000, 1000], atol=20)
    np.testing.assert_allclose(frames["x"], [500, 1500, 2500, 3500, 4500], atol=20)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"yscale": -2000.0}, "pixels of 1000 x -2000 m, counted from the lower left corner"),
        ({"projdef": "+proj=longlat"}, "pixels of 1000 x 2000 degrees, counted from the lower left corner"),
    ],
)
def test_scales_that_cannot_be(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=rf"{message}\n.*in the group where"):
        framecast.open(odim(tmp_path / "a.h5", root=WHERE | SIZE | changes))


def test_a_corner_that_contradicts_the_scales_is_reported(tmp_path: Path) -> None:
    for latitude, count in ((55.0718, 0), (55.1436, 1)):
        corner = {"UR_lon": 10.078, "UR_lat": latitude}
        repairs = framecast.open(odim(tmp_path / "a.h5", root=WHERE | SIZE | corner)).attrs["repairs"]
        assert sum("its upper right corner lies 4 pixels from" in repair for repair in repairs) == count


def test_scales_of_degrees_follow_from_the_corners(tmp_path: Path) -> None:
    corners = {"projdef": "+proj=longlat", "UR_lon": 11.0, "UR_lat": 56.0}
    frames = framecast.open(odim(tmp_path / "a.h5", root=WHERE | SIZE | corners))
    np.testing.assert_allclose(frames["y"], [55.875, 55.625, 55.375, 55.125])
    np.testing.assert_allclose(frames["x"], [10.1, 10.3, 10.5, 10.7, 10.9])


@pytest.mark.parametrize("kind", ["PVOL", "SCAN", "RAY", "AZIM", "ELEV", "XSEC", "VP"])
@pytest.mark.parametrize("conventions", [True, False])
def test_polar_objects_are_named_with_the_remedy(tmp_path: Path, kind: str, conventions: bool) -> None:
    path = odim(tmp_path / "a.h5", ("DBZH", "VRADH"), what={"object": kind}, root={}, conventions=conventions)
    with pytest.raises(DataError, match=rf"object {kind}\) with DBZH, VRADH, not a composite\n.*grid it first"):
        framecast.open(path)


def test_polar_volumes_of_knmi_are_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "volume.h5", "w") as file:
        for name in ("overview", "radar1", "scan1"):
            file.create_group(name)
    with pytest.raises(DataError, match=r"polar volume of KNMI, not a composite\n.*grid it first"):
        framecast.open(tmp_path / "volume.h5")


def test_all_quantities_are_named_and_heights_are_picked_by_their_place(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no field of rain or reflectivity\n.*fields found: VRADH, CLASS"):
        framecast.open(odim(tmp_path / "a.h5", ("VRADH", "CLASS")))
    assert float(framecast.open(odim(tmp_path / "b.h5", ("DBZHC",))).max()) == 20
    heights = odim(tmp_path / "c.h5", ("DBZH", "DBZH"))
    with pytest.raises(DataError, match="variable='dataset1/data1'"):
        framecast.open(heights)
    for name in ("dataset2/data1", "/dataset2/data1"):
        assert framecast.open(heights, variable=name).shape == (1, 1, 4, 5)


def test_what_a_composite_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the group where lacks projdef"):
        framecast.open(odim(tmp_path / "a.h5", root={"LL_lon": 10.0, "LL_lat": 55.0}))
    with pytest.raises(DataError, match="ACRR does not say over what time: startdate"):
        framecast.open(odim(tmp_path / "b.h5", ("ACRR",)))


CODES = [0, 1, 100, 254, 255]


def coded(path: Path, time: Any = "120500", **levels: dict[str, Any]) -> Path:
    """A composite whose first row holds `CODES`, with the attributes `what` of its levels `root`, `dataset` and `data`."""
    odim(path)
    with h5py.File(path, "a") as file:
        places = {"root": "what", "dataset": "dataset1/what", "data": "dataset1/data1/what"}
        del file["dataset1/data1/what"], file["dataset1/data1/data"], file["what"].attrs["time"]
        for level, place in places.items():
            file.require_group(place).attrs.update(levels.get(level, {}))
        file["what"].attrs["time"] = time
        file["dataset1/data1/data"] = np.array([CODES] * 4, np.uint8)
    return path


QUANTITY = {"quantity": "DBZH"}


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ({"data": PACKING}, [-32, -31.5, 18, 95, np.nan]),
        ({"dataset": PACKING}, [-32, -31.5, 18, 95, np.nan]),
        ({"root": PACKING}, [-32, -31.5, 18, 95, np.nan]),
        ({"root": PACKING, "data": {"nodata": 254.0}}, [-32, -31.5, 18, np.nan, 95.5]),
        ({"data": PACKING | {"nodata": np.array([254.0, 255.0])}}, [-32, -31.5, 18, np.nan, np.nan]),
        ({"data": {name: str(value) for name, value in PACKING.items()}}, [-32, -31.5, 18, 95, np.nan]),
    ],
)
def test_attributes_of_any_level_tell_what_numbers_mean(
    tmp_path: Path, levels: dict[str, dict[str, Any]], expected: list[float]
) -> None:
    levels["data"] = QUANTITY | levels.get("data", {})
    np.testing.assert_equal(framecast.open(coded(tmp_path / "a.h5", **levels)).values[0, 0, 0], np.float32(expected))


def test_attributes_that_are_absent_or_no_numbers_are_named(tmp_path: Path) -> None:
    frames = framecast.open(coded(tmp_path / "a.h5", data=QUANTITY | {"gain": 0.5, "offset": -32.0}))
    assert frames.attrs["repairs"] == ["the file states no nodata, undetect: numbers are read without"]
    for gain in (0.0, np.nan, "half"):
        with pytest.raises(DataError, match=r"the attribute gain of /dataset1/data1 is .*\n.*correct it in the file"):
            framecast.open(coded(tmp_path / "b.h5", data=QUANTITY | PACKING | {"gain": gain}))


@pytest.mark.parametrize(
    ("codes", "expected", "note"),
    [
        ({"nodata": -9.0, "undetect": np.nan}, [0, np.nan, 2], None),
        ({"nodata": np.nan, "undetect": -9.0}, [np.nan, 0, 2], None),
        ({"nodata": -9.0, "undetect": -9.0}, [np.nan, np.nan, 2], "nodata and undetect are both -9: dry and no data"),
        ({"nodata": np.nan, "undetect": np.nan}, [np.nan, -9, 2], "nodata and undetect are both nan: dry and no data"),
        (
            {"nodata": -9.0, "undetect": "none"},
            [np.nan, np.nan, 2],
            "undetect is ['none'], no number, and was not applied",
        ),
    ],
)
def test_three_states_also_where_codes_are_nan_or_one_code(
    tmp_path: Path, codes: dict[str, Any], expected: list[float], note: str | None
) -> None:
    path = coded(tmp_path / "a.h5", data={"quantity": "RATE", "gain": 1.0, "offset": 0.0} | codes)
    with h5py.File(path, "a") as file:
        del file["dataset1/data1/data"]
        file["dataset1/data1/data"] = np.array([[np.nan, -9, 2, 2, 2]] * 4, np.float32)
    frames = framecast.open(path)
    expected = [np.nan if value == -9 else value for value in expected]  # below 0 is no rain rate
    np.testing.assert_equal(frames.values[0, 0, 0, :3], expected)
    if note is None:
        assert frames.attrs["repairs"] == []
    else:
        assert note in frames.attrs["repairs"][0]


@pytest.mark.parametrize("name", ["UR_lon", "LL_lat", "xscale"])
def test_an_attribute_of_the_grid_that_is_no_number_is_named(tmp_path: Path, name: str) -> None:
    corners = {"UR_lon": 10.1, "UR_lat": 55.1}
    path = odim(tmp_path / "a.h5", root=WHERE | SIZE | corners | {name: "east"})
    with pytest.raises(DataError, match=f"the attribute {name} is 'east', expected a number"):
        framecast.open(path)


def test_a_date_that_is_none_is_named(tmp_path: Path) -> None:
    path = odim(tmp_path / "a.h5", what={"object": "COMP", "date": "2020-01-01"})
    with pytest.raises(DataError, match=r"date '2020-01-01' and time '000500', expected 20240331 and 120500"):
        framecast.open(path)


@pytest.mark.parametrize(
    ("time", "read"),
    [("1205", "12:05"), ("120500", "12:05"), (120500, "12:05"), (90500, "09:05"), (np.int64(5), "00:00:05")],
)
def test_times_without_seconds_and_as_numbers(tmp_path: Path, time: Any, read: str) -> None:
    frames = framecast.open(coded(tmp_path / "a.h5", time, data=QUANTITY | PACKING))
    assert frames["time"].values[0] == np.datetime64(f"2020-01-01T{read}")


@pytest.mark.parametrize("formula", ["GEO=0.500000*PV+-32.000000", "GEO = 0.5 * PV - 32", "GEO=0.5*PV-3.2e+1"])
def test_images_of_knmi(tmp_path: Path, formula: str) -> None:
    def image(parameters: list[str]) -> Path:
        with h5py.File(tmp_path / "knmi.h5", "w") as file:
            times = {f"product_datetime_{end}": f"31-MAR-2024;12:0{k}:00.000" for end, k in (("start", 0), ("end", 5))}
            file.create_group("overview").attrs.update(times)
            size = {"geo_pixel_size_x": 1.0, "geo_pixel_size_y": -1.0, "geo_column_offset": 0.0, "geo_row_offset": 9.0}
            file.create_group("geographic").attrs.update(size | {"geo_dim_pixel": "KM,KM"})
            projection = "+proj=stere +lat_0=90 +lon_0=0 +lat_ts=60 +a=6378.14 +b=6356.75"
            file.create_group("geographic/map_projection").attrs["projection_proj4_params"] = projection
            for number, parameter in enumerate(parameters, 1):
                group = file.create_group(f"image{number}")
                group.attrs["image_geo_parameter"] = parameter
                group["image_data"] = np.full((2, 2), 100 + number, np.uint8)
                group.create_group("calibration").attrs["calibration_formulas"] = formula
        return tmp_path / "knmi.h5"

    assert framecast.open(image(["REFLECTIVITY_[DBZ]"])).values.max() == 18.5
    rates = image(["REFLECTIVITY_[DBZ]", "RAINFALL_RATE_[MM/H]"])
    with pytest.raises(DataError, match=r"several images: image1 of REFL.*\n.*variable=.image1"):
        framecast.open(rates)
    assert framecast.open(rates, variable="image2").attrs["units"] == "mm h-1"
    with pytest.raises(DataError, match=r"a forecast \(3 images of ACC"):
        framecast.open(image(["ACCUMULATED_PRECIP_[MM]"] * 3))


def rain(names: tuple[str, ...] = ("rain",)) -> xr.Dataset:
    given = {
        "time": np.datetime64("2020-01-01", "ns") + np.arange(3) * np.timedelta64(5, "m"),
        "y": ("y", np.arange(4.0)[::-1], {"units": "km"}),
        "x": ("x", np.arange(5.0), {"units": "km"}),
    }
    values = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    return xr.Dataset(
        {name: (("time", "y", "x"), values + k, {"units": "mm h-1"}) for k, name in enumerate(names)}, given
    )


def write_groups(path: Path, groups: dict[str, xr.Dataset], zarr_format: int = 3) -> Path:
    for number, (group, dataset) in enumerate(groups.items()):
        if path.suffix == ".zarr":
            dataset.to_zarr(path, group=group, zarr_format=zarr_format, consolidated=False)  # type: ignore[call-overload]
        else:
            dataset.to_netcdf(path, group=group, mode="a" if number else "w", engine="h5netcdf")
    return path


@pytest.mark.parametrize(("name", "zarr_format"), [("a.nc", 0), ("a.zarr", 2), ("a.zarr", 3)])
def test_variables_in_groups(tmp_path: Path, name: str, zarr_format: int) -> None:
    groups = {"Grid/fine": rain(("error", "precipitation")), "Grid/coarse": rain(("precipitation",))}
    path = write_groups(tmp_path / name, groups, zarr_format)
    with pytest.raises(DataError, match=r"several variables on a grid: Grid/.*precipitation") as error:
        framecast.open(path)
    assert error.value.parameter == "variable"
    assert str(error.value.example).endswith("/precipitation")
    frames = framecast.open(path, variable="Grid/fine/precipitation")
    assert float(frames.values[0, 0, 0, 0]) == 1
    assert frames["y"].values.tolist() == [3000, 2000, 1000, 0]
    assert framecast.open(path, variable="error").shape == (3, 1, 4, 5), "the only one of that name"
    with pytest.raises(DataError, match=r"no group 'Nowhere'\n.*Grid/"):
        framecast.open(path, variable="Nowhere/rain")
    with pytest.raises(DataError, match="no variable 'snow'"):
        framecast.open(path, variable="Grid/fine/snow")


def test_the_only_variable_in_a_group_takes_coordinates_from_the_groups_around_it(tmp_path: Path) -> None:
    coordinates, values = rain()[["time", "y", "x"]], rain().drop_vars(["time", "y", "x"])
    path = write_groups(tmp_path / "a.nc", {"/": coordinates, "observed": values})  # type: ignore[dict-item]
    frames = framecast.open(path)
    assert frames["time"].values[1] == np.datetime64("2020-01-01T00:05")
    assert frames["x"].values.tolist() == [0, 1000, 2000, 3000, 4000]


def test_the_only_array_of_plain_hdf5_has_no_axes(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    with h5py.File(tmp_path / "plain.h5", "w") as file:
        file["rain"] = np.zeros((3, 4, 5), np.float32)
    with pytest.raises(DataError, match=r"no dimension scales.*rain \(3, 4, 5\)\n.*CF NetCDF"):
        framecast.open(tmp_path / "plain.h5")
    assert not [warning for warning in recwarn if "phony" in str(warning.message)]


@pytest.mark.parametrize(
    ("names", "transposed"), [(("nj", "ni"), False), (("south_north", "west_east"), False), (("b", "a"), True)]
)
def test_curvilinear_grids(tmp_path: Path, names: tuple[str, str], transposed: bool) -> None:
    latitude, longitude = np.meshgrid(48.0 + np.arange(4), 5.0 + np.arange(5), indexing="ij")
    values = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    dims = ("time", *names)
    dataset = xr.Dataset(
        {"rain": (dims, values, {"units": "mm h-1"})},
        {
            "time": rain()["time"],
            "TLAT": (names, latitude, {"standard_name": "latitude"}),
            "TLON": (names, longitude, {"standard_name": "longitude"}),
        },
    )
    dataset = dataset.transpose("time", *names[::-1]) if transposed else dataset
    dataset.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    frames = framecast.open(tmp_path / "a.nc")
    np.testing.assert_array_equal(frames.values[:, 0], values)
    np.testing.assert_array_equal(frames["latitude"], latitude)
    assert scale_of(frames).kilometres == pytest.approx((1 + np.cos(np.radians(49.5))) / 2 * 111.2, rel=1e-3)
    framecast.convert(tmp_path / "a.nc", tmp_path / "a.zarr", coarsen=2)
    coarse = framecast.open(tmp_path / "a.zarr")
    np.testing.assert_array_equal(coarse["latitude"], [[48.5, 48.5], [50.5, 50.5]])


def test_files_of_benchmark_sets_are_named_with_the_setting(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "SEVIR_VIS.h5", "w") as file:
        file["id"], file["vis"] = np.array([b"S1"]), np.zeros((1, 4, 5, 49), np.int16)
    with h5py.File(tmp_path / "traj0.hdf5", "w") as file:
        for name in ("env", "metadata", "policy"):
            file.create_group(name)
        file["env/state"] = np.zeros(3)
    np.savez(tmp_path / "dataset.npz", X_train=np.zeros((2, 4, 2, 4, 4)), Y_train=np.zeros((2, 4, 2, 4, 4)))
    for name, data in (("SEVIR_VIS.h5", "sevir"), ("traj0.hdf5", "robonet"), ("dataset.npz", "taxibj")):
        with pytest.raises(DataError, match=rf"benchmark set .*\n.*data\.name={data} data\.path=DIR"):
            framecast.open(tmp_path / name)
    for person in ("person01_boxing_d1_uncomp", "person02_boxing_d1_uncomp"):
        (tmp_path / "kth/boxing" / person).mkdir(parents=True)
        Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / "kth/boxing" / person / "image_0001.jpg")
    with pytest.raises(DataError, match=r"KTH\n.*data\.name=kth"):
        framecast.open(tmp_path / "kth")
