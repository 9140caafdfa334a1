"""Who is told how far the opening of many files is: reading ten thousand headers takes minutes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Progress = Callable[[int, int], None]
"""Is told how many are done, and of how many."""


def unreported(*_: object) -> None:
    """Progress that nobody asked for."""


_told: ContextVar[Progress] = ContextVar("told", default=unreported)


@contextmanager
def report_progress(progress: Progress) -> Iterator[None]:
    """Within it, `progress` is told of each file that is opened, whatever function opens them."""
    before = _told.set(progress)
    try:
        yield
    finally:
        _told.reset(before)


def advance(done: int, of: int) -> None:
    """So many files of an archive are open."""
    _told.get()(done, of)
