"""Logging of the command line: records of the loggers `framecast.*` as lines on standard error or in a file, as text or as JSON.

A record with the attribute `printed` is on the terminal already, as a line for people: it is a line of the log only if a format
or a file is asked for. Times are UTC.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from framecast.config.log_lines import JsonLines, LogFormat, TextLines
from framecast.errors import ArgumentError
from framecast.reading.paths import is_file, read_head

PRINTED = {"printed": True}
"""The `extra` of a record that is printed for people too."""
_prints_lines: ContextVar[bool] = ContextVar("prints_lines", default=True)


class _StandardError(logging.Handler):
    """Lines on what is standard error at that moment: a progress bar puts itself in its place. A stream that is gone is no
    reason to stop."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError, ValueError):
            print(self.format(record), file=sys.stderr, flush=True)


class _File(logging.Handler):
    """Lines at the end of a file, which may be moved away between two of them."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def emit(self, record: logging.LogRecord) -> None:
        from framecast.writing import append_text  # late: nothing is written before

        try:
            append_text(self._path, f"{self.format(record)}\n")
        except Exception:
            self.handleError(record)


def prints_lines() -> bool:
    """Whether warnings and progress are printed for people, and not as lines of a log only."""
    return _prints_lines.get()


def check_log(path: Path, named: Iterable[object]) -> None:
    """Raise `ArgumentError` if lines of a log would spoil what lies at `path`: a file of other content than text, or one of those
    `named` by the other arguments of the command, whether it exists or is to be written."""
    from framecast.writing import resolve

    target = resolve(path)
    texts = [part for text in map(str, named) for part in (text, *text.partition("=")[::2], text.partition("#")[0])]
    if str(target) in map(os.path.realpath, texts):
        what = "is what another argument names too"
    elif is_file(path) and b"\0" in read_head(path):
        what = "holds no text"
    else:
        return
    raise ArgumentError(f"{what}, and would be spoilt by the log", where=path, parameter="log_file", example="run.log")


@contextmanager
def logging_to(
    level: int, log_format: LogFormat | None, log_file: Path | None, named: Iterable[object] = ()
) -> Iterator[None]:
    """Within this context, write the records of framecast from `level` on to standard error, in `log_format`, and to `log_file`.
    Without a format, what is printed for people is not repeated. Raises the errors of `check_log`, and `RunError` if the file
    cannot be written."""
    logger = logging.getLogger("framecast")
    formatter = JsonLines() if log_format == "json" else TextLines()
    handlers: list[logging.Handler] = [_StandardError()]
    if log_format is None:
        handlers[0].addFilter(lambda record: not vars(record).get("printed", False))
    if log_file is not None:
        from framecast.writing import append_text

        check_log(log_file, named)
        append_text(log_file, "")
        handlers.append(_File(log_file))
    for handler in handlers:
        handler.setFormatter(formatter)
        logger.addHandler(handler)
    before = logger.level
    logger.setLevel(level)
    token = _prints_lines.set(log_format is None and level < logging.ERROR)
    try:
        yield
    finally:
        _prints_lines.reset(token)
        logger.setLevel(before)
        for handler in handlers:
            logger.removeHandler(handler)
