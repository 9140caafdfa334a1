"""GeoTIFF and GRIB: what is masked is missing, colour tables are no values, accumulations are rates, forecasts are named."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image
from pyproj import Transformer

import framecast
from framecast.data.place import degrees_of
from framecast.errors import DataError

rasterio = pytest.importorskip("rasterio")
copy = pytest.importorskip("rasterio.shutil").copy
NAN = np.nan
ROW = np.array([[0, 1, 5, 9]] * 3, np.float32)
GRID = {"crs": "EPSG:3067", "transform": rasterio.transform.from_origin(0, 50, 1000, 1000)}


def write(path: Path, bands: Any, *, units: str | None = "mm h-1", **profile: Any) -> Any:
    """An open file of bands `(count, y, x)`."""
    values = np.asarray(bands)
    count, height, width = values.shape
    about = (
        {"driver": "GTiff", "dtype": values.dtype, "count": count, "height": height, "width": width} | GRID | profile
    )
    file = rasterio.open(path, "w", **about)
    file.write(values)
    if units is not None:
        file.update_tags(units=units)
    return file


def first_row(path: Path, **options: Any) -> list[float]:
    return framecast.open(path, **options).values[0, 0, 0].tolist()


@pytest.mark.parametrize("nodata", [-9999.9, -1.0, NAN])
def test_no_data_has_the_precision_of_the_pixels(tmp_path: Path, nodata: float) -> None:
    write(tmp_path / "a.tif", np.array([[[0, 2, nodata]]], "f4"), units="dBZ", nodata=nodata).close()
    np.testing.assert_equal(first_row(tmp_path / "a.tif"), [0, 2, NAN])


def test_codes_of_odim_have_the_precision_of_the_pixels(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["Conventions"] = "ODIM_H5/V2_3"
        file.create_group("what").attrs.update({"object": "COMP", "date": "20200101", "time": "000500"})
        corner = {"projdef": "+proj=laea +lat_0=55 +lon_0=10", "LL_lon": 10.0, "LL_lat": 55.0}
        file.create_group("where").attrs.update(corner | {"xscale": 1000.0, "yscale": 1000.0, "xsize": 4, "ysize": 1})
        codes = {"quantity": "DBZH", "nodata": -99.9, "undetect": -88.8}
        file.create_group("dataset1/data1/what").attrs.update(codes)
        file["dataset1/data1/data"] = np.array([[7, -99.9, -88.8, NAN]], "f4")
    np.testing.assert_equal(first_row(tmp_path / "a.h5"), [7, NAN, -32, NAN])


def test_a_mask_inside_the_file_and_one_beside_it(tmp_path: Path) -> None:
    for name, inside in (("a.tif", "YES"), ("b.tif", "NO")):
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=inside),
            write(tmp_path / name, np.array([[[0, 2, 7]]], "u1")) as file,
        ):
            file.write_mask(np.array([[255, 255, 0]], "u1"))
        np.testing.assert_equal(first_row(tmp_path / name), [0, 2, NAN])


def test_an_alpha_band_is_a_mask_and_no_channel(tmp_path: Path) -> None:
    with write(tmp_path / "a.tif", np.array([[[0, 2, 7]], [[255, 1, 0]]], "u1"), alpha="YES") as file:
        file.colorinterp = [rasterio.enums.ColorInterp.gray, rasterio.enums.ColorInterp.alpha]
    assert framecast.open(tmp_path / "a.tif").sizes["channel"] == 1
    np.testing.assert_equal(first_row(tmp_path / "a.tif"), [0, 2, NAN])


def test_the_indices_of_a_colour_table_are_no_values(tmp_path: Path) -> None:
    bands = np.array([[[0, 1, 2]]], "u1")
    for name, table, units in (
        ("classes.tif", {0: (0, 0, 0), 1: (0, 0, 255), 2: (255, 0, 0)}, None),
        ("shown.tif", {0: (0, 0, 0), 1: (0, 0, 255), 2: (255, 0, 0)}, "mm h-1"),
        ("grey.tif", {index: (index, index, index) for index in range(256)}, None),
    ):
        with write(tmp_path / name, bands, units=units, photometric="palette") as file:
            file.write_colormap(1, table)
    with pytest.raises(DataError, match="indices of a colour table: colours or classes"):
        framecast.open(tmp_path / "classes.tif", units="dBZ")
    assert first_row(tmp_path / "shown.tif") == [0, 1, 2], "the file states the units of the numbers"
    assert first_row(tmp_path / "grey.tif", units="mm h-1") == [0, 1, 2]


def test_colours_have_no_units_of_a_quantity(tmp_path: Path) -> None:
    colours = Image.fromarray(np.arange(48, dtype="u1").reshape(4, 4, 3))
    colours.save(tmp_path / "rgb.png")
    colours.quantize(8).save(tmp_path / "palette.png")
    for name, options in (("rgb.png", {}), ("palette.png", {}), ("palette.png", {"grey": True})):
        with pytest.raises(DataError, match=r"(?s)colours.*not values in 'dBZ'.*write the quantity itself"):
            framecast.open(tmp_path / name, units="dBZ", **options)
        assert framecast.open(tmp_path / name, units="0-255").sizes["channel"] == 3
    write(tmp_path / "rgb.tif", np.zeros((3, 2, 2), "u1"), units=None, photometric="RGB").close()
    with pytest.raises(DataError, match="the bands are colours, not values in 'mm h-1'"):
        framecast.open(tmp_path / "rgb.tif", units="mm h-1")


RATE = "1 7 2 0 96 0 0 0 1 0 0 0 {hours} 1 0 0 0 0 0 255 0 0 0 0 0"
ACCUMULATION = RATE.replace("1 7", "1 8", 1) + " 7 232 3 31 {end} 0 0 1 0 0 0 0 1 2 1 0 0 0 1 255 0 0 0 0"


def test_bands_are_named_and_pages_are_not_lost(tmp_path: Path) -> None:
    with write(tmp_path / "a.tif", [ROW, ROW * 0], units=None) as file:
        file.descriptions, file.units = ("rain", "quality"), ("mm/h", "1")
    with pytest.raises(DataError, match=r"bands of several units: rain in mm/h, quality in 1\n.*variable='?rain"):
        framecast.open(tmp_path / "a.tif")
    assert framecast.open(tmp_path / "a.tif", variable="rain").sizes["channel"] == 1
    assert framecast.open(tmp_path / "a.tif", variable="2").attrs["quantity"] == "intensity"
    with pytest.raises(DataError, match=r"no band is named 'snow'\n.*bands: rain, quality"):
        framecast.open(tmp_path / "a.tif", variable="snow")
    pages = [Image.new("L", (4, 3), colour) for colour in (1, 2, 3)]
    pages[0].save(tmp_path / "b.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(DataError, match="a TIFF of 3 pages, of which only the first would be read"):
        framecast.open(tmp_path / "b.tif", units="mm h-1")
    pages[0].save(tmp_path / "c.png", save_all=True, append_images=pages[1:])
    with pytest.raises(DataError, match="an animated PNG of 3 frames, of which only the first would be read"):
        framecast.open(tmp_path / "c.png")


def test_what_a_raster_has_beside_values_is_said(tmp_path: Path) -> None:
    turned = rasterio.Affine(900, 500, 0, 500, -900, 0)
    write(tmp_path / "a.tif", [ROW], transform=turned, crs="EPSG:3035").close()
    assert "do not run along x" in framecast.open(tmp_path / "a.tif").attrs["repairs"][0]
    write(tmp_path / "b.tif", [ROW.astype("complex64")]).close()
    with pytest.raises(DataError, match="complex numbers"):
        framecast.open(tmp_path / "b.tif")


def test_feet_become_metres(tmp_path: Path) -> None:
    corner = rasterio.transform.from_origin(900_000, 300_000, 5000, 5000)
    write(tmp_path / "a.tif", [ROW], crs="EPSG:2263", transform=corner).close()
    frames = framecast.open(tmp_path / "a.tif")
    expected = Transformer.from_crs("EPSG:2263", "EPSG:4326", always_xy=True).transform(902_500, 297_500)
    np.testing.assert_allclose([each[0, 0] for each in degrees_of(frames)], expected, atol=1e-9)
    np.testing.assert_allclose(np.diff(frames["x"]), 5000 * 1200 / 3937)


def grib(path: Path, template: str, hours: int, kind: str) -> Path:
    """A message of edition 2, `hours` after the run at 12 UTC; of `template` an accumulation over one hour or a rate."""
    degrees = {"crs": "EPSG:4326", "transform": rasterio.transform.from_origin(5, 50, 1, 1)}
    with write(path.with_suffix(".tif"), np.full((1, 3, 4), 2, "f4"), units=None, **degrees) as file:
        numbers = template.format(hours=hours, end=13 + hours)
        file.update_tags(
            1,
            GRIB_DISCIPLINE="0",
            GRIB_IDS=f"CENTER=7 SIGNF_REF_TIME=1 REF_TIME=2024-03-31T12:00:00Z PROD_STATUS=0 TYPE={kind}",
            GRIB_PDS_PDTN="8" if template is ACCUMULATION else "0",
            GRIB_PDS_TEMPLATE_NUMBERS=numbers,
        )
    copy(path.with_suffix(".tif"), path, driver="GRIB")
    return path


def test_grib_accumulations_are_rates_and_forecasts_are_named(tmp_path: Path) -> None:
    frames = framecast.open(grib(tmp_path / "a.grib2", ACCUMULATION, 0, "0"))
    np.testing.assert_allclose(frames.values, 2)
    assert frames.attrs["repairs"] == ["amounts in kg/(m^2) were converted to rates by the time over which they fell"]
    assert frames["time"].values[0] == np.datetime64("2024-03-31T13:00")
    np.testing.assert_allclose(framecast.open(grib(tmp_path / "b.grib2", RATE, 0, "0")).values, 7200)
    for name, template, hours, kind, minutes in (
        ("c", ACCUMULATION, 0, "1", 60),
        ("d", ACCUMULATION, 3, "0", 180),
        ("e", RATE, 3, "1", 180),
    ):
        with pytest.raises(DataError, match=rf"a forecast \(\w+ {minutes} minutes after the time of its run\)"):
            framecast.open(grib(tmp_path / f"{name}.grib2", template, hours, kind))
