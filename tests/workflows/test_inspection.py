"""The inspection with its page, and the cost of a recipe, each by one public function."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import framecast


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    values = np.random.default_rng(0).gamma(0.5, 2.0, (40, 32, 32)).astype(np.float32)
    times = np.datetime64("2020-01-01", "ns") + np.arange(40) * np.timedelta64(5, "m")
    frames = xr.DataArray(values, dims=("time", "y", "x"), coords={"time": times}, name="rain")
    frames.to_netcdf(tmp_path / "rain.nc", engine="h5netcdf")
    return tmp_path / "rain.nc"


def test_an_inspection_writes_its_page(archive: Path, tmp_path: Path) -> None:
    inspection = framecast.inspect(archive, context=3, horizon=3, units="mm/h", page=tmp_path / "page.html")
    assert inspection.quantity.name == "rain_rate"
    assert "rain.nc" in (tmp_path / "page.html").read_text()


def test_a_page_that_cannot_be_is_refused_before_the_data_are_opened(tmp_path: Path) -> None:
    with pytest.raises(framecast.ArgumentError, match="is not the suffix of a page"):
        framecast.inspect(tmp_path / "missing.nc", page=tmp_path / "page.txt")


RECIPE = """
base:
  data: {name: archive, path: elsewhere, context: 3, horizon: 3}
  model: {name: convlstm, hidden: [4], kernel: 3, patch: 4}
  training: {batch_size: 2}
rows: {small: {}}
"""


def test_the_cost_of_a_recipe_is_that_of_the_data(archive: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE)
    cost = framecast.training_cost(f"{recipe}#small", archive, units="mm/h")
    assert set(cost) == {"model", "training step", "whole training"}
    assert "batch of 2, 32 x 32" in cost["training step"]
    with pytest.raises(framecast.ConfigError, match="no row 'nope'"):
        framecast.training_cost(f"{recipe}#nope", archive)
