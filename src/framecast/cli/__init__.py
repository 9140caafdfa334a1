"""The command line `framecast`. A command parses its options, calls one public function, and prints the result.

Exit codes: 0 success, 1 an internal error, 2 an error in the input, 3 `inspect` found a problem, 130 interrupted. Commands hold
no logic of their own: whatever they do is a call away in Python too.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Annotated, Any

import typer
import typer.core

import framecast
from framecast.cli import (
    crossvalidate,
    data,
    diagnose,
    evaluate,
    export,
    forecast,
    importing,
    products,
    train,
    workflows,
)
from framecast.cli.doctor import doctor
from framecast.cli.recipes import recipes
from framecast.cli.terminal import progress_bar
from framecast.errors import shorten
from framecast.progress import report_progress

_UsageError: Any = typer.BadParameter.__base__
"""The error of typer for arguments of all kinds, which it does not export."""


class _Commands(typer.core.TyperGroup):
    """The commands; what is wrong with arguments is said without repeating them without bound."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except _UsageError as error:
            vars(error)["message"] = shorten(error.message, 1_000)
            raise


app = typer.Typer(
    name="framecast",
    cls=_Commands,
    help="Train models that predict the next frames of a sequence, verify them, and forecast from new data.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def main() -> None:
    """Run the command line, and turn exceptions into exit codes."""
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # requests that follow a failed one
    try:
        with report_progress(progress_bar("opening files", least=100)):
            app(standalone_mode=True)
    except (KeyboardInterrupt, SystemExit) as stop:
        if isinstance(stop, SystemExit) and stop.code != 130:  # the exit code typer gives to Ctrl-C
            raise
        print("framecast: interrupted", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if os.environ.get("FRAMECAST_DEBUG"):
            raise
        print(
            f"framecast: internal error, {type(error).__name__}: {error}\n"
            "  -> this is an error in framecast; run again with FRAMECAST_DEBUG=1 and report the traceback",
            file=sys.stderr,
        )
        sys.exit(1)


def _print_version(requested: bool) -> None:
    if requested:
        from framecast.ops.native.library import status

        print(f"framecast {framecast.__version__}\nloops: {status()}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the version, and which compiled loops are in use.",
        ),
    ] = False,
) -> None:
    """Train models that predict the next frames of a sequence, verify them, and forecast from new data."""


for command in (
    workflows.demo,
    data.inspect,
    data.convert,
    train.train,
    evaluate.evaluate,
    evaluate.calibrate,
    evaluate.compare,
    crossvalidate.crossvalidate,
    forecast.forecast,
    products.products,
    export.export,
    diagnose.diagnose,
    workflows.reproduce,
    data.datasets,
):
    app.command()(command)
app.command("import")(importing.import_)
app.command()(recipes)
app.command()(doctor)
