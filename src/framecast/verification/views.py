"""Quantities of a verification besides scores: counts, probabilities, ranks, spectra, for figures and tables. Reads the sums."""

from __future__ import annotations

import numpy as np
import torch

from framecast.scores import Contingency
from framecast.scores.metric import root
from framecast.scores.probability import Probabilities
from framecast.verification.result import Verification


def scored_share(verification: Verification) -> np.ndarray:
    """Share of the observed pixels that were scored, for each lead time `(S,)`."""
    pixels = verification.sums["pixels"].sum("case").values
    observed = verification.sums["observed"].sum("case").values
    return np.asarray(np.divide(pixels, observed, out=np.full(len(pixels), np.nan), where=observed > 0))


def observed_events(verification: Verification, threshold: int) -> np.ndarray:
    """Number of observed events (pixels) for each lead time `(S,)`."""
    table = verification.sums.isel(forecaster=0, threshold=threshold)
    return np.asarray((table["hits"] + table["misses"]).sum("case").values)


def event_frequency(verification: Verification, threshold: int) -> float:
    """Share of the scored pixels that were events: the fractions skill score of a random forecast."""
    counts = verification.sums.isel(forecaster=0, threshold=threshold)
    scored = float(sum(counts[name].sum() for name in Contingency._fields))
    return float(observed_events(verification, threshold).sum()) / scored if scored else float("nan")


_BINNED = ("forecast_count", "forecast_probability", "observed_events")


def probabilities(verification: Verification, forecaster: str, threshold: int) -> Probabilities:
    """Forecast probabilities of an event and how often it was observed, by bin, over all cases and lead times."""
    part = verification.sums.sel(forecaster=forecaster).isel(threshold=threshold)
    count, probability, events = (torch.from_numpy(part[name].sum("case").values) for name in _BINNED)
    return Probabilities(count, probability, events, torch.tensor(float(part["brier"].sum())))


def probabilities_by_lead_time(
    verification: Verification, forecaster: str, threshold: int
) -> dict[np.timedelta64 | int, Probabilities]:
    """The same at the first, the middle and the last lead time, by lead time; empty for a file of an earlier version."""
    if "forecast_count_by_lead_time" not in verification.sums:
        return {}
    part = verification.sums.sel(forecaster=forecaster).isel(threshold=threshold)
    leads = part["reliability_lead_time"].values
    counts, sums, events = (torch.from_numpy(part[f"{name}_by_lead_time"].sum("case").values) for name in _BINNED)
    errors = torch.from_numpy(part["brier"].sum("case").sel(lead_time=leads).values)
    return {lead: Probabilities(*each) for lead, *each in zip(leads, counts, sums, events, errors, strict=True)}


def beyond_ladder(verification: Verification) -> list[str]:
    """A sentence for each distribution and threshold outside of the rates that the distribution is made of."""
    lines = []
    for name in verification.distributions:
        part = verification.sums.sel(forecaster=name)
        low, high = float(part["lowest_rate"].max()), float(part["highest_rate"].min())
        for rate in verification.rates:
            if rate > high:
                lines.append(f"{name}: {rate:g} mm/h is above its highest rate, {high:g} mm/h, and is extrapolated")
            elif rate < low:
                lines.append(f"{name}: {rate:g} mm/h is below its lowest rate, {low:g} mm/h, which stands for it")
    return lines


def ranks(verification: Verification, forecaster: str) -> np.ndarray:
    """How often the truth had each rank among the members of an ensemble `(M + 1,)`."""
    counts = verification.sums["rank_count"].sel(forecaster=forecaster).sum("case").values
    return np.asarray(counts[: verification.members(forecaster) + 1])


def spread_skill(verification: Verification, forecaster: str) -> tuple[np.ndarray, np.ndarray]:
    """Spread of an ensemble and root mean squared error of its mean, for each lead time; equal for a reliable ensemble."""
    part, pixels = verification.sums.sel(forecaster=forecaster), verification.sums["pixels"].sum("case").values
    squares = (part[name].sum("case").values for name in ("ensemble_variance", "ensemble_squared_error"))
    spread, skill = (root(np.stack([square, pixels])) for square in squares)
    return spread, skill


def power(verification: Verification, forecaster: str | None = None) -> np.ndarray:
    """Mean power spectrum `(lead_time, ring)` of a forecaster, or of the truth; `WAVELENGTHS` are the limits of the rings. Of an
    ensemble it is that of its members, in files of earlier versions that of their mean."""
    sums = verification.sums
    forecast = "member_power" if "member_power" in sums else "power"
    values = sums["observed_power"] if forecaster is None else sums[forecast].sel(forecaster=forecaster)
    return np.asarray(values.mean("case").values)


def wet_ratio(verification: Verification, forecaster: str) -> np.ndarray:
    """Wet pixels forecast for each wet pixel observed, for each lead time."""
    forecast = verification.sums["wet_forecast"].sel(forecaster=forecaster).sum("case").values
    observed = verification.sums["wet_observed"].sum("case").values
    return np.asarray(np.divide(forecast, observed, out=np.full(len(observed), np.nan), where=observed > 0))


def fallback_counts(verification: Verification) -> dict[str, int]:
    """The number of cases in which a forecaster used a simpler method, by name; only forecasters with any."""
    if "fallback_cases" not in verification.sums:
        return {}
    totals = verification.sums["fallback_cases"].sum("case")
    counts = {name: int(totals.sel(forecaster=name)) for name in verification.forecasters}
    return {name: count for name, count in counts.items() if count}


def fallbacks(verification: Verification) -> list[str]:
    """A line for each forecaster that used a simpler method in some cases, where its own could not work."""
    return [
        f"{name}: {count} of {verification.cases} cases fell back to extrapolation"
        for name, count in fallback_counts(verification).items()
    ]
