"""The options of every command that say how it answers: `--json`, and those of the log; and what `--json` prints.

With `--json` a command prints one JSON object on standard output, whether it succeeds or fails, and all else on standard error.
`docs/command_line.md` describes the object; `SCHEMA` is its version.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import logging
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

import framecast
from framecast.cli.logs import PRINTED, logging_to, prints_lines
from framecast.config.log_lines import LogFormat
from framecast.errors import FramecastError, RunError, format_keyword

SCHEMA = 1
Result = Mapping[str, Any]
"""What a command returns: plain values by name, the `result` of its object."""
_PANEL = "Answer and log"
_log = logging.getLogger(__name__)


class Ended(typer.Exit):
    """The end of a command with an exit code that is not 0, though it has a result."""

    def __init__(self, exit_code: int, result: Result) -> None:
        super().__init__(exit_code)
        self.result = result


class AnswerOptions(NamedTuple):
    """The options, by the names of their parameters."""

    as_json: bool
    verbose: bool
    quiet: bool
    log_format: LogFormat | None
    log_file: Path | None


ANNOTATIONS: dict[str, Any] = {
    "as_json": Annotated[
        bool,
        typer.Option(
            "--json", help="Print the result as one JSON object, and all else on stderr.", rich_help_panel=_PANEL
        ),
    ],
    "verbose": Annotated[bool, typer.Option("--verbose", "-v", help="Log details too.", rich_help_panel=_PANEL)],
    "quiet": Annotated[
        bool, typer.Option("--quiet", "-q", help="Print the result and errors only.", rich_help_panel=_PANEL)
    ],
    "log_format": Annotated[
        LogFormat | None,
        typer.Option(help="Warnings and progress as stamped lines, for a machine to read.", rich_help_panel=_PANEL),
    ],
    "log_file": Annotated[Path | None, typer.Option(help="Append the log to this file too.", rich_help_panel=_PANEL)],
}
DEFAULTS = AnswerOptions(as_json=False, verbose=False, quiet=False, log_format=None, log_file=None)


def answer(
    command: str,
    options: AnswerOptions,
    call: Callable[[], Result | None],
    as_message: Callable[[FramecastError], str],
    as_known: Callable[[Exception], FramecastError | None],
    named: Iterable[object] = (),
) -> None:
    """Call a command and print its answer; `named` are the values of its arguments, among them paths. An error in the input, as
    `as_known` tells of exceptions of others, becomes a message and an exit code. Raises `typer.Exit`, and what is an internal
    error."""
    level = logging.ERROR if options.quiet else logging.DEBUG if options.verbose else logging.INFO
    try:
        with logging_to(level, options.log_format, options.log_file, named):
            _answer(command, options, call, as_message, as_known)
    except FramecastError as error:  # of the log itself
        _fail(command, options, error, as_message(error))


def _answer(
    command: str,
    options: AnswerOptions,
    call: Callable[[], Result | None],
    as_message: Callable[[FramecastError], str],
    as_known: Callable[[Exception], FramecastError | None],
) -> None:
    code, result = 0, None
    _log.debug("%s begins", command)
    try:
        with _only_results(options.as_json):
            result = call()
    except Ended as end:
        code, result = end.exit_code, end.result
    except FramecastError as error:
        _fail(command, options, error, as_message(error))
    except (typer.Exit, BrokenPipeError):
        raise
    except KeyboardInterrupt:
        print_document(command, options, 130, error={"message": "interrupted"})
        raise
    except Exception as exception:
        known = as_known(exception)
        if known is not None:
            _fail(command, options, known, as_message(known), exception)
        _log.error("internal error", exc_info=True, extra=PRINTED)
        print_document(
            command, options, 1, error={"message": f"internal error, {type(exception).__name__}: {exception}"}
        )
        raise
    _log.debug("%s ends with exit code %d", command, code)
    print_document(command, options, code, result=dict(result or {}))
    if code:
        raise typer.Exit(code)


def unwritable_output() -> FramecastError | None:
    """The error of a standard output that takes nothing more, such as a file on a full disk; None if it can be written, or if
    nobody reads it any more."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return None
    except OSError as error:
        return output_error(error)
    return None


def output_error(error: OSError) -> FramecastError:
    """The error of a standard output that cannot be written."""
    return RunError(
        f"standard output cannot be written ({error.strerror})",
        remedy="direct it to a place that has room; the files that the command has written are kept",
    )


@contextmanager
def _only_results(as_json: bool) -> Iterator[None]:
    """Within this context, with JSON, what is printed goes to standard error."""
    if not as_json:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


def _fail(
    command: str, options: AnswerOptions, error: FramecastError, message: str, cause: Exception | None = None
) -> None:
    _log.error(message, extra=PRINTED)
    if prints_lines() or options.log_format is None:
        print(f"framecast: {message}", file=sys.stderr)
    parts = {"message": error.what, "where": error.where, "remedy": error.remedy}
    parameter = None if error.parameter is None else format_keyword(error.parameter, error.example)
    print_document(command, options, error.exit_code, error={**parts, "parameter": parameter, "text": message})
    raise typer.Exit(error.exit_code) from (cause or error)


def print_document(command: str, options: AnswerOptions, code: int, **parts: Any) -> None:
    """Print the JSON object of a command that asked for it, in the process of rank zero: `result` or `error`."""
    if not options.as_json or os.environ.get("LOCAL_RANK", "0") != "0":
        return
    head = {"schema": SCHEMA, "framecast": framecast.__version__, "command": command, "exit_code": code}
    print(json.dumps(plain({**head, **parts}), allow_nan=False), flush=True)


def plain(value: Any) -> Any:
    """A value as JSON has it: numbers that are not finite are null, times ISO 8601, paths and all else texts."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(part) for part in value]
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    return str(value)
