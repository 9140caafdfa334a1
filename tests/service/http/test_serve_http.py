"""The answers of the server: state, forecasts, tiles, series and scores of a small output."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image
from pyproj import Transformer
from small_output import LEADS, STEP, SWISS, iso, stamp, write_output
from starlette.testclient import TestClient

from framecast.service.http.app import build_app
from framecast.service.http.settings import ServeSettings
from framecast.verification.score_rows import ScoreRow
from framecast.verification.score_store import append_scores, compact_scores

HERE = "http://127.0.0.1"


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder, and the name of its newest initial time."""
    folder = tmp_path_factory.mktemp("served") / "out"
    return folder, stamp(write_output(folder))


@pytest.fixture(scope="module")
def client(output: tuple[Path, str]) -> TestClient:
    return TestClient(build_app(ServeSettings(output[0])), base_url=HERE)


def _peak() -> tuple[float, float]:
    """Longitude and latitude of the middle of the cell in the newest frame of `alps`, number 7."""
    to_degrees = Transformer.from_crs(SWISS, "EPSG:4326", always_xy=True)
    return to_degrees.transform(400e3 + 5e3 * 27, 480e3 - 5e3 * 30)


def test_the_state_of_each_domain(client: TestClient, output: tuple[Path, str]) -> None:
    assert client.get("/healthz").json() == {"alive": True}
    assert client.get("/readyz").status_code == 200
    domains = {each["domain"]: each for each in client.get("/api/status").json()["domains"]}
    assert {name: each["state"] for name, each in domains.items()} == {"alps": "ok", "plain": "fallback"}
    assert domains["plain"]["reasons"] == ["a frame is missing"]
    detail = client.get("/api/domains/alps").json()
    assert detail["frames"][-1] == output[1]
    assert detail["forecasts"][-1] == {"init": output[1], "time": iso(time.time() // STEP * STEP), "rung": "radar"}
    west, south, east, north = detail["bounds"]
    assert west < _peak()[0] < east
    assert south < _peak()[1] < north


def test_old_forecasts_are_not_ready(tmp_path: Path) -> None:
    write_output(tmp_path / "out", time.time() // STEP * STEP - 7200)
    client = TestClient(build_app(ServeSettings(tmp_path / "out")), base_url=HERE)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert set(answer.json()["reasons"]) == {"alps", "plain"}
    assert "minutes old" in answer.json()["reasons"]["alps"][0]
    assert client.get("/healthz").status_code == 200
    later = TestClient(build_app(ServeSettings(tmp_path / "out", stale_after=86400.0)), base_url=HERE)
    assert later.get("/readyz").status_code == 200


def test_an_empty_folder_is_alive_but_not_ready(tmp_path: Path) -> None:
    client = TestClient(build_app(ServeSettings(tmp_path)), base_url=HERE)
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 503
    assert client.get("/api/domains/alps").status_code == 404


def test_metrics(client: TestClient) -> None:
    client.get("/tiles/alps/latest/rate/5/5/16/11.png")
    text = client.get("/metrics").text
    for line in (
        'framecast_ready{domain="alps"} 1.0',
        'framecast_rung{domain="plain",rung="extrapolation"} 1.0',
        'framecast_rung{domain="plain",rung="radar"} 0.0',
        'framecast_cycle_seconds{domain="alps",quantile="0.95"} 3.0',
        'framecast_overruns{domain="alps"} 1.0',
        'framecast_score_yesterday{domain="alps",forecaster="issued",score="csi",threshold="1.0"}',
        'framecast_forecast_age_seconds{domain="alps"}',
        'framecast_tile_seconds_count{cache="no"}',
    ):
        assert line in text


def test_a_forecast_and_its_files(client: TestClient, output: tuple[Path, str]) -> None:
    folder, init = output
    content = client.get("/api/domains/alps/forecasts/latest").json()
    assert content["init"] == init
    assert content["lead_minutes"] == [5 * lead for lead in range(1, LEADS + 1)]
    assert content["members"] == 6
    assert "exceedance_0.5" in content["products"]
    assert content["rung"] == "radar"
    path = folder / "alps" / "forecasts" / init / "forecast.nc"
    answer = client.get(f"/api/domains/alps/forecasts/{init}/files/forecast.nc")
    assert answer.content == path.read_bytes()
    assert "attachment" in answer.headers["content-disposition"]
    frame = client.get(f"/api/domains/alps/frames/{init}.nc")
    assert frame.content == (folder / "alps" / "frames" / f"{init}.nc").read_bytes()
    for missing in ("files/cycle.nc", "files/..%2f..%2fstatus.json", "files/status.json"):
        assert client.get(f"/api/domains/alps/forecasts/{init}/{missing}").status_code == 404


@pytest.mark.parametrize(("domain", "members"), [("alps", 6), ("plain", 0)])
def test_the_series_at_a_point(client: TestClient, output: tuple[Path, str], domain: str, members: int) -> None:
    longitude, latitude = _peak() if domain == "alps" else (6.0 + 0.06 * 27, 48.0 - 0.05 * 30)
    series = client.get(f"/api/domains/{domain}/point?lon={longitude}&lat={latitude}").json()
    assert series["observed"][-1] == {"time": series["init_time"], "value": 20.0}
    path = output[0] / domain / "forecasts" / output[1] / "forecast.nc"
    with xr.open_dataset(path, engine="h5netcdf") as stored:
        pixel = stored.isel(init_time=0, channel=0, y=30, x=27)
        values, chances = pixel["rainfall_rate"].values, pixel["exceedance_probability"].values
    mean = values.mean(axis=0) if members else values
    assert series["values"] == pytest.approx(mean, abs=0.006)
    for each, chance in zip(series["probabilities"], chances, strict=True):
        assert each["values"] == pytest.approx(chance, abs=1e-3)
    quantiles = {each["level"]: each["values"] for each in series["quantiles"]}
    if members:
        assert quantiles[0.9] == pytest.approx(np.quantile(values, 0.9, axis=0), abs=0.006)
    assert (np.array(quantiles[0.1]) <= np.array(quantiles[0.9])).all()
    assert client.get(f"/api/domains/{domain}/point?lon=100&lat=10").status_code == 404


def _tile(client: TestClient, address: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(client.get(address).content)).convert("RGBA"))


def _at(longitude: float, latitude: float, zoom: int) -> tuple[int, int, int, int]:
    """The tile at a position, and row and column in it."""
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True).transform(longitude, latitude)
    side = 40075016.68557849 / 2**zoom
    column, row = (x + 20037508.342789244) / side, (20037508.342789244 - y) / side
    return int(column), int(row), int(row % 1 * 256), int(column % 1 * 256)


def test_a_tile_shows_the_value_of_its_place(client: TestClient, output: tuple[Path, str]) -> None:
    x, y, row, column = _at(*_peak(), 8)
    steps = client.get("/api/legends").json()["legends"][0]["steps"]
    colour = next(step["colour"] for step in reversed(steps) if step["from"] <= 20)
    image = _tile(client, f"/tiles/alps/{output[1]}/observed/0/8/{x}/{y}.png")
    assert image.shape == (256, 256, 4)
    assert "#" + bytes(image[row, column, :3].tolist()).hex() == colour
    far = _tile(client, f"/tiles/alps/latest/rate/5/8/{x + 60}/{y}.png")
    assert far.shape[:2] == (1, 1)
    assert far[0, 0, 3] == 0


def test_all_products_are_drawn_in_both_palettes_and_sizes(client: TestClient) -> None:
    x, y, _, _ = _at(*_peak(), 7)
    for product in ("rate", "accumulation", "exceedance_1", "member_5"):
        for palette in ("services", "uniform"):
            image = _tile(client, f"/tiles/alps/latest/{product}/30/7/{x}/{y}.png?palette={palette}&size=512")
            assert image.shape == (512, 512, 4)
            assert image[..., 3].any(), product
    for missing in ("exceedance_3/30", "member_6/30", "rate/31", "observed/5", "sums/30"):
        assert client.get(f"/tiles/alps/latest/{missing}/7/{x}/{y}.png").status_code == 404
    for query in ("palette=jet", "size=100000"):
        assert client.get(f"/tiles/alps/latest/rate/30/7/{x}/{y}.png?{query}").status_code == 404


def test_scores_of_what_was_issued_beside_its_fallback(client: TestClient) -> None:
    content = client.get("/api/domains/plain/scores?lead=10").json()
    series = {each["forecaster"]: each for each in content["series"]}
    assert set(series) == {"issued", "persistence"}
    assert series["issued"]["by_lead"][0] == [5.0, 0.85, 2]
    assert [value for _, value in series["persistence"]["over_time"]] == [0.6, 0.6]
    assert client.get("/api/domains/plain/cycles?limit=1").json()[0]["rung"] == "extrapolation"


def test_scores_of_a_day_count_as_many_times_as_it_has_forecasts(tmp_path: Path) -> None:
    """Days past are rows of sums, one for each forecaster that was issued on them."""
    newest = np.datetime64(int(write_output(tmp_path)), "s")
    path = tmp_path / "alps" / "scores.csv"
    path.unlink()
    old = (newest - np.timedelta64(4, "D")).astype("datetime64[D]")
    times = [old + np.timedelta64(hour, "h") for hour in range(1, 5)]
    cases = [(time, "radar", "radar", 2.0) for time in times[:3]]
    cases += [(time, "radar", "extrapolation", 4.0) for time in times[:3]]
    cases += [(times[3], "extrapolation", "extrapolation", 6.0), (newest, "radar", "radar", 8.0)]
    rows = [
        ScoreRow(
            init_time=time.astype("datetime64[ns]"),
            lead_minutes=10.0,
            issued=issued,
            forecaster=forecaster,
            score="mse",
            threshold=None,
            value=value,
            pixels=100,
            cases=1,
            sums=(100 * value, 100.0),
        )
        for time, issued, forecaster, value in cases
    ]
    append_scores(rows, path)
    compact_scores(path)
    client = TestClient(build_app(ServeSettings(tmp_path)), base_url=HERE)
    content = client.get("/api/domains/alps/scores?hours=200").json()
    series = {each["forecaster"]: each for each in content["series"]}
    assert content["forecasts"] == 5
    assert series["issued"]["by_lead"] == [[10.0, (3 * 2 + 6 + 8) / 5, 5]]
    assert series["extrapolation"]["by_lead"] == [[10.0, 4.0, 3]]
    assert [value for _, value in series["issued"]["over_time"]] == [(3 * 2 + 6) / 4, 8.0]


def test_the_map_below(client: TestClient) -> None:
    content = client.get("/api/domains/alps/map").json()
    kinds = {feature["properties"]["kind"]: feature["geometry"]["coordinates"] for feature in content["features"]}
    assert set(kinds) == {"land", "coast", "border", "outline"}
    assert len(kinds["border"]) > 5
    assert kinds["outline"][0] == pytest.approx(kinds["outline"][-1], abs=1e-3)


def test_the_page_and_nothing_else(client: TestClient) -> None:
    assert "<title>framecast</title>" in client.get("/").text
    assert client.get("/page/main.js").headers["content-type"].startswith("text/javascript")
    assert client.get("/page/leaflet/leaflet.js").status_code == 200
    for missing in ("/page/__init__.py", "/page/../http/app.py", "/page/%2e%2e/http/app.py", "/page/leaflet"):
        assert client.get(missing).status_code == 404


def test_what_is_damaged_is_absent(tmp_path: Path) -> None:
    init = stamp(write_output(tmp_path / "out"))
    folder = tmp_path / "out" / "alps"
    (folder / "forecasts" / init / "forecast.nc").write_bytes(b"not a file")
    (folder / "status.json").write_text("{")
    (folder / "cycles.jsonl").write_text('nothing\n{"cycle": 5}\n')
    (folder / "scores.csv").write_text("a,b\n1,2\n")
    client = TestClient(build_app(ServeSettings(tmp_path / "out")), base_url=HERE)
    assert client.get("/api/status").status_code == 200
    for address in ("forecasts/latest", "point?lon=8&lat=47"):
        assert client.get(f"/api/domains/alps/{address}").status_code == 404
    assert client.get("/api/domains/alps/scores").json()["series"] == []
    assert client.get("/tiles/alps/latest/rate/5/5/16/11.png").status_code == 404
    assert client.get("/metrics").status_code == 200
    assert client.get("/api/domains/plain").status_code == 200


def test_a_pipe_among_the_files_holds_nothing_up(tmp_path: Path) -> None:
    write_output(tmp_path)
    for name in ("cycles.jsonl", "scores.csv"):
        (tmp_path / "alps" / name).unlink()
        os.mkfifo(tmp_path / "alps" / name)
    client = TestClient(build_app(ServeSettings(tmp_path)), base_url=HERE)
    assert client.get("/api/domains/alps/cycles").json() == []
    assert client.get("/api/domains/alps/scores").json()["series"] == []
