"""The plan that is being computed, on disk: the next process sees what an earlier one did not survive.

A process may be killed for its memory, crash in a library, or be killed because it is silent. One that did so with the same plan
twice in a row would do so again, so that plan is given up for a while.
"""

from __future__ import annotations

from pathlib import Path

from framecast.errors import FramecastError
from framecast.reading.plain_data import read_json
from framecast.service.layout import write_json
from framecast.service.pace import Plan
from framecast.writing import discard

MOST = 2
"""The processes that may end while they compute a plan."""


class Attempts:
    """The plan in progress, in a file that is there only while it is computed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._plan, self._count = _read(path)

    @property
    def given_up(self) -> Plan | None:
        """The plan that too many processes in a row have not survived; None without one."""
        return self._plan if self._count >= MOST else None

    def begin(self, plan: Plan) -> None:
        """Note that a plan is computed from now on. Raises `RunError`."""
        self._count = self._count + 1 if self._plan is not None and self._plan.work == plan.work else 1
        self._plan = plan
        write_json(
            self._path, {"members": plan.members, "horizon": plan.horizon, "first": plan.first, "count": self._count}
        )

    def end(self) -> None:
        """Note that it is done. Raises `RunError`."""
        discard(self._path)
        self._plan, self._count = None, 0


def _read(path: Path) -> tuple[Plan | None, int]:
    """The plan in a file, and how many processes have begun it; none for a file that is not there, or is damaged."""
    if not path.exists():
        return None, 0
    try:
        content = read_json(path)
        return Plan(content["members"], int(content["horizon"]), int(content["first"])), int(content["count"])
    except (FramecastError, KeyError, TypeError, ValueError):
        return None, 0
