"""Terminal output of the commands: progress bars, warnings, lines, and tables of names and values."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any


def progress_bar(name: str, least: int = 1) -> Callable[[int, int], None]:
    """A callback `(done, total)` that draws a progress bar on standard error; no bar for a total below `least`."""

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
        display, task = live_bar()
        if not display.live.is_started:
            display.reset(task, total=total)
            display.start()
        display.update(task, completed=done, total=total)
        if done == total:
            display.stop()

    return report


def warn(console: Any, text: str) -> None:
    """Print a warning, in yellow."""
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
