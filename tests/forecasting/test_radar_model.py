"""The model `radar` that comes with framecast: on any radar, without training, and honest about what it knows."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

import framecast
from framecast.checkpoints.model_folder import PACKAGED, find, packaged
from framecast.cli import app
from framecast.errors import RunError
from framecast.workflows.radar_demo import SAMPLE


@pytest.fixture(scope="module")
def sample() -> xr.DataArray:
    """A part of an hour of reflectivity that it was not trained on."""
    return framecast.open(SAMPLE).isel(y=slice(96, 224), x=slice(96, 256))


def test_it_is_found_by_name_where_no_folder_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert packaged() == ["radar"]
    assert find(Path("radar")) == PACKAGED / "radar"
    assert sum(file.stat().st_size for file in (PACKAGED / "radar").iterdir()) < 4 * 2**20
    monkeypatch.chdir(tmp_path)
    (tmp_path / "radar").mkdir()
    with pytest.raises(RunError, match="no trained model here"):
        find(Path("radar"))


def test_it_forecasts_reflectivity_by_one_command(sample: xr.DataArray, tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    raw = xr.open_dataset(SAMPLE, engine="h5netcdf").isel(y=slice(96, 224), x=slice(96, 256), time=slice(0, 5))
    raw.to_netcdf(tmp_path / "latest" / "frames.nc", engine="h5netcdf")
    arguments = ["forecast", "radar", "--data", str(tmp_path / "latest"), "--out", str(tmp_path / "nowcast.nc")]
    result = CliRunner().invoke(app, [*arguments, "--members", "3", "--rates", "1,10"])
    assert result.exit_code == 0, result.output
    with xr.open_dataset(tmp_path / "nowcast.nc", decode_timedelta=True, engine="h5netcdf") as written:
        assert dict(written["rain_rate"].sizes) == {
            "init_time": 1,
            "member": 3,
            "lead_time": 12,
            "channel": 1,
            "y": 128,
            "x": 160,
        }
        assert written["threshold"].values.tolist() == [1, 10]
        probability = written["exceedance_probability"].values
    assert np.nanmin(probability) >= 0
    assert np.nanmax(probability) <= 1
    assert (np.nan_to_num(probability[:, 1]) <= np.nan_to_num(probability[:, 0])).all()


def test_it_says_what_its_probabilities_rest_on(sample: xr.DataArray) -> None:
    forecast = framecast.forecast("radar", sample, 3, rates=(0.5, 30))
    assert isinstance(forecast, xr.Dataset)
    assert "30 mm/h were not calibrated" in forecast.attrs["warnings"]
    assert "converted to rain rate" in forecast.attrs["repairs"]
    about = framecast.load("radar").card.about
    for name in ("purpose", "terms", "limits", "trained_on", "left_out_scores"):
        assert about[name]
    assert "Bureau" not in about["trained_on"]


def test_it_is_better_than_extrapolation_where_it_was_not_trained(sample: xr.DataArray) -> None:
    scores = framecast.evaluate("radar", sample, horizon=6, limit=2, members=4)
    for threshold in range(2):
        model, baseline = (
            scores.event(name, "brier", threshold).value for name in ("radar", "extrapolation_probability")
        )
        assert model < baseline
    assert scores.frame("radar", "mse").value < scores.frame("extrapolation", "mse").value
    assert not scores.warnings
