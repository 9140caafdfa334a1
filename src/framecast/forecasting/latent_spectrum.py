"""The power spectrum of the Gaussian field behind a field of rain.

Rain is seen as a Gaussian field z of zero mean and unit variance through a rising function: dry below the quantile of the dry
share, above it the rates by their ranks (the meta-Gaussian model: Vincent Guillot and Thierry Lebel, "Disaggregation of Sahelian
mesoscale convective system rain fields", 1999). The censored scores y = max(z, c) are known from the ranks of the rates, but a
spectrum of y is not that of z: the dry part has no texture. Correlations are therefore converted lag by lag. With the Hermite
coefficients a_n of y(z),

    cov_y(h) = sum over n of a_n^2 corr_z(h)^n,

which rises with corr_z. cov_y is estimated over pairs of observed pixels, tapered towards the border of the observed area (the
autocorrelation of the tapered field over that of its weights), and corr_z ends in a Gaussian lag window (R. Blackman and
J. Tukey, 1958). The spectrum is its Fourier transform, without what is negative.
"""

from __future__ import annotations

import numpy as np
import scipy  # its parts are imported when they are first used

WET = 0.1
"""Rain rate in mm/h from which a pixel is wet."""
MIN_WET, MIN_SIDE = 400, 32
"""With fewer wet pixels, or in a frame with a smaller side, the spectrum is the standard one."""
_TAPER = 24
"""Width in pixels of the taper along the border of the observed area."""
_TERMS = 200
"""Number of Hermite coefficients."""
_RINGS = 8
"""Rings of wavelengths in an octave."""
STANDARD_SLOPE, STANDARD_LENGTH = 3.0, 60.0
"""Power of the standard spectrum falls with the wavenumber to this power, below this wavelength in km."""


def latent_spectrum(rates: np.ndarray, shape: tuple[int, int], pixel: float) -> np.ndarray:
    """The share of each frequency in the variance of z, `(h, w // 2 + 1)` float64, on a periodic grid of `shape (h, w)`.

    `rates (H, W)` in mm/h, NaN for no data; `pixel` is the spacing in km, which the standard spectrum needs where there is little
    rain. The sum over the full plane is 1.
    """
    if not has_texture(rates):
        return _normalise(_standard_spectrum(shape, pixel), shape)
    observed = np.isfinite(rates)
    wet = observed & (np.where(observed, rates, 0.0) >= WET)
    logarithm = np.where(wet, np.log1p(np.where(wet, rates, 0.0) / WET), 0.0)
    correlation = _lagged_covariance(np.where(observed, logarithm - logarithm[observed].mean(), 0.0), observed)
    latent = _latent_correlation(correlation, _hermite_powers(np.sort(logarithm[observed])))
    return _normalise(_transform(latent, shape), shape)


def has_texture(rates: np.ndarray) -> bool:
    """Whether `rates (H, W)` are large enough and have enough rain, not of one rate everywhere, to estimate a spectrum."""
    observed = rates[np.isfinite(rates)]
    enough = min(rates.shape) >= MIN_SIDE and (observed >= WET).sum() >= MIN_WET
    return bool(enough and observed.min() < observed.max())


def _lagged_covariance(scores: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Autocorrelation of `scores (H, W)` at lags up to half the smaller side in rows and columns, `(2 R + 1, 2 R + 1)`."""
    height, width = scores.shape
    reach = min(height, width) // 2
    weight = taper(observed)
    size = [scipy.fft.next_fast_len(side + reach, real=True) for side in (height, width)]
    sums = [
        scipy.fft.irfft2(np.abs(scipy.fft.rfft2(field.astype(np.float32), size)) ** 2, size)
        for field in (scores * weight, weight)
    ]
    lags = np.arange(-reach, reach + 1)
    products, pairs = (each[np.ix_(lags, lags)].astype(np.float64) for each in sums)
    covariance = products / np.maximum(pairs, 1e-3 * pairs[reach, reach])
    return np.asarray(covariance / covariance[reach, reach])


def _hermite_powers(ascending: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orders n and shares a_n^2 of the variance of the values `ascending (N,)`, seen as a function of a normal variable."""
    nodes = np.linspace(-6, 6, 3001)
    density = np.exp(-(nodes**2) / 2) / np.sqrt(2 * np.pi) * (nodes[1] - nodes[0])
    values = ascending[np.minimum(scipy.special.ndtr(nodes) * len(ascending), len(ascending) - 1).astype(int)]
    values = values - (values * density).sum()
    previous, current = np.ones_like(nodes), nodes.copy()
    coefficients = []
    for order in range(1, _TERMS + 1):  # normalised Hermite polynomials, by their recurrence
        coefficients.append(float((values * current * density).sum()))
        previous, current = current, (nodes * current - np.sqrt(order) * previous) / np.sqrt(order + 1)
    power = np.square(coefficients) / (np.square(values) * density).sum()
    # The step from dry to wet leaves a rest that falls with the root of the order.
    steps = np.arange(8)
    rest = max(1 - power.sum(), 0.0) * 0.5**steps
    orders = np.concatenate([np.arange(1, _TERMS + 1), _TERMS * 4**steps])
    power = np.concatenate([power, rest / (0.5**steps).sum()])
    return orders, power / power.sum()


def _latent_correlation(correlation: np.ndarray, powers: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Convert correlations of the values to those of z."""
    orders, power = powers
    latent = 1 - np.linspace(1, 0, 257) ** 3  # denser towards 1
    censored = (power * latent[:, None] ** orders).sum(1)
    rising = np.interp(np.clip(correlation, 0, 1), censored, latent)
    return np.asarray(np.where(correlation < 0, np.maximum(correlation / power[0], -1.0), rising))


def _transform(correlation: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The spectrum of `correlation (2 R + 1, 2 R + 1)` under a Gaussian lag window, on the half plane of `shape`."""
    reach = len(correlation) // 2
    lags = np.arange(-reach, reach + 1)
    window = np.exp(-((lags / (0.45 * reach)) ** 2))
    periodic = np.zeros(shape)
    np.add.at(periodic, np.ix_(lags % shape[0], lags % shape[1]), correlation * window[:, None] * window)
    return _average_rings(scipy.fft.rfft2(periodic).real, shape)


def _average_rings(power: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The mean of `power` over rings, at each frequency: what is drawn has no direction."""
    return np.asarray(np.maximum(ring_means(power, shape), 0.0)[rings(shape)])


def rings(shape: tuple[int, int]) -> np.ndarray:
    """The number of the ring of nearly equal wavelength of each frequency, from the longest down, `(h, w // 2 + 1)`."""
    wavelength = wavelengths(shape, 1.0)
    return np.asarray(np.round(_RINGS * np.log2(wavelength.max() / wavelength)).astype(int))


def ring_wavelengths(shape: tuple[int, int]) -> np.ndarray:
    """The wavelength in pixels of each ring `(R,)`, from the longest down."""
    longest = wavelengths(shape, 1.0).max()
    return np.asarray(longest * 2.0 ** (-np.arange(rings(shape).max() + 1) / _RINGS))


def ring_means(power: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The mean of `power (h, w // 2 + 1)` over the full plane in each ring, 0 in an empty one."""
    weight, ring = np.broadcast_to(plane_weights(shape[1]), power.shape), rings(shape).ravel()
    sums, counts = (np.bincount(ring, part.ravel()) for part in (power * weight, weight))
    return np.asarray(sums / np.maximum(counts, 1))


def taper(observed: np.ndarray) -> np.ndarray:
    """Weights that fall to 0 towards the border of the `observed` area `(H, W)`."""
    distance = scipy.ndimage.distance_transform_edt(np.pad(observed, 1))[1:-1, 1:-1]
    width = min(_TAPER, max(min(observed.shape) // 2, 1))
    return np.asarray(np.sin(np.pi / 2 * np.clip(distance / width, 0, 1)) ** 2)


def _standard_spectrum(shape: tuple[int, int], pixel: float) -> np.ndarray:
    """A power law below `STANDARD_LENGTH`, level above it."""
    wavenumber = STANDARD_LENGTH / wavelengths(shape, pixel)
    return np.asarray((1 + wavenumber**2) ** (-STANDARD_SLOPE / 2))


def wavelengths(shape: tuple[int, int], pixel: float) -> np.ndarray:
    """The wavelength in km of each frequency of the half plane of a grid of `shape`; for the mean twice the longest."""
    rows, columns = scipy.fft.fftfreq(shape[0])[:, None], scipy.fft.rfftfreq(shape[1])
    wavenumber = np.hypot(rows, columns)
    wavenumber[0, 0] = 0.5 / max(shape)
    return np.asarray(pixel / wavenumber)


def plane_weights(width: int) -> np.ndarray:
    """How often each column of the half plane occurs in the full plane of `width` columns, `(width // 2 + 1,)`."""
    weights = np.full(width // 2 + 1, 2.0)
    weights[0] = 1
    if width % 2 == 0:
        weights[-1] = 1
    return weights


def _normalise(power: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return np.asarray(power / (power * plane_weights(shape[1])).sum())
