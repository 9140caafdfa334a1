"""The exceptions of framecast. A message says what was found, where, and what to do.

The library names a parameter as in Python; who shows the message decides how it is formatted.
"""

from __future__ import annotations

import errno
import os
import reprlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ParameterFormat = Callable[[str, object], str]
"""A function that formats a parameter: `(name, None)` gives the name, `(name, value)` the name with the value."""


def format_keyword(name: str, value: object = None) -> str:
    """Format a parameter as in Python: units, units='mm h-1'. A value in capital letters is a placeholder: path=PATH."""
    if value is None:
        return name
    return f"{name}={value if isinstance(value, str) and value.isupper() else repr(value)}"


_REPR = reprlib.Repr()
_REPR.maxlevel, _REPR.maxstring, _REPR.maxother, _REPR.maxlong = 3, 120, 120, 60
_LONGEST_PLACE, _LONGEST_TEXT = 400, 2_000
"""Letters of a place, and of another part of a message."""


def shown(value: object) -> str:
    """A value as in Python, cut in the middle if it is long: no message repeats an input without bound."""
    return _REPR.repr(value)


def shorten(text: str, longest: int) -> str:
    """The text; its beginning and its end, if it has more letters than `longest`."""
    return text if len(text) <= longest else f"{text[: longest * 2 // 3]} ... {text[-longest // 3 :]}"


def counted(count: int, one: str, many: str = "") -> str:
    """A number with its noun, and maybe its verb: "1 frame lies", "1,200 frames lie"; `many` is `one` with an s unless given."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


class FramecastError(Exception):
    """An error in the input of framecast: data, settings or a run. The command line prints it and exits with code 2.

    `what` says what was found and what was expected, `where` names the file (and variable or frame), `remedy` says what to do.
    `parameter` is the Python name of the parameter that is wrong or that would help, and `example` a valid value of it;
    `message` formats both.
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
        self.what = what = shorten(what, _LONGEST_TEXT)
        self.where = None if where is None else shorten(str(where), _LONGEST_PLACE)
        self.remedy = None if remedy is None else shorten(remedy, _LONGEST_TEXT)
        self.parameter = parameter
        self.example = example
        super().__init__(what)

    def __str__(self) -> str:
        return self.message(format_keyword)

    def message(self, format_parameter: ParameterFormat) -> str:
        """The message `where: what`, then what to do, with the parameter formatted by `format_parameter`. Without `where` the
        parameter takes its place."""
        where = self.where
        if where is None and self.parameter is not None:
            where = format_parameter(self.parameter, None)
        text = self.what if where is None else f"{where}: {self.what}"
        remedies = [] if self.remedy is None else [self.remedy]
        if self.parameter is not None and self.example is not None:
            remedies.append(format_parameter(self.parameter, self.example))
        return f"{text}\n  -> {': '.join(remedies)}" if remedies else text


class DataError(FramecastError):
    """Frames cannot be read, interpreted or used."""


class UnreadableFile(DataError):
    """A file is incomplete or damaged. In an archive of several files it is skipped and reported; a single file is an error."""


class ResourceError(FramecastError):
    """The machine ran out of open files or memory while reading. The files are not damaged, so none is skipped."""


class ConfigError(FramecastError, ValueError):
    """A recipe, a setting or a combination of settings is invalid. Also a `ValueError`."""


class ArgumentError(ConfigError):
    """An argument of a function is invalid; `parameter` names it."""


class RunError(FramecastError):
    """A run cannot start, continue, or be read."""


class Interrupted(FramecastError):
    """A signal ended the training of several that were asked for; what was done is saved. The exit code is that of Ctrl-C."""

    exit_code = 130


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes: libraries wrap the operating system's error."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


_NO_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "invalid buffer size",
    "Unable to allocate",
)
"""How PyTorch and NumPy say that memory is missing."""


_NO_PEER = ("Connection closed by peer", "Connection reset by peer", "Connection refused")
"""How the backends of PyTorch's processes say that one is gone."""


def input_error(error: Exception) -> FramecastError | None:
    """An error of the operating system, of memory or of depth as one of ours; None for any other, which is an internal error.

    The command line uses it for what no function has named better.
    """
    for cause in _causes(error):
        text = (str(cause).splitlines() or [type(cause).__name__])[0]
        if isinstance(cause, MemoryError) or (isinstance(cause, RuntimeError) and any(w in text for w in _NO_MEMORY)):
            return ResourceError(
                f"not enough memory ({text})",
                remedy="use smaller frames, batches, tiles, horizons or models, or a machine with more memory",
            )
        if isinstance(cause, RuntimeError) and any(words in text for words in _NO_PEER):
            return RunError(
                f"another process of the run has ended ({text})", remedy="look for its message, then resume the run"
            )
        if isinstance(cause, RecursionError):
            return DataError(
                "something in the input is nested too deeply", remedy="look for a damaged or odd file in it"
            )
        if isinstance(cause, OSError) and cause.errno is not None:
            named = isinstance(cause.filename, str | bytes)
            return RunError(
                f"cannot be read or written ({cause.strerror or text})",
                where=os.fsdecode(cause.filename) if named else "a file, or standard output",
                remedy=f"look at {'the path' if named else 'where it goes'}, its permissions and the space on its disk",
            )
        if isinstance(cause, UnicodeError):
            return DataError(
                f"a name or a text that is not in UTF-8 ({text})", remedy="rename it, or use a UTF-8 locale"
            )
    return None


@contextmanager
def resource_errors(where: str | Path) -> Iterator[None]:
    """Within this context, raise `ResourceError` if reading `where` fails for lack of open files or memory, whichever exception a
    library raises for it."""
    try:
        yield
    except ResourceError:
        raise
    except Exception as error:
        for cause in _causes(error):
            number = cause.errno if isinstance(cause, OSError) else None
            if number in (errno.EMFILE, errno.ENFILE):
                raise ResourceError(
                    "too many files are open", where=where, remedy="raise the limit: ulimit -n NUMBER"
                ) from error
            if number == errno.ENOMEM or isinstance(cause, MemoryError):
                raise ResourceError(
                    "not enough memory to read it", where=where, remedy="free memory, or use a machine with more"
                ) from error
        raise
