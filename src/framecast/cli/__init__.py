"""The command line: parse, call one public function, print.

Exit codes: 0 done, 1 a fault of framecast, 2 a fault of what was given, 3 a finding of `inspect`, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

import framecast
from framecast.cli import data, diagnose, evaluate, forecast, importing, train, workflows
from framecast.cli.doctor import doctor
from framecast.cli.terminal import bar
from framecast.progress import report_progress

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
        with report_progress(bar("opening files", least=100)):
            app(standalone_mode=True)
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


def _print_version(wanted: bool) -> None:
    if wanted:
        from framecast.ops.native.library import status

        print(f"framecast {framecast.__version__}\nloops: {status()}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and which compiled loops run."
        ),
    ] = False,
) -> None:
    """Learn to predict the next frames of a sequence, say how good the prediction is, and run it on new data."""


for command in (
    workflows.demo,
    data.inspect,
    data.convert,
    train.train,
    evaluate.evaluate,
    evaluate.compare,
    forecast.forecast,
    diagnose.diagnose,
    workflows.reproduce,
    data.datasets,
):
    app.command()(command)
app.command("import")(importing.import_)
app.command()(doctor)
