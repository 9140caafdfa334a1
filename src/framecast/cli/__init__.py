"""The command line `framecast`. A command parses its options, calls one public function, and prints the result.

Exit codes: 0 success, 1 an internal error, 2 an error in the input, 3 `inspect` found a problem, 130 interrupted. Commands hold
no logic of their own: whatever they do is a call away in Python too.
"""

from __future__ import annotations

import atexit
import gc
import logging
import os
import sys
from functools import cache, partial
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
    ranking,
    run,
    serve,
    train,
    workflows,
)
from framecast.cli.doctor import doctor
from framecast.cli.options import present_names
from framecast.cli.process import wait_asleep
from framecast.cli.recipes import recipes
from framecast.cli.results import DEFAULTS, output_error, print_document, unwritable_output
from framecast.cli.scores import scores
from framecast.cli.terminal import progress_bar
from framecast.errors import FramecastError, shorten
from framecast.progress import report_progress

_UsageError: Any = typer.BadParameter.__base__
"""The error of typer for arguments of all kinds, which it does not export."""


class _Commands(typer.core.TyperGroup):
    """The commands; what is wrong with arguments is printed without repeating them without bound, as JSON too if asked for."""

    def invoke(self, ctx: Any) -> Any:
        words: list[str] = [*ctx._protected_args, *ctx.args]
        if words and (command := self.commands.get(words[0])) is not None:
            options = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
            ctx.args = present_names(ctx.args, options)
        try:
            return super().invoke(ctx)
        except _UsageError as error:
            vars(error)["message"] = shorten(error.message, 1_000)
            answer = DEFAULTS._replace(as_json="--json" in words)
            print_document(words[0], answer, error.exit_code, error={"message": error.format_message()})
            raise


class _Command(typer.core.TyperCommand):
    """A command whose arguments are shown as RUN and [SETTINGS]..., where typer has {run} and [settings]..."""

    def get_params(self, ctx: Any) -> list[Any]:
        params = super().get_params(ctx)
        for argument in (each for each in params if each.param_type_name == "argument"):
            argument.metavar = argument.metavar or argument.name.upper()
        return params

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return [piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)]


FIRST_STEPS = """\
framecast predicts the next frames of radar and video, and says how good the prediction is.

  framecast demo                                           train, verify and forecast on generated data, in minutes
  framecast inspect FOLDER                                 what is in your frames, and what to do with them next
  framecast forecast radar --data FOLDER --out nowcast.nc  forecast rain from the newest four radar frames
  framecast recipes                                        what can be trained; framecast train radar#predrnn_v2 ...
  framecast doctor                                         what of framecast is installed

framecast --help lists all commands, framecast COMMAND --help the options of one.
"""


app = typer.Typer(
    name="framecast",
    cls=_Commands,
    help="Train models that predict the next frames of a sequence, verify them, and forecast from new data.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
)


def _keep_garbage() -> None:
    """Search no memory for garbage in a process that ends, unless Triton would report what is left of it as leaks."""
    if "triton" not in sys.modules:
        gc.freeze()


def _end_without_output(error: FramecastError) -> None:
    """End the process, whose standard output cannot be written."""
    print(f"framecast: {error}", file=sys.stderr)
    sys.stdout = sys.stderr  # Python would flush what is left, and end with another code
    sys.exit(error.exit_code)


def main() -> None:
    """Run the command line, and turn exceptions into exit codes."""
    wait_asleep()
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # requests that follow a failed one
    atexit.register(_keep_garbage)
    try:
        with report_progress(cache(partial(progress_bar, least=100))):
            app(standalone_mode=True)
    except (KeyboardInterrupt, SystemExit) as stop:
        if isinstance(stop, SystemExit) and stop.code != 130:  # the exit code typer gives to Ctrl-C
            if (unwritable := unwritable_output()) is not None:
                _end_without_output(unwritable)
            raise
        print("framecast: interrupted", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if os.environ.get("FRAMECAST_DEBUG"):
            raise
        if isinstance(error, OSError):  # commands tell of others: this one is of their answer, or of a help text
            _end_without_output(output_error(error))
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
    context: typer.Context,
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
    if context.invoked_subcommand is None and not version:
        print(FIRST_STEPS, end="")


for command in (
    workflows.demo,
    data.inspect,
    data.convert,
    train.train,
    evaluate.evaluate,
    evaluate.verify,
    evaluate.calibrate,
    evaluate.compare,
    crossvalidate.crossvalidate,
    forecast.forecast,
    products.products,
    export.export,
    run.run,
    serve.serve,
    diagnose.diagnose,
    workflows.reproduce,
    ranking.rank,
    data.datasets,
    importing.import_,
    recipes,
    scores,
    doctor,
):
    app.command(command.__name__.rstrip("_"), cls=_Command)(command)
