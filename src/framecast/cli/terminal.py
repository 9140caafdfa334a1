"""Terminal output of the commands: progress bars, warnings, lines, and tables of names and values."""

from __future__ import annotations

import atexit
import logging
import sys
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache
from typing import Any

from framecast.cli.logs import PRINTED, prints_lines

_LOG_FIRST, _LOG_EVERY = 5.0, 60.0
"""Seconds until the first line of progress in a log, if the work is not done before, and between two others."""
_log = logging.getLogger(__name__)


def progress_bar(name: str, least: int = 1) -> Callable[[int, int], None]:
    """A callback `(done, total)` that draws a progress bar on standard error, or logs a line a minute where that is no terminal;
    nothing for a total below `least`."""
    log = _progress_lines(name)

    @cache
    def live_bar() -> tuple[Any, Any]:
        from rich.console import Console
        from rich.progress import Progress

        display = Progress(console=Console(stderr=True), transient=True)
        atexit.register(display.stop)  # restores the cursor, however the program ends
        return display, display.add_task(name, total=None)

    def report(done: int, total: int) -> None:
        if total < least:
            return
        if not (sys.stderr.isatty() and prints_lines()):
            log(done, total)
            return
        display, task = live_bar()
        if not display.live.is_started:
            display.reset(task, total=total)
            display.start()
        display.update(task, completed=done, total=total)
        if done == total:
            display.stop()

    return report


def _progress_lines(name: str) -> Callable[[int, int], None]:
    """A callback `(done, total)` that logs the progress and the time left: the first line soon, then one a minute."""
    begin = due = 0.0
    first: int | None = None

    def report(done: int, total: int) -> None:
        nonlocal begin, due, first
        now = time.monotonic()
        if first is None:  # nothing, or what was done before an interruption
            begin, due, first = now, now + _LOG_FIRST, done
        if done > first and now >= due:
            due = now + _LOG_EVERY
            left = timedelta(seconds=round((now - begin) / (done - first) * (total - done)))
            _log.info(
                "%s: %s of %s, %s left", name, f"{done:,}", f"{total:,}", left, extra={"done": done, "total": total}
            )
        if done == total:
            first = None  # the next archive begins

    return report


def training_console() -> Any:
    """The console of a training: None for standard error, one that prints nothing if the log has its progress instead."""
    if prints_lines():
        return None
    from rich.console import Console

    return Console(quiet=True)


def warn(console: Any, text: str) -> None:
    """Log a warning, and print it in yellow where lines are printed for people."""
    _log.warning(text, extra=PRINTED)
    if not prints_lines():
        return
    console.print(f"! {text}", style="yellow", highlight=False, markup=False, soft_wrap=True)


def print_lines(console: Any, *lines: str) -> None:
    """Print lines without markup, highlighting or wrapping."""
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def print_table(console: Any, values: Mapping[str, str]) -> None:
    """Print names and their values as a table of two columns."""
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in values.items():
        table.add_row(Text(name, style="bold"), Text(value))
    console.print(table)
