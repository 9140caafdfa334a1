"""Forecasts on request: only where they are switched on, in a process with limits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from small_output import DEGREES, STEP, frame
from starlette.testclient import TestClient

from framecast.service.http.app import build_app
from framecast.service.http.settings import ServeSettings


def _frames(tmp_path: Path) -> bytes:
    frames = xr.concat(
        [frame(1.6e9 + STEP * number, number, DEGREES) for number in range(5)], "time", data_vars="minimal"
    )
    frames.to_netcdf(tmp_path / "frames.nc", engine="h5netcdf")
    return (tmp_path / "frames.nc").read_bytes()


def _client(tmp_path: Path, **changes: object) -> TestClient:
    settings = ServeSettings(tmp_path, uploads=True, **changes)  # type: ignore[arg-type]
    return TestClient(build_app(settings), base_url="http://127.0.0.1")


def test_a_forecast_comes_back(tmp_path: Path) -> None:
    answer = _client(tmp_path).post("/api/forecast?horizon=3&forecaster=extrapolation", content=_frames(tmp_path))
    assert answer.status_code == 200, answer.text
    (tmp_path / "forecast.nc").write_bytes(answer.content)
    with xr.open_dataset(tmp_path / "forecast.nc", engine="h5netcdf") as forecast:
        assert forecast.sizes["lead_time"] == 3
        assert float(np.nanmax(forecast["rainfall_rate"])) == pytest.approx(20, abs=1)


def test_what_is_refused_before_a_process_starts(tmp_path: Path) -> None:
    client = _client(tmp_path, upload_size=1)
    assert client.post("/api/forecast", content=b"x" * (2**20 + 1)).status_code == 413
    for query in ("horizon=0", "horizon=1000", "forecaster=../run", "forecaster=a/b"):
        assert client.post(f"/api/forecast?{query}", content=b"").status_code == 422
    assert client.get("/api/forecast").status_code == 405


def test_the_limit_of_time(tmp_path: Path) -> None:
    answer = _client(tmp_path, upload_seconds=1.0).post(
        "/api/forecast?forecaster=extrapolation", content=_frames(tmp_path)
    )
    assert answer.status_code == 422
    assert "1 seconds" in answer.text


@pytest.mark.slow
def test_damaged_frames_and_the_limit_of_memory(tmp_path: Path) -> None:
    answer = _client(tmp_path).post("/api/forecast?forecaster=extrapolation", content=b"nothing")
    assert answer.status_code == 422
    assert str(tmp_path) not in answer.text
    assert "frames.nc" in answer.text
    small = _client(tmp_path, upload_memory=512).post(
        "/api/forecast?forecaster=extrapolation", content=_frames(tmp_path)
    )
    assert small.status_code == 422
    assert "512 MB" in small.text
