"""Reports the progress of opening many files to a callback, since reading ten thousand headers takes minutes.

The callback is held in a context variable, so that the functions in between need no argument for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Progress = Callable[[int, int], None]
"""A callback `(done, total)`: the number of items that are done, and of all items."""


def no_progress(*_: object) -> None:
    """Report nothing."""


_current: ContextVar[Progress] = ContextVar("progress", default=no_progress)


@contextmanager
def report_progress(progress: Progress) -> Iterator[None]:
    """Within this context, call `progress` for each file that is opened, whichever function opens it."""
    before = _current.set(progress)
    try:
        yield
    finally:
        _current.reset(before)


def advance(done: int, total: int) -> None:
    """Report that `done` of `total` files of an archive are open."""
    _current.get()(done, total)
