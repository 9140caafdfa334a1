"""Ensembles from distributions: members follow them at each pixel, move with the rain and look like it."""

from typing import Any

import numpy as np
import pytest
import torch

from framecast.errors import ArgumentError
from framecast.forecasting.distribution import Distribution
from framecast.forecasting.ensembles import draw_members
from framecast.forecasting.latent_spectrum import latent_spectrum, wavelengths
from framecast.forecasting.noise import RainNoise
from framecast.scores.structure import WAVELENGTHS, spectrum

RATES = np.array([0.1, 0.5, 2.0, 8.0])
MINUTES = np.array([5.0, 10.0, 20.0, 40.0])


def power_law_field(side: int, seed: int, slope: float = 3.0) -> np.ndarray:
    """A normal field with a power spectrum that falls with the wavenumber to the power `slope`."""
    wavenumber = 1 / wavelengths((side, side), 1.0)
    noise = np.fft.rfft2(np.random.default_rng(seed).standard_normal((side, side)))
    field = np.fft.irfft2(noise * wavenumber ** (-slope / 2), (side, side))
    return (field - field.mean()) / field.std()


def rain(side: int = 64, seed: int = 0) -> np.ndarray:
    """Rain rates in mm/h of one frame, wet in a third of its pixels."""
    field = power_law_field(side, seed)
    return np.where(field > 0.4, np.exp(field), 0.0).astype(np.float32)


def case(side: int = 64, **changes: Any) -> dict[str, Any]:
    """The arguments of `draw_members` for rain that stays where it is and becomes uncertain."""
    frame = rain(side)
    level = np.stack([1 / (1 + (rate / np.maximum(frame, 0.02)) ** 1.5) for rate in RATES])
    probability = np.repeat(level[:, None], len(MINUTES), axis=1).astype(np.float32)
    origins = np.broadcast_to(np.indices((side, side), dtype=np.float32), (len(MINUTES), 2, side, side)).copy()
    return {
        "rates": RATES,
        "probability": probability,
        "newest": frame[None],
        "origins": origins,
        "minutes": MINUTES,
        "members": 3,
        "seed": 0,
    } | changes


def test_members_follow_the_distribution_at_each_pixel() -> None:
    given = case(32, members=800)
    members = draw_members(**given)
    # 5 standard deviations of a share of 800 members and 3 members of small probabilities: none of 16,384 places is further off
    for rate, probability in zip(RATES, given["probability"], strict=True):
        share = (members >= rate).mean(0)
        error = np.sqrt(probability * (1 - probability) / 800)
        assert (np.abs(share - probability) <= 5 * error + 3 / 800).all()


def test_members_have_the_law_of_the_distribution_between_rates_and_above_them() -> None:
    rates, probability = np.array([1.0, 4.0]), np.full((2, 1, 1, 4000), 0.8, dtype=np.float32)
    probability[1] = 0.4
    frame = np.zeros((1, 1, 4000), dtype=np.float32)
    origins = np.indices((1, 4000), dtype=np.float32)[None]
    members = draw_members(rates, probability, frame, origins, [30.0], members=50, seed=1)
    law = Distribution(rates, probability[:, None])
    assert set(np.unique(members[members < 1])) == {0}
    assert members.mean() == pytest.approx(law.mean().mean(), rel=0.01)
    for rate in (1, 1.5, 2, 3, 4, 8):
        assert (members >= rate).mean() == pytest.approx(law.exceedance([rate]).mean(), abs=0.01)


def test_a_seed_and_the_number_of_a_member_decide_alone() -> None:
    few, many, other = draw_members(**case()), draw_members(**case(members=5)), draw_members(**case(seed=1))
    np.testing.assert_array_equal(few, many[:3])
    assert (few != other).any()
    assert (few[0] != few[1]).any()


def test_certain_distributions_leave_members_no_choice() -> None:
    frame = rain()
    certain = np.stack([np.broadcast_to(frame >= rate, (len(MINUTES), 64, 64)) for rate in RATES]).astype(np.float32)
    members = draw_members(**case(probability=certain))
    for rate in RATES:
        np.testing.assert_array_equal(members >= rate, np.broadcast_to(frame >= rate, members.shape))


def test_noise_moves_with_the_rain() -> None:
    still = case()
    moved = case(origins=still["origins"] - np.float32([0.3, 4.2])[:, None, None])
    same = np.full_like(still["probability"], 0.5) * np.float32([1.0, 0.8, 0.6, 0.4])[:, None, None, None]
    stays = draw_members(**still | {"probability": same})
    moves = draw_members(**moved | {"probability": same})
    there, here = (np.log1p(10 * each).ravel() for each in (moves[..., 4:], stays[..., :-4]))
    assert np.corrcoef(there, here)[0, 1] > 0.9


def test_noise_of_neighbouring_lead_times_is_related_and_forgets() -> None:
    shape = (96, 90)
    noise = RainNoise(latent_spectrum(rain(90), shape, 1.0), shape, np.array([5.0, 10.0, 15.0, 60.0]), 1.0)
    draws = np.stack(
        [[field.numpy().ravel() for field in noise.draw(torch.Generator().manual_seed(k))] for k in range(40)]
    )
    assert draws.var(axis=(0, 2)) == pytest.approx(1.0, abs=0.15)
    near, far = ((draws[:, 1] * draws[:, lead]).mean() for lead in (2, 3))
    assert 0.3 < near < 0.95
    assert 0 < far < near


def test_small_scales_are_uncertain_before_large_ones() -> None:
    shape = (128, 128)
    noise = RainNoise(latent_spectrum(rain(128), shape, 1.0), shape, np.array([5.0, 90.0]), 1.0)
    first, last = (np.stack(fields) for fields in zip(*[_drawn(noise, seed) for seed in range(20)], strict=True))
    smooth = lambda fields: fields.reshape(20, 8, 16, 8, 16).mean((2, 4)).var()  # noqa: E731
    assert smooth(first) < 0.6 * smooth(last)


def _drawn(noise: RainNoise, seed: int) -> list[np.ndarray]:
    return [field.numpy() for field in noise.draw(torch.Generator().manual_seed(seed))]


def test_heavy_rain_has_a_finer_pattern_than_light_rain() -> None:
    frame = rain(256)
    rates = np.geomspace(0.1, 32, 24)
    climate = np.stack([np.full((1, 256, 256), (frame >= rate).mean()) for rate in rates]).astype(np.float32)
    origins = np.indices((256, 256), dtype=np.float32)[None]
    members = draw_members(rates, climate, frame[None], origins, [60.0], members=8, seed=0)[:, 0]
    light, heavy = (neighbours_alike(members >= limit) for limit in np.quantile(frame[frame > 0.1], [0.3, 0.9]))
    # without the fine noise: 0.86 and 0.76; with it 0.86 and 0.69
    assert light > 0.83
    assert heavy < 0.73


def neighbours_alike(events: np.ndarray) -> float:
    """Of the pixels with an event, the share whose right neighbour has it too."""
    return float((events[..., 1:] & events[..., :-1]).sum() / events[..., :-1].sum())


def test_there_is_no_value_without_basis() -> None:
    given = case()
    given["probability"][:, 1, :, :10] = np.nan
    members = draw_members(**given)
    assert np.isnan(members[:, 1, :, :10]).all()
    assert np.isfinite(members[:, 1, :, 10:]).all()
    assert np.isfinite(members[:, [0, 2, 3]]).all()


def test_a_dry_forecast_stays_dry() -> None:
    dry = np.zeros((1, 64, 64), dtype=np.float32)
    members = draw_members(**case(newest=dry, probability=np.zeros((4, 4, 64, 64), dtype=np.float32)))
    assert (members == 0).all()


@pytest.mark.parametrize("wet", [0, 1, 30, 399, 401])
def test_little_rain_is_enough(wet: int) -> None:
    frame = np.zeros((64, 64), dtype=np.float32)
    frame.ravel()[:wet] = 1.0
    frame[40:] = np.nan
    assert np.isfinite(draw_members(**case(newest=frame[None]))).all()


@pytest.mark.parametrize("side", [1, 8, 31, 33])
def test_frames_may_be_small(side: int) -> None:
    frame = np.full((1, side, 600), 2.0, dtype=np.float32) + np.arange(600, dtype=np.float32) % 7
    probability = np.full((2, 1, side, 600), 0.5, dtype=np.float32)
    origins = np.indices((side, 600), dtype=np.float32)[None]
    members = draw_members([0.5, 2.0], probability, frame, origins, [10.0], members=2, seed=0)
    assert 0.2 < (members >= 2).mean() < 0.8


@pytest.mark.parametrize("rate", [np.nan, 0.0, 1.0])
def test_frames_without_texture_have_the_standard_spectrum(rate: float) -> None:
    members = draw_members(**case(newest=np.full((1, 64, 64), rate, dtype=np.float32)))
    assert np.isfinite(members).all()
    assert 0.1 < (members > 0).mean() < 0.9


@pytest.mark.parametrize("slope", [2.5, 3.0, 3.5])
def test_the_spectrum_behind_a_censored_field_is_recovered(slope: float) -> None:
    frames = [power_law_field(256, seed, slope) for seed in range(3)]
    shape = (288, 288)
    estimates = [latent_spectrum(np.where(each > 0.5, np.exp(each), 0.0), shape, 1.0) for each in frames]
    wavelength = wavelengths(shape, 1.0)
    rings = np.digitize(wavelength, [4, 5.7, 8, 11.3, 16, 22.6]).ravel()
    powers = (np.bincount(rings, part.ravel())[1:-1] for part in (np.mean(estimates, 0), wavelength**slope))
    ratio = np.divide(*powers)
    assert ratio / ratio.mean() == pytest.approx(1, abs=0.25)


def test_members_without_skill_have_the_spectrum_of_the_rain() -> None:
    frames = [rain(320, seed)[:256, :256] for seed in range(10)]  # not periodic, as rain is not
    observed = np.mean([log_power(frame) for frame in frames], 0)
    forecast = np.mean([log_power(member) for frame in frames for member in climate_members(frame)], 0)
    rings = np.flatnonzero((np.array(WAVELENGTHS[:-1]) >= 4) & (np.array(WAVELENGTHS[1:]) <= 16.1))
    assert forecast[rings] / observed[rings] == pytest.approx(1, abs=0.2)


def climate_members(frame: np.ndarray) -> np.ndarray:
    """Two members `(2, H, W)` of a forecast that knows the distribution of a frame only."""
    rates = np.geomspace(0.1, 32, 24)
    climate = np.stack([np.full((1, *frame.shape), (frame >= rate).mean()) for rate in rates]).astype(np.float32)
    origins = np.indices(frame.shape, dtype=np.float32)[None]
    return draw_members(rates, climate, frame[None], origins, [1e5], members=2, seed=0)[:, 0]


def log_power(rates: np.ndarray) -> np.ndarray:
    """The power spectrum of the logarithm of rain rates."""
    logarithm = torch.from_numpy(np.log1p(10 * rates))[None, None, None]
    return spectrum(logarithm, torch.ones_like(logarithm, dtype=torch.bool))[0, 0].numpy()


def test_arguments_that_do_not_fit_are_named() -> None:
    for changes, parameter in (
        ({"rates": [0.1, 2.0]}, "probability"),
        ({"origins": np.zeros((4, 2, 8, 8), dtype=np.float32)}, "origins"),
        ({"rates": [0.5, 0.1, 2.0, 8.0]}, "rates"),
        ({"minutes": [5.0, 5.0, 10.0, 15.0]}, "minutes"),
        ({"members": 0}, "members"),
    ):
        with pytest.raises(ArgumentError) as raised:
            draw_members(**case(**changes))
        assert raised.value.parameter == parameter
