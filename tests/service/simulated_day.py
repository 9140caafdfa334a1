"""A day of a domain at high speed, with faults at random, on a clock that is set by hand; and checks of what it leaves behind.

The frames come from a function; `benchmarks/service_day.py` gives real ones, the tests small ones.
"""

import heapq
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from rain_frames import STEP, SetClock, at

import framecast
from framecast.service.domain import DomainLoop
from framecast.service.layout import iso, name_of
from framecast.service.settings import Domain

Encode = Callable[[int, np.ndarray], bytes]
"""The file of a frame, by its number and its values."""
EVERY = 30.0
"""Seconds between two looks."""
USABLE = ("none", "half_written", "duplicate", "renamed", "dry", "corrected")
"""Faults after which there is a forecast all the same."""
FAULTS = {
    **{
        "none": 40,
        "missing": 4,
        "late": 4,
        "out_of_order": 3,
        "damaged": 4,
        "half_written": 6,
        "duplicate": 5,
        "renamed": 5,
    },
    **{
        "corrected": 3,
        "dry": 5,
        "frozen": 4,
        "shrunken": 4,
        "no_data": 4,
        "other_grid": 4,
        "off_clock": 3,
        "empty_file": 2,
    },
}
"""The faults and their weights."""


@dataclass
class Day:
    """A day: `values(number)` are the frames `(H, W)`; `suffix` is that of their files."""

    domain: Domain
    out: Path
    values: Callable[[int], np.ndarray]
    encode: Encode
    suffix: str
    cycles: int
    seed: int = 0
    dry: float = 0.0
    faults: dict[int, str] = field(default_factory=dict)
    memory: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.incoming = Path(self.domain.source)
        self.incoming.mkdir(parents=True, exist_ok=True)
        self._rng = random.Random(self.seed)
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self.clock = SetClock(at(0))
        for number in range(self.cycles):
            fault = "none" if number < 6 else self._rng.choices([*FAULTS], [*FAULTS.values()])[0]
            self.faults[number] = fault
            self._plan(number, fault)

    def run(self, watch: Callable[[int], object] = lambda number: None) -> None:
        """Run the day, until the last expected time is declared; `watch` is called after each."""
        with DomainLoop(self.domain, self.out, now=self.clock.now, timer=self.clock.timer) as loop:
            for number in range(self.cycles):
                self._until(loop, number + 1)
                self.memory.append(resident())
                watch(number)
            self._until(loop, self.cycles - 0.5 + self.domain.wait_seconds / STEP.total_seconds())

    def _until(self, loop: DomainLoop, number: float) -> None:
        while self.clock.seconds < number * STEP.total_seconds():
            self.clock.advance(EVERY)
            while self._events and self._events[0][0] <= self.clock.seconds:
                heapq.heappop(self._events)[2]()
            loop.step()

    def _at(self, number: int, seconds: float, action: Callable[[], object]) -> None:
        heapq.heappush(self._events, (number * STEP.total_seconds() + seconds, len(self._events), action))

    def _plan(self, number: int, fault: str) -> None:
        """Plan what comes of a frame, and when."""
        path = self.incoming / f"rain_{name_of(at(number))}{self.suffix}"
        after = self._rng.uniform(5, 90)
        write = self._writer(number, fault, path)
        if fault == "late":
            self._at(number, self.domain.wait_seconds + self._rng.uniform(60, 900), write)
        elif fault == "out_of_order":
            self._at(number, STEP.total_seconds() + 200, write)
        elif fault != "missing":
            self._at(number, after, write)
        if fault in ("duplicate", "renamed"):
            other = path.with_stem(f"copy_{path.stem}")
            self._at(number, after + 60, lambda: other.write_bytes(path.read_bytes()))
            if fault == "renamed":
                self._at(number, after + 60, path.unlink)
        if fault in ("half_written", "corrected"):
            later = self._writer(number, "none", path)
            self._at(number, after + (45 if fault == "half_written" else 120), later)

    def _writer(self, number: int, fault: str, path: Path) -> Callable[[], object]:
        """The function that writes the file of a frame, with its fault."""

        def write() -> None:
            values = self.values(number - 1 if fault == "frozen" else number)
            if fault == "dry":
                values = np.where(np.isnan(values), values, np.float32(self.dry))
            elif fault == "corrected":
                values = values * np.float32(0.5)
            elif fault == "no_data":
                values = np.full_like(values, np.nan)
            elif fault == "shrunken":
                values = values.copy()
                values[:, values.shape[1] // 4 :] = np.nan
            elif fault == "other_grid":
                values = values[:-8, :-8]
            content = self.encode(number, values)
            if fault in ("damaged", "half_written"):
                content = content[: len(content) // 2]
            elif fault == "empty_file":
                content = b""
            name = path.name
            if fault == "off_clock":
                name = f"rain_{name_of(at(number) + 0.4 * STEP)}{self.suffix}"
            path.with_name(name).write_bytes(content)

        return write


def resident() -> int:
    """The memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def records_of(out: Path, domain: str) -> list[dict[str, Any]]:
    """The lines of the ledger."""
    return [json.loads(line) for line in (out / domain / "cycles.jsonl").read_text().splitlines()]


def check_output(out: Path, domain: str, cycles: int, first: int = 0) -> list[dict[str, Any]]:
    """Check that each expected time has one outcome, that each forecast is complete and has its line, and that nothing is half
    written; returns the lines of the ledger."""
    folder, records = out / domain, records_of(out, domain)
    assert [record["cycle"] for record in records] == [iso(at(first + number)) for number in range(cycles)]
    issued = [record for record in records if record["outcome"] == "forecast"]
    names = sorted(path.name for path in (folder / "forecasts").iterdir())
    assert names == [record["cycle"].replace("-", "").replace(":", "") for record in issued]
    for record, name in zip(issued, names, strict=True):
        forecast = framecast.open_forecast(folder / "forecasts" / name / "forecast.nc")
        assert iso_of(forecast["init_time"].values[0]) == record["cycle"]
        assert forecast.attrs["framecast_rung"] == record["rung"]
        assert np.isfinite(forecast[forecast.attrs["values"]].values).any()
        present = {path.name for path in (folder / "forecasts" / name).iterdir()}
        assert present == {*record["files"], "cycle.json"}
    assert all(record["reasons"] for record in records if record["outcome"] == "nothing")
    assert not [path for path in out.rglob(".writing-*")]
    return records


def iso_of(stamp: np.datetime64) -> str:
    """A datetime64 in ISO 8601."""
    return f"{np.datetime_as_string(stamp, unit='s')}Z"


def check_day(day: Day) -> list[dict[str, Any]]:
    """Check the output of a day, and that each usable frame was forecast."""
    records = check_output(day.out, day.domain.name, day.cycles)
    wrong = [
        (number, fault, records[number]["reasons"])
        for number, fault in day.faults.items()
        if fault in USABLE and records[number]["outcome"] != "forecast"
    ]
    assert not wrong, wrong
    return records


def table(day: Day, records: list[dict[str, Any]]) -> dict[str, Counter[str]]:
    """How often each fault led to each rung."""
    counts: dict[str, Counter[str]] = {}
    for number, fault in day.faults.items():
        counts.setdefault(fault, Counter())[records[number]["rung"]] += 1
    return counts


def with_source(domain: Domain, source: Path) -> Domain:
    """The domain with another source."""
    return replace(domain, source=str(source))
