"""The state of a domain as `status.json`: what is current, how old it is, how it came to be, and how the service keeps up."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from framecast.service.layout import Time, iso
from framecast.service.ledger import Cycle
from framecast.service.pace import Pace
from framecast.service.settings import Domain

NOTHING = "nothing"


def describe(
    domain: Domain,
    *,
    now: Time,
    started: Time,
    rungs: Sequence[str],
    pace: Pace,
    last: Cycle | None,
    standing: Cycle | None,
    newest: Time | None,
    lead: datetime.timedelta | None,
    next_expected: Time | None,
    yesterday: Mapping[str, Any],
    drift: Mapping[str, Any],
) -> dict[str, Any]:
    """The content of `status.json`. `last` is the newest record of the ledger, `standing` that of the newest forecast, `newest`
    the time of the newest frame, `lead` how far frames are ahead of the clock when they come, `yesterday` the scores of the last
    complete day. The rung is that of the standing forecast while that is current, else "nothing"."""
    age = None if newest is None else (now - newest).total_seconds()
    standing_age = None if standing is None else (now - standing.cycle).total_seconds()
    current = standing_age is not None and standing_age <= 60 * domain.max_age
    return {
        "domain": domain.name,
        "written": iso(now),
        "started": iso(started),
        "cadence_seconds": 60 * domain.cadence,
        "deadline_seconds": domain.deadline_seconds,
        "max_age_seconds": 60 * domain.max_age,
        "init_time": None if standing is None else iso(standing.cycle),
        "newest_frame": None if newest is None else iso(newest),
        "age_seconds": age,
        "ahead_seconds": None if lead is None else lead.total_seconds(),
        "rung": standing.rung if standing is not None and current else NOTHING,
        "rungs": list(rungs),
        "reasons": [] if last is None else list(last.reasons),
        "forecaster": None if standing is None else standing.forecaster,
        "largest": None if standing is None else standing.largest,
        "cycle_seconds": None if standing is None else standing.seconds.get("total"),
        "latency": pace.latency(),
        "overruns": pace.overruns,
        "next_expected": None if next_expected is None else iso(next_expected),
        "last_cycle": None if last is None else last.plain(),
        "yesterday": dict(yesterday),
        "drift": dict(drift),
    }
