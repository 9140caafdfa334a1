"""Reports the progress of what opening an archive takes minutes for: ten thousand headers, or all frames once.

Who is told is held in a context variable, so that the functions in between need no argument for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Progress = Callable[[int, int], None]
"""A callback `(done, total)`: the number of items that are done, and of all items."""


def no_progress(*_: object) -> None:
    """Report nothing."""


_current: ContextVar[Callable[[str], Progress]] = ContextVar("progress", default=lambda what: no_progress)


@contextmanager
def report_progress(progress: Callable[[str], Progress]) -> Iterator[None]:
    """Within this context, tell `progress(what)` how far it is; `what` is "opening files" or "reading frames"."""
    before = _current.set(progress)
    try:
        yield
    finally:
        _current.reset(before)


def advance(what: str, done: int, total: int) -> None:
    """Report that `done` of `total` items are done, `what` being said of them: "opening files"."""
    _current.get()(what)(done, total)
