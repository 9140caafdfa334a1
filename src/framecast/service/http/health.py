"""What state each domain is in now: from the status that a service wrote, and the clock."""

from __future__ import annotations

from typing import Any, NamedTuple

from framecast.service.http.names import compact, seconds_of
from framecast.service.http.outputs import Output

_CADENCE = 300.0
_CADENCES = 4.0
"""A forecast older than so many cadences is stale, unless the status or the server is set to something else."""


class Health(NamedTuple):
    """The state of a domain: `state` is ok, fallback, stale or nothing, with reasons; ages in seconds, None if unknown."""

    state: str
    reasons: tuple[str, ...]
    rung: str
    init: str | None
    age: float | None
    newest_age: float | None
    stale_after: float

    @property
    def ready(self) -> bool:
        """Whether there is a forecast that is young enough."""
        return self.state in ("ok", "fallback")


def health_of(output: Output, domain: str, now: float, stale_after: float | None = None) -> Health:
    """The state of a domain at the time `now` (seconds since 1970). A forecast is stale `stale_after` seconds after its initial
    time."""
    status = output.status(domain)
    cadence = _number(status.get("cadence_seconds")) or _CADENCE
    limit = stale_after or _number(status.get("max_age_seconds")) or _CADENCES * cadence
    names = output.forecasts(domain)
    init = names[-1] if names else None
    rung = str(status.get("rung") or "")
    rungs = [str(each) for each in status.get("rungs") or ()]
    newest = _time(status.get("newest_frame"))
    newest_age = None if newest is None else now - newest
    reasons = tuple(str(each) for each in status.get("reasons") or ())
    if init is None:
        return Health("nothing", (*reasons, "there is no forecast yet"), rung, None, None, newest_age, limit)
    age = now - seconds_of(init)
    facts = (rung, init, age, newest_age, limit)
    if age > limit:
        late = f"the newest forecast is {age / 60:.0f} minutes old, more than {limit / 60:.0f}"
        return Health("stale", (late, *reasons), *facts)
    if rung == "nothing":
        return Health("nothing", reasons or ("the last cycle has no forecast",), *facts)
    return Health("fallback" if rungs and rung != rungs[0] else "ok", reasons, *facts)


def summary(health: Health, status: dict[str, Any]) -> dict[str, Any]:
    """The status of a domain with its state now, as plain data."""
    return {
        **status,
        "state": health.state,
        "ready": health.ready,
        "state_reasons": list(health.reasons),
        "init": health.init,
        "forecast_age_seconds": _rounded(health.age),
        "newest_frame_age_seconds": _rounded(health.newest_age),
        "stale_after_seconds": health.stale_after,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else None


def _time(value: Any) -> float | None:
    try:
        return seconds_of(compact(str(value)))
    except ValueError:
        return None
