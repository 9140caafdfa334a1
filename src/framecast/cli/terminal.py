"""What commands print: progress, warnings, lines, names with values."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any


def bar(name: str, least: int = 1) -> Callable[[int, int], None]:
    """A progress bar as a callback, on standard error; none for fewer than `least`."""

    @cache
    def started() -> tuple[Any, Any]:
        from rich.console import Console
        from rich.progress import Progress

        shown = Progress(console=Console(stderr=True), transient=True)
        atexit.register(shown.stop)  # gives the cursor back, whatever ends the program
        return shown, shown.add_task(name, total=None)

    def report(done: int, of: int) -> None:
        if of < least:
            return
        shown, task = started()
        if not shown.live.is_started:
            shown.reset(task, total=of)
            shown.start()
        shown.update(task, completed=done, total=of)
        if done == of:
            shown.stop()

    return report


def warn(console: Any, text: str) -> None:
    """Print what should not be missed."""
    console.print(f"! {text}", style="yellow", highlight=False, markup=False, soft_wrap=True)


def print_lines(console: Any, *lines: str) -> None:
    """Print lines as they are."""
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def print_facts(console: Any, facts: Mapping[str, str]) -> None:
    """Print names and values, one below the other."""
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in facts.items():
        table.add_row(Text(name, style="bold"), Text(value))
    console.print(table)
