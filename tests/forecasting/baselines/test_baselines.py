"""Persistence and extrapolation: known answers, awkward fields, and an independent implementation."""

from pathlib import Path

import numpy as np
import pytest

import framecast
from framecast.data.motion.advection import advect
from framecast.data.motion.optical_flow import estimate_motion
from framecast.data.quantities import INTENSITY, RAIN_RATE
from framecast.forecasting.baselines.extrapolation import Extrapolation
from framecast.forecasting.baselines.persistence import Persistence
from framecast.forecasting.labels import forecast_frames
from framecast.forecasting.protocol import Context


def rain(height: int = 96, width: int = 112, seed: int = 0) -> np.ndarray:
    """A smooth field with dry and wet areas, in mm/h."""
    from scipy import ndimage

    noise = np.random.default_rng(seed).normal(size=(height, width))
    field = ndimage.gaussian_filter(noise, 4, mode="wrap")
    return np.clip(field / field.std() * 4 - 1, 0, None).astype(np.float32)


def moving(velocity: tuple[int, int], length: int) -> np.ndarray:
    """`(T, 1, H, W)`: rain that moves by whole pixels, coming in again at the other side."""
    return np.stack([np.roll(rain(), (velocity[0] * t, velocity[1] * t), (0, 1)) for t in range(length)])[:, None]


def test_persistence_stays() -> None:
    context = rain()[None, None].repeat(3, 0)
    context[-1, 0, 0, 0] = np.nan
    forecast = Persistence().forecast(Context(context[None]), 4)[0, 0]
    assert forecast.shape == (4, 1, 96, 112)
    for frame in forecast:
        np.testing.assert_array_equal(frame, context[-1])


@pytest.mark.parametrize("velocity", [(0, 0), (2, 0), (0, -3), (-2, 2), (4, 5)])
def test_steady_motion_is_found(velocity: tuple[int, int]) -> None:
    frames = np.log10(np.maximum(moving(velocity, 4)[:, 0], 0.1))
    inner = estimate_motion(frames)[:, 24:-24, 24:-24]
    np.testing.assert_allclose(inner.mean((1, 2)), velocity, atol=0.15)


@pytest.mark.parametrize("velocity", [(2, 0), (0, -3), (1, 2)])
def test_steady_motion_is_continued(velocity: tuple[int, int]) -> None:
    frames = moving(velocity, 10)
    forecast = Extrapolation(RAIN_RATE).forecast(Context(frames[None, :4]), 6)[0, 0]
    inner = np.s_[:, :, 24:-24, 24:-24]
    extrapolated = np.abs(forecast - frames[4:])[inner].mean()
    persisted = np.abs(frames[3:4] - frames[4:])[inner].mean()
    assert extrapolated < 0.1 * persisted


def test_whole_steps_of_a_known_field_are_exact() -> None:
    flow = np.stack([np.full((96, 112), 2.0), np.full((96, 112), -3.0)]).astype(np.float32)
    forecast = advect(rain()[None], flow, 3, 0.0)
    for k, frame in enumerate(forecast[:, 0], start=1):
        expected = np.roll(rain(), (2 * k, -3 * k), (0, 1))
        np.testing.assert_allclose(frame[2 * k :, : -3 * k], expected[2 * k :, : -3 * k], atol=1e-4)
        assert np.isnan(frame[: 2 * k]).all(), "the forecast has no basis where air comes in from outside"
        assert np.isnan(frame[:, -3 * k :]).all()


def test_no_data_moves_along() -> None:
    frame = rain()
    frame[40:60, 40:60] = np.nan
    flow = np.stack([np.full((96, 112), 5.0), np.zeros((96, 112))]).astype(np.float32)
    moved = advect(frame[None], flow, 1, 0.0)[0, 0]
    assert np.isnan(moved[45:65, 40:60]).all()
    assert np.isfinite(moved[40:45, 40:60]).all()


def test_pictures_are_continued_by_their_border() -> None:
    frames = moving((2, 0), 4) / 20
    assert np.isfinite(Extrapolation(INTENSITY).forecast(Context(frames[None]), 5)[0, 0]).all()


def partly(change: str) -> np.ndarray:
    frames = moving((1, 1), 4)
    if change == "all dry":
        frames[:] = 0
    elif change == "one dry frame":
        frames[2] = 0
    elif change == "rain at the edge only":
        frames[:, :, 8:] = 0
    elif change == "half without data":
        frames[:, :, :, :56] = np.nan
    elif change == "newest frame dry":
        frames[-1] = 0
    elif change == "no data at all":
        frames[:] = np.nan
    return frames


@pytest.mark.parametrize(
    "change",
    ["all dry", "one dry frame", "rain at the edge only", "half without data", "newest frame dry", "no data at all"],
)
def test_awkward_fields_give_a_forecast(change: str) -> None:
    frames = partly(change)
    forecast = Extrapolation(RAIN_RATE).forecast(Context(frames[None]), 3)[0, 0]
    known = forecast[np.isfinite(forecast)]
    assert (known >= 0).all()
    assert (known <= np.nanmax(frames, initial=0)).all()
    assert np.isfinite(forecast).any() == (change != "no data at all")
    if change == "all dry":
        assert not known.any()


def test_one_frame_has_no_motion() -> None:
    context = rain()[None, None]
    np.testing.assert_allclose(
        Extrapolation(RAIN_RATE).forecast(Context(context[None]), 2)[0, 0][1], context[0], atol=1e-4
    )


def test_the_forecast_continues_the_frames(radar: Path) -> None:
    frames = framecast.open(radar / "mch_20150515.nc").isel(time=slice(0, 5))
    forecast = forecast_frames(Extrapolation(RAIN_RATE), frames, 3)
    assert forecast.dims == ("init_time", "lead_time", "channel", "y", "x")
    assert forecast["init_time"].values[0] == frames["time"].values[-1]
    assert (forecast["lead_time"].values / np.timedelta64(1, "m")).tolist() == [5, 10, 15]
    np.testing.assert_array_equal(forecast["x"], frames["x"])
    assert forecast.attrs["units"] == "mm h-1"
    np.testing.assert_equal(forecast["crs"].attrs, frames["crs"].attrs)


def test_as_good_as_pysteps_on_a_real_event(radar: Path) -> None:
    """At least 95 % of the CSI of its Lucas-Kanade extrapolation, on the same pixels of one hour."""
    pytest.importorskip("pysteps")
    pytest.importorskip("cv2")
    from pysteps import extrapolation
    from pysteps import motion as motions

    window = framecast.open(radar / "mch_20150515.nc").isel(time=slice(8, 24)).values
    context, truth = window[:4], window[4:]
    decibels = 10 * np.log10(np.maximum(np.nan_to_num(context[:, 0]), 0.1))
    flow = motions.get_method("lucaskanade")(decibels, verbose=False)
    theirs = extrapolation.get_method("semilagrangian")(context[-1, 0], flow, 12, allow_nonfinite_values=True)[:, None]
    ours = Extrapolation(RAIN_RATE).forecast(Context(context[None]), 12)[0, 0]
    valid = np.isfinite(truth) & np.isfinite(ours) & np.isfinite(theirs)
    for threshold in (0.5, 1.0, 2.0):
        event = (truth >= threshold) & valid
        csi = []
        for forecast in (ours, theirs):
            said = (forecast >= threshold) & valid
            csi.append((event & said).sum() / (event | said).sum())
        assert csi[0] >= 0.95 * csi[1], threshold
