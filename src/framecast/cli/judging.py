"""Commands that judge models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import framecast
from framecast.cli.arguments import Judging, Reading, by_name, spread
from framecast.cli.score_tables import print_scores

if TYPE_CHECKING:
    from rich.console import Console


@spread
def evaluate(
    run: Annotated[Path, typer.Argument(help="The folder of a run; with --data, of a saved model too.")],
    judging: Judging,
    reading: Reading,
    out: Annotated[
        Path | None, typer.Option(help="Folder for cases.nc and report.html; RUN/evaluation by default.")
    ] = None,
) -> None:
    """Score a model beside persistence and extrapolation, by lead time and threshold, and write a report."""
    from rich.console import Console

    from framecast.report.run_summary import facts_of, settings_text
    from framecast.verification.evaluate import warning

    console, folder, data = Console(), out or run / "evaluation", judging.data
    verification = judging.scores(run, folder, reading)
    facts = facts_of(run, framecast.load(run)) | ({"verified on": data} if data else {})
    if beware := warning(run, data, reading.options):
        facts["beware"] = beware
        warn(console, beware)
    if verification.repairs:
        facts["repaired"] = "; ".join(verification.repairs)
    for said in verification.repairs:
        warn(console, said)
    report = framecast.write_report(
        verification,
        folder / "report.html",
        title=f"Verification of {run.name}",
        facts=facts,
        settings=settings_text(run),
    )
    print_scores(verification, console)
    console.print(f"sums: {folder / 'cases.nc'}\nreport: {report}", highlight=False, markup=False, soft_wrap=True)


@spread
def compare(
    runs: Annotated[list[Path], typer.Argument(help="The folders of runs, or of saved models.")],
    judging: Judging,
    reading: Reading,
    out: Annotated[Path, typer.Option(help="Folder for cases.nc and comparison.html.")] = Path("comparison"),
) -> None:
    """Say whether models differ, from each other and from baselines, on the same cases: intervals, tests, verdicts."""
    from rich.console import Console

    from framecast.report.comparison import write_comparison
    from framecast.verification.comparison import compare as claims_of
    from framecast.verification.evaluate import warning

    named = by_name(runs)
    verification = judging.scores(named, out, reading)
    result = claims_of(verification, list(named))
    seen = {name: warning(run, judging.data, reading.options) for name, run in named.items()}
    warnings = [*verification.repairs, *(f"{name}: {beware}" for name, beware in seen.items() if beware)]
    if result.days == 1:
        warnings.append("all cases are of a single day: what is claimed is claimed of that day's weather")
    page = write_comparison(
        result, out / "comparison.html", title=f"Comparison of {', '.join(named)}", warnings=warnings
    )
    console = Console()
    for text in warnings:
        warn(console, text)
    for claim in result.overall:
        console.print(claim.verdict, highlight=False, markup=False, soft_wrap=True)
    for name in named:
        skill = result.skill(name)
        if skill == skill:
            console.print(f"{name}: MSE skill over extrapolation {skill:.3f}", highlight=False, markup=False)
    console.print(f"report: {page}", highlight=False, markup=False, soft_wrap=True)


def warn(console: Console, text: str) -> None:
    """Say something that should not be missed."""
    console.print(f"! {text}", style="yellow", highlight=False, markup=False, soft_wrap=True)
