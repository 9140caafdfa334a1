"""Calibration of exceedance probabilities: how far what a model has learnt is to be trusted, from events it was not trained on.

The logit of each rate q is that of extrapolation, at which every model starts, and what was learnt, in the prior and in the
network. The calibrated logit is

    logit P'(q) = start(q) + t(q) learnt(q),    0 <= t <= 2

(stacked generalisation: David Wolpert, 1992). The factors t become part of the weights. They have the least cross entropy on a
sample of pixels, with a ridge that keeps them at 1 where there is little to learn from. A rate that was hardly ever reached is
left as it is, and the calibration says so.

One factor for each rate is what carries over from event to event. With factors that depend on lead time, or with an offset as in
the scaling of Platt (1999), the Brier score of an event left out was worse (docs/results.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from framecast.models.heads import ExceedanceNetwork

LEAST_EVENTS = 500
"""A rate is calibrated from so many events among the sampled pixels on."""
RIDGE = 10.0
"""The weight of the squared distance from a factor of 1, in events."""
LARGEST = 2.0
"""Factors stay between 0 and this."""
_STEPS = 60


class SamplePart(NamedTuple):
    """What one case adds to a sample: the `logits (2, P, K)`, at the start and learnt, the `events (P, K)`, and the state of the
    random numbers after it."""

    logits: np.ndarray
    events: np.ndarray
    state: dict[str, Any]


class Sample:
    """Pixels of forecasts and whether they were events: filled case by case, fitted once."""

    def __init__(self, rates: np.ndarray, per_field: int = 3000, seed: int = 0) -> None:
        self.rates = rates
        self._per_field = per_field
        self._rng = np.random.default_rng(seed)
        self._logits: list[np.ndarray] = []
        self._events: list[np.ndarray] = []

    def add(self, start: np.ndarray, learnt: np.ndarray, rain: np.ndarray) -> SamplePart:
        """Add pixels of one case: the logits at which the model starts and what it has `learnt` of them, `(K, L, H, W)`, and the
        observed `rain (L, H, W)` in mm/h. Returns what `restore` takes."""
        before = len(self._logits)
        for lead, observed in enumerate(rain):
            usable = np.flatnonzero(np.isfinite(observed) & np.isfinite(start[0, lead]))
            chosen = self._rng.choice(usable, min(self._per_field, len(usable)), replace=False)
            parts = np.stack([part[:, lead].reshape(len(self.rates), -1)[:, chosen].T for part in (start, learnt)])
            self._logits.append(parts.astype(np.float32))
            self._events.append(observed.ravel()[chosen, None] >= self.rates)
        added = np.concatenate(self._logits[before:], axis=1), np.concatenate(self._events[before:])
        return SamplePart(*added, dict(self._rng.bit_generator.state))

    def restore(self, part: SamplePart) -> None:
        """Add what a case has added before, as if it were forecast again."""
        self._logits.append(part.logits)
        self._events.append(part.events)
        self._rng.bit_generator.state = part.state

    def fit(self) -> dict[str, Any]:
        """The calibration, as it stands in a card: the factors `trust (K,)`, the numbers of `pixels` and of `events` of each
        rate, and which rates are `calibrated`."""
        start, learnt = torch.from_numpy(np.concatenate(self._logits, axis=1))
        events = torch.from_numpy(np.concatenate(self._events)).float()
        counts = events.sum(0)
        calibrated = (counts >= LEAST_EVENTS) & (len(events) - counts >= LEAST_EVENTS)
        return {
            "rates": self.rates.tolist(),
            "trust": [round(float(each), 5) for each in _fit(start, learnt, events, calibrated)],
            "pixels": len(events),
            "events": counts.long().tolist(),
            "calibrated": calibrated.tolist(),
        }


def _fit(start: Tensor, learnt: Tensor, events: Tensor, calibrated: Tensor) -> Tensor:
    """The factors `(K,)` with the least cross entropy, by L-BFGS, from the logits `(P, K)`."""
    change = torch.zeros(start.shape[1], requires_grad=True)
    search = torch.optim.LBFGS([change], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        logits = start + (1 + change) * learnt
        terms = functional.binary_cross_entropy_with_logits(logits, events, reduction="none").sum(0)
        scaled: Tensor = ((terms * calibrated).sum() + RIDGE * change.square().sum()) / len(events)
        scaled.backward()  # type: ignore[no-untyped-call]
        return scaled

    search.step(loss)  # type: ignore[no-untyped-call]
    return (1 + change.detach() * calibrated).clamp(0, LARGEST)


def apply_calibration(network: ExceedanceNetwork, calibration: dict[str, Any]) -> None:
    """Make a calibration part of the weights of `network`."""
    network.reweight(torch.tensor(calibration["trust"]))


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
