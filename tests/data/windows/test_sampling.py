"""Rare rain: windows with rain come more often, and means over the archive stay what they are."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from framecast.data.datasets import ArchiveData
from framecast.data.windows.batches import Batches
from framecast.data.windows.sampling import Importance, Order
from framecast.data.windows.splits import ByBlocks
from framecast.errors import ConfigError
from framecast.types import Batch


@pytest.fixture
def mostly_dry(tmp_path: Path) -> Path:
    """200 frames, rain in the last 20."""
    values = np.zeros((200, 8, 8), dtype=np.float32)
    values[180:] = np.random.default_rng(0).gamma(0.5, 4, (20, 8, 8))
    values[:, 0, 0] = np.nan
    time = np.datetime64("2020-01-01", "ns") + np.arange(200) * np.timedelta64(5, "m")
    frames = xr.DataArray(values, dims=("time", "y", "x"), coords={"time": time}, attrs={"units": "mm/h"}, name="rain")
    frames.to_netcdf(tmp_path / "rain.nc", engine="h5netcdf")
    return tmp_path / "rain.nc"


def sampled(path: Path, sampling: Importance | None, count: int = 197) -> tuple[list[Batch], np.ndarray]:
    """Batches, and for each window in them 1 / (n p), by which a mean over them becomes one over the archive."""
    data = ArchiveData(path=str(path), context=2, horizon=2, split=ByBlocks(validation=0, test=0), sampling=sampling)
    sources = data.open()
    assert sources.train is not None
    batches = Batches(sources.train, sources.scaling, 8, probabilities=sources.probabilities)
    drawn = [index for number in range(count) for index, _, _ in batches.windows(number)]
    even = np.full(len(sources.train), 1 / len(sources.train))
    probabilities = even if sources.probabilities is None else sources.probabilities
    return [batches.batch(number) for number in range(count)], 1 / (len(sources.train) * probabilities[drawn])


@pytest.mark.parametrize("by", ["wet", "intensity"])
def test_rain_comes_more_often_and_means_stay_unbiased(mostly_dry: Path, by: str) -> None:
    evenly, _ = sampled(mostly_dry, None)
    often, weights = sampled(mostly_dry, Importance(by=by, least=0.05))  # type: ignore[arg-type]

    def mean_rain(batch: Batch) -> np.ndarray:
        return np.asarray(batch.frames.mean((1, 2, 3, 4)))

    plain = np.concatenate([mean_rain(batch) for batch in evenly])
    values = np.concatenate([mean_rain(batch) for batch in often])
    assert values.mean() > 2 * plain.mean()
    assert weights.mean() == pytest.approx(1, rel=0.02)
    assert (weights * values).mean() == pytest.approx(plain.mean(), rel=0.05)


def test_a_wet_window_is_drawn_as_often_as_it_is_wet() -> None:
    order = Order(4, np.array([0.1, 0.2, 0.3, 0.4]))
    counts = np.bincount(np.concatenate([order.epoch(0, k) for k in range(1000)]), minlength=4)
    np.testing.assert_allclose(counts / counts.sum(), [0.1, 0.2, 0.3, 0.4], atol=0.01)


def test_an_epoch_depends_on_seed_and_number_alone() -> None:
    chance = np.random.default_rng(0).random(50)
    one, other = Order(50, chance / chance.sum()), Order(50, chance / chance.sum())
    one.epoch(3, 1)
    np.testing.assert_array_equal(one.epoch(3, 2), other.epoch(3, 2))
    assert set(np.concatenate([Order(50).epoch(3, 2)])) == set(range(50))


def test_pictures_have_no_rain(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.random.default_rng(0).integers(0, 255, (40, 1, 8, 8), dtype=np.uint8))
    data = ArchiveData(path=str(tmp_path / "a.npy"), context=2, horizon=2, sampling=Importance())
    with pytest.raises(ConfigError, match="cannot be sampled by rain"):
        data.open()


def test_reflectivity_is_sampled_by_the_rain_it_means(mostly_dry: Path) -> None:
    frames = xr.DataArray(
        np.array([[[[-32.0, 40.0]]]], dtype=np.float32),
        dims=("time", "channel", "y", "x"),
        attrs={"units": "dBZ", "quantity": "reflectivity", "dry": -32.0},
    )
    assert Importance(by="intensity").of_frames(frames)[0, 0] == pytest.approx(0.5, abs=0.01)
    assert Importance(by="wet").of_frames(frames)[0, 0] == 0.5
