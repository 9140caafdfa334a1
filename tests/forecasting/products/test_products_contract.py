"""What holds for every product and every format of the registries."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image
from rain_forecasts import LEFT, SPACING, TOP, deterministic, ensemble, with_probabilities

import framecast
from framecast.errors import DataError
from framecast.forecasting.products import FORMATS, PRODUCTS, Document, Output, Request, find, find_format
from framecast.forecasting.products.settings import ProductSettings
from framecast.forecasting.products.source import Source
from framecast.forecasting.products.write import possible

FORECASTS = {"ensemble": ensemble, "deterministic": deterministic, "probabilities": with_probabilities}


@pytest.fixture
def settings(tmp_path: Path) -> ProductSettings:
    areas = tmp_path / "stations.csv"
    areas.write_text("name,latitude,longitude\nhere,51.9,9.75\n")
    return ProductSettings(products=(*PRODUCTS,), formats=(*FORMATS,), areas=str(areas))


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_record_has_its_own_name_and_a_summary(name: str) -> None:
    assert find(name).name == name
    assert framecast.products()[name].endswith(".")


@pytest.mark.parametrize("kind", FORECASTS)
@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_is_made_or_says_why_not(name: str, kind: str, settings: ProductSettings, tmp_path: Path) -> None:
    forecast = FORECASTS[kind]()
    one = ProductSettings(products=(name,), formats=(), areas=settings.areas)
    left, reasons = possible(forecast, one)
    if left is None:
        assert kind != "ensemble"
        assert reasons
        with pytest.raises(DataError, match=f"no {name}: ") as error:
            framecast.write_products(forecast, tmp_path / "out", settings=one)
        assert error.value.remedy
        assert not (tmp_path / "out").exists()
        return
    source = Source.of(forecast)
    ((_, numbers),) = left.requests().items()
    choice = find(name).choose(Request(source, left, numbers))
    assert choice.numbers is not None
    product = find(name).make(Request(source, left, choice.numbers))
    if isinstance(product, Document):
        assert len(product.content) > 100
        assert Path(product.file).suffix in (".json", ".nc")
        return
    layers = list(product.layers())
    assert len({layer.stem for layer in layers}) == len(layers)
    for layer in layers:
        assert np.isnan(layer.values[0]).all(), "no data stays no data"
        assert np.isfinite(layer.values[1:]).all()
        assert (layer.values[1:, :5] == 0).all(), "dry stays dry"
        assert (layer.values[1:] >= 0).all()
        assert 0 <= layer.begin < layer.end <= 60


@pytest.mark.parametrize("south_first", [False, True])
@pytest.mark.parametrize("name", FORMATS)
def test_a_format_keeps_the_three_states(
    name: str, south_first: bool, settings: ProductSettings, tmp_path: Path
) -> None:
    forecast = ensemble(south_first=south_first)
    source = Source.of(forecast)
    form = find_format(name)
    assert form.refusal(source) is None
    for product in ("rate", "exceedance"):
        field = find(product).make(Request(source, settings, (2.0,) if product == "exceedance" else ()))
        files = form.write(field, Output(source, settings, tmp_path / name))
        assert files
        for file in files:
            assert file.stat().st_size
        expected = np.stack([layer.values for layer in field.layers()])[:, :: -1 if south_first else 1]
        if name == "png":
            pictures = np.stack([np.array(Image.open(file)) for file in files if file.suffix == ".png"])
            np.testing.assert_array_equal(pictures[..., 3] == 0, np.isnan(expected))
            assert (pictures[:, 1:, :5, :3] == 255).all(), "dry is white"
            continue
        read = _read(files, name)
        np.testing.assert_array_equal(np.isnan(read), np.isnan(expected))
        np.testing.assert_array_equal(read == 0, expected < field.kind.step / 2)
        np.testing.assert_allclose(read, expected, atol=field.kind.step * 0.501)


def _read(files: list[Path], name: str) -> np.ndarray:
    """The maps `(N, H, W)`, north first."""
    if name == "netcdf":
        with xr.open_dataset(files[0], decode_timedelta=True) as opened:
            (variable,) = [each for each in opened.data_vars if "bounds" not in str(each)]
            array = opened[variable].sortby("y", ascending=False)
            return array.values.reshape(-1, *array.shape[-2:])
    rasterio = pytest.importorskip("rasterio")
    maps = []
    for path in files:
        with rasterio.open(path) as file:
            maps.append(file.read(1, masked=True).astype(float).filled(np.nan) * file.scales[0] + file.offsets[0])
    return np.stack(maps)


@pytest.mark.parametrize("south_first", [False, True])
def test_a_geotiff_lies_where_the_pixels_lie(south_first: bool, tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    forecast = deterministic(south_first=south_first)
    bright = forecast.sel(y=TOP - 2.5 * SPACING, x=LEFT + 7.5 * SPACING, method="nearest").squeeze()
    framecast.write_products(forecast, tmp_path, products=("rate",))
    with rasterio.open(tmp_path / "rate_005.tif") as file:
        assert file.crs.to_epsg() == 3035
        assert (file.bounds.left, file.bounds.top) == (LEFT, TOP)
        assert file.res == (SPACING, SPACING)
        ((stored,),) = file.sample([(LEFT + 7.5 * SPACING, TOP - 2.5 * SPACING)])
        assert stored * file.scales[0] == pytest.approx(float(bright.isel(lead_time=0)), abs=0.0051)
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.nodata == 65535
        assert file.units == ("mm h-1",)
        assert file.descriptions == ("rain rate, 0 to 5 min",)
        tags = file.tags()
    assert tags["init_time"] == "2026-11-29T12:00:00Z"
    assert tags["valid_time"] == "2026-11-29T12:05:00Z"
    again = framecast.open(tmp_path / "rate_005.tif")
    assert float(again.sel(y=TOP - 2.5 * SPACING, x=LEFT + 7.5 * SPACING).squeeze()) == pytest.approx(
        float(bright.isel(lead_time=0)), abs=0.0051
    )


def test_a_large_geotiff_has_overviews(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    from rain_forecasts import label

    forecast = label(np.full((1, 1, 600, 700), 2.5, dtype=np.float32), members=False)
    framecast.write_products(forecast, tmp_path, products=("rate",))
    with rasterio.open(tmp_path / "rate_005.tif") as file:
        assert file.overviews(1) == [2]
        assert file.read(1, out_shape=(300, 350)).mean() == 250


def test_pictures_carry_their_place(tmp_path: Path) -> None:
    framecast.write_products(deterministic(), tmp_path, products=("rate",), formats=("png",))
    a, d, b, e, c, f = map(float, (tmp_path / "rate_005.pgw").read_text().split())
    assert (a, d, b, e, c, f) == (SPACING, 0, 0, -SPACING, LEFT + SPACING / 2, TOP - SPACING / 2)
    bounds = json.loads((tmp_path / "bounds.json").read_text())
    assert (bounds["left"], bounds["top"]) == (LEFT, TOP)
    (west, north), (east, _), _, (_, south) = bounds["corners_longitude_latitude"]
    assert 9 < west < east < 11
    assert 51 < south < north < 53


def test_what_has_no_place_is_no_geotiff(tmp_path: Path) -> None:
    forecast = deterministic().drop_vars("crs")
    with pytest.raises(DataError, match="no geotiff can be written: no projection"):
        framecast.write_products(forecast, tmp_path / "out", products=("rate",))
    left, reasons = possible(forecast, ProductSettings(formats=("geotiff", "png")))
    assert left is not None
    assert left.formats == ("png",)
    assert reasons == ("geotiff: no projection",)
