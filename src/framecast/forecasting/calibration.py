"""Calibration of exceedance probabilities: how far each part of their logits is to be trusted, learnt on events that the model
was not trained on.

The logit of rate q at lead time m is a sum of three parts: E, extrapolation smoothed by lead time, at which every model starts;
A, what was learnt about it; and N, what the network adds. For each rate and lead time,

    logit P'(q, m) = e(q, m) E + a(q, m) A + n(q, m) N + b(q, m)

(stacked generalisation: David Wolpert, 1992; with one factor for the sum, the scaling of John Platt, "Probabilistic Outputs for
Support Vector Machines", 1999). The factors are given at knots of lead time, as the weights of the prior are, and become part of
the weights. They have the least cross entropy on a sample of pixels, with a ridge that keeps them at e = a = n = 1 and b = 0
where there is little to learn from. A rate that was hardly ever reached is left as it is, and the calibration says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from framecast.models.heads import ExceedanceNetwork
from framecast.models.parts.exceedance import KNOTS, interpolation_weights

PARTS = ("extrapolation", "learnt", "network")
"""The parts of the logits, in the order of the equation."""
LEAST_EVENTS = 500
"""A rate is calibrated from so many events among the sampled pixels on."""
RIDGE = 10.0
"""The weight of the squared distance from factors of 1 and b = 0, in events."""
LARGEST = 2.0
"""Factors stay between 0 and this."""
_STEPS = 80


class Sample:
    """Pixels of forecasts and whether they were events: filled case by case, fitted once."""

    def __init__(self, rates: np.ndarray, per_field: int = 3000, seed: int = 0) -> None:
        self.rates = rates
        self._per_field = per_field
        self._rng = np.random.default_rng(seed)
        self._parts: list[np.ndarray] = []
        self._events: list[np.ndarray] = []
        self._minutes: list[np.ndarray] = []

    def add(self, parts: np.ndarray, rain: np.ndarray, minutes: np.ndarray) -> None:
        """Add pixels of one case: the `parts (3, K, L, H, W)` of the logits in the order of `PARTS`, the observed `rain
        (L, H, W)` in mm/h, and `minutes (L,)`."""
        for lead, observed in enumerate(rain):
            usable = np.flatnonzero(np.isfinite(observed) & np.isfinite(parts[0, 0, lead]))
            chosen = self._rng.choice(usable, min(self._per_field, len(usable)), replace=False)
            values = parts[:, :, lead].reshape(*parts.shape[:2], -1)[..., chosen]
            self._parts.append(values.transpose(2, 1, 0).astype(np.float32))
            self._events.append(observed.ravel()[chosen, None] >= self.rates)
            self._minutes.append(np.full(len(chosen), minutes[lead], dtype=np.float32))

    def fit(self) -> dict[str, Any]:
        """The calibration, as it stands in a card: the factors of the three parts and the `offset`, `(N, K)` at the lead times
        `minutes` of the knots, the numbers of `pixels` and of `events` of each rate, and which rates are `calibrated`."""
        parts = torch.from_numpy(np.concatenate(self._parts))
        events = torch.from_numpy(np.concatenate(self._events)).float()
        weights = interpolation_weights(torch.from_numpy(np.concatenate(self._minutes)))
        counts = events.sum(0)
        calibrated = (counts >= LEAST_EVENTS) & (len(events) - counts >= LEAST_EVENTS)
        factors, offset = _fit(parts, events, weights, calibrated)
        return {
            "rates": self.rates.tolist(),
            "minutes": list(KNOTS),
            **{name: _rounded(factor) for name, factor in zip(PARTS, factors.unbind(-1), strict=True)},
            "offset": _rounded(offset),
            "pixels": len(events),
            "events": counts.long().tolist(),
            "calibrated": calibrated.tolist(),
        }


def _fit(parts: Tensor, events: Tensor, weights: Tensor, calibrated: Tensor) -> tuple[Tensor, Tensor]:
    """The factors `(N, K, 3)` and offsets `(N, K)` with the least cross entropy, by L-BFGS, from `parts (P, K, 3)`."""
    change = torch.zeros(weights.shape[1], *parts.shape[1:], requires_grad=True)
    offset = torch.zeros(change.shape[:2], requires_grad=True)
    search = torch.optim.LBFGS([change, offset], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        factors = 1 + torch.einsum("pn,nkj->pkj", weights, change)
        line = (factors * parts).sum(-1) + weights @ offset
        terms = functional.binary_cross_entropy_with_logits(line, events, reduction="none").sum(0)
        total = (terms * calibrated).sum() + RIDGE * (change.square().sum() + offset.square().sum())
        scaled: Tensor = total / len(events)
        scaled.backward()  # type: ignore[no-untyped-call]
        return scaled

    search.step(loss)  # type: ignore[no-untyped-call]
    factors = (1 + change.detach() * calibrated[:, None]).clamp(0, LARGEST)
    return factors, offset.detach() * calibrated


def apply_calibration(network: ExceedanceNetwork, calibration: dict[str, Any]) -> None:
    """Make a calibration part of the weights of `network`."""
    network.reweight(*(torch.tensor(calibration[name]) for name in (*PARTS, "offset")))


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


def _rounded(values: Tensor) -> list[list[float]]:
    return [[round(float(each), 5) for each in row] for row in values]
