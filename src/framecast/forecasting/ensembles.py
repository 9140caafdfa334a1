"""Ensembles from any forecast distribution: members that follow it at each pixel, with the pattern of rain in space and time.

A member is the quantile of the distribution F at a random level that varies like rain,

    x(p, t) = F^-1(Phi(g(o(p, t), t)); p, t),

with g the noise of `framecast.forecasting.noise`, drawn in the coordinates of the newest frame, and o(p, t) the place in that
frame from which pixel p came: the noise moves with the rain. g has unit variance, so that the members have the distribution F
at each pixel whatever their correlations (a Gaussian copula). It is taken from the nearest pixel: interpolation would lower its
variance and smooth the small scales.

Between two rates of the ladder the logarithm of the rate is uniform; above the highest rate R it is R (1 + 0.4 E), E exponential,
whose mean is 1.4 R; below the lowest it is dry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from scipy import fft
from torch import Tensor

from framecast.errors import ArgumentError
from framecast.forecasting.latent_spectrum import MIN_WET, WET, latent_spectrum, ring_means, rings, taper, wavelengths
from framecast.forecasting.noise import RainNoise

TAIL = 0.4
"""The mean of the rates above the highest of the ladder, over that rate, less 1."""
_MATCHED, _ROUNDS = 8, 3
"""Spectra are matched at wavelengths below the smaller side of the frame over `_MATCHED`, in `_ROUNDS` rounds."""
_MARGIN = 32
"""Pixels by which the periodic grid of the noise is larger than the frame, so that opposite borders are hardly related."""


def draw_members(
    rates: Sequence[float] | np.ndarray,
    probability: np.ndarray,
    newest: np.ndarray,
    origins: np.ndarray,
    minutes: Sequence[float] | np.ndarray,
    *,
    members: int,
    seed: int,
    pixel: float = 1.0,
) -> np.ndarray:
    """Draw an ensemble of rain rates in mm/h of one case, `(M, L, H, W)` float32, NaN where there is no basis.

    `probability (K, L, H, W)` is the probability that the rate is at or above each of `rates (K,)` in mm/h, ascending; NaN where
    there is no basis. `newest (T, H, W)` are the newest frames in mm/h, NaN for no data, of which the last gives the spectrum.
    `origins (L, 2, H, W)` is where each pixel came from, as row and column in that frame, `minutes (L,)` the lead times, and
    `pixel` the spacing in km. Member i depends on `seed`, i and the newest frame, not on the number of members.

    Raises `ArgumentError` if the shapes do not fit, the rates or the minutes do not rise, or there is no member.
    """
    ladder, leads = np.asarray(rates, dtype=np.float64), np.asarray(minutes, dtype=np.float64)
    _check(ladder, probability, newest, origins, leads, members)
    height, width = newest.shape[-2:]
    shape = (fft.next_fast_len(height + _MARGIN, real=True), fft.next_fast_len(width + _MARGIN, real=True))
    noise = RainNoise(latent_spectrum(newest[-1], shape, pixel), shape, leads, pixel)
    laws = [_Law(ladder, torch.from_numpy(probability[:, lead])) for lead in range(len(leads))]
    places = [_nearest(origins[lead], shape[1])[law.wet] for lead, law in enumerate(laws)]
    _match_spectra(noise, newest[-1], laws, places)
    result = torch.empty(members, len(leads), height * width)
    for member in range(members):
        fields = noise.draw(_generator(seed, member, newest[-1]))
        for lead, (field, law, place) in enumerate(zip(fields, laws, places, strict=True)):
            result[member, lead] = law.member(field, place)
    return result.view(members, len(leads), height, width).numpy()


def _check(
    ladder: np.ndarray,
    probability: np.ndarray,
    newest: np.ndarray,
    origins: np.ndarray,
    minutes: np.ndarray,
    members: int,
) -> None:
    size, leads = newest.shape[-2:], len(minutes)
    expected = {"probability": (len(ladder), leads, *size), "origins": (leads, 2, *size)}
    for name, actual in {"probability": probability.shape, "origins": origins.shape}.items():
        if actual != expected[name]:
            raise ArgumentError(f"{name} of shape {actual}, expected {expected[name]}", parameter=name)
    if not len(ladder) or ladder[0] <= 0 or (np.diff(ladder) <= 0).any():
        raise ArgumentError("the rates of a ladder are above 0 and rise", parameter="rates")
    if not leads or minutes[0] <= 0 or (np.diff(minutes) <= 0).any():
        raise ArgumentError("lead times are above 0 and rise", parameter="minutes")
    if members < 1:
        raise ArgumentError(f"{members} members, expected 1 or more", parameter="members")


def _generator(seed: int, member: int, newest: np.ndarray) -> torch.Generator:
    """The random numbers of a member: each frame has its own, so that the errors of many cases are independent."""
    digest = hashlib.blake2b(newest.tobytes(), digest_size=8).digest()
    low, high = np.random.SeedSequence((seed, member, int.from_bytes(digest))).generate_state(2)
    return torch.Generator().manual_seed(int(low) << 31 ^ int(high))


def _nearest(origins: np.ndarray, stride: int) -> Tensor:
    """The pixel nearest to `origins (2, H, W)`, as an index into rows of `stride` pixels, `(H W,)`; the border is extended."""
    height, width = origins.shape[1:]
    row, column = (
        torch.from_numpy(place).round().clamp(0, side - 1).long()
        for place, side in zip(origins, (height, width), strict=True)
    )
    return (row * stride + column).view(-1)


def _match_spectra(noise: RainNoise, newest: np.ndarray, laws: Sequence[_Law], places: Sequence[Tensor]) -> None:
    """Adjust the spectra of the noise, so that the logarithm of the members has the spectrum of that of `newest (H, W)`, but for
    the variance, which the distributions decide."""
    observed = np.isfinite(newest)
    if (np.where(observed, newest, 0.0) >= WET).sum() < MIN_WET:
        return
    target = _Texture(np.where(observed, newest, 0.0), taper(observed), noise.shape)
    generator, ring = torch.Generator().manual_seed(0), rings(noise.shape)
    short = wavelengths(noise.shape, 1.0) < min(newest.shape) / _MATCHED
    known: dict[int, np.ndarray] = {}
    for lead in sorted({0, len(laws) // 4, len(laws) // 2, len(laws) - 1}):
        law, factor = laws[lead], np.ones(ring.max() + 1)
        weight = taper(np.isfinite(law.dry.view(newest.shape).numpy()))
        for _ in range(_ROUNDS):
            noise.adjust(lead, np.where(short, factor[ring], factor[ring[short].min()]))
            rates = law.member(noise.draw_one(lead, generator), places[lead]).view(newest.shape)
            drawn = _Texture(np.where(weight > 0, rates.numpy(), 0.0), weight, noise.shape)
            factor = np.clip(factor * np.clip(target.power / drawn.power, 0.5, 2.0), 0.05, 20)
        known[lead] = np.log(factor)
    for lead in range(len(laws)):
        factor = np.exp([np.interp(lead, list(known), column) for column in np.stack(list(known.values()), 1)])
        noise.adjust(lead, np.where(short, factor[ring], factor[ring[short].min()]))


class _Texture:
    """The spectrum by rings of the logarithm of `rates (H, W)`, `power (R,)`, as a share of its variance, under a `weight`."""

    def __init__(self, rates: np.ndarray, weight: np.ndarray, shape: tuple[int, int]) -> None:
        logarithm = np.log1p(rates / WET)
        departures = (logarithm - (logarithm * weight).sum() / max(weight.sum(), 1e-9)) * weight
        power = np.abs(fft.rfft2(departures.astype(np.float32), shape)) ** 2
        self.power = ring_means(power, shape) / max(float(np.square(departures).sum()), 1e-9) + 1e-12


class _Law:
    """The distributions of all pixels at one lead time, `probability (K, H, W)`, and their quantiles. Pixels that are surely dry
    are left out: `wet (N,)` are the indices of the others, `dry (H W,)` is 0, or NaN without basis."""

    def __init__(self, ladder: np.ndarray, probability: Tensor) -> None:
        known = probability.flatten(1)
        self.wet = torch.nonzero(known[0] > 0).view(-1)
        self.dry = torch.where(known.isnan().any(0), torch.nan, 0.0)
        self._above = known.index_select(1, self.wet)
        self._log_rates = np.log(ladder)
        self._top = float(ladder[-1])
        mass = (self._above[:-1] - self._above[1:]).clamp(min=1e-7)
        self._slopes = torch.from_numpy(np.diff(self._log_rates).astype(np.float32))[:, None] / mass

    def member(self, field: Tensor, place: Tensor) -> Tensor:
        """The rates `(H W,)` of noise `field (h, w)`, taken at the indices `place (N,)` of the pixels that may be wet."""
        rates = self.dry.clone()
        rates[self.wet] = self.quantiles(field.view(-1).index_select(0, place))
        return rates

    def quantiles(self, noise: Tensor) -> Tensor:
        """The rates at the levels Phi(`noise (N,)`)."""
        exceeded = torch.erfc(noise.mul_(np.sqrt(0.5))).mul_(0.5)  # 1 - Phi
        logarithm = torch.full_like(exceeded, float(self._log_rates[0]))
        for above, slope, step in zip(self._above, self._slopes, np.diff(self._log_rates), strict=False):
            logarithm += torch.sub(above, exceeded).mul_(slope).clamp_(0, float(step))
        rate = logarithm.exp_()
        rate[exceeded > self._above[0]] = 0.0
        extreme = torch.nonzero(exceeded < self._above[-1]).view(-1)
        share = exceeded[extreme].clamp(min=1e-12) / self._above[-1][extreme]
        rate[extreme] = self._top * (1 - TAIL * share.log())
        return rate
