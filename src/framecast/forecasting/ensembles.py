"""Ensembles from any forecast distribution: members that follow it at each pixel, with the pattern of rain in space and time.

A member is the quantile of the distribution F at a random level that varies like rain,

    x(p, t) = F^-1(Phi(g(o(p, t), t)); p, t),

with g the noise of `framecast.forecasting.noise`, drawn in the coordinates of the newest frame, and o(p, t) the place in that
frame from which pixel p came: the noise moves with the rain. g has unit variance, so that the members have the distribution F
at each pixel whatever their correlations (a Gaussian copula). Between pixels it is interpolated bilinearly, with weights that
keep the variance; the small scales that this smooths are restored by the next step.

The spectrum of the noise begins as that behind the newest frame (`framecast.forecasting.latent_spectrum`). What F knows and where
it is dry leaves other marks on the members, so trial members are drawn at some lead times, and the noise at each wavelength is
multiplied by the ratio of the spectra of the newest frame and of the trial (of the logarithm of the rate, each relative to its
variance), three times. The truth has no part in it.

Heavy rain has a finer pattern than light rain, which one Gaussian field does not give. Above the rate c that half of the rain
reaches, with the probability P(c), the level is therefore mixed with noise h of small scales,

    1 - u' = P(c) Phi(sqrt(1 - a^2) Phi^-1((1 - u) / P(c)) + a h)    where u = Phi(g) and 1 - u < P(c),

which leaves the distribution as it is.

Between the rates of the ladder F is as in `framecast.forecasting.distribution`: log-logistic; a Pareto distribution above the
highest, whose mean is 1.4 times that rate; dry below the lowest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import scipy  # its parts are imported when they are first used
import torch
from torch import Tensor

from framecast.errors import ArgumentError
from framecast.forecasting.distribution import LARGEST, NEAREST, TAIL
from framecast.forecasting.latent_spectrum import (
    WET,
    has_texture,
    latent_spectrum,
    ring_means,
    ring_wavelengths,
    taper,
    wavelengths,
)
from framecast.forecasting.noise import RainNoise

MIXED = 0.6
"""The weight of the fine noise in the levels of heavy rain."""
_FINE, _TILE = 16.0, 256
"""Above this wavelength in km the spectrum of the fine noise falls with its square; the side in pixels of the tile in which it is
drawn, which is repeated."""
_MATCHED, _ROUNDS = 8, 3
"""Spectra are matched at wavelengths below the smaller side of the frame over `_MATCHED`, in `_ROUNDS` rounds."""
_SURELY_DRY = 1e-4
"""A pixel with a smaller probability of the lowest rate is dry in all members."""
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
    rows, columns = (scipy.fft.next_fast_len(side + _MARGIN, real=True) for side in (height, width))
    shape = (rows, columns)
    noise = RainNoise(latent_spectrum(newest[-1], shape, pixel), shape, leads, pixel)
    split = _split(ladder, newest[-1])
    fine = RainNoise(_fine_spectrum(newest[-1], pixel), (_TILE, _TILE), leads, pixel)
    result = torch.empty(members, len(leads), height * width)
    with _threads() as pool:
        laws = list(
            pool.map(lambda lead: _Law(ladder, torch.from_numpy(probability[:, lead]), split), range(len(leads)))
        )
        places = list(pool.map(lambda origin, law: _Places(origin, law.wet, shape[1]), origins, laws))
        _match_spectra(noise, fine, newest[-1], laws, places, pool)

        def draw(member: int) -> None:
            fields = (each.draw(_generator(seed, member, newest[-1], part)) for part, each in enumerate((noise, fine)))
            for lead, (field, tile, law, place) in enumerate(zip(*fields, laws, places, strict=True)):
                result[member, lead] = law.member(place.take(field), place.tiled(tile))

        list(pool.map(draw, range(members)))
    return result.view(members, len(leads), height, width).numpy()


@contextmanager
def _threads() -> Iterator[ThreadPoolExecutor]:
    """As many threads as PyTorch uses, each of which works on a lead time or a member of its own: within one operation random
    numbers would not be drawn in parallel."""
    count = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(count) as pool:
            yield pool
    finally:
        torch.set_num_threads(count)


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


def latent_noise(seed: int, member: int, newest: np.ndarray, shape: tuple[int, int]) -> Tensor:
    """The normal noise `(B, *shape)` of a member of a model that draws samples, for cases whose newest frames are `newest (B, C,
    H, W)`."""
    return torch.stack([torch.randn(shape, generator=_generator(seed, member, each, 0)) for each in newest])


def _generator(seed: int, member: int, newest: np.ndarray, part: int) -> torch.Generator:
    """The random numbers of a part of a member: each frame has its own, so that the errors of many cases are independent."""
    digest = hashlib.blake2b(newest.tobytes(), digest_size=8).digest()
    low, high = np.random.SeedSequence((seed, member, part, int.from_bytes(digest))).generate_state(2)
    return torch.Generator().manual_seed(int(low) << 31 ^ int(high))


def _split(ladder: np.ndarray, newest: np.ndarray) -> int:
    """The index of the highest rate of the ladder that half of the rain in `newest (H, W)` reaches."""
    rain = newest[np.isfinite(newest) & (np.where(np.isfinite(newest), newest, 0.0) >= ladder[0])]
    return max(int(np.searchsorted(ladder, np.median(rain), side="right")) - 1, 0) if len(rain) else 0


def _fine_spectrum(newest: np.ndarray, pixel: float) -> np.ndarray:
    """The spectrum of the fine noise, on its tile: that behind the newest frame `(H, W)`, without the large scales."""
    shape = (_TILE, _TILE)
    return latent_spectrum(newest, shape, pixel) / (1 + (wavelengths(shape, pixel) / _FINE) ** 2)


class _Places:
    """Where noise is taken for the pixels `wet (N,)`, from `origins (2, H, W)`, on a grid with rows of `stride` pixels; the
    border of the frame is extended."""

    def __init__(self, origins: np.ndarray, wet: Tensor, stride: int) -> None:
        corners, self._parts, self._stride = [], [], stride
        for place, side in zip(torch.from_numpy(origins).flatten(1), origins.shape[1:], strict=True):
            inside = place.index_select(0, wet).clamp(0, side - 1)
            corners.append(inside.floor())
            self._parts.append(inside - corners[-1])
        self._first = corners[0].long() * stride + corners[1].long()
        self._tile = (corners[0].long() % _TILE) * _TILE + corners[1].long() % _TILE
        self._weights: list[Tensor] = []

    def keep_variance(self, down: float, along: float, diagonal: float, other: float) -> None:
        """Set the weights of the four pixels around each place, so that the mean of noise of unit variance, correlated as given
        by `RainNoise.neighbour_correlations`, has unit variance too."""
        row, column = self._parts
        a, b, c, d = (1 - row) * (1 - column), (1 - row) * column, row * (1 - column), row * column
        pairs = (a * b + c * d) * along + (a * c + b * d) * down + a * d * diagonal + b * c * other
        scale = (a * a + b * b + c * c + d * d + 2 * pairs).rsqrt()
        self._weights = [a * scale, b * scale, c * scale, d * scale]

    def tiled(self, tile: Tensor) -> Callable[[Tensor], Tensor]:
        """A function that takes the noise of a periodic `tile`, repeated over the frame, at some of the places, by number."""
        flat = tile.view(-1)
        return lambda some: flat.index_select(0, self._tile.index_select(0, some))

    def take(self, field: Tensor) -> Tensor:
        """The noise `field (h, w)` at all places `(N,)`."""
        flat = field.view(-1)
        steps = (0, 1, self._stride, self._stride + 1)
        corners = (flat[step:].index_select(0, self._first) for step in steps)
        first, *others = (corner.mul_(weight) for corner, weight in zip(corners, self._weights, strict=True))
        for other in others:
            first += other
        return first


def _match_spectra(
    noise: RainNoise,
    fine: RainNoise,
    newest: np.ndarray,
    laws: Sequence[_Law],
    places: Sequence[_Places],
    pool: ThreadPoolExecutor,
) -> None:
    """Adjust the spectra of the noise, so that the logarithm of the members has the spectrum of that of `newest (H, W)`, but for
    the variance, which the distributions decide."""
    if has_texture(newest):
        observed = np.isfinite(newest)
        target = _Texture(np.where(observed, newest, 0.0), taper(observed), noise.shape)
        leads = sorted({0, len(laws) // 3, len(laws) - 1})
        factors = pool.map(lambda lead: _match_lead(noise, fine, lead, target, laws[lead], places[lead]), leads)
        known = np.log(list(factors))
        for lead in range(len(laws)):
            noise.adjust(lead, np.exp([np.interp(lead, leads, values) for values in known.T]))
    for lead, place in enumerate(places):
        place.keep_variance(*noise.neighbour_correlations(lead))


def _match_lead(
    noise: RainNoise, fine: RainNoise, lead: int, target: _Texture, law: _Law, places: _Places
) -> np.ndarray:
    """The factors of each ring `(R,)` with which members at a lead time have the `target` spectrum."""
    generator = torch.Generator().manual_seed(0)
    weight = taper(np.isfinite(law.dry.view(target.size).numpy()))

    def texture(level: Tensor) -> _Texture:
        tile = places.tiled(fine.draw_one(lead, generator))
        return _Texture(
            np.where(weight > 0, law.member(level, tile).view(target.size).numpy(), 0.0), weight, noise.shape
        )

    # The variance of members, without the chance of one pattern: the levels of all pixels are independent.
    power = target.power * texture(torch.randn(len(law.wet), generator=generator)).variance / target.variance
    matched = ring_wavelengths(noise.shape) < min(target.size) / _MATCHED
    factor = np.ones(len(power))
    for _ in range(_ROUNDS):
        noise.adjust(lead, factor)
        places.keep_variance(*noise.neighbour_correlations(lead))
        drawn = texture(places.take(noise.draw_one(lead, generator)))
        factor = np.clip(factor * np.clip(power / drawn.power, 0.5, 2.0), 0.05, 20)
        factor[~matched] = factor[matched][0]
    return factor


class _Texture:
    """The `variance` of the logarithm of `rates (H, W)` under a `weight`, and its spectrum by rings, `power (R,)`."""

    def __init__(self, rates: np.ndarray, weight: np.ndarray, shape: tuple[int, int]) -> None:
        self.size = rates.shape
        logarithm, total = np.log1p(rates / WET), max(float(np.square(weight).sum()), 1e-9)
        departures = (logarithm - (logarithm * weight).sum() / max(float(weight.sum()), 1e-9)) * weight
        self.variance = float(np.square(departures).sum()) / total + 1e-12
        power = np.abs(scipy.fft.rfft2(departures.astype(np.float32), shape)) ** 2
        self.power = ring_means(power, shape) / total + 1e-12


class _Law:
    """The distributions of all pixels at one lead time, `probability (K, H, W)`, and their quantiles. Pixels that are surely dry
    are left out: `wet (N,)` are the indices of the others, `dry (H W,)` is 0, or NaN without basis."""

    def __init__(self, ladder: np.ndarray, probability: Tensor, split: int) -> None:
        known = probability.flatten(1)
        self.wet = torch.nonzero(known[0] > _SURELY_DRY).view(-1)
        self.dry = torch.where(known.isnan().any(0), torch.nan, 0.0)
        self._above = known.index_select(1, self.wet).T.contiguous()
        self._logits = torch.logit(self._above, eps=NEAREST)
        self._limit = -torch.special.ndtri(self._above[:, 0])
        self._steps = torch.from_numpy(np.diff(np.log(ladder)).astype(np.float32))
        self._split = split
        self._lowest, self._top = float(ladder[0]), float(ladder[-1])

    def member(self, noise: Tensor, fine: Callable[[Tensor], Tensor]) -> Tensor:
        """The rates `(H W,)` at the levels Phi(`noise (N,)`) of the pixels that may be wet; `fine` gives the fine noise of some
        of them, by number."""
        rain = torch.nonzero(noise > self._limit).view(-1)
        rates = self.dry.clone()
        rates[self.wet.index_select(0, rain)] = self._quantiles(noise.index_select(0, rain), rain, fine)
        return rates

    def _quantiles(self, noise: Tensor, rain: Tensor, fine: Callable[[Tensor], Tensor]) -> Tensor:
        """The rates at the levels Phi(`noise (n,)`) of the pixels `rain (n,)`, none of them dry."""
        exceeded = torch.erfc(noise * np.sqrt(0.5)).mul_(0.5).clamp_(min=1e-12)  # 1 - Phi
        above = self._above.index_select(0, rain)
        self._mix(exceeded, above[:, self._split], rain, fine)
        logits = self._logits.index_select(0, rain)
        within = logits[:, :-1] - torch.logit(exceeded, eps=NEAREST)[:, None]
        within.div_((logits[:, :-1] - logits[:, 1:]).clamp_(min=NEAREST))
        rate = (within.clamp_(0, 1) @ self._steps).exp_().mul_(self._lowest)
        extreme = torch.nonzero(exceeded < above[:, -1]).view(-1)
        share = exceeded.index_select(0, extreme) / above[:, -1].index_select(0, extreme)
        rate[extreme] = self._top * share.pow_(-1 / TAIL).clamp_(max=LARGEST)
        return rate

    def _mix(self, exceeded: Tensor, split: Tensor, rain: Tensor, fine: Callable[[Tensor], Tensor]) -> None:
        """Mix fine noise into the levels above the rate of the split, which keeps their distribution: in place."""
        heavy = torch.nonzero(exceeded < split).view(-1)
        most = split.index_select(0, heavy)
        level = torch.special.ndtri((exceeded.index_select(0, heavy) / most).clamp_(1e-6, 1 - 1e-6))
        level = level.mul_(np.sqrt(1 - MIXED**2)).add_(fine(rain.index_select(0, heavy)), alpha=MIXED)
        exceeded[heavy] = most * torch.special.ndtr(level)
