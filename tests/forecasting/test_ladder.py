"""The fallback ladder: every fault of the table leads to what it declares, none ends the ladder, and the future is unseen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from framecast.data.quantities import RAIN_RATE
from framecast.forecasting.baselines.extrapolation import Extrapolation
from framecast.forecasting.bridging import interpolate_frame
from framecast.forecasting.faults import FAULTS
from framecast.forecasting.ladder import FALLBACKS, NOTHING, Ladder, Outcome
from framecast.forecasting.protocol import Context

STEP = np.timedelta64(5, "m")
START = np.datetime64("2026-06-01T12:00", "ns")
MODEL = "model"


class Model:
    """A forecaster of four frames."""

    name = MODEL
    context_length = 4

    def __init__(self, change: Callable[[np.ndarray], np.ndarray] = np.array) -> None:
        self.change = change

    def forecast(self, context: Context, /, horizon: int) -> np.ndarray:
        assert context.length == 4
        return self.change(Extrapolation(RAIN_RATE).forecast(context, horizon))


def shower(times: np.ndarray, height: int = 48, width: int = 56) -> np.ndarray:
    """A shower with a pattern of its own that moves 2 pixels east and 1 south a step, `(T, 1, H, W)`."""
    y, x = np.mgrid[:height, :width]
    fields = []
    for time in times:
        row, column = y - 18 - time, x - 16 - 2 * time
        rain = 12 * np.exp(-(row**2 / 60 + column**2 / 90)) * (1.2 + np.sin(row / 2) * np.cos(column / 3))
        fields.append(np.where(rain > 0.1, rain, 0))
    return np.stack(fields)[:, None].astype(np.float32)


def rain(count: int = 8, **attributes: Any) -> xr.DataArray:
    return xr.DataArray(
        shower(np.arange(count)),
        dims=("time", "channel", "y", "x"),
        coords={
            "time": START + np.arange(count) * STEP,
            "y": np.arange(48)[::-1] * 1000.0,
            "x": np.arange(56) * 1000.0,
        },
        attrs={"units": "mm h-1", "quantity": "rain_rate", "dry": 0.0, "repairs": []} | attributes,
        name="rain",
    )


NOW = START + 7 * STEP + np.timedelta64(2, "m")


def climb(frames: xr.DataArray | None, model: Any = None, **arguments: Any) -> Outcome:
    arguments = {"now": NOW, "max_age": np.timedelta64(30, "m")} | arguments
    return Ladder([model or Model(), *FALLBACKS]).forecast(frames, 3, **arguments)


def without(*numbers: int) -> xr.DataArray:
    frames = rain()
    return frames.isel(time=np.setdiff1d(np.arange(8), np.array(numbers) % 8))


def changed(number: int, change: Callable[[np.ndarray], Any]) -> xr.DataArray:
    frames = rain()
    frames.values[number] = change(frames.values[number])
    return frames


def half_observed(values: np.ndarray, share: float) -> np.ndarray:
    values = values.copy()
    values[..., round(values.shape[-1] * share) :] = np.nan
    return values


def copied(*numbers: int) -> xr.DataArray:
    frames = rain()
    for number in numbers:
        frames.values[number] = frames.values[number - 1]
    return frames


class Unreadable:
    """Frames of which one cannot be read."""

    def __new__(cls, number: int) -> xr.DataArray:
        import dask.array as da

        frames = rain()

        def read(block: np.ndarray, block_info: Any = None) -> np.ndarray:
            if block_info and block_info[0]["chunk-location"][0] == number % 8:
                raise OSError("truncated file")
            return block

        lazy = da.from_array(frames.values, chunks=(1, -1, -1, -1))
        return frames.copy(data=da.map_blocks(read, lazy, dtype=np.float32, meta=np.empty((0,) * 4, np.float32)))


def raising(error: Exception) -> Model:
    def fail(_: np.ndarray) -> np.ndarray:
        raise error

    return Model(fail)


def some_infinite(values: np.ndarray) -> np.ndarray:
    values = values.copy()
    values[..., 0, 0] = np.inf
    return values


SCENES: dict[str, tuple[Callable[[], Outcome], str, int]] = {
    # fault: the scene, the rung, and by how many steps the newest frame used is older than the newest of all
    "no_frames": (lambda: climb(None), NOTHING, 0),
    "other_quantity": (lambda: climb(rain(quantity="intensity", units="1"), quantity="rain_rate"), NOTHING, 0),
    "other_grid": (lambda: climb(rain(), grid=rain().isel(x=slice(1, None))), NOTHING, 0),
    "unknown_step": (lambda: climb(rain().isel(time=[-1])), NOTHING, 0),
    "too_old": (lambda: climb(rain(), now=NOW + 7 * STEP), NOTHING, 0),
    "missing": (lambda: climb(without(-2, -3)), "persistence", 0),
    "damaged": (lambda: climb(Unreadable(-1)), MODEL, 1),
    "empty": (lambda: climb(changed(-1, lambda values: np.nan)), MODEL, 1),
    "off_clock": (lambda: climb(rain().assign_coords(time=[*rain().time.values[:-1], NOW])), MODEL, 1),
    "future": (lambda: climb(rain(), now=NOW - STEP), MODEL, 1),
    "frozen": (lambda: climb(copied(-1)), MODEL, 1),
    "shrunken": (lambda: climb(changed(-1, lambda values: half_observed(values, 0.3))), MODEL, 1),
    "impossible": (lambda: climb(changed(-1, some_infinite)), MODEL, 0),
    "smaller": (lambda: climb(changed(-1, lambda values: half_observed(values, 0.7))), MODEL, 0),
    "bridged": (lambda: climb(without(-2)), MODEL, 0),
    "late": (lambda: climb(rain(), now=NOW + 2 * STEP), MODEL, 0),
    "dry": (lambda: climb(changed(-1, lambda values: 0.0)), MODEL, 0),
    "converted": (lambda: climb(rain(quantity="reflectivity", units="dBZ", dry=-32.0), quantity="rain_rate"), MODEL, 0),
    "too_few": (lambda: climb(without(-3, -4)), FALLBACKS[0], 0),
    "left_out": (lambda: climb(rain(), leave_out={MODEL: "late"}), FALLBACKS[0], 0),
    "failed": (lambda: climb(rain(), raising(ValueError("odd"))), FALLBACKS[0], 0),
    "out_of_memory": (lambda: climb(rain(), raising(RuntimeError("CUDA out of memory"))), FALLBACKS[0], 0),
    "not_finite": (lambda: climb(rain(), Model(lambda values: values * np.nan)), FALLBACKS[0], 0),
    "implausible": (lambda: climb(rain(), Model(lambda values: values + 300)), FALLBACKS[0], 0),
}


def test_every_fault_has_a_scene() -> None:
    assert set(SCENES) == set(FAULTS)


@pytest.mark.parametrize("name", SCENES)
def test_each_fault_leads_to_what_the_table_declares(name: str) -> None:
    scene, rung, older = SCENES[name]
    outcome = scene()
    assert name in outcome.faults
    assert outcome.rung == rung
    leads_to = FAULTS[name].leads_to
    assert (leads_to == "nothing") == (outcome.rung == NOTHING)
    if leads_to == "same rung":
        assert outcome.rung == MODEL
    if leads_to == "next rung":
        assert outcome.rung == FALLBACKS[0]
    if outcome.forecast is not None:
        newest = START + (7 - older) * STEP
        assert outcome.newest == newest
        assert outcome.forecast["init_time"].values[0] == newest
        assert outcome.forecast.attrs["framecast_rung"] == rung
        assert any(line.startswith(f"{name}: ") for line in outcome.forecast.attrs["framecast_reasons"].splitlines())
        assert len(outcome.largest) == 3


def test_good_frames_give_the_first_rung_without_a_reason() -> None:
    outcome = climb(rain())
    assert (outcome.rung, outcome.reasons, outcome.age) == (MODEL, (), 120.0)
    assert outcome.forecast is not None
    assert "framecast_reasons" not in outcome.forecast.attrs
    assert outcome.forecast.attrs["framecast_age_seconds"] == 120.0
    assert outcome.forecast.attrs["framecast_newest_frame"] == "2026-06-01T12:35:00Z"


def test_a_bridged_frame_is_the_truth_of_a_moving_field() -> None:
    before, truth, after = shower(np.array([0, 1, 2]))
    bridged = interpolate_frame(before, after, RAIN_RATE)
    still = (before + after) / 2
    assert np.abs(bridged - truth).mean() < 0.1 * np.abs(still - truth).mean()
    assert np.corrcoef(bridged.ravel(), truth.ravel())[0, 1] > 0.99


def test_a_bridged_frame_keeps_the_three_states() -> None:
    before, _, after = shower(np.array([0, 1, 2]))
    before[..., :10], after[..., :10] = np.nan, np.nan  # never observed
    after[..., -10:] = np.nan  # observed once
    bridged = interpolate_frame(before, after, RAIN_RATE)
    assert np.isnan(bridged[..., :8]).all()
    assert np.isfinite(bridged[..., 12:]).all()
    assert (bridged[..., 12:] == 0).any()


def test_a_dry_frame_stays_dry() -> None:
    outcome = climb(changed(slice(None), lambda values: np.zeros_like(values)))  # type: ignore[arg-type]
    assert (outcome.rung, outcome.faults) == (MODEL, ("dry",))
    assert set(outcome.largest) == {0.0}


def test_a_smaller_frame_is_forecast_for_its_area() -> None:
    outcome = climb(changed(-1, lambda values: half_observed(values, 0.7)))
    assert outcome.forecast is not None
    assert np.isnan(outcome.forecast.values[..., 45:]).all()
    assert np.isfinite(outcome.forecast.values[0, 0, ..., 10:30, 10:30]).all()


def test_a_hail_spike_in_the_frame_is_no_reason_for_no_forecast() -> None:
    outcome = climb(changed(-1, lambda values: np.where(values > values.max() - 0.5, 900, values)))
    assert outcome.rung == MODEL
    assert "impossible" in outcome.faults


def test_a_single_frame_of_a_known_step_persists() -> None:
    outcome = climb(rain().isel(time=[-1]), step=STEP)
    assert outcome.rung == "persistence"
    assert outcome.forecast is not None
    np.testing.assert_array_equal(outcome.forecast["lead_time"].values, np.arange(1, 4) * STEP)
    np.testing.assert_array_equal(outcome.forecast.values[0, -1], rain().values[-1])


@given(seed=st.integers(0, 2**31), present=st.integers(-2, 9))
@settings(max_examples=10)
def test_the_future_is_unseen(seed: int, present: int) -> None:
    """Whatever lies after the present changes nothing but what is said of it."""
    now = START + present * STEP + np.timedelta64(1, "m")
    other = rain()
    future = np.flatnonzero(other.time.values > now)
    other.values[future] = np.random.default_rng(seed).gamma(1, 5, other.values[future].shape)
    one, another = (climb(frames, now=now) for frames in (rain(), other))
    assert (one.rung, one.newest, one.faults) == (another.rung, another.newest, another.faults)
    if one.forecast is not None and another.forecast is not None:
        xr.testing.assert_identical(one.forecast, another.forecast)


CHANGES: dict[str, Callable[[xr.DataArray, int], xr.DataArray]] = {
    "absent": lambda frames, number: frames.isel(time=np.setdiff1d(np.arange(frames.sizes["time"]), [number])),
    "empty": lambda frames, number: _with(frames, number, np.nan),
    "dry": lambda frames, number: _with(frames, number, 0.0),
    "copy": lambda frames, number: _with(frames, number, frames.values[max(number - 1, 0)]),
    "small": lambda frames, number: _with(frames, number, half_observed(frames.values[number], 0.2)),
    "infinite": lambda frames, number: _with(frames, number, np.inf),
    "large": lambda frames, number: _with(frames, number, 1e6),
    "negative": lambda frames, number: _with(frames, number, -5.0),
    "jitter": lambda frames, number: _shifted(frames, number, 20),
    "off clock": lambda frames, number: _shifted(frames, number, 140),
}
MODELS = (
    Model(),
    raising(MemoryError()),
    Model(lambda values: np.full_like(values, np.inf)),
    Model(lambda values: values[..., :-1]),
)


def _with(frames: xr.DataArray, number: int, values: Any) -> xr.DataArray:
    frames = frames.copy(deep=True)
    frames.values[number] = values
    return frames


def _shifted(frames: xr.DataArray, number: int, seconds: int) -> xr.DataArray:
    times = frames["time"].values.copy()
    times[number] += np.timedelta64(seconds, "s")
    return frames.assign_coords(time=times)


@given(
    changes=st.lists(st.tuples(st.sampled_from(sorted(CHANGES)), st.integers(0, 7)), max_size=6),
    model=st.sampled_from(MODELS),
    minutes=st.integers(-20, 60),
    max_age=st.sampled_from([None, np.timedelta64(15, "m")]),
)
@settings(max_examples=40)
def test_any_faults_end_in_a_declared_outcome(
    changes: list[tuple[str, int]], model: Model, minutes: int, max_age: Any
) -> None:
    frames = rain()
    for name, number in changes:
        if number < frames.sizes["time"]:
            frames = CHANGES[name](frames, number)
    now = NOW + np.timedelta64(minutes, "m")
    outcome = climb(frames, model, now=now, max_age=max_age)
    assert outcome.rung in (MODEL, *FALLBACKS, NOTHING)
    assert set(outcome.faults) <= set(FAULTS)
    assert (outcome.forecast is None) == (outcome.rung == NOTHING)
    assert outcome.rung == MODEL or outcome.reasons
    if outcome.forecast is not None:
        assert outcome.newest is not None
        assert outcome.newest <= now
        assert max_age is None or outcome.age <= 900  # type: ignore[operator]
        assert np.nanmax(outcome.largest) <= RAIN_RATE.plausible


def test_the_document_shows_the_table() -> None:
    text = (Path(__file__).parents[2] / "docs" / "fallback.md").read_text()
    rows = [f"| `{fault.name}` | {fault.meaning} | {fault.leads_to} |" for fault in FAULTS.values()]
    assert [line for line in text.splitlines() if line.startswith("| `") and line.count("|") == 4] == rows
