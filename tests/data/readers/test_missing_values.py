"""What a NetCDF file or a Zarr store declares as no value is missing, and nothing else is."""

import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
import zarr

import framecast
from framecast.data.coverage import coverage
from framecast.data.inspection.survey import survey
from framecast.errors import DataError, UnreadableFile

NAN = np.nan


def stored(pixels: list[float], dtype: str, attributes: dict[str, Any], units: str = "dBZ") -> xr.Dataset:
    """Three frames of 1 x 6 pixels, as they are stored."""
    values = np.zeros((3, 1, 6), dtype)
    values[:, 0, : len(pixels)] = np.array(pixels, dtype)
    times = ("time", 5 * np.arange(3), {"units": "minutes since 2024-03-31"})
    dataset = xr.Dataset({"field": (("time", "y", "x"), values, {"units": units, **attributes})}, {"time": times})
    for variable in dataset.variables.values():
        variable.encoding["_FillValue"] = None
    return dataset


def first_pixels(path: Path, count: int, **options: Any) -> list[float]:
    return framecast.open(path, **options).values[0, 0, 0, :count].tolist()


CASES = {
    "bytes of GOES, whose range ends at -6, which is 250": (
        [0, 1, -6, -5, -1],
        "i1",
        {"_Unsigned": "true", "_FillValue": np.int8(-1), "valid_range": np.array([0, -6], "i1"), "scale_factor": 0.5},
        [0, 0.5, 125, NAN, NAN],
    ),
    "shorts of GOES": (
        [0, 100, -6, -5, -1],
        "i2",
        {"_Unsigned": "true", "_FillValue": np.int16(-1), "valid_range": np.array([0, -6], "i2"), "scale_factor": 0.5},
        [0, 50, 32765, NAN, NAN],
    ),
    "bytes that are signed": ([1, 254, 255], "u1", {"_Unsigned": "false", "_FillValue": np.int8(-1)}, [1, -2, NAN]),
    "range in packed units": (
        [0, 100, 3000, -5],
        "i2",
        {"valid_range": np.array([0, 2000], "i2"), "scale_factor": 0.01},
        [0, 1, NAN, NAN],
    ),
    "range in units of the values": (
        [0, 100, 2000, 2001, -5],
        "i2",
        {"valid_range": np.array([0, 20.0]), "scale_factor": 0.01},
        [0, 1, 20, NAN, NAN],
    ),
    "falling scale": ([0, 300, 3000], "i2", {"valid_min": -20.0, "scale_factor": -0.01}, [0, -3, NAN]),
    "highest value": ([0, 1, 90], "f4", {"valid_max": np.float32(80)}, [0, 1, NAN]),
    "lowest value": ([0, 1, -70], "f8", {"valid_min": -60.0}, [0, 1, NAN]),
    "range as text": ([0, 100, 250], "i2", {"valid_range": "0, 200"}, [0, 100, NAN]),
    "empty range": ([0, 100], "i2", {"valid_range": np.array([200, 0], "i2")}, [0, 100]),
    "several missing values": ([1, -9, -8, -7], "i2", {"missing_value": np.array([-9, -8], "i2")}, [1, NAN, NAN, -7]),
    "fill and missing value": (
        [1, -99.9, -1e30],
        "f4",
        {"missing_value": -99.9, "_FillValue": np.float32(-1e30)},
        [1, NAN, NAN],
    ),
    "missing value in units of the values": (
        [1, -999],
        "i2",
        {"missing_value": -99.9, "scale_factor": 0.1},
        [0.1, NAN],
    ),
    "a fill value that no pixel can hold": ([1, 241], "u1", {"missing_value": -9999.0}, [1, 241]),
    "an attribute that is no number": ([1, 2], "i2", {"missing_value": "none"}, [1, 2]),
    "flags": (
        [0, 100, 1, 2],
        "i2",
        {"flag_values": np.array([1, 2], "i2"), "flag_meanings": "blocked no_echo", "scale_factor": 0.1},
        [0, 10, NAN, -32],
    ),
    "not declared": ([255, -32767, 32767], "i2", {"scale_factor": 0.001}, [0.255, -32.767, 32.767]),
}


@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
@pytest.mark.parametrize("case", CASES)
def test_netcdf(tmp_path: Path, case: str, engine: str) -> None:
    pixels, dtype, attributes, expected = CASES[case]
    if engine == "scipy" and (dtype == "u1" or case == "not declared"):
        pytest.skip("the classic format has no unsigned bytes, and its library fill value is always meant")
    stored(pixels, dtype, attributes).to_netcdf(tmp_path / "a.nc", engine=engine)
    np.testing.assert_allclose(first_pixels(tmp_path / "a.nc", len(expected)), expected, rtol=1e-6)


def test_pixels_outside_of_the_range_are_counted_and_said(tmp_path: Path) -> None:
    pixels, dtype, attributes, _ = CASES["range in packed units"]
    stored(pixels, dtype, attributes).to_netcdf(tmp_path / "a.nc")
    frames = framecast.open(tmp_path / "a.nc")
    assert coverage(frames)["outside"].values.tolist() == [2, 2, 2]
    assert survey(frames)[0].outside == 6
    said = framecast.inspect(tmp_path / "a.nc", context=1, horizon=1).concerns
    assert "6 pixels are outside of the valid range that the file declares: no data" in said


def test_what_is_not_understood_of_the_attributes_is_said(tmp_path: Path) -> None:
    stored([1, 2], "i2", {"missing_value": "none", "valid_range": np.array([3], "i2")}).to_netcdf(tmp_path / "a.nc")
    repairs = " ".join(framecast.open(tmp_path / "a.nc").attrs["repairs"])
    assert "missing_value is 'none', no number" in repairs
    assert "valid_range holds 1 numbers" in repairs
    stored([1, 2], "i2", {"scale_factor": "ten"}).to_netcdf(tmp_path / "b.nc")
    with pytest.raises(DataError, match=r"b\.nc, variable 'field': the attribute scale_factor is 'ten'"):
        framecast.open(tmp_path / "b.nc")


@pytest.mark.parametrize(("fill", "expected"), [(65535, NAN), (None, 1.0)])
def test_the_fill_value_of_the_library_counts_where_the_file_was_filled(
    tmp_path: Path, fill: int | None, expected: float
) -> None:
    """h5netcdf leaves the fill value of HDF5 undefined; the NetCDF library defines it, as here."""
    path = tmp_path / "a.nc"
    stored([0, 65535], "u2", {}, "0-65535").to_netcdf(path)
    with h5py.File(path, "a") as file:
        values = file["field"][()]
        del file["field"]
        file.create_dataset("field", data=values, fillvalue=fill).attrs["units"] = "0-65535"
        for number, name in enumerate(("time", "y", "x")):
            if name not in file:
                file.create_dataset(name, data=np.arange(values.shape[number])).make_scale(name)
            file["field"].dims[number].attach_scale(file[name])
    np.testing.assert_equal(first_pixels(path, 2), [0, expected])


def test_classic_files_have_the_fill_value_of_the_library(tmp_path: Path) -> None:
    stored([1, -32767, -32766], "i2", {"scale_factor": 0.001}).to_netcdf(tmp_path / "a.nc", engine="scipy")
    np.testing.assert_allclose(first_pixels(tmp_path / "a.nc", 3), [0.001, NAN, -32.766], rtol=1e-6)


def test_classes_are_no_values(tmp_path: Path) -> None:
    classes = {"flag_values": np.array([1, 2], "i1"), "flag_meanings": "liquid snow"}
    dataset = stored([0, 1], "i1", classes, "1")
    dataset.to_netcdf(tmp_path / "a.nc")
    with pytest.raises(DataError, match=r"'field' holds classes \(liquid, snow\)"):
        framecast.open(tmp_path / "a.nc")
    dataset.assign(rain=dataset["field"].astype("f4").assign_attrs(units="mm h-1", flag_meanings="")).to_netcdf(
        tmp_path / "b.nc"
    )
    with pytest.raises(DataError, match="holds classes"):
        framecast.open(tmp_path / "b.nc", variable="field")
    mask = {"flag_values": np.array([0, 1], "i1"), "flag_meanings": "sea land"}
    stored([0, 1], "i1", mask, "1").to_netcdf(tmp_path / "c.nc")
    assert first_pixels(tmp_path / "c.nc", 2) == [0, 1], "an input of a model may be a mask"


ZARR = [
    (2, 0, "f4", [0, 1], {}, [0, 1]),
    (2, 0, "i2", [0, 1, 300], {"valid_range": [0, 200]}, [0, 1, NAN]),
    (2, -9999, "f4", [-9999, 1], {}, [NAN, 1]),
    (2, 255, "u1", [255, 1], {}, [NAN, 1]),
    (2, -32.0, "f4", [-32, 1], {}, [-32, 1]),
    (2, 0, "u1", [0, 128], {"scale_factor": 0.5, "add_offset": -32}, [-32, 32]),
    (2, 0, "f4", [-99, 0], {"_FillValue": -99.0}, [NAN, 0]),
    (2, 0, "i2", [0, 1], {"_FillValue": 0}, [NAN, 1]),
    (3, 0, "f4", [0, 1], {}, [0, 1]),
    (3, 255, "u1", [255, 1], {}, [255, 1]),
    (3, 0, "f4", [-99, 0], {"_FillValue": -99.0}, [NAN, 0]),
    (3, 0, "i2", [0, 1], {"_FillValue": 0}, [NAN, 1]),
    (3, NAN, "f4", [NAN, 1], {"missing_value": 1}, [NAN, NAN]),
]


@pytest.mark.parametrize(("version", "fill", "dtype", "pixels", "attributes", "expected"), ZARR)
def test_zarr(
    tmp_path: Path,
    version: Any,
    fill: float,
    dtype: str,
    pixels: list[float],
    attributes: dict[str, Any],
    expected: list[float],
) -> None:
    dataset = stored(pixels, dtype, {})
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=version)
    for name, variable in dataset.variables.items():
        dims, names = list(map(str, variable.dims)), {} if version == 2 else {"dimension_names": variable.dims}
        value = fill if name == "field" else 0
        array = group.create_array(str(name), shape=variable.shape, dtype=variable.dtype, fill_value=value, **names)
        array.attrs.update(variable.attrs | ({"_ARRAY_DIMENSIONS": dims} if version == 2 else {}))
        array[...] = variable.values
    group["field"].attrs.update(attributes)
    np.testing.assert_allclose(first_pixels(tmp_path / "a.zarr", len(expected)), expected)
    repairs = " ".join(framecast.open(tmp_path / "a.zarr").attrs["repairs"])
    assert ("of the Zarr array is read as" in repairs) == (version == 2 and "_FillValue" not in attributes)


@pytest.mark.parametrize(("dtype", "order"), [(">f4", "C"), (">i2", "F"), ("i2", "F")])
def test_zarr_of_another_byte_order_and_of_columns(tmp_path: Path, dtype: str, order: str) -> None:
    dataset = stored([0, 1, 300], "i2", {}, "mm h-1")
    xr.Dataset({"time": dataset["time"]}).to_zarr(tmp_path / "a.zarr", zarr_format=2, consolidated=False)
    group = zarr.open_group(tmp_path / "a.zarr", mode="a")
    array = group.create_array("field", shape=(3, 1, 6), dtype=dtype, order=order, chunks=(2, 1, 6), fill_value=0)  # type: ignore[arg-type]
    array.attrs.update({"units": "mm h-1", "_ARRAY_DIMENSIONS": ["time", "y", "x"]})
    array[...] = dataset["field"].values
    assert first_pixels(tmp_path / "a.zarr", 3) == [0, 1, 300]


@pytest.mark.parametrize("version", [2, 3])
def test_stores_that_lack_arrays_or_the_names_of_axes_are_refused(tmp_path: Path, version: Any) -> None:
    stored([1, 2], "f4", {}, "mm h-1").to_zarr(tmp_path / "a.zarr", zarr_format=version, consolidated=True)
    shutil.rmtree(tmp_path / "a.zarr" / "field")
    with pytest.raises(UnreadableFile, match="its list of arrays holds field, of which nothing is stored"):
        framecast.open(tmp_path / "a.zarr")
    group = zarr.open_group(tmp_path / "b.zarr", mode="w", zarr_format=version)
    group.create_array("field", shape=(3, 4, 5), dtype="f4")
    array = zarr.create_array(tmp_path / "c.zarr", shape=(3, 4, 5), dtype="f4", zarr_format=version)
    array[...] = 1
    for name, problem in (("b", "its arrays do not name their dimensions"), ("c", "a single Zarr array")):
        with pytest.raises(DataError, match=rf"{problem}.*\n.*named dimensions") as refusal:
            framecast.open(tmp_path / f"{name}.zarr")
        assert not isinstance(refusal.value, UnreadableFile), "the store is whole"


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("encoding", [{"_FillValue": -9999.0}, {"dtype": "i2", "scale_factor": 0.5, "_FillValue": -1}])
def test_what_xarray_writes_to_zarr(tmp_path: Path, version: Any, encoding: dict[str, Any]) -> None:
    dataset = stored([0, 1, NAN], "f4", {})
    dataset["field"].encoding = encoding
    dataset.to_zarr(tmp_path / "a.zarr", zarr_format=version, consolidated=version == 2)
    np.testing.assert_equal(first_pixels(tmp_path / "a.zarr", 3), [0, 1, NAN])


@pytest.mark.parametrize(("units", "said"), [("mm h-1", "no rain"), ("dBZ", "no echo")])
def test_inspect_says_that_no_pixel_is_dry(tmp_path: Path, units: str, said: str) -> None:
    stored([9, 9, 9, 9, 9, 0.02], "f4", {}, units).to_netcdf(tmp_path / "a.nc")
    (concern,) = [
        each for each in framecast.inspect(tmp_path / "a.nc", context=1, horizon=1).concerns if "no pixel" in each
    ]
    assert f"if it means {said}, state it: dry=0.02" in concern
    stored([9, 9, 9, 9, 9, -1], "f4", {"_FillValue": np.float32(-1)}, "mm h-1").to_netcdf(tmp_path / "b.nc")
    concerns = " ".join(framecast.inspect(tmp_path / "b.nc", context=1, horizon=1).concerns)
    assert "are dry pixels among the 17% that are read as no data?" in concerns


@pytest.mark.parametrize(("name", "highest", "missing"), [("rain.nc", 5.0, 0.25), ("dbz.nc", 38.0, 0.125)])
def test_files_of_the_field(shared_data: Path, name: str, highest: float, missing: float) -> None:
    frames = framecast.open(shared_data / "field" / "04_valid_range" / name)
    assert float(frames.max()) == pytest.approx(highest)
    assert float(frames.isnull().mean()) == missing


def test_the_store_of_the_field_is_dry_where_it_holds_zero(shared_data: Path) -> None:
    frames = framecast.open(shared_data / "field" / "01_zarr2_fill_zero" / "rain.zarr")
    assert not frames.isnull().any()
    assert float((frames == 0).mean()) > 0.5
