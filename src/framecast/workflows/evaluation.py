"""Evaluating and comparing runs in one call: scores, `cases.nc` and the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from framecast.checks import check_kind, taken_over, takes_fields_of
from framecast.data.readers.options import DEFAULT, ReadOptions
from framecast.errors import ArgumentError
from framecast.progress import Progress
from framecast.verification.comparison import Comparison
from framecast.verification.comparison import compare as compare_scores
from framecast.verification.evaluate import DEFAULTS, Evaluation, Job, Runs, name_runs, run_job
from framecast.verification.result import Verification
from framecast.verification.settings import EvaluationSettings
from framecast.verification.windows import FramesLike

REPORT, COMPARISON = "report.html", "comparison.html"


@takes_fields_of(EvaluationSettings)
def evaluate(
    run: Runs,
    data: FramesLike | None = None,
    settings: EvaluationSettings = DEFAULTS,
    *,
    options: ReadOptions = DEFAULT,
    out: str | Path | None = None,
    report: bool = False,
    cluster: str | None = None,
    progress: Progress | None = None,
    **stated: Any,
) -> Verification:
    """Score the model of `run` against baselines, on whole frames and every window of the test data; or the models of several
    runs, by name, on the same cases and pixels. Of several the test split is that of the first, and windows are as long as the
    model needs that looks back furthest; without `data` all must have been trained on the same part of the same data. Returns
    the sums of every case, and the scores they make.

    `data` are opened Frames or what `framecast.open` takes, read as in training where `options` state nothing else; without
    it the run's own test split is used. `settings` say what is scored and how; keywords go before them.

    With `out` the sums of all cases are written to that folder as `cases.nc`. `report` writes `report.html` there, of a single
    run; without `out` both are written to `RUN/evaluation`. `cluster` is the address of a Dask scheduler, or "local:N" for N
    processes on this machine, among which the cases are shared out; the result is the same. `progress` is told the cases done
    and to do.

    Raises `ArgumentError` for a setting that cannot be, before anything is opened, `DataError` for what cannot be read or
    holds no window, `ConfigError` for runs that cannot be evaluated together, and `RunError` if there is no trained model.
    """
    if not isinstance(report, bool):
        raise ArgumentError(f"{report!r} given, expected true or false", parameter="report")
    if report and isinstance(run, Mapping):
        raise ArgumentError("a report is of one run", parameter="report", remedy="compare several: framecast.compare")
    check_kind(EvaluationSettings, settings=settings)
    check_kind(ReadOptions, options=options)
    job = Job.of(run, data, options, taken_over(settings, stated))
    folder = Path(job.runs[0][1])
    if report and out is None:
        out = folder / "evaluation"
    evaluation = run_job(job, out=out, cluster=cluster, progress=progress)
    if report and out is not None:
        _write_report(evaluation, folder, data, Path(out) / REPORT)
    return evaluation.verification


def _write_report(evaluation: Evaluation, run: Path, data: FramesLike | None, page: Path) -> None:
    """The report of one run, with the facts of the model that was evaluated."""
    from framecast.report import write_report  # late: scores alone need nothing to draw with
    from framecast.report.run_summary import run_summary, settings_text

    verification, (model,) = evaluation.verification, evaluation.models.values()
    facts = run_summary(run, model)
    if isinstance(data, str | Path):
        facts["verified on"] = str(data)
    if verification.warnings:
        facts["beware"] = "; ".join(verification.warnings)
    if verification.repairs:
        facts["repaired"] = "; ".join(verification.repairs)
    write_report(verification, page, title=f"Verification of {run.name}", facts=facts, settings=settings_text(run))


@takes_fields_of(EvaluationSettings)
def compare(
    runs: Mapping[str, str | Path] | Sequence[str | Path],
    data: FramesLike | None = None,
    settings: EvaluationSettings = DEFAULTS,
    *,
    options: ReadOptions = DEFAULT,
    out: str | Path | None = None,
    cluster: str | None = None,
    progress: Progress | None = None,
    **stated: Any,
) -> Comparison:
    """Say whether the models of `runs` differ, from each other and from the baselines, on the same cases and pixels: intervals,
    tests and verdicts. `runs` are folders by name, or a list of folders, which are named after themselves.

    All else is as in `evaluate`, which also says what is raised. With `out` the sums of all cases are written to that folder as
    `cases.nc`, and the page as `comparison.html`.
    """
    check_kind(EvaluationSettings, settings=settings)
    check_kind(ReadOptions, options=options)
    by_name = name_runs(runs)
    job = Job.of(by_name, data, options, taken_over(settings, stated))
    verification = run_job(job, out=out, cluster=cluster, progress=progress).verification
    comparison = compare_scores(verification, list(by_name))
    if out is not None:
        from framecast.report.comparison import write_comparison  # late: scores alone need nothing to draw with

        write_comparison(
            comparison,
            Path(out) / COMPARISON,
            title=f"Comparison of {', '.join(by_name)}",
            warnings=comparison.warnings,
        )
    return comparison
