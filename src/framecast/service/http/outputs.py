"""The folder that a service writes, as the server reads it: names of domains and times, status, cycles, and files.

Only the layout of docs/operations.md is known here, nothing of the settings or the processes of the service, so that the server
can run on another machine. What is missing or damaged is absent: a server outlives whatever happens to the files.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from framecast.errors import FramecastError
from framecast.reading.plain_data import parse_json, read_json
from framecast.service.appended import last_lines
from framecast.service.http.caching import Recent
from framecast.service.http.names import LATEST, compact, is_domain, is_file, is_time

_TAIL = 2**18
"""Bytes at the end of cycles.jsonl that are read."""
_LISTED = 1.0
"""Seconds for which a listing or a status is used again."""


class Output:
    """The output of a service in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._listings: Recent[list[str]] = Recent(_LISTED)
        self._contents: Recent[Any] = Recent(_LISTED)

    def service(self) -> dict[str, Any]:
        """`service.json`; empty if there is none."""
        return self._json(self.folder / "service.json")

    def domains(self) -> list[str]:
        """The names of the domains, in order."""
        return self._listings.get("", lambda: [n for n in _names(self.folder) if is_domain(n) and self._has_domain(n)])

    def has(self, domain: str) -> bool:
        """Whether there is a domain of that name."""
        return is_domain(domain) and domain in self.domains()

    def status(self, domain: str) -> dict[str, Any]:
        """`status.json` of a domain; empty if there is none."""
        return self._json(self.folder / domain / "status.json")

    def forecasts(self, domain: str) -> list[str]:
        """The initial times of the forecasts, as names, oldest first."""
        return self._times(domain, "forecasts", "")

    def frames(self, domain: str) -> list[str]:
        """The times of the observed frames, as names, oldest first."""
        return self._times(domain, "frames", ".nc")

    def forecast(self, domain: str, init: str) -> Path | None:
        """The file of a forecast, by its initial time or "latest"; None if there is none."""
        if init == LATEST:
            init = next(iter(self.forecasts(domain)[-1:]), "")
        return self.folder / domain / "forecasts" / init / "forecast.nc" if is_time(init) else None

    def frame(self, domain: str, time: str) -> Path | None:
        """The file of an observed frame, by its time or "latest"; None if there is none."""
        if time == LATEST:
            time = next(iter(self.frames(domain)[-1:]), "")
        return self.folder / domain / "frames" / f"{time}.nc" if is_time(time) else None

    def files(self, domain: str, init: str) -> list[str]:
        """The names of the files of a forecast."""
        path = self.forecast(domain, init)
        return [] if path is None else [name for name in _names(path.parent) if is_file(name)]

    def alerts(self, domain: str, init: str) -> dict[str, Any]:
        """The alerts of a forecast as plain data; empty if there are none."""
        path = self.forecast(domain, init)
        return {} if path is None else self._json(path.with_name("alerts.json"))

    def cycles(self, domain: str) -> list[dict[str, Any]]:
        """The newest lines of `cycles.jsonl`, oldest first."""
        result: list[dict[str, Any]] = self._contents.get((domain, "cycles"), lambda: self._read_cycles(domain))
        return result

    def rungs(self, domain: str) -> dict[str, dict[str, Any]]:
        """The newest cycles by the name of their time."""
        return {compact(str(each.get("cycle", ""))): each for each in self.cycles(domain) if each}

    def _has_domain(self, name: str) -> bool:
        return (self.folder / name / "status.json").is_file() or (self.folder / name / "forecasts").is_dir()

    def _times(self, domain: str, kind: str, suffix: str) -> list[str]:
        def read() -> list[str]:
            names = [n.removesuffix(suffix) for n in _names(self.folder / domain / kind) if n.endswith(suffix)]
            return [name for name in names if is_time(name)]

        return self._listings.get((domain, kind), read)

    def _json(self, path: Path) -> dict[str, Any]:
        def read() -> Any:
            try:
                content = read_json(path)
            except FramecastError:
                return {}
            return content if isinstance(content, dict) else {}

        content: dict[str, Any] = self._contents.get(path, read)
        return content

    def _read_cycles(self, domain: str) -> list[dict[str, Any]]:
        path = self.folder / domain / "cycles.jsonl"
        try:
            lines = last_lines(path, _TAIL)
        except (OSError, FramecastError):
            return []
        cycles = []
        for line in lines:
            try:
                cycle = parse_json(line.decode("utf-8", "replace"), path)
            except FramecastError:
                continue
            if isinstance(cycle, dict):
                cycles.append(cycle)
        return cycles


def version_of(path: Path) -> tuple[int, int] | None:
    """Time of change and size of a file, which tell whether it is the same; None if there is no such file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []
