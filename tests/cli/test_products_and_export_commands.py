"""The commands `framecast products` and `framecast export`."""

from pathlib import Path

import numpy as np
from rain_forecasts import ensemble, with_probabilities
from test_exporting import saved
from typer.testing import CliRunner

import framecast
from framecast.cli import app


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
