"""The loop of one domain: look for new frames, forecast the newest, declare the outcome of each expected time.

`step` does all that is due now and returns; nothing here sleeps, and the present time is handed in, so that a day can be
simulated in a minute. The state is what lies on disk, the ledger, the forecasts and the frames: after a kill at any moment the
next start goes on from there.
"""

from __future__ import annotations

import datetime
import logging
import math
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from framecast.ops.native.memory import return_free
from framecast.service.attempts import Attempts
from framecast.service.issuing import RECENT, Issuer
from framecast.service.layout import Layout, Time, from_stamp, iso, utc_now, write_json
from framecast.service.ledger import Cycle, Ledger, declare_nothing
from framecast.service.memory import Clock, Memory
from framecast.service.observed import newest_frames, write_frame
from framecast.service.pace import WINDOW, Pace
from framecast.service.retention import delete_old
from framecast.service.scoring import Scorer
from framecast.service.settings import Domain
from framecast.service.sources import Arrival, Poll, Source, Timer, source_of
from framecast.service.status import describe
from framecast.service.steady_clock import Lead, SteadyClock
from framecast.writing import claim

_SLACK = 12
"""Expected times before the context that are searched for usable frames."""
_NOTES = 20
"""Problems that the next record lists at most."""
_DOWN = "down: missed while the service was down"
_DELETE_EVERY = 600.0
"""Seconds between two looks for what is old."""
_LONGEST_GAP = 2016
"""Expected times in a row, a week of five minutes, that get a line each. More of them get one together."""
_log = logging.getLogger(__name__)


class DomainLoop:
    """One domain in operation; a context manager that holds the lock of its folder.

    Raises `RunError` on entry if another process writes the folder, or the disk cannot be written.
    """

    def __init__(
        self, domain: Domain, out: str | Path, *, now: Callable[[], Time] = utc_now, timer: Timer = time.monotonic
    ) -> None:
        self.domain, self.layout = domain, Layout(out, domain.name)
        self._timer = timer
        self._time = SteadyClock(now, timer, datetime.timedelta(minutes=domain.cadence))
        self._open = ExitStack()
        self._notes: deque[str] = deque(maxlen=_NOTES)
        self._cursor: Time | None = None
        self._deleted: float | None = None
        self._pending_since: float | None = None
        self._lead = Lead(datetime.timedelta(minutes=domain.cadence))
        self._stepped: float | None = None
        self._break = (-math.inf, -math.inf)

    def __enter__(self) -> DomainLoop:
        self._open.enter_context(claim(self.layout.folder))
        try:
            self._start()
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def step(self) -> None:
        """Look for frames, run the cycle that is due, and declare what is over. Raises `RunError` for a full disk."""
        begun = self._timer()
        if self._stepped is not None and begun - self._stepped > self.domain.deadline_seconds:
            self._break = (self._stepped, begun)  # the step before took too long
        self._stepped = begun
        if self._time.check():
            self._follow_clock()
        now = self._time.now()
        self._expect_anew(now)
        poll = self._source.poll(now)
        self._notes.extend(poll.problems)
        self._measure_lead(poll, now)
        since = self._timer() if self._pending_since is None else self._pending_since
        self._pending_since = since if poll.pending else None
        for arrival in sorted(poll.arrivals, key=lambda each: each.time):
            self._take(arrival, now)
        self._place_cursor(now)
        if self._cursor is None:
            return
        newest = self.memory.newest
        if newest is not None and newest >= self._cursor:
            self._run(newest, now)
            return_free()  # nothing is computed until the next frame
            return  # what can wait does, until the next step
        if self._pending_since is None or self._timer() - self._pending_since > self.domain.patience:
            self._declare_missing(now)
        self._score()
        self._delete_old(now)

    def _start(self) -> None:
        """Load the model, and what an earlier process has left."""
        domain = self.domain
        self.ledger = Ledger(self.layout)
        self._issuer = Issuer(domain, self.layout, self._timer)
        self.clock = Clock(domain)
        self._length = self._issuer.context + _SLACK
        capacity = max(self._length, domain.horizon + RECENT + 2)
        self.memory = Memory(self.clock, capacity, adopt_after=self._issuer.context)
        wait = datetime.timedelta(seconds=domain.wait_seconds)
        self._history = max(self._length * self.clock.step, wait + self.clock.step)
        self._source = self._watch()
        self.pace = Pace(domain, [each.seconds["total"] for each in self.ledger.recent[-WINDOW:] if each.seconds])
        self._attempts = Attempts(self.layout.attempt)
        if (lost := self._attempts.given_up) is not None:
            self.pace.give_up(lost, self._timer())
        self._started, self._begun = self._time.now(), self._timer()
        self._scorer = Scorer(domain, self.layout, self.clock)
        self._standing = next((each for each in reversed(self.ledger.recent) if each.outcome == "forecast"), None)
        last = self.ledger.last
        self._cursor = None if last is None else self.clock.at(last.cycle) + self.clock.step
        for path, frame in newest_frames(self.layout, capacity, domain.options):
            stamp = from_stamp(frame["time"].values[0])
            self.memory.add(Arrival(stamp, frame, str(path), self._timer(), 0.0), self._started)
        self._write_status()
        if self._standing is not None and self.layout.forecast(self._standing.cycle).is_dir():
            self._issuer.archive(self._standing.cycle)
        if last is not None:
            _log.info("%s goes on after %s", domain.name, iso(last.cycle))

    def _watch(self) -> Source:
        """The source, of which nothing is known yet."""
        return source_of(self.domain, self._issuer.read_options, self._history, self._timer)

    def _follow_clock(self) -> None:
        """Go on by the clock of this machine, which was set: look again at frames that seemed too old."""
        self._started = self._time.now() - datetime.timedelta(seconds=self._timer() - self._begun)
        self._source = self._watch()

    def _expect_anew(self, now: Time) -> None:
        """Expect the times again that were declared as missing ahead of time, by a clock that was wrong, as far as their frames
        are still waited for."""
        step = self.clock.step
        if self._cursor is None or self._cursor <= now + 2 * step:
            return
        wait = datetime.timedelta(seconds=self.domain.wait_seconds)
        known = [each.cycle + step for each in self.ledger.recent if each.seconds]
        first = max([self.clock.at(now - wait) + step, *known])
        if first < self._cursor:
            _log.warning(
                "%s: times up to %s have been declared, by a clock that was wrong; those from %s on are expected again",
                self.domain.name,
                iso(self._cursor - step),
                iso(first),
            )
            self._cursor = first
            self._write_status()

    def _measure_lead(self, poll: Poll, now: Time) -> None:
        """Say once how far frames are ahead of the clock of this machine when they come."""
        came = max((arrival.time for arrival in poll.arrivals), default=None)
        if self._lead.measure(poll.ahead, came, now):
            minutes = f"{self._lead.minutes:.0f} minutes"
            text = f"ahead: frames come {minutes} ahead of the clock of this machine; each waits until it is due"
            self._notes.append(text)
            _log.warning("%s: %s: is the clock slow, or are the times local, not UTC?", self.domain.name, text)
            self._write_status()

    def _take(self, arrival: Arrival, now: Time) -> None:
        """Take a frame in, and store it."""
        accepted, reason = self.memory.add(arrival, now)
        if reason:
            self._notes.append(reason)
            _log.warning("%s", reason)
        if accepted is None:
            return
        held = self.memory.get(accepted)
        assert held is not None
        write_frame(self.layout, accepted, held.frame)
        late = self._cursor is not None and accepted < self._cursor
        _log.info("frame of %s%s from %s", iso(accepted), ", late," if late else "", arrival.file)

    def _place_cursor(self, now: Time) -> None:
        """Choose the first expected time of a new ledger: that of the newest frame, else of the start once that is missing."""
        if self._cursor is not None:
            return
        newest, first = self.memory.newest, self.clock.at(self._started)
        if newest is not None and now - newest <= datetime.timedelta(minutes=self.domain.max_age):
            self._cursor = newest
        elif (now - first).total_seconds() > self.domain.wait_seconds:
            self._cursor = first

    def _run(self, time: Time, now: Time) -> None:
        """The cycle of a frame that has come; expected times before it are declared first."""
        assert self._cursor is not None
        self._declare_nothing(time, lambda each: self._why_skipped(each, time), now)
        held = self.memory.get(time)
        frames = self.memory.context(time, self._length)
        assert held is not None
        assert frames is not None
        begun = self._timer()
        plan = self.pace.choose(begun - held.seen, begun)
        self._attempts.begin(plan)
        cycle = self._issuer.issue(time, frames, plan, now, held, tuple(self._notes))
        self._attempts.end()
        self._notes.clear()
        if cycle.outcome == "forecast":
            self._standing = cycle
        else:
            cycle = cycle.because(*self._standing_reason(now))
        end = self._timer()
        self.pace.record(plan, end - begun, end - held.seen, end)
        self._declare([cycle])
        if cycle.outcome == "forecast":
            self._issuer.archive(time)

    def _why_skipped(self, time: Time, newest: Time) -> tuple[str, ...]:
        """Why an expected time before that of the newest frame has no forecast."""
        if time <= self._started:
            return (_DOWN,)
        held = self.memory.get(time)
        begin, end = self._break
        if held is not None and begin <= held.seen <= end + 2 * self.domain.poll:  # a file is read at its second poll
            return (f"overrun: skipped for the newer frame of {iso(newest)}",)
        if held is not None:
            return (f"skipped: the newer frame of {iso(newest)} was there too",)
        return (f"missing: no frame when that of {iso(newest)} came", *self._notes)

    def _declare_missing(self, now: Time) -> None:
        """Declare the expected times whose frames have not come within the wait."""
        assert self._cursor is not None
        wait = datetime.timedelta(seconds=self.domain.wait_seconds)
        if not self.clock.count(self._cursor, now - wait):
            return
        text = f"missing: no frame within {self.domain.wait_seconds / 60:g} minutes"
        missing = (text, *self._notes, *self._standing_reason(now))
        self._notes.clear()
        self._declare_nothing(now - wait, lambda each: (_DOWN,) if each + wait < self._started else missing, now)

    def _declare_nothing(self, end: Time, why: Callable[[Time], tuple[str, ...]], now: Time) -> None:
        """Declare the expected times before `end` that have no outcome, each with the reasons `why`; in one line if they are
        too many."""
        assert self._cursor is not None
        count = self.clock.count(self._cursor, end)
        if count > _LONGEST_GAP:
            reason = f"gap: one line for {count} expected times from {iso(self._cursor)} on, down or with a wrong clock"
            self._declare(declare_nothing([self._cursor + (count - 1) * self.clock.step], (reason,), now))
            return
        times = self.clock.between(self._cursor, end)
        self._declare([cycle for each in times for cycle in declare_nothing([each], why(each), now)])

    def _standing_reason(self, now: Time) -> list[str]:
        """What a forecaster has instead of a new forecast."""
        if self._standing is None:
            return []
        minutes = (now - self._standing.cycle).total_seconds() / 60
        state = "stands" if minutes <= self.domain.max_age else "is no longer current"
        return [f"the forecast of {iso(self._standing.cycle)} {state}, {minutes:.0f} minutes old"]

    def _declare(self, cycles: list[Cycle]) -> None:
        """Append records, log them, move on, and replace the status."""
        if not cycles:
            return
        self.ledger.append(*cycles)
        self._cursor = cycles[-1].cycle + self.clock.step
        for cycle in cycles:
            level = logging.INFO if cycle.outcome == "forecast" else logging.WARNING
            total = f" in {cycle.seconds['total']:.1f} s" if cycle.seconds else ""
            _log.log(level, "%s: %s%s%s", iso(cycle.cycle), cycle.rung, total, "".join(f"; {r}" for r in cycle.reasons))
        self._write_status()

    def _write_status(self) -> None:
        content = describe(
            self.domain,
            now=self._time.now(),
            started=self._started,
            rungs=self._issuer.rungs,
            pace=self.pace,
            last=self.ledger.last,
            standing=self._standing,
            newest=self.memory.newest,
            lead=self._lead.value,
            next_expected=self._cursor,
            yesterday=self._scorer.yesterday,
            drift=self._scorer.drift,
        )
        write_json(self.layout.status, content)

    def _score(self) -> None:
        """Score the oldest forecast whose frames have come; once all have, summarise the day before."""
        oldest, newest = self.memory.oldest, self.memory.newest
        if not self.domain.scores or oldest is None or newest is None:
            return
        time = self._scorer.due(oldest, newest)
        frames = None if time is None else self.memory.context(newest, self.memory.capacity)
        if time is not None and frames is not None:
            self._scorer.score(time, frames)
            return_free()
        else:
            self._scorer.summarise()

    def _delete_old(self, now: Time) -> None:
        """Delete what is older than the retention, from time to time. The age counts to the newest frame, so that a wrong clock
        deletes nothing that is young."""
        seconds, newest = self._timer(), self.memory.newest
        if newest is not None and (self._deleted is None or seconds - self._deleted >= _DELETE_EVERY):
            self._deleted = seconds
            if count := delete_old(self.layout, self.domain.retention, min(now, newest)):
                _log.info("%d old forecasts and frames are deleted", count)
