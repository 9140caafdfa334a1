"""The commands `framecast products` and `framecast export`."""

import json
from pathlib import Path

import numpy as np
import pytest
from rain_forecasts import ensemble, with_probabilities
from test_exporting import saved
from typer.testing import CliRunner

import framecast
from framecast.cli import app
from framecast.errors import ConfigError


def invoke(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [*map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def test_products_of_a_file_are_written_and_listed(tmp_path: Path) -> None:
    framecast.write(ensemble(), tmp_path / "nowcast.nc")
    out = tmp_path / "products"
    products = "rate,accumulation_60,exceedance_0.5,accumulation_exceedance_1"
    code, stdout, _ = invoke(
        "products", tmp_path / "nowcast.nc", "--out", out, "--products", products, "--formats", "netcdf"
    )
    assert code == 0
    names = ["rate.nc", "accumulation.nc", "exceedance.nc", "accumulation_exceedance.nc"]
    assert stdout.split() == [str(out / name) for name in names]


def test_products_that_cannot_be_are_refused(tmp_path: Path) -> None:
    framecast.write(with_probabilities(), tmp_path / "nowcast.nc")
    code, _, stderr = invoke("products", tmp_path / "nowcast.nc", "--out", tmp_path / "out", "--products", "quantile")
    assert code == 2
    assert "--products: no quantile: the forecast has neither members nor quantiles" in stderr
    assert not (tmp_path / "out").exists()


def test_products_never_replace_what_they_are_made_from(tmp_path: Path) -> None:
    framecast.write(ensemble(), tmp_path / "rate.nc")
    framecast.write(ensemble(), tmp_path / "nowcast.zarr")
    areas = tmp_path / "alerts.json"
    areas.write_text(json.dumps({"type": "Point", "coordinates": [9.75, 51.9]}))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for forecast, out, *more in (
        ("rate.nc", ".", "--formats", "netcdf", "--products", "rate"),
        ("rate.nc", ".", "--formats", "netcdf", "--products", "alerts", "--areas", areas),
        ("nowcast.zarr", "nowcast.zarr", "--formats", "netcdf"),
    ):
        code, _, stderr = invoke("products", tmp_path / forecast, "--out", tmp_path / out, *more)
        assert code == 2
        assert "made" in stderr
    with pytest.raises(ConfigError, match="made from"):
        framecast.write(framecast.open_forecast(tmp_path / "rate.nc"), tmp_path / "rate.nc", overwrite=True)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_two_products_never_share_a_file(tmp_path: Path) -> None:
    framecast.write(ensemble(), tmp_path / "nowcast.nc")
    call = ("products", tmp_path / "nowcast.nc", "--out", tmp_path / "out", "--formats", "geotiff", "--products")
    code, _, stderr = invoke(*call, "exceedance", "--rates", "1,1.0000001")
    assert code == 2
    assert "same names of files, exceedance_1" in stderr
    code, stdout, _ = invoke(*call, "exceedance_1,exceedance_1")
    assert code == 0
    assert len(stdout.split()) == len(set(stdout.split())) == 12


def test_alerts_name_their_areas(tmp_path: Path) -> None:
    framecast.write(ensemble(), tmp_path / "nowcast.nc")
    code, _, stderr = invoke("products", tmp_path / "nowcast.nc", "--out", tmp_path, "--products", "alerts")
    assert code == 2
    assert "--areas: alerts need areas" in stderr


def test_export_prints_the_largest_difference(tmp_path: Path) -> None:
    code, stdout, _ = invoke("export", saved(tmp_path / "run", "simvp"), "--torch", tmp_path / "model.pt2")
    assert code == 0
    assert "largest difference, torch.export: " in stdout
    assert "of the largest output, 3 cases" in stdout
    assert np.load(tmp_path / "model.npz", allow_pickle=False)["frames"].shape == (3, 2, 1, 16, 16)


def test_export_without_a_file_says_which(tmp_path: Path) -> None:
    code, _, stderr = invoke("export", saved(tmp_path / "run", "simvp"))
    assert code == 2
    assert "--onnx" in stderr
