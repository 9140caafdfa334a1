"""The ledger of a domain, `cycles.jsonl`: one line for each expected time, in order, each one cadence after the one before.

Two cases differ: a very long gap has one line, and times that a wrong clock has declared ahead of time are declared again. The
later line of a time counts.

Nothing is written but by appending whole lines. A forecast's folder appears before its line; the folder holds the line too
(`cycle.json`), so that after a kill between the two the ledger is completed from the folder, and nothing is forecast twice.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from framecast.errors import FramecastError
from framecast.reading.plain_data import parse_json, read_json
from framecast.service.appended import cut_torn_line, last_lines
from framecast.service.layout import Layout, Time, from_iso, iso, times_in
from framecast.writing import append_text

RECORD = "cycle.json"
"""The line of the ledger, in the folder of a forecast."""
_TAIL = 2**20
"""Bytes at the end of the ledger that are read at the start."""
_REMEMBERED = 1024
"""Records that stay in memory."""
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cycle:
    """The outcome of one expected time: `forecast`, or `nothing`, with the `reasons`. `seconds` are of reading, forecasting,
    writing, and `total` from when the frame could be read; `forecaster` and the `largest` value are those of the forecast."""

    cycle: Time
    outcome: Literal["forecast", "nothing"]
    rung: str
    reasons: tuple[str, ...] = ()
    newest_frame: Time | None = None
    age_seconds: float | None = None
    forecaster: str | None = None
    largest: float | None = None
    files: tuple[str, ...] = ()
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    started: Time
    finished: Time

    def plain(self) -> dict[str, Any]:
        """The record as plain data for JSON."""
        content = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        for name in ("cycle", "newest_frame", "started", "finished"):
            content[name] = None if content[name] is None else iso(content[name])
        return {**content, "reasons": list(self.reasons), "files": list(self.files)}

    def because(self, *reasons: str) -> Cycle:
        """The record with further reasons."""
        return dataclasses.replace(self, reasons=(*self.reasons, *reasons))

    def line(self) -> str:
        """The record as a line of the ledger."""
        return json.dumps(self.plain(), allow_nan=False) + "\n"


def parse_cycle(content: Any) -> Cycle:
    """The record of plain data. Raises `ValueError`, `KeyError` or `TypeError` for anything else."""
    values = dict(content)
    for name in ("cycle", "newest_frame", "started", "finished"):
        values[name] = None if values[name] is None else from_iso(values[name])
    return Cycle(**{**values, "reasons": tuple(values["reasons"]), "files": tuple(values["files"])})


class Ledger:
    """The ledger of one domain, opened by its only writer.

    On opening, a line that a kill has torn is cut off, and forecasts without a line are declared from their folders.
    """

    def __init__(self, layout: Layout) -> None:
        self._path = layout.cycles
        cut_torn_line(self._path)
        self.recent = _tail(self._path)
        self._reconcile(layout)

    @property
    def last(self) -> Cycle | None:
        """The newest record; None for a new ledger."""
        return self.recent[-1] if self.recent else None

    def append(self, *cycles: Cycle) -> None:
        """Append records in one piece. Raises `RunError`."""
        if cycles:
            append_text(self._path, "".join(cycle.line() for cycle in cycles))
            self.recent = [*self.recent, *cycles][-_REMEMBERED:]

    def _reconcile(self, layout: Layout) -> None:
        """Declare the forecasts whose folders are newer than the last forecast of the ledger."""
        forecasts = [each.cycle for each in self.recent if each.outcome == "forecast"]
        known = max(forecasts or [each.cycle for each in self.recent[:1]], default=None)
        for time, folder in times_in(layout.forecasts):
            if known is not None and time <= known:
                continue
            try:
                cycle = parse_cycle(read_json(folder / RECORD))
            except (FramecastError, ValueError, KeyError, TypeError) as error:
                _log.warning("%s: no forecast of this service (%s)", folder, error)
                continue
            _log.warning("%s: the forecast has no line in the ledger, which is completed", folder)
            self.append(cycle)


def _tail(path: Path) -> list[Cycle]:
    """The newest records of a ledger; none if there is no such file. Lines that are no records are passed over."""
    lines = last_lines(path, _TAIL)
    return [cycle for line in lines if (cycle := _read_line(line, path)) is not None][-_REMEMBERED:]


def _read_line(line: bytes, path: Path) -> Cycle | None:
    try:
        return parse_cycle(parse_json(line.decode(), path))
    except (FramecastError, ValueError, KeyError, TypeError) as error:
        _log.warning("%s: a line is no record of a cycle (%s)", path, error)
        return None


def declare_nothing(times: Iterable[Time], reasons: tuple[str, ...], now: Time) -> list[Cycle]:
    """Records of expected times without a forecast."""
    return [
        Cycle(cycle=time, outcome="nothing", rung="nothing", reasons=reasons, started=now, finished=now)
        for time in times
    ]
