"""The command line: parse, call one function, print. Exit codes: 0 done, 1 our fault (of `inspect`: something would
spoil training), 2 the fault of what was given."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

import framecast
from framecast.cli import data, judging, models
from framecast.cli.arguments import bar
from framecast.cli.doctor import doctor
from framecast.errors import FramecastError
from framecast.progress import watch

app = typer.Typer(
    name="framecast",
    help="Learn to predict the next frames of a sequence, say how good the prediction is, and run it on new data.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def main() -> None:
    """Run the command line."""
    try:
        with watch(bar("opening files", least=100)):
            app(standalone_mode=True)
    except FramecastError as error:
        print(f"framecast: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, SystemExit) as stop:
        if isinstance(stop, SystemExit) and stop.code != 130:  # which typer makes of Ctrl-C
            raise
        print("framecast: interrupted", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if os.environ.get("FRAMECAST_DEBUG"):
            raise
        print(
            f"framecast: internal error, {type(error).__name__}: {error}\n"
            "  -> this is our fault; run again with FRAMECAST_DEBUG=1 and report what it prints",
            file=sys.stderr,
        )
        sys.exit(1)


def _version(wanted: bool) -> None:
    if wanted:
        from framecast.ops.native.library import status

        print(f"framecast {framecast.__version__}\nloops: {status()}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Print the version and which compiled loops run."
        ),
    ] = False,
) -> None:
    """Learn to predict the next frames of a sequence, say how good the prediction is, and run it on new data."""


for command in (
    models.demo,
    data.inspect,
    data.convert,
    models.train,
    judging.evaluate,
    judging.compare,
    models.forecast,
    models.diagnose,
    models.reproduce,
    data.datasets,
):
    app.command()(command)
app.command("import")(models.import_)
app.command()(doctor)
