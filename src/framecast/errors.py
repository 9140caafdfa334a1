"""What can go wrong, said so that a person can act on it: what was found, where, and what to do."""

from __future__ import annotations

import errno
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def option(name: str, value: object) -> str:
    """How something is stated of the files that are read: on the command line, to `train`, in Python."""
    text = shlex.quote(str(value))
    return f"--{name.replace('_', '-')} {text} (for train: data.{name}={text}; in Python: {name}={value!r})"


class FramecastError(Exception):
    """An error whose cause lies in what framecast was given; the command line prints it and exits with code 2.

    `what` says what was found and what was expected, `where` names the file (and variable or frame), `remedy` says
    what to do about it.
    """

    exit_code = 2

    def __init__(self, what: str, *, where: str | Path | None = None, remedy: str | None = None) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.remedy = remedy
        super().__init__(what)

    def __str__(self) -> str:
        text = self.what if self.where is None else f"{self.where}: {self.what}"
        return text if self.remedy is None else f"{text}\n  -> {self.remedy}"


class DataError(FramecastError):
    """Frames that cannot be read, understood or used."""


class Unreadable(DataError):
    """A file that is incomplete or damaged. Among others it is skipped and reported; alone it is an error."""


class Exhausted(FramecastError):
    """This machine has no more open files or memory to read with: no file is damaged by that, and none may be left out."""


class ConfigError(FramecastError):
    """A recipe, a setting, or a combination of settings that cannot work."""


class RunError(FramecastError):
    """A run that cannot start, continue, or be read back."""


@contextmanager
def blameless(where: str | Path) -> Iterator[None]:
    """Read a file. Raises `Exhausted` where open files or memory ran out, whatever that was taken for."""
    try:
        yield
    except Exhausted:
        raise
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None:
            number = cause.errno if isinstance(cause, OSError) else None
            if number in (errno.EMFILE, errno.ENFILE):
                raise Exhausted(
                    "too many files are open", where=where, remedy="raise the limit: ulimit -n NUMBER"
                ) from error
            if number == errno.ENOMEM or isinstance(cause, MemoryError):
                raise Exhausted(
                    "not enough memory to read it", where=where, remedy="end what else takes some"
                ) from error
            cause = cause.__cause__
        raise
