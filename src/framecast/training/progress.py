"""Shows the events of a training run on a console, a progress bar on a terminal, plain lines elsewhere; and logs them."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from framecast.training import events

_log = logging.getLogger(__name__)
_PRINTED = {"printed": True}
"""The `extra` of a record that is on the console too."""


def show(stream: Iterable[events.Event], console: Console) -> events.Finished:
    """Show all events of `stream` and return the last one."""
    bar = Progress(
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[status]}"),
        console=console,
    )
    finished = events.Finished(Path(), 0, interrupted=True)

    def print_line(line: str, style: str = "") -> None:
        _log.log(logging.WARNING if style else logging.INFO, line, extra=_PRINTED)
        console.print(f"  {line}", style=style, highlight=False, markup=False, soft_wrap=True)

    with bar if console.is_terminal else nullcontext():
        task = bar.add_task("training", total=None, status="")
        # one branch for each kind of event
        for event in stream:
            if isinstance(event, events.Started):
                bar.update(task, total=event.iterations, completed=event.iteration)
                for line in event.report:
                    print_line(line)
                start = f"from iteration {event.iteration} " if event.iteration else ""
                print_line(f"{event.parameters:,} weights on {event.device}, {start}into {event.out}")
            elif isinstance(event, events.Progress):
                bar.update(task, completed=event.iteration, status=_status(event))
                line = f"{event.iteration}/{event.iterations}  {_status(event)}"
                if console.is_terminal:
                    _log.info(line, extra=_PRINTED)
                else:
                    print_line(line)
            elif isinstance(event, events.Validated):
                print_line(f"{event.iteration}: validation loss {event.loss:.5f}, {event.picture}")
            elif isinstance(event, events.Warned):
                print_line(f"{event.iteration}: {event.message}", style="yellow")
            elif isinstance(event, events.Finished):
                finished = event
    return finished


def _status(event: events.Progress) -> str:
    left = datetime.timedelta(seconds=round(event.seconds_left))
    return f"loss {event.loss:.5f}  {event.frames_per_second:.0f} frames/s  {left} left  {event.memory / 2**30:.1f} GiB"
