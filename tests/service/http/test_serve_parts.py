"""The parts of the server: grids and tiles, quantiles, caches, the land of the map."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from pyproj import CRS, Transformer

from framecast.service.http.basemap import clip, land
from framecast.service.http.caching import Cache
from framecast.service.http.grids import Grid, index_map
from framecast.service.http.names import is_domain, is_file, is_time, parse_product
from framecast.service.http.points import from_probabilities
from framecast.service.http.stored import NO_DATA, OUTSIDE, PACKINGS, Field, accumulate

PROJECTIONS = {
    "oblique": "+proj=somerc +lat_0=46.95 +lon_0=7.44 +x_0=600000 +y_0=200000 +ellps=bessel",
    "polar": "+proj=stere +lat_0=90 +lon_0=0 +lat_ts=60 +a=6378137 +b=6356752",
}


@pytest.mark.parametrize("name", PROJECTIONS)
@pytest.mark.parametrize("zoom", [3, 5, 7, 9])
def test_interpolated_index_maps_are_those_of_the_projection(name: str, zoom: int) -> None:
    """They err by a pixel of the grid (1 km) at most, or by a tenth of a pixel of the tile."""
    crs = CRS(PROJECTIONS[name])
    to_grid = Transformer.from_crs("EPSG:3857", crs, always_xy=True)
    x0, y0 = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(6.0, 49.5)
    grid = Grid.of(crs.to_wkt(), x0 + 1e3 * np.arange(700), y0 - 1e3 * np.arange(640))
    side = 40075016.68557849 / 2**zoom
    east, north = Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True).transform(8.0, 47.5)
    column, row = int((east + side * 2**zoom / 2) // side), int((side * 2**zoom / 2 - north) // side)
    centres = (np.arange(256) + 0.5) / 256 * side
    x, y = np.meshgrid(column * side - side * 2**zoom / 2 + centres, side * 2**zoom / 2 - row * side - centres)
    exact_x, exact_y = to_grid.transform(x, y)
    tile = index_map(grid, zoom, column, row)
    assert (tile != grid.rows * grid.columns).any()
    differs = tile != grid.pixels(exact_x, exact_y)
    assert differs.mean() < 0.05
    both = (tile < grid.rows * grid.columns) & (grid.pixels(exact_x, exact_y) < grid.rows * grid.columns)
    assert (differs & ~both).mean() < 0.005  # at the border
    exact, own = (np.stack(np.divmod(each[both], grid.columns)) for each in (grid.pixels(exact_x, exact_y), tile))
    assert np.abs(exact - own).max() <= max(1, 0.1 * side / 256 / 1e3)


def test_positions_on_a_grid() -> None:
    grid = Grid.of("EPSG:4326", 5 + 0.1 * np.arange(20), 50 - 0.1 * np.arange(10))
    assert grid.pixel_at(5.0, 50.0) == (0, 0)
    assert grid.pixel_at(6.9, 49.1) == (9, 19)
    assert grid.pixel_at(4.9, 50.0) is None
    assert grid.bounds() == pytest.approx((4.95, 49.05, 6.95, 50.05))


def test_values_survive_as_whole_numbers() -> None:
    packing = PACKINGS["rain_rate"]
    values = np.array([0.0, 0.1, 12.34, 400.0, 1e9, np.nan, -1.0])
    codes = packing.encode(values)
    assert codes[5] == NO_DATA
    assert packing.offset + packing.step * codes[:4] == pytest.approx(values[:4], abs=0.005)
    assert codes[4] < NO_DATA
    assert codes[6] == 0


def test_amounts_of_rates() -> None:
    def field(*rates: float) -> Field:
        return Field(np.append(PACKINGS["rain_rate"].encode(np.array(rates)), np.uint16(OUTSIDE)), "rain_rate")

    total = accumulate([field(6.0, 0.0, 1.0), field(12.0, 3.0, np.nan)], (10.0, 15.0))
    assert total.quantity == "accumulation"
    assert (total.codes * 0.01)[:2] == pytest.approx([2.0, 0.25], abs=0.005)
    assert total.codes[2:].tolist() == [NO_DATA, OUTSIDE]


def test_quantiles_from_probabilities() -> None:
    rates = np.array([0.5, 1.0, 2.0, 4.0])
    chances = np.array([[0.95, 0.4, 0.05], [0.8, 0.2, 0.0], [0.5, 0.1, 0.0], [0.2, 0.0, 0.0]])
    quantiles = from_probabilities(rates, chances, (0.1, 0.5, 0.9))
    assert quantiles[1] == pytest.approx([2.0, 0.0, 0.0])
    assert quantiles[2] == pytest.approx([4.0, 2.0, 0.0])
    assert (np.diff(quantiles, axis=0) >= 0).all()


def test_names() -> None:
    for name in ("..", ".hidden", "a/b", "", "a" * 65, "é", "-x"):
        assert not is_domain(name)
    assert is_domain("Alps-2_b")
    assert is_time("20261129T120000Z")
    for name in ("20261399T120000Z", "20261129T120000", "latest", "20261129T120000Z/.."):
        assert not is_time(name)
    for name in ("../forecast.nc", "forecast.py", ".nc", "a..nc/b"):
        assert not is_file(name)
    assert parse_product("exceedance_0.5").threshold == 0.5  # type: ignore[union-attr]
    for name in ("exceedance_", "member_x", "rate_1", "exceedance_1e9"):
        assert parse_product(name) is None


def test_a_cache_stays_within_its_limit_and_makes_each_once() -> None:
    cache: Cache[bytes] = Cache(100, len)
    for number in range(50):
        assert cache.get(number, lambda: b"x" * 30) == b"x" * 30
        assert cache.bytes <= 100
    assert cache.find(49) is not None
    assert cache.find(0) is None
    calls = []
    started = threading.Barrier(8)

    def ask() -> None:
        started.wait()
        cache.get("same", lambda: calls.append(1) or b"y")  # type: ignore[func-returns-value]

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [1]


def test_land_of_a_box() -> None:
    def contains(rings: list[np.ndarray], x: float, y: float) -> bool:
        crossings = 0
        for ring in rings:
            after = np.roll(ring, -1, axis=0)
            spans = (ring[:, 1] > y) != (after[:, 1] > y)
            with np.errstate(divide="ignore", invalid="ignore"):
                at = ring[:, 0] + (y - ring[:, 1]) / (after[:, 1] - ring[:, 1]) * (after[:, 0] - ring[:, 0])
            crossings += int((spans & (x < at)).sum())
        return crossings % 2 == 1

    rings = land((-5.0, 40.0, 15.0, 56.0))
    for place, (longitude, latitude) in {"Bern": (7.4, 46.9), "Utrecht": (5.1, 52.1), "London": (0.0, 51.6)}.items():
        assert contains(rings, longitude, latitude), place
    for place, (longitude, latitude) in {"North Sea": (3.0, 55.0), "Gulf of Genoa": (8.8, 43.8)}.items():
        assert not contains(rings, longitude, latitude), place
    square = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]])
    assert {tuple(point) for point in clip(square, (1.0, 1.0, 9.0, 9.0))} == {(1, 1), (4, 1), (4, 4), (1, 4)}


def test_the_page_asks_no_other_host() -> None:
    import framecast.service.page

    for path in Path(framecast.service.page.__file__).parent.glob("*.*"):
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in text, path.name
        assert "https:" not in text, path.name
