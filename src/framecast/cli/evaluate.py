"""The commands `framecast evaluate` and `framecast compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import framecast
from framecast.cli.options import Cluster, OptionalData, command
from framecast.cli.score_tables import print_comparison, print_scores
from framecast.cli.terminal import print_lines, progress_bar, warn
from framecast.data.readers.options import ReadOptions
from framecast.verification.settings import EvaluationSettings


@command
def evaluate(
    run: Annotated[Path, typer.Argument(help="The folder of a run, or with --data of a saved model.")],
    settings: EvaluationSettings,
    options: ReadOptions,
    data: OptionalData = None,
    cluster: Cluster = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for cases.nc and report.html; RUN/evaluation by default.")
    ] = None,
) -> None:
    """Verify a model against baselines, by lead time and threshold, and write a report."""
    from rich.console import Console

    from framecast.checkpoints.model_folder import evaluation_folder  # late: imports torch

    out = out or evaluation_folder(run)
    verification = framecast.evaluate(
        run, data, settings, options=options, out=out, report=True, cluster=cluster, progress=progress_bar("verifying")
    )
    console = Console()
    for text in (*verification.warnings, *verification.repairs):
        warn(console, text)
    print_scores(verification, console)
    print_lines(console, f"scores of each case: {out / 'cases.nc'}", f"report: {out / 'report.html'}")


@command
def calibrate(
    run: Annotated[Path, typer.Argument(help="The folder of a run or of a saved model, or radar.")],
    options: ReadOptions,
    out: Annotated[Path, typer.Option(help="The new folder of the calibrated model.")],
    data: Annotated[
        list[str] | None,
        typer.Option("--data", help="A file, folder or glob pattern of frames on which it was not trained; repeat it."),
    ] = None,
    folds: Annotated[
        Path | None,
        typer.Option(help="The folder of a cross-validation, whose models forecast the events that they left out."),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many cases of each, evenly spread.")] = None,
) -> None:
    """Calibrate the probabilities of a model on events it was not trained on; rates with too few events stay as they are."""
    calibration = framecast.calibrate(
        run, data or (), out=out, folds=folds, options=options, limit=limit, progress=progress_bar("forecasting")
    )
    for rate, events, done in zip(calibration["rates"], calibration["events"], calibration["calibrated"], strict=True):
        print(f"{rate:g} mm/h: {events:,} events, {'calibrated' if done else 'too few, left as it is'}")
    print(out)


@command
def compare(
    runs: Annotated[list[Path], typer.Argument(help="The folders of runs, or of saved models.")],
    settings: EvaluationSettings,
    options: ReadOptions,
    data: OptionalData = None,
    cluster: Cluster = None,
    out: Annotated[Path, typer.Option(help="Folder for cases.nc and comparison.html.")] = Path("comparison"),
) -> None:
    """Compare models with each other and with baselines, on the same cases: confidence intervals, significance tests."""
    from rich.console import Console

    comparison = framecast.compare(
        runs, data, settings, options=options, out=out, cluster=cluster, progress=progress_bar("verifying")
    )
    console = Console()
    for text in comparison.warnings:
        warn(console, text)
    print_comparison(comparison, console)
    for name, skill in comparison.skills().items():
        print_lines(console, f"{name}: MSE skill over extrapolation {skill:.3f}")
    print_lines(console, f"report: {out / 'comparison.html'}")
