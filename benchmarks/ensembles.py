"""Measures an ensemble on events: spread over error, ranks, spectra, CRPS and the time of a forecast.

    python benchmarks/ensembles.py FORECASTER FILE [FILE ...] [--horizon 12] [--stride 8] [--limit 4]

FORECASTER is a baseline with members, such as `steps`, or the folder of a trained model. Each file is an event. Power is that of
`framecast.verify`, of the logarithm of the rain rate; the ratio of members and observed is given for 4 to 16 pixels.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import framecast
from framecast.data.quantities import quantity_of
from framecast.forecasting.baselines import BaselineData, build
from framecast.forecasting.protocol import Context, Forecaster, Forecasts
from framecast.scores.structure import WAVELENGTHS
from framecast.verification.result import Verification
from framecast.verification.views import power, ranks, spread_skill
from framecast.verification.windows import all_windows

_RATES = (0.5, 2.0, 8.0)


class FirstMember:
    """The first member of an ensemble as a forecast of its own, whose power spectrum is that of a member; it comes after the
    ensemble in a verification and repeats its last forecast."""

    name = "one member"

    def __init__(self, ensemble: Forecaster) -> None:
        self.ensemble, self.context_length = ensemble, ensemble.context_length
        self.last: np.ndarray | Forecasts | None = None

    def forecast(self, context: Context, /, horizon: int) -> np.ndarray | Forecasts:
        """The first member of the last forecast."""
        assert self.last is not None
        return self.last._replace(values=self.last.values[:1]) if isinstance(self.last, Forecasts) else self.last[:1]


class Recorded:
    """An ensemble that hands its forecasts to a `FirstMember`."""

    def __init__(self, ensemble: Forecaster, first: FirstMember) -> None:
        self.ensemble, self.first = ensemble, first
        self.name, self.context_length = ensemble.name, ensemble.context_length

    def forecast(self, context: Context, /, horizon: int) -> np.ndarray | Forecasts:
        """The forecast of the ensemble."""
        self.first.last = self.ensemble.forecast(context, horizon)
        return self.first.last


def verify(forecaster: str, path: str, horizon: int, stride: int, limit: int) -> Verification:
    """The verification of an ensemble, a baseline or a trained model, and of its first member, on an event."""
    frames = framecast.open(path)
    if Path(forecaster).is_dir():
        ensemble: Forecaster = framecast.load(forecaster)
    else:
        no_training = BaselineData(quantity_of(frames), None, (frames,), lambda: all_windows(frames, 4, horizon))
        ensemble = build(forecaster, no_training)
    first = FirstMember(ensemble)
    return framecast.verify(
        [Recorded(ensemble, first), first],
        frames,
        horizon=horizon,
        stride=stride,
        limit=limit,
        rates=_RATES,
        scales=(),
        batch_size=1,
        examples=0,
    )


def power_ratio(verification: Verification) -> np.ndarray:
    """Power of a member over that observed, between 4 and 16 pixels, at each lead time `(S,)`."""
    limits = np.array(WAVELENGTHS)
    rings = np.flatnonzero((limits[:-1] > 3.9) & (limits[1:] < 16.1))
    forecast, observed = (power(verification, each)[:, rings].sum(1) for each in (FirstMember.name, None))
    return np.asarray(forecast / observed)


def rank_slope(counts: np.ndarray) -> float:
    """The slope of a rank histogram `(M + 1,)` of mean 1, from the lowest rank to the highest."""
    heights = counts / counts.mean()
    return float(np.polyfit(np.linspace(0, 1, len(heights)), heights, 1)[0])


def report(verification: Verification, title: str) -> None:
    """Print one event."""
    name = verification.forecasters[0]
    members = verification.members(name)
    print(f"{title}: {name}, {members} members, {verification.cases} cases, {verification.seconds[name]:.1f} s a case")
    print(f"  CRPS {verification.frame(name, 'crps').value:.4f}")
    if members < 2:
        return
    spread, error = spread_skill(verification, name)
    counts = ranks(verification, name)
    print("  spread / error by lead time", np.round(spread / error, 2))
    print("  power ratio, 4 to 16 pixels", np.round(power_ratio(verification), 2))
    print("  ranks", np.round(counts / counts.mean(), 2), f"slope {rank_slope(counts):+.2f}")


def main() -> None:
    """Print the measures of each event."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("forecaster")
    parser.add_argument("files", nargs="+")
    for name, default in (("horizon", 12), ("stride", 8), ("limit", 4)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    for path in arguments.files:
        verification = verify(arguments.forecaster, path, arguments.horizon, arguments.stride, arguments.limit)
        report(verification, Path(path).stem)


if __name__ == "__main__":
    main()
