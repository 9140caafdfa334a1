"""The present time of a domain: the clock of the machine, but for jumps that its timer does not confirm; and how far frames are
ahead of it."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable

from framecast.service.layout import Time, iso
from framecast.service.sources import Timer

_SETTLED = datetime.timedelta(minutes=5)
"""Time for which a clock that jumped progresses like the timer before it is followed, at most."""
_log = logging.getLogger(__name__)


class SteadyClock:
    """A clock that is compared with a timer, which counts seconds and is never set.

    When the clock differs from the timer's progress by more than `tolerance`, it has jumped: the present goes on by the timer,
    until the clock has progressed like it for so long, at most five minutes. Then the clock is followed, wherever it is. Smaller
    differences are followed at once.
    """

    def __init__(self, clock: Callable[[], Time], timer: Timer, tolerance: datetime.timedelta) -> None:
        self._clock, self._timer, self._tolerance = clock, timer, tolerance
        self._settled = min(tolerance, _SETTLED).total_seconds()
        self._zero = self._zero_now()
        self._other: Time | None = None
        self._since = 0.0

    def now(self) -> Time:
        """The present."""
        if abs(self._zero_now() - self._zero) <= self._tolerance:
            return self._clock()
        return self._zero + datetime.timedelta(seconds=self._timer())

    def check(self) -> bool:
        """Compare the clock with the timer, to be called at each poll; whether the clock was set, and is followed from now on."""
        zero, seconds = self._zero_now(), self._timer()
        if abs(zero - self._zero) <= self._tolerance:
            self._zero, self._other = zero, None
        elif self._other is None or abs(zero - self._other) > self._tolerance:
            if self._other is None:
                minutes = (zero - self._zero).total_seconds() / 60
                _log.warning(
                    "the clock of this machine jumped by %+.0f minutes to %s, and is not followed until it has been steady for "
                    "%.0f s",
                    minutes,
                    iso(self._clock()),
                    self._settled,
                )
            self._other, self._since = zero, seconds
        elif seconds - self._since >= self._settled:
            self._zero, self._other = zero, None
            _log.warning("the clock of this machine is followed again: it is %s", iso(self._clock()))
            return True
        return False

    def _zero_now(self) -> Time:
        """What the clock shows, less the seconds of the timer."""
        return self._clock() - datetime.timedelta(seconds=self._timer())


class Lead:
    """How far frames are ahead of the clock of this machine when they come: `value`, None where they are not. Changes of up to
    `step` are not worth a word."""

    def __init__(self, step: datetime.timedelta) -> None:
        self.value: datetime.timedelta | None = None
        self._step = step
        self._told = datetime.timedelta(0)
        self._newest: Time | None = None

    @property
    def minutes(self) -> float:
        """The lead in minutes, 0 where there is none."""
        return 0.0 if self.value is None else self.value.total_seconds() / 60

    def measure(self, ahead: Time | None, came: Time | None, now: Time) -> bool:
        """Take in one look at a source: the newest time `ahead` of the clock, and that of the frames that `came`. Returns whether
        there is something to be told."""
        if ahead is not None and (self._newest is None or ahead > self._newest):
            self._newest, self.value = ahead, ahead - now
        elif self._newest is not None and came is not None and came > self._newest:
            self.value, self._told = None, datetime.timedelta(0)  # a frame came in time
        if self.value is None or abs(self.value - self._told) <= self._step:
            return False
        self._told = self.value
        return True
