"""Climatology, and the ensembles of pysteps."""

import numpy as np
import pytest

from framecast.data.quantities import RAIN_RATE, REFLECTIVITY, ZR
from framecast.errors import DataError
from framecast.forecasting.baselines.climatology import Climatology
from framecast.forecasting.baselines.pysteps_ensembles import Linda, Steps
from framecast.forecasting.protocol import Context


class Windows:
    """Windows `(N, T, C, H, W)` in memory."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values.astype(np.float32)

    def __len__(self) -> int:
        return len(self.values)

    def read(self, index: int) -> np.ndarray:
        return self.values[index]


def shower(length: int = 4, size: int = 96) -> np.ndarray:
    """Rain that moves three pixels a frame to the right."""
    chance = np.random.default_rng(0)
    from scipy.ndimage import gaussian_filter

    field = gaussian_filter(chance.standard_normal((size, size * 2)), 5)
    field = np.maximum(field / field.std() - 0.5, 0) * 5
    frames = np.stack([field[:, 30 - 3 * k : 30 - 3 * k + size] for k in range(length)])[:, None]
    return np.where(frames < 0.1, 0, frames).astype(np.float32)


def test_climatology_is_the_mean_of_what_was_observed() -> None:
    values = np.random.default_rng(0).gamma(0.5, 2, (40, 3, 1, 6, 7))
    values[:, 0, 0, 0, 0] = np.nan
    values[:20, 0, 0, 1, 1] = np.nan
    climate = Climatology.from_windows(Windows(values))  # type: ignore[arg-type]
    forecast = climate.forecast(Context(np.zeros((1, 2, 1, 6, 7), np.float32)), 4)[0, 0]
    assert forecast.shape == (4, 1, 6, 7)
    assert np.isnan(forecast[:, 0, 0, 0]).all()
    assert forecast[3, 0, 1, 1] == pytest.approx(values[20:, 0, 0, 1, 1].mean(), rel=1e-5)
    other = climate.forecast(Context(np.zeros((1, 2, 1, 9, 9), np.float32)), 1)
    assert np.ptp(other) == 0
    with pytest.raises(DataError, match=r"rain\.nc: no training window"):
        Climatology.from_windows(None, "rain.nc")


@pytest.mark.parametrize(("kind", "size"), [(Steps, 96), (Linda, 48)])
def test_ensembles_follow_the_rain_and_spread(kind: type[Steps], size: int) -> None:
    pytest.importorskip("pysteps")
    frames = shower(7, size)
    ensemble = kind(RAIN_RATE, members=3)
    context = Context(frames[None, :4])
    every, fallback, *_ = ensemble.forecast(context, 3)
    members = every[:, 0]
    assert fallback is not None
    assert not fallback.any()
    assert members.shape == (3, 3, 1, size, size)
    there = np.isfinite(members).all((0, 2))
    truth = frames[4:, 0]
    error = np.abs(members.mean(0)[:, 0] - truth)[there].mean()
    assert error < 0.9 * np.abs(frames[3, 0] - truth)[there].mean()  # better than persistence
    assert members.std(0)[:, 0][there].mean() > 0


def test_steps_on_reflectivity_and_on_nothing() -> None:
    pytest.importorskip("pysteps")
    frames = shower()
    dbz = np.where(frames > 0, ZR().reflectivity(np.maximum(frames, 0.1)), -32).astype(np.float32)
    members = Steps(REFLECTIVITY, members=2).forecast(Context(dbz[None]), 2).values
    assert np.nanmin(members) == -32
    assert 20 < np.nanmax(members) < 60
    dry = Steps(RAIN_RATE, members=2).forecast(Context(np.zeros((1, 4, 1, 64, 64), np.float32)), 2)
    assert (dry.values == 0).all()
    assert dry.fallback.all()
