"""`cases.nc`: what was written is read again, files of earlier versions too, and those of newer ones are refused."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from test_result import Clips, Ensemble, rain, showers

from framecast.data.quantities import INTENSITY, REFLECTIVITY, ZR
from framecast.errors import DataError
from framecast.forecasting.baselines.persistence import Persistence
from framecast.verification.comparison import compare
from framecast.verification.result import Verification
from framecast.verification.verify import verify
from framecast.verification.views import fallbacks, probabilities, ranks, spread_skill, wet_ratio

VERSION_0 = Path(__file__).parent / "cases_0_1.nc"
"""Three cases of an evaluation, written before names had a version."""


def test_what_was_saved_is_read_again(tmp_path: Path) -> None:
    dbz = np.clip(rain() * 4, -32, 60)
    result = verify({"p": Persistence()}, Clips(dbz, REFLECTIVITY), rates=(1.0, 3.0), zr=ZR(a=200, b=1.6))
    result.save(tmp_path / "cases.nc")
    again = Verification.open(tmp_path / "cases.nc")
    xr.testing.assert_identical(again.sums, result.sums)
    assert (again.rates, again.thresholds) == (result.rates, pytest.approx(result.thresholds))
    assert (again.quantity, again.convention) == (result.quantity, result.convention)


def test_intensities_have_no_thresholds(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).random((2, 5, 3, 12, 12))
    result = verify({"p": Persistence()}, Clips(frames, INTENSITY), convention="openstl")
    result.save(tmp_path / "cases.nc")
    again = Verification.open(tmp_path / "cases.nc")
    assert again.rates == again.thresholds == ()
    assert again.frame("p", "snr") == result.frame("p", "snr")


def test_a_file_of_version_0_gives_the_same_scores() -> None:
    """The numbers are those that the code computed that wrote the file."""
    result = Verification.open(VERSION_0)
    assert result.forecasters == ["predrnn_v2", "persistence", "steps"]
    assert result.rates == (0.5, 2.0)
    assert result.frame("predrnn_v2", "mse").value == 2.733737688434154
    assert result.frame("steps", "crps").value == 0.2505516785886949
    assert result.event("steps", "csi", 0).value == 0.8221003134796239
    assert result.event("steps", "brier", 1).value == 0.06845108695652175
    assert result.score("steps", result.metric("fss", threshold=1, scale=1)).value == 0.8948231098721611
    assert ranks(result, "steps").tolist() == [466, 441, 450, 512, 542, 543, 554, 517, 650]
    assert spread_skill(result, "steps")[0][0] == 0.5116033447562823
    assert wet_ratio(result, "steps")[0] == 0.9112271540469974
    assert float(probabilities(result, "steps", 0).observed_events.sum()) == 550


def test_thresholds_of_version_0_in_dbz_are_converted_and_reported(tmp_path: Path) -> None:
    result = verify({"p": Persistence()}, Clips(np.clip(rain() * 4, -32, 60), REFLECTIVITY), rates=(0.5, 2.0))
    result.sums.to_netcdf(tmp_path / "cases.nc", engine="h5netcdf")
    again = Verification.open(tmp_path / "cases.nc")
    assert again.rates == (0.5, 2.0)
    assert "converted to mm/h by Z = 223 R^1.53" in again.repairs[0]


def test_a_newer_version_and_what_is_no_verification_are_refused(tmp_path: Path) -> None:
    values = showers(1)
    result = verify({"e": Ensemble(values)}, Clips(values))
    path = tmp_path / "cases.nc"
    result.sums.assign_attrs(framecast_cases_version=2).to_netcdf(path, engine="h5netcdf")
    with pytest.raises(DataError, match="written by a newer framecast: version 2, this one reads versions up to 1"):
        Verification.open(path)
    xr.Dataset({"rain": ("x", [1.0])}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with pytest.raises(DataError, match="not the sums of a verification"):
        Verification.open(tmp_path / "other.nc")
    with pytest.raises(DataError, match="cannot be read"):
        Verification.open(tmp_path / "absent.nc")


def test_forecasters_that_fell_back_are_named() -> None:
    result = Verification.open(VERSION_0)
    assert fallbacks(result) == []
    result.sums["fallback_cases"] = (("forecaster", "case"), np.array([[0, 0, 0], [0, 0, 0], [1, 0, 1]]))
    assert fallbacks(result) == ["steps: 2 of 3 cases fell back to extrapolation"]
    assert fallbacks(result)[0] in compare(result).warnings
