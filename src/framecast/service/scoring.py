"""Verification that never ends: each forecast is scored when its frames have come, beside the rungs below it, into `scores.csv`.

Forecasts are scored in the order of their initial times, so that the file itself says what is scored. When a day is complete,
earlier days are compacted to their sums, and the day is summarised and judged (`framecast.verification.drift`).
"""

from __future__ import annotations

import datetime
import logging
from typing import Any

import numpy as np
import xarray as xr

from framecast.errors import FramecastError
from framecast.forecasting.loading import is_baseline
from framecast.forecasting.open import open_forecast
from framecast.service.appended import last_lines
from framecast.service.layout import FORECAST, Layout, Time, from_iso, iso, times_in, to_stamp
from framecast.service.memory import Clock
from framecast.service.settings import Domain
from framecast.verification.arriving import score_forecast
from framecast.verification.drift import drift
from framecast.verification.promise import promise_of
from framecast.verification.score_store import append_scores, compact_scores
from framecast.verification.score_summary import summarise

_DAY = datetime.timedelta(days=1)
_TAIL = 2**16
"""Bytes at the end of the file that are read at the start."""
_log = logging.getLogger(__name__)


class Scorer:
    """Scores the forecasts of one domain, one at a call."""

    def __init__(self, domain: Domain, layout: Layout, clock: Clock) -> None:
        self._domain, self._layout, self._clock = domain, layout, clock
        self._through = _last_time(layout)
        self._summarised: datetime.date | None = None
        self.yesterday: dict[str, Any] = {}
        self.drift: dict[str, Any] = {}

    def due(self, oldest: Time, newest: Time) -> Time | None:
        """The oldest forecast that is not scored and all of whose frames may have come, which lie between the `oldest` and the
        `newest`; None if there is none."""
        length = self._domain.horizon * self._clock.step
        done = oldest if self._through is None else max(self._through, oldest)
        first = next((time for time, _ in times_in(self._layout.forecasts) if time > done), None)
        return first if first is not None and first + length <= newest else None

    def score(self, time: Time, frames: xr.DataArray) -> None:
        """Score the forecast that begins at `time` by the `frames` before and after it. One that cannot be scored is logged and
        passed over. Raises `RunError` if the file cannot be written."""
        self._through = time
        fallbacks = [name for name in self._domain.rungs[1:] if is_baseline(name)]
        try:
            forecast = open_forecast(self._layout.forecast(time) / FORECAST)
            rows = score_forecast(forecast, frames, fallbacks=fallbacks)
        except FramecastError as error:
            _log.warning("the forecast of %s cannot be scored: %s", iso(time), error.what)
            return
        if not rows:
            _log.warning("the forecast of %s cannot be scored: none of its frames are there", iso(time))
        append_scores(rows, self._layout.scores)

    def summarise(self) -> None:
        """Summarise and judge the last complete day, once a day."""
        if self._through is None or not self._layout.scores.exists():
            return
        day = (self._through - _DAY).date()
        if day == self._summarised:
            return
        self._summarised = day
        try:
            compact_scores(self._layout.scores)
            self._judge(to_stamp(self._through - _DAY))
        except FramecastError as error:
            _log.warning("the scores cannot be summarised: %s", error.what)

    def _judge(self, day: np.datetime64) -> None:
        scores: dict[str, dict[str, float]] = {}
        cases = 0
        for each in summarise(self._layout.scores, until=day, by_lead_time=False):
            name = each.score if each.threshold is None else f"{each.score}_{each.threshold:g}"
            if np.isfinite(each.value):
                scores.setdefault(f"{each.issued}/{each.forecaster}", {})[name] = round(each.value, 6)
            cases = max(cases, each.cases)
        self.yesterday = {"day": str(day.astype("datetime64[D]")), "forecasts": cases, "scores": scores}
        try:
            promise = promise_of(self._domain.model)
        except FramecastError as error:
            _log.warning("what the model promises cannot be read: %s", error.what)
            promise = None
        findings = drift(self._layout.scores, until=day, promise=promise)
        worse = [finding.message for finding in findings if finding.worse]
        used = promise is not None and any(finding.since.endswith(promise.source) for finding in findings)
        source = promise.source if promise is not None and used else "the days before"
        if source != self.drift.get("promise"):
            _log.info("drift is judged by %s", source)
        self.drift = {
            "warning": "; ".join(worse) or None,
            "promise": source,
            "findings": [finding.message for finding in findings],
            "advantages": [finding.plain() for finding in findings],
        }
        for message in worse:
            _log.warning("drift: %s", message)


def _last_time(layout: Layout) -> Time | None:
    """The initial time of the last forecast that is scored; None if there is none."""
    for line in reversed(last_lines(layout.scores, _TAIL)):
        try:
            return from_iso(line.partition(b",")[0].decode())
        except ValueError:  # the header, or a line that was cut
            continue
    return None
