"""What verification asks of a forecaster: a context that is long enough, the right shape, and honesty about a fallback."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy.ndimage import gaussian_filter
from test_result import Clips, Shifted

from framecast.data.quantities import RAIN_RATE
from framecast.errors import ConfigError, DataError
from framecast.forecasting.baselines.persistence import Persistence
from framecast.forecasting.baselines.pysteps_ensembles import Steps
from framecast.forecasting.protocol import Context
from framecast.verification.verify import verify


def moving(cases: int) -> np.ndarray:
    """Windows `(cases, 6, 1, 64, 64)` of smooth rain that moves to the right."""
    field = gaussian_filter(np.random.default_rng(0).standard_normal((cases, 64, 128)), (0, 5, 5))
    field = np.maximum(field / field.std() - 0.5, 0) * 5
    return np.stack([field[:, :, 30 - 3 * t :][:, :, :64] for t in range(6)], axis=1)[:, :, None]


def test_cases_of_a_simpler_method_are_counted(tmp_path: Path) -> None:
    """Rain in some windows, none in others, in which STEPS cannot work; nothing is counted where nobody can fall back."""
    pytest.importorskip("pysteps")
    values = moving(3)
    values[1] = 0
    source = Clips(values, context=4)
    forecasters = {"shifted": Shifted(1.0), "steps": Steps(RAIN_RATE, members=2), "persistence": Persistence()}
    result = verify(forecasters, source, batch_size=2)
    assert result.sums["fallback_cases"].dims == ("forecaster", "case")
    assert result.sums["fallback_cases"].values.tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]
    result.save(tmp_path / "cases.nc")
    with xr.open_dataset(tmp_path / "cases.nc", engine="h5netcdf") as sums:
        assert sums["fallback_cases"].dtype == np.int8
    assert "fallback_cases" not in verify({"persistence": Persistence()}, source).sums


def test_too_short_a_context_is_refused_before_any_forecast() -> None:
    class Never(Shifted):
        def forecast(self, context: Context, /, horizon: int) -> np.ndarray:
            raise AssertionError("forecast, though another cannot")

    values = np.random.default_rng(0).gamma(0.6, 3.0, (3, 5, 1, 32, 32))
    with pytest.raises(ConfigError, match="steps needs a context of 3 frames, 2 given"):
        verify({"never": Never(1.0), "steps": Steps(RAIN_RATE)}, Clips(values))


@pytest.mark.parametrize("shape", [(1, 3, 1, 20, 20), (1, 1, 2, 1, 20, 20), (0, 1, 3, 1, 20, 20)])
def test_a_forecast_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    class Wrong(Shifted):
        def forecast(self, context: Context, /, horizon: int) -> np.ndarray:
            return np.zeros(shape, np.float32)

    values = np.random.default_rng(0).gamma(0.6, 3.0, (1, 5, 1, 20, 20))
    with pytest.raises(DataError, match=r"forecaster shifted: .*expected \(members, 1, 3, 1, 20, 20\)"):
        verify({"wrong": Wrong(1.0)}, Clips(values))
