"""Alerts by area: exact counts of members, honest bounds otherwise, and the pixels that belong to an area."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyproj import Transformer
from rain_forecasts import LEFT, SPACING, TOP, deterministic, ensemble, label, with_probabilities

import framecast
from framecast.data.place import degrees_of
from framecast.errors import DataError
from framecast.forecasting.products.areas import pixels_of, read_areas
from framecast.forecasting.products.source import Source


def degrees(x: float, y: float) -> list[float]:
    return list(Transformer.from_crs("EPSG:3035", "EPSG:4326", always_xy=True).transform(x, y))


def box(left: int, top: int, width: int, height: int) -> list[list[float]]:
    """The ring around pixels, as longitudes and latitudes."""
    x0, y0 = LEFT + left * SPACING, TOP - top * SPACING
    x1, y1 = x0 + width * SPACING, y0 - height * SPACING
    return [degrees(*corner) for corner in ((x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0))]


def geojson(path: Path, **polygons: list[list[list[float]]]) -> Path:
    features = [
        {"type": "Feature", "properties": {"name": name}, "geometry": {"type": "Polygon", "coordinates": rings}}
        for name, rings in polygons.items()
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def alerts(forecast: Any, areas: Path, tmp_path: Path, **stated: Any) -> dict[str, Any]:
    framecast.write_products(forecast, tmp_path / "out", products=("alerts",), areas=str(areas), **stated)
    content = json.loads((tmp_path / "out" / "alerts.json").read_text())
    return {area["name"]: area["windows"][0] | {"pixels": area["pixels"]} for area in content["areas"]}


def entry(window: dict[str, Any], quantity: str, threshold: float, where: str) -> dict[str, Any]:
    (one,) = [
        each
        for each in window["alerts"]
        if (each["quantity"], each["threshold"], each["where"]) == (quantity, threshold, where)
    ]
    return one


def test_members_are_counted_exactly(tmp_path: Path) -> None:
    areas = geojson(tmp_path / "areas.json", east=[box(5, 2, 3, 2)])
    window = alerts(ensemble(), areas, tmp_path, rates=(8.0,), sums=(2.0,))["east"]
    assert window["pixels"] == 6
    assert window["coverage"] == 1
    part = ensemble().values[0, :, :, 0, 2:4, 5:8]
    expected = {
        ("rate", 8.0, "anywhere"): (part.max(axis=(1, 2, 3)) >= 8).mean(),
        ("rate", 8.0, "mean"): (part.mean(axis=(2, 3)).max(axis=1) >= 8).mean(),
        ("sum", 2.0, "anywhere"): (part.sum(axis=1).max(axis=(1, 2)) / 12 >= 2).mean(),
        ("sum", 2.0, "mean"): (part.sum(axis=1).mean(axis=(1, 2)) / 12 >= 2).mean(),
    }
    assert 0 < expected["rate", 8.0, "anywhere"] <= 1
    for name, share in expected.items():
        assert entry(window, *name)["probability"] == pytest.approx(share, abs=1e-4)
        assert entry(window, *name)["method"] == "members"


def test_probabilities_by_pixel_give_bounds_only(tmp_path: Path) -> None:
    areas = geojson(tmp_path / "areas.json", east=[box(5, 2, 3, 2)])
    forecast = with_probabilities()
    window = alerts(forecast, areas, tmp_path)["east"]
    part = forecast["exceedance_probability"].values[0, 1, :, 0, 2:4, 5:8]
    anywhere = entry(window, "rate", 2.0, "anywhere")
    assert anywhere["method"] == "bounds"
    assert anywhere["probability"] is None
    assert anywhere["lower"] == pytest.approx(part.max(), abs=1e-4)
    assert anywhere["upper"] == pytest.approx(min(part.sum(), 1), abs=1e-4)
    assert entry(window, "rate", 2.0, "mean")["method"] == "value"
    assert "probability" in entry(window, "sum", 5.0, "mean")


def test_bounds_enclose_what_members_count(tmp_path: Path) -> None:
    """Whatever the dependence of pixels and lead times is."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        happens = rng.random((50, 3, 4)) < rng.random((1, 3, 4)) * 0.3
        single = happens.mean(axis=0)
        assert single.max() <= happens.any(axis=(1, 2)).mean() <= min(single.sum(), 1)


def test_a_deterministic_forecast_reaches_or_not(tmp_path: Path) -> None:
    areas = geojson(tmp_path / "areas.json", west=[box(0, 2, 3, 2)], east=[box(5, 2, 3, 2)])
    windows = alerts(deterministic(), areas, tmp_path)
    assert entry(windows["west"], "rate", 0.5, "anywhere")["exceeded"] is False
    assert entry(windows["east"], "rate", 0.5, "anywhere")["exceeded"] is True


def test_no_data_says_nothing(tmp_path: Path) -> None:
    areas = geojson(
        tmp_path / "areas.json", north=[box(0, 0, 4, 1)], edge=[box(5, 0, 1, 2)], outside=[box(90, 90, 2, 2)]
    )
    windows = alerts(ensemble(), areas, tmp_path)
    assert windows["north"]["coverage"] == 0
    assert windows["north"]["alerts"] == []
    assert windows["edge"]["coverage"] == 0.5
    assert windows["edge"]["alerts"]
    assert windows["outside"] | {"begin": 0, "end": 60} == {
        "begin": 0,
        "end": 60,
        "coverage": 0,
        "alerts": [],
        "pixels": 0,
    }


def test_one_frame_without_data_leaves_the_others(tmp_path: Path) -> None:
    rates = np.full((2, 12, 4, 4), 3.0, dtype=np.float32)
    rates[:, 5] = np.nan
    areas = geojson(tmp_path / "areas.json", all=[box(0, 0, 4, 4)])
    window = alerts(label(rates), areas, tmp_path, rates=(2.0,), sums=(1.0,))["all"]
    assert window["coverage"] == pytest.approx(11 / 12, abs=1e-4)
    assert entry(window, "rate", 2.0, "mean")["probability"] == 1
    assert not [each for each in window["alerts"] if each["quantity"] == "sum"], "a sum of fewer frames is none"


def test_a_member_without_data_is_not_counted_as_dry(tmp_path: Path) -> None:
    rates = np.full((2, 12, 4, 4), 3.0, dtype=np.float32)
    rates[1, :, :2] = np.nan
    areas = geojson(tmp_path / "areas.json", all=[box(0, 0, 4, 4)], upper=[box(0, 0, 4, 2)])
    windows = alerts(label(rates), areas, tmp_path, rates=(2.0,), sums=(1.0,))
    assert windows["all"]["coverage"] == 0.5
    assert {each["probability"] for each in windows["all"]["alerts"]} == {1.0}
    assert windows["upper"]["alerts"] == []


@pytest.mark.parametrize("south_first", [False, True])
def test_holes_are_out_and_the_order_of_rows_does_not_matter(south_first: bool, tmp_path: Path) -> None:
    forecast = ensemble(south_first=south_first)
    longitude, latitude = degrees_of(Source.of(forecast).values)
    (ring,) = read_areas(geojson(tmp_path / "ring.json", ring=[box(2, 1, 4, 4), box(3, 2, 2, 2)]))
    numbers = pixels_of(ring, np.asarray(longitude), np.asarray(latitude))
    inside = np.zeros((8, 10), dtype=bool)
    inside.flat[numbers] = True
    expected = np.zeros((8, 10), dtype=bool)
    expected[1:5, 2:6] = True
    expected[2:4, 3:5] = False
    np.testing.assert_array_equal(inside[:: -1 if south_first else 1], expected)


def test_stations_and_small_areas_have_the_nearest_pixel(tmp_path: Path) -> None:
    east, north = degrees(LEFT + 3.9 * SPACING, TOP - 6.1 * SPACING)
    table = tmp_path / "stations.csv"
    table.write_text(f"Name,LAT,LON\nnear,{north},{east}\nfar,10,{east}\n")
    tiny = [[east, north], [east + 1e-4, north], [east, north + 1e-4], [east, north]]
    longitude, latitude = degrees_of(Source.of(ensemble()).values)
    near, far = read_areas(table)
    (small,) = read_areas(geojson(tmp_path / "tiny.json", tiny=[tiny]))
    for area in (near, small):
        assert pixels_of(area, np.asarray(longitude), np.asarray(latitude)).tolist() == [63]
    assert pixels_of(far, np.asarray(longitude), np.asarray(latitude)).tolist() == []


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "name,latitude\nA,5\n", "no column longitude"),
        ("a.csv", "name,latitude,longitude\nA,x,5\n", "'A' has longitude"),
        ("a.csv", "name,latitude,longitude\n", "holds no area"),
        ("a.json", "{", "not JSON"),
        ("a.json", '{"type": "LineString", "coordinates": []}', "is a 'LineString'"),
        ("a.json", '{"type": "Polygon", "coordinates": [[[1, 2]]]}', "no polygon"),
        ("a.json", '{"type": "Polygon", "coordinates": [[[6e5, 2e5], [7e5, 2e5], [7e5, 3e5]]]}', "no degrees"),
        ("a.json", "[]", "holds no area"),
    ],
)
def test_what_are_no_areas_is_refused(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message) as error:
        read_areas(tmp_path / name)
    assert error.value.where == str(tmp_path / name)


def test_areas_that_all_lie_elsewhere_are_a_mistake(tmp_path: Path) -> None:
    """Longitude and latitude exchanged, for example."""
    east, north = degrees(LEFT + 3.9 * SPACING, TOP - 6.1 * SPACING)
    table = tmp_path / "stations.csv"
    table.write_text(f"name,lat,lon\na,{east},{north}\n")
    with pytest.raises(DataError, match=r"none of the areas in .*stations.csv lies within the frames"):
        alerts(ensemble(), table, tmp_path)
    with table.open("a") as file:
        file.write(f"b,{north},{east}\n")
    assert [each["pixels"] for each in alerts(ensemble(), table, tmp_path).values()] == [0, 1]
