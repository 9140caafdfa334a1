"""Run a domain in processes that are killed at random moments, and check the output: `python kill_services.py OUT SEED KILLS`.

The processes are forked from one that has imported everything. Each is killed (SIGKILL) before, after or amid one of its calls
that write, rename or sync, chosen at random; the next goes on at the same time of a clock that is set by hand. Prints at which
calls they were killed, and the outcomes.
"""

import mmap
import os
import random
import signal
import struct
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rain_frames import START, STEP, SetClock, at, domain_of, name, put
from simulated_day import check_output, records_of

from framecast.service.domain import DomainLoop
from framecast.service.layout import from_iso
from framecast.service.settings import Domain, Retention

CALLS = ("write", "rename", "fsync", "mkdir", "rmdir", "unlink")
"""The calls of the system at which a process is killed."""
EVERY = 60.0
"""Seconds between two looks."""
_KEEP = 1000.0
"""Hours: all forecasts are checked at the end."""


class Shared:
    """The seconds of the clock and the call at which a process was killed, in memory that all processes share."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 16)

    @property
    def seconds(self) -> float:
        return float(struct.unpack_from("d", self._memory, 0)[0])

    @seconds.setter
    def seconds(self, value: float) -> None:
        struct.pack_into("d", self._memory, 0, value)

    @property
    def call(self) -> int:
        return int(struct.unpack_from("q", self._memory, 8)[0])

    @call.setter
    def call(self, value: int) -> None:
        struct.pack_into("q", self._memory, 8, value)


def kill_at(number: int, rng: random.Random, shared: Shared) -> None:
    """Kill this process at its call with that number."""
    count = 0

    def wrap(index: int, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **keywords: Any) -> Any:
            nonlocal count
            count += 1
            if count < number:
                return call(*arguments, **keywords)
            shared.call = index
            if rng.random() < 0.5:
                if CALLS[index] == "write":  # a part of the bytes
                    arguments = (arguments[0], memoryview(arguments[1])[: rng.randrange(len(arguments[1]) + 1)])
                call(*arguments, **keywords)
            os.kill(os.getpid(), signal.SIGKILL)
            return None

        return wrapped

    for index, each in enumerate(CALLS):
        setattr(os, each, wrap(index, getattr(os, each)))


def operate(domain: Domain, out: Path, shared: Shared, present: Callable[[int], bool], until: float) -> None:
    """Run the domain from where the clock stands; frames appear as the clock passes their times."""
    clock = SetClock(START)
    clock.advance(shared.seconds)
    with DomainLoop(domain, out, now=clock.now, timer=clock.timer) as loop:
        while clock.seconds < until:
            clock.advance(EVERY)
            shared.seconds = clock.seconds
            number = int((clock.seconds - EVERY) // STEP.total_seconds())
            if present(number) and not (Path(domain.source) / name(number)).exists():
                put(Path(domain.source), number)
            loop.step()


def kill_services(out: Path, seed: int, kills: int, calls: int = 400, rest: float = 3600) -> Counter[str]:
    """Kill so many processes, each at one of its first `calls`, then let one go on for `rest` seconds; returns the number of
    outcomes, and of kills by call. Raises `AssertionError` for a gap, a double or a file half written."""
    rng, counts, shared = random.Random(seed), Counter[str](), Shared()
    domain = domain_of(out / "in", retention=Retention(forecasts=_KEEP, frames=_KEEP))
    Path(domain.source).mkdir(parents=True)

    def present(number: int) -> bool:
        return random.Random(f"{seed} {number}").random() < 0.85

    for _ in range(kills):
        number = rng.randint(1, calls)
        process = os.fork()
        if not process:
            try:
                kill_at(number, rng, shared)
                operate(domain, out / "out", shared, present, float("inf"))
            finally:
                os._exit(1)
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        assert status == -signal.SIGKILL, status
        counts[f"killed at {CALLS[shared.call]}"] += 1
    operate(domain, out / "out", shared, present, shared.seconds + rest)
    records = records_of(out / "out", domain.name)
    first = (from_iso(records[0]["cycle"]) - START) // STEP
    check_output(out / "out", domain.name, len(records), first)
    assert from_iso(records[-1]["cycle"]) >= at(int(shared.seconds // STEP.total_seconds()) - 3)
    counts.update(record["rung"] for record in records)
    return counts


if __name__ == "__main__":
    for what, count in sorted(kill_services(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])).items()):
        print(f"{what}: {count}")
