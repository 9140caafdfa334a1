"""What fits into the deadline of a cycle: all of it, fewer members, fewer lead times, or a lower rung, down to the last one.

A plan is refused if it, or a smaller one, took longer than what is left of the deadline lately; what has not been measured
lately is tried again. So a slow spell costs a few small forecasts, and ends by itself. A plan that no process has survived is
refused as long (`framecast.service.attempts`).
"""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

import numpy as np

from framecast.service.settings import Domain

FEWEST_MEMBERS = 4
"""An ensemble is not cut down to fewer members."""
_RECENT = 5
"""The durations of a plan that are remembered."""
_SECONDS_VALID = 3600.0
"""A duration counts for so long."""
WINDOW = 288
"""The cycles whose latency is summarised."""


class Plan(NamedTuple):
    """What a cycle computes: `members` of the model (None for its mean), lead times, the `first` rung that is tried (0 is the
    model), and the reason where it is less than was asked for."""

    members: int | None
    horizon: int
    first: int
    reason: str = ""

    @property
    def work(self) -> tuple[int | None, int, int]:
        """What is computed, whatever the reason."""
        return self.members, self.horizon, self.first


def plans_of(domain: Domain) -> list[Plan]:
    """The plans of a domain, from all that is wanted to the least."""
    plans = [Plan(domain.members, domain.horizon, 0)]
    if domain.members is not None:
        members = domain.members
        while members // 2 >= FEWEST_MEMBERS:
            members //= 2
            plans.append(Plan(members, domain.horizon, 0, f"{members} members of {domain.members}"))
    least = plans[-1]
    if domain.horizon > 1:
        half = max(domain.horizon // 2, 1)
        text = f"{half} lead time{'s' * (half != 1)} of {domain.horizon}"
        plans.append(Plan(least.members, half, 0, ", ".join(filter(None, [least.reason, text]))))
    plans += [Plan(None, domain.horizon, first, name) for first, name in enumerate(domain.rungs[1:] or ("nothing",), 1)]
    return plans


class Pace:
    """Chooses a plan from the durations of recent cycles, and summarises latencies."""

    def __init__(self, domain: Domain, latencies: list[float]) -> None:
        self.plans = plans_of(domain)
        self._deadline = domain.deadline_seconds
        self._durations: list[deque[tuple[float, float]]] = [deque(maxlen=_RECENT) for _ in self.plans]
        self._latencies = deque(latencies, maxlen=WINDOW)
        self.overruns = sum(each > self._deadline for each in self._latencies)

    def choose(self, elapsed: float, timer: float) -> Plan:
        """The largest plan that fits into what is left of the deadline after `elapsed` seconds; the least if none does. Once it
        has passed, the best rung below the model that takes no longer than another deadline."""
        left = self._deadline - elapsed
        late, slow = left <= 0, False
        chosen = self.plans[-1]
        for number in reversed(range(len(self.plans))):
            expected = [seconds for seconds, at in self._durations[number] if timer - at < _SECONDS_VALID]
            slow = slow or bool(expected and max(expected) > (self._deadline if late else left))
            slow = slow or (late and self.plans[number].first == 0)
            if not slow or number == len(self.plans) - 1:
                chosen = self.plans[number]
        if not chosen.reason:
            return chosen
        if self._is_lost(timer):
            return chosen._replace(reason=f"cut down to {chosen.reason}: the process ended twice while it made more")
        state = f"{left:.0f} s are left" if left > 0 else "the deadline has passed"
        return chosen._replace(reason=f"cut down to {chosen.reason}, to be on time ({state})")

    def give_up(self, plan: Plan, timer: float) -> None:
        """Do not try a plan for a while: no process has survived it."""
        for known, durations in zip(self.plans, self._durations, strict=True):
            if known.work == plan.work:
                durations.append((math.inf, timer))

    def _is_lost(self, timer: float) -> bool:
        """Whether a plan is given up at present."""
        return any(
            seconds == math.inf and timer - at < _SECONDS_VALID for each in self._durations for seconds, at in each
        )

    def record(self, plan: Plan, seconds: float, latency: float, timer: float) -> None:
        """Note that a plan took so many seconds, and its cycle `latency` from when its frame could be read."""
        number = next(k for k, each in enumerate(self.plans) if each.work == plan.work)
        self._durations[number].append((seconds, timer))
        self._latencies.append(latency)
        self.overruns += latency > self._deadline

    def latency(self) -> dict[str, float | None]:
        """The latency of recent cycles in seconds: p50, p95 and p99."""
        if not self._latencies:
            return {"p50": None, "p95": None, "p99": None}
        values = np.percentile(list(self._latencies), (50, 95, 99))
        return {name: round(float(value), 3) for name, value in zip(("p50", "p95", "p99"), values, strict=True)}
