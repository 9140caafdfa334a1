"""What can go wrong, in messages that a person can act on: what was found, where, and what to do."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Spell = Callable[[str, object], str]
"""How a parameter is written: its name, or with a value that is not None name and value."""


def in_python(name: str, value: object = None) -> str:
    """A parameter as Python has it: units, units='mm h-1'. A value in capital letters stands for any: path=PATH."""
    if value is None:
        return name
    return f"{name}={value if isinstance(value, str) and value.isupper() else repr(value)}"


class FramecastError(Exception):
    """An error whose cause lies in what framecast was given; the command line prints it and exits with code 2.

    `what` is what was found and what was expected, `where` the file (and variable or frame), `remedy` what to do about it.
    `parameter` is the parameter that is wrong or that would help, under its name in Python, and `example` a value that would
    do: whoever shows the error spells both, see `spelt`.
    """

    exit_code = 2

    def __init__(
        self,
        what: str,
        *,
        where: str | Path | None = None,
        remedy: str | None = None,
        parameter: str | None = None,
        example: object = None,
    ) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.remedy = remedy
        self.parameter = parameter
        self.example = example
        super().__init__(what)

    def __str__(self) -> str:
        return self.spelt(in_python)

    def spelt(self, spell: Spell) -> str:
        """The message, with the parameter as `spell` writes it: `where: what`, then what to do. Without `where` the parameter
        stands in its place."""
        where = self.where
        if where is None and self.parameter is not None:
            where = spell(self.parameter, None)
        text = self.what if where is None else f"{where}: {self.what}"
        remedies = [] if self.remedy is None else [self.remedy]
        if self.parameter is not None and self.example is not None:
            remedies.append(spell(self.parameter, self.example))
        return f"{text}\n  -> {': '.join(remedies)}" if remedies else text


class DataError(FramecastError):
    """Frames that cannot be read, understood or used."""


class UnreadableFile(DataError):
    """A file that is incomplete or damaged. Among others it is skipped and reported; alone it is an error."""


class ResourceError(FramecastError):
    """This machine has no more open files or memory to read with: no file is damaged by that, and none may be left out."""


class ConfigError(FramecastError, ValueError):
    """A recipe, a setting, or a combination of settings that cannot work; a `ValueError` too."""


class ArgumentError(ConfigError):
    """A wrong argument of a function: `parameter` names it."""


class RunError(FramecastError):
    """A run that cannot start, continue, or be read back."""


@contextmanager
def resource_errors(where: str | Path) -> Iterator[None]:
    """Read a file. Raises `ResourceError` where open files or memory ran out, whatever that was taken for."""
    try:
        yield
    except ResourceError:
        raise
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None:
            number = cause.errno if isinstance(cause, OSError) else None
            if number in (errno.EMFILE, errno.ENFILE):
                raise ResourceError(
                    "too many files are open", where=where, remedy="raise the limit: ulimit -n NUMBER"
                ) from error
            if number == errno.ENOMEM or isinstance(cause, MemoryError):
                raise ResourceError(
                    "not enough memory to read it", where=where, remedy="end what else takes some"
                ) from error
            cause = cause.__cause__
        raise
