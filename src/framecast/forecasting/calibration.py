"""Calibration of exceedance probabilities: a line through their logits, learnt on events that the model was not trained on.

For each rate q of the ladder and each lead time m,

    logit P'(q, m) = a(q, m) logit P(q, m) + b(q, m)

(John Platt, "Probabilistic Outputs for Support Vector Machines", 1999), with a and b linear between knots of lead time as the
weights of the prior are. They have the least cross entropy on a sample of pixels, with a ridge that keeps them at a = 1 and b = 0
where there is little to learn from. A rate that was hardly ever reached is left as it is, and the calibration says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from framecast.models.parts.exceedance import KNOTS, descending, interpolation_weights

LEAST_EVENTS = 500
"""A rate is calibrated from so many events among the sampled pixels on."""
RIDGE = 3.0
"""The weight of the squared distance from a = 1 and b = 0, in events."""
_STEPS = 60


class Sample:
    """Pixels of forecasts and whether they were events: filled case by case, fitted once."""

    def __init__(self, rates: np.ndarray, per_field: int = 3000, seed: int = 0) -> None:
        self.rates = rates
        self._per_field = per_field
        self._rng = np.random.default_rng(seed)
        self._logits: list[np.ndarray] = []
        self._events: list[np.ndarray] = []
        self._minutes: list[np.ndarray] = []

    def add(self, probability: np.ndarray, rain: np.ndarray, minutes: np.ndarray) -> None:
        """Add pixels of one case: `probability (K, L, H, W)`, the observed `rain (L, H, W)` in mm/h, `minutes (L,)`."""
        for lead, observed in enumerate(rain):
            usable = np.flatnonzero(np.isfinite(observed) & np.isfinite(probability[0, lead]))
            chosen = self._rng.choice(usable, min(self._per_field, len(usable)), replace=False)
            values = probability[:, lead].reshape(len(self.rates), -1)[:, chosen].T
            self._logits.append(_logit(values))
            self._events.append(observed.ravel()[chosen, None] >= self.rates)
            self._minutes.append(np.full(len(chosen), minutes[lead], dtype=np.float32))

    def fit(self) -> dict[str, Any]:
        """The calibration, as it stands in a card: `slope` and `offset (N, K)` at the lead times `minutes` of the knots, the
        numbers of `pixels` and of `events` of each rate, and which rates are `calibrated`."""
        logits = torch.from_numpy(np.concatenate(self._logits)).float()
        events = torch.from_numpy(np.concatenate(self._events)).float()
        weights = interpolation_weights(torch.from_numpy(np.concatenate(self._minutes)))
        counts = events.sum(0)
        calibrated = (counts >= LEAST_EVENTS) & (len(events) - counts >= LEAST_EVENTS)
        slope, offset = _fit(logits, events, weights, calibrated)
        return {
            "rates": self.rates.tolist(),
            "minutes": list(KNOTS),
            "slope": _rounded(slope),
            "offset": _rounded(offset),
            "pixels": len(events),
            "events": counts.long().tolist(),
            "calibrated": calibrated.tolist(),
        }


def _fit(logits: Tensor, events: Tensor, weights: Tensor, calibrated: Tensor) -> tuple[Tensor, Tensor]:
    """The slopes and offsets `(N, K)` with the least cross entropy, by L-BFGS."""
    slope = torch.zeros(weights.shape[1], logits.shape[1], requires_grad=True)
    offset = torch.zeros_like(slope, requires_grad=True)
    search = torch.optim.LBFGS([slope, offset], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        line = (1 + weights @ slope) * logits + weights @ offset
        terms = functional.binary_cross_entropy_with_logits(line, events, reduction="none").sum(0)
        total = (terms * calibrated).sum() + RIDGE * (slope.square().sum() + offset.square().sum())
        scaled: Tensor = total / len(events)
        scaled.backward()  # type: ignore[no-untyped-call]
        return scaled

    search.step(loss)  # type: ignore[no-untyped-call]
    return 1 + slope.detach() * calibrated, offset.detach() * calibrated


def calibrate_logits(logits: Tensor, minutes: Tensor, calibration: dict[str, Any]) -> Tensor:
    """Calibrated logits `(B, L, K, H, W)` at the lead times `minutes (B, L)`, monotone again; without a calibration unchanged."""
    if not calibration:
        return logits
    weights = interpolation_weights(minutes)
    slope, offset = (torch.tensor(calibration[name], dtype=logits.dtype) for name in ("slope", "offset"))
    line = logits * (weights @ slope)[..., None, None] + (weights @ offset)[..., None, None]
    return descending(line)


def uncalibrated(calibration: dict[str, Any], rates: np.ndarray) -> list[float]:
    """Those of `rates` whose probabilities rest on a rung of the ladder that was not calibrated, or lie above it."""
    if not calibration:
        return [float(rate) for rate in rates]
    ladder = np.array(calibration["rates"])
    known = np.array(calibration["calibrated"], dtype=bool)
    missing = []
    for rate in rates:
        rungs = np.searchsorted(ladder, rate * (1 - 1e-9)) + np.array([-1 if rate not in ladder else 0, 0])
        if rungs.max() >= len(ladder) or not known[rungs.clip(min=0)].all():
            missing.append(float(rate))
    return missing


def describe_limits(calibration: dict[str, Any], rates: Sequence[float], quantity: str) -> list[str]:
    """What a reader of probabilities at `rates`, from frames measured as `quantity`, must know of their calibration."""
    if not calibration:
        return ["the probabilities are those of the network: they were not calibrated on other events"]
    limits = []
    if missing := uncalibrated(calibration, np.array(rates)):
        named = ", ".join(f"{rate:g}" for rate in missing)
        limits.append(f"probabilities at {named} mm/h were not calibrated: too few events")
    if quantity not in calibration.get("quantities", ()):
        seen = " and ".join(calibration.get("quantities", ())).replace("_", " ")
        limits.append(f"the probabilities were calibrated on {seen}, these frames are {quantity.replace('_', ' ')}")
    return limits


def _logit(probability: np.ndarray) -> np.ndarray:
    bounded = np.clip(probability, 1e-5, 1 - 1e-5)
    return np.asarray(np.log(bounded / (1 - bounded)), dtype=np.float32)


def _rounded(values: Tensor) -> list[list[float]]:
    return [[round(float(each), 5) for each in row] for row in values]
