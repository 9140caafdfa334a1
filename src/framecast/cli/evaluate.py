"""The commands `framecast evaluate`, `framecast verify`, `framecast calibrate` and `framecast compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

import framecast
from framecast.cli.options import Cluster, OptionalData, command, named_paths
from framecast.cli.score_tables import ScoreRow, print_comparison, print_scores, score_rows
from framecast.cli.terminal import print_lines, progress_bar, warn
from framecast.data.readers.options import ReadOptions
from framecast.verification.run_names import name_runs
from framecast.verification.settings import EvaluationSettings

if TYPE_CHECKING:
    from framecast.verification.result import Verification


class EvaluateResult(TypedDict):
    scores: list[ScoreRow]
    cases: int
    warnings: list[str]
    case_file: str
    report: str


def _report(verification: Verification, folder: Path, page: str) -> EvaluateResult:
    """Print the scores of a verification and where its files are, and return them."""
    from rich.console import Console

    console = Console()
    for text in (*verification.warnings, *verification.repairs):
        warn(console, text)
    print_scores(verification, console)
    print_lines(console, f"scores of each case: {folder / 'cases.nc'}", f"report: {folder / page}")
    return {
        "scores": score_rows(verification),
        "cases": verification.cases,
        "warnings": [*verification.warnings, *verification.repairs],
        "case_file": str(folder / "cases.nc"),
        "report": str(folder / page),
    }


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
) -> EvaluateResult:
    """Verify a model against baselines, by lead time and threshold, and write a report."""
    from framecast.checkpoints.model_folder import evaluation_folder  # late: imports torch

    out = out or evaluation_folder(run)
    verification = framecast.evaluate(
        run, data, settings, options=options, out=out, report=True, cluster=cluster, progress=progress_bar("verifying")
    )
    return _report(verification, out, "report.html")


@command
def verify(
    forecasts: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME=]FORECASTS",
            help="A file, folder or glob pattern of forecasts, NetCDF or Zarr, of framecast, pysteps or others; several are "
            "compared on the cases that they share.",
        ),
    ],
    settings: EvaluationSettings,
    options: ReadOptions,
    truth: Annotated[str, typer.Option(help="A file, folder or glob pattern of the frames that were observed.")],
    context: Annotated[int, typer.Option(help="Frames up to the initial time from which baselines forecast.")] = 4,
    runs: Annotated[
        list[Path] | None,
        typer.Option("--run", help="The run that made them: frames that it was trained on are left out; repeat it."),
    ] = None,
    forecast_variable: Annotated[
        str | None, typer.Option(help="Which variable of a forecast to read, where a file holds several.")
    ] = None,
    forecast_units: Annotated[str | None, typer.Option(help="Units of the forecasts, where they do not say.")] = None,
    regrid: Annotated[
        bool, typer.Option("--regrid", help="Put forecasts on the grid of the truth: the nearest pixel counts.")
    ] = False,
    cluster: Cluster = None,
    out: Annotated[
        Path, typer.Option(help="Folder for cases.nc and report.html, of several forecasts comparison.html.")
    ] = Path("verification"),
) -> EvaluateResult:
    """Verify forecasts that lie in files, framecast's own or those of others, beside baselines, and write a report."""
    by_name = named_paths(forecasts)
    verification = framecast.verify_forecasts(
        by_name if by_name.keys() != {""} else by_name[""],
        truth,
        settings,
        options=options,
        context=context,
        runs=runs or (),
        forecast_variable=forecast_variable,
        forecast_units=forecast_units,
        regrid=regrid,
        out=out,
        report=True,
        cluster=cluster,
        progress=progress_bar("verifying"),
    )
    return _report(verification, out, "comparison.html" if len(by_name) > 1 else "report.html")


class CalibrateResult(TypedDict):
    model: str
    rates: list[float]
    events: list[int]
    calibrated: list[bool]


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
) -> CalibrateResult:
    """Calibrate the probabilities of a model on events it was not trained on; rates with too few events stay as they are."""
    calibration = framecast.calibrate(
        run, data or (), out=out, folds=folds, options=options, limit=limit, progress=progress_bar("forecasting")
    )
    for rate, events, done in zip(calibration["rates"], calibration["events"], calibration["calibrated"], strict=True):
        print(f"{rate:g} mm/h: {events:,} events, {'calibrated' if done else 'too few, left as it is'}")
    print(out)
    return {
        "model": str(out),
        "rates": [float(each) for each in calibration["rates"]],
        "events": [int(each) for each in calibration["events"]],
        "calibrated": [bool(each) for each in calibration["calibrated"]],
    }


class CompareResult(TypedDict):
    verdicts: list[str]
    skills: dict[str, float]
    warnings: list[str]
    case_file: str
    report: str


@command
def compare(
    runs: Annotated[list[Path], typer.Argument(help="The folders of runs, or of saved models.")],
    settings: EvaluationSettings,
    options: ReadOptions,
    data: OptionalData = None,
    cluster: Cluster = None,
    out: Annotated[Path, typer.Option(help="Folder for cases.nc and comparison.html.")] = Path("comparison"),
) -> CompareResult:
    """Compare models with each other and with baselines, on the same cases: confidence intervals, significance tests."""
    name_runs(runs)  # before anything slow is imported
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
    return {
        "verdicts": [claim.verdict for claim in comparison.overall],
        "skills": dict(comparison.skills()),
        "warnings": list(comparison.warnings),
        "case_file": str(out / "cases.nc"),
        "report": str(out / "comparison.html"),
    }
