"""Verification: the same pixels for all, undefined where it is undefined, and sums that can be added up again."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from framecast.data.quantities import INTENSITY, RAIN_RATE, REFLECTIVITY, ZR, Quantity
from framecast.data.windows.sources import Region
from framecast.errors import ConfigError, DataError
from framecast.forecasting.baselines.persistence import Persistence
from framecast.forecasting.protocol import Context
from framecast.types import FrameShape
from framecast.verification.result import Verification
from framecast.verification.verify import verify
from framecast.verification.views import event_frequency, observed_events, scored_share, spread_skill


class Clips:
    """Windows held in memory, `(N, T, C, H, W)`, each a block of its own."""

    def __init__(self, values: np.ndarray, quantity: Quantity = RAIN_RATE, context: int = 2) -> None:
        self.values, self.quantity = values.astype(np.float32), quantity
        _, length, channels, height, width = values.shape
        self.shape = FrameShape(channels, height, width, context, length - context)

    def __len__(self) -> int:
        return len(self.values)

    def size_of(self, index: int) -> tuple[int, int]:
        return self.shape.height, self.shape.width

    def read(self, index: int, region: Region | None = None) -> np.ndarray:
        return self.values[index].copy()

    def init_time(self, index: int) -> int:
        return index

    def block(self, index: int) -> tuple[int, ...]:
        return (index,)


class Shifted:
    """A forecast that is wrong by a constant, and without basis in its first row."""

    name = "shifted"
    context_length = 1

    def __init__(self, by: float) -> None:
        self.by = by

    def forecast(self, context: Context, /, horizon: int) -> np.ndarray:
        forecast = np.repeat(context.frames[:, -1:] + np.float32(self.by), horizon, axis=1)
        forecast[..., 0, :] = np.nan
        return forecast[None]


class Truth:
    """A forecast that knows the future, as no forecaster can, with `noise` added; `members` futures where more than one."""

    name = "truth"
    context_length = 2
    members = 1

    def __init__(self, values: np.ndarray, noise: float = 0.0, seed: int = 0) -> None:
        self.values, self.noise, self.rng = values.astype(np.float32), noise, np.random.default_rng(seed)

    def forecast(self, context: Context, /, horizon: int) -> np.ndarray:
        cases = [np.stack([self._case(frames) for _ in range(self.members)]) for frames in context.frames]
        return np.stack(cases, axis=1)

    def _case(self, frames: np.ndarray) -> np.ndarray:
        known = next(window for window in self.values if np.array_equal(window[:2], frames, equal_nan=True))
        noise = self.noise * self.rng.standard_normal(known[2:].shape)
        return np.asarray((known[2:] + noise).clip(0), dtype=np.float32)


class Ensemble(Truth):
    """Several of them."""

    members = 4


def showers(seed: int, cases: int = 6, missing: bool = True) -> np.ndarray:
    """Smooth rain with a hole in the data, some of it dry."""
    rng = np.random.default_rng(seed)
    values = rng.gamma(0.4, 6.0, (cases, 5, 1, 20, 22))
    values = (values + np.roll(values, 1, -1) + np.roll(values, 1, -2)) / 3
    values[..., :5] = 0
    values[0, 3:] = 0
    if missing:
        values[..., 8:11, 9:12] = np.nan
    return values


def rain(cases: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).gamma(0.4, 5.0, (cases, 5, 1, 14, 15))


def steady(cases: int = 3) -> np.ndarray:
    """Windows in which nothing changes, so that errors are known."""
    return np.repeat(rain(cases)[:, :1], 5, axis=1)


def test_errors_are_those_of_the_forecasts() -> None:
    result = verify({"shifted": Shifted(2.0), "persistence": Persistence()}, Clips(steady()))
    assert result.frame("shifted", "mse").value == pytest.approx(4.0, rel=1e-5)
    assert result.frame("shifted", "mae").value == pytest.approx(2.0, rel=1e-5)
    assert result.frame("persistence", "mse").value == 0
    assert result.frame("persistence", "ssim").value == pytest.approx(1)
    rmse = result.metric("rmse")
    np.testing.assert_allclose(result.curve("shifted", rmse).values, [2, 2, 2], rtol=1e-5)
    assert [result.event("persistence", "csi", k).value for k in range(3)] == [1, 1, 1]


def test_all_are_scored_on_the_same_pixels() -> None:
    values = steady()
    values[:, 3, :, 5] = np.nan
    result = verify({"shifted": Shifted(1.0), "persistence": Persistence()}, Clips(values))
    np.testing.assert_allclose(scored_share(result), [13 / 14, 12 / 13, 13 / 14])
    pixels = result.sums["pixels"].values
    assert (pixels[:, 0] == 13 * 15).all()
    assert (pixels[:, 1] == 12 * 15).all()
    counted = sum(result.sums[name].values for name in ("hits", "misses", "false_alarms", "correct_negatives"))
    assert (counted == pixels[None, ..., None]).all()


def test_nothing_seen_of_the_future_changes_a_forecast() -> None:
    values = rain()
    other = values.copy()
    other[:, 2:] += 10
    forecasts = [verify({"p": Persistence()}, Clips(v), examples=4).examples for v in (values, other)]
    for one, two in zip(*([e for e in each if not e.why] for each in forecasts), strict=True):
        np.testing.assert_array_equal(one.forecasts["p"], two.forecasts["p"])


def test_dry_data_is_undefined_where_events_are_asked_for() -> None:
    result = verify({"persistence": Persistence()}, Clips(np.zeros((2, 5, 1, 14, 14))))
    assert result.frame("persistence", "mse").value == 0
    for score in ("csi", "pod", "far", "bias", "ets", "hss"):
        assert np.isnan(result.event("persistence", score, 0).value), score
        assert result.event("persistence", score, 0).interval is None
    assert (observed_events(result, 0) == 0).all()


def test_no_overlap_at_all_is_undefined() -> None:
    values = rain()
    values[:, 2:] = np.nan
    result = verify({"persistence": Persistence()}, Clips(values))
    assert np.isnan(result.frame("persistence", "mse").value)
    assert np.isnan(scored_share(result)).all()


def test_thresholds_are_converted_to_reflectivity_by_the_stated_relation() -> None:
    dbz = np.clip(rain() * 4, -32, 60)
    result = verify({"persistence": Persistence()}, Clips(dbz, REFLECTIVITY), rates=(1.0,), zr=ZR(a=200, b=1.6))
    assert result.thresholds == (pytest.approx(10 * np.log10(200)),)
    assert result.rates == (1.0,)


def test_images_have_no_events() -> None:
    pictures = Clips(np.random.default_rng(0).random((2, 5, 3, 12, 12)), INTENSITY)
    with pytest.raises(ConfigError, match="rates: rain rates given, and the frames are intensity"):
        verify({"persistence": Persistence()}, pictures, rates=(0.5,))
    result = verify({"persistence": Persistence()}, pictures)
    assert result.metrics("event") == []
    assert result.thresholds == ()


def test_an_interval_is_of_independent_blocks() -> None:
    result = verify({"persistence": Persistence()}, Clips(rain(30)))
    value, interval = result.frame("persistence", "mse")
    assert interval is not None
    assert interval[0] < value < interval[1]
    alone = verify({"persistence": Persistence()}, Clips(rain(1)))
    assert alone.frame("persistence", "mse").interval is None


@pytest.mark.parametrize("batch_size", [1, 3, 7])
def test_batches_change_nothing(batch_size: int) -> None:
    results = [verify({"shifted": Shifted(1.0)}, Clips(rain(7)), batch_size=size) for size in (7, batch_size)]
    xr.testing.assert_identical(results[0].sums, results[1].sums)


def test_large_frames_are_scored_in_pieces_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = verify({"shifted": Shifted(1.0)}, Clips(rain(5)))
    monkeypatch.setattr("framecast.verification.case_sums.MAX_PIXELS", 1)
    monkeypatch.setattr("framecast.verification.run.MAX_PIXELS", 1)
    in_pieces = verify({"shifted": Shifted(1.0)}, Clips(rain(5)))
    xr.testing.assert_allclose(in_pieces.sums, whole.sums, rtol=1e-12)


def test_scores_do_not_depend_on_how_often_a_channel_is_repeated() -> None:
    values = showers(3)

    def scores(channels: int) -> list[float]:
        several = np.repeat(values, channels, axis=2)
        result = verify({"some": Ensemble(several, 2.0), "one": Persistence()}, Clips(several))
        _, skill = spread_skill(result, "one")
        return [
            result.frame("one", "crps").value,
            result.frame("one", "mae").value,
            *skill,
            event_frequency(result, 0),
        ]

    once, thrice = scores(1), scores(3)
    assert once[0] == pytest.approx(once[1])
    assert thrice == pytest.approx(once, rel=1e-6)


def test_a_limit_spreads_the_cases() -> None:
    result = verify({"persistence": Persistence()}, Clips(rain(9)), limit=3, examples=2)
    assert result.sums["case"].values.tolist() == [0, 4, 8]
    assert [example.case for example in result.examples if not example.why] == [0, 8]
    assert {example.why for example in result.examples} == {"", "best", "worst"}


def test_saved_sums_give_the_same_scores(tmp_path: Path) -> None:
    result = verify({"shifted": Shifted(1.0), "persistence": Persistence()}, Clips(rain(6)))
    result.save(tmp_path / "cases.nc")
    with xr.open_dataset(tmp_path / "cases.nc") as again:
        saved = Verification(again.load(), result.convention, result.quantity, result.rates, result.thresholds)
    for name in result.forecasters:
        for metric in result.metrics():
            (value, interval), (again, other) = saved.score(name, metric), result.score(name, metric)
            np.testing.assert_equal(value, again)
            assert interval == other
    assert list(tmp_path.iterdir()) == [tmp_path / "cases.nc"]


def test_the_time_of_a_forecast_is_measured() -> None:
    result = verify({"shifted": Shifted(1.0), "persistence": Persistence()}, Clips(rain(3)))
    assert set(result.seconds) == {"shifted", "persistence"}
    assert all(0 < seconds < 60 for seconds in result.seconds.values())


def test_a_source_without_windows_is_refused() -> None:
    with pytest.raises(DataError, match="no window"):
        verify({"persistence": Persistence()}, Clips(rain(0).reshape(0, 5, 1, 14, 15)))


class TwoGrids(Clips):
    """Every second window lies on a smaller grid."""

    def size_of(self, index: int) -> tuple[int, int]:
        return (self.shape.height, self.shape.width) if index % 2 == 0 else (12, 12)

    def read(self, index: int, region: Region | None = None) -> np.ndarray:
        height, width = self.size_of(index)
        return self.values[index, ..., :height, :width].copy()


def test_windows_on_two_grids_keep_their_numbers() -> None:
    """Batches hold one size each, so windows are not worked on in their order."""
    source = TwoGrids(rain(cases=6))
    together = verify({"persistence": Persistence()}, source, batch_size=4).sums
    alone = verify({"persistence": Persistence()}, source, batch_size=1).sums
    assert together.sizes["case"] == 6
    for case in range(6):
        one, other = together.sel(case=case), alone.sel(case=case)
        assert int(one["height"]) == source.size_of(case)[0]
        np.testing.assert_allclose(one["mse"], other["mse"])
        assert int(one["init_time"]) == int(other["init_time"]) == case
