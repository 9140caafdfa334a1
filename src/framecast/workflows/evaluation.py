"""The public functions `framecast.evaluate` and `framecast.compare`: scores of runs, the file `cases.nc` and the HTML page.

Verification computes the scores, report writes the pages; this module connects them. It writes to `out` only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from framecast.checkpoints.model_folder import evaluation_folder
from framecast.checks import as_html_path, as_path, check_kind, refuses_arrays, replace_fields, takes_fields_of
from framecast.data.readers.options import DEFAULT, ReadOptions
from framecast.errors import ArgumentError
from framecast.progress import Progress
from framecast.verification.comparison import Comparison
from framecast.verification.comparison import compare as compare_scores
from framecast.verification.evaluate import DEFAULTS, Evaluation, Job, Runs, run_job
from framecast.verification.result import Verification
from framecast.verification.run_names import name_runs
from framecast.verification.score_store import check_no_store
from framecast.verification.settings import EvaluationSettings
from framecast.verification.windows import FramesLike
from framecast.writing import claim

REPORT, COMPARISON = "report.html", "comparison.html"


@takes_fields_of(EvaluationSettings)
@refuses_arrays
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
    """Verify the model of `run` against baselines, on full frames and every window of the test data. Several runs, by name, are
    verified on the same cases and pixels.

    `data` are opened Frames or what `framecast.open` takes; they are read as in training, except for the `options` that are
    stated. Without `data` the run's own test split is used. `settings` define what is scored and how; keywords override them.
    Of several runs the first defines the test split, the longest context and the shortest horizon of a model define the windows,
    unless `horizon` is stated; without `data` all must have been trained on the same part of the same data.

    With `out` the sums of every case are written to that folder as `cases.nc`. With `report` the page `report.html` of a single
    run is written there too; without `out` both go to `RUN/evaluation`. `cluster` distributes the cases, with the same result:
    the address of a Dask scheduler, or "local:N" for N processes on this machine. `progress` is called with the number of cases
    done and of all cases.

    Returns the sums of every case and the scores computed from them. Raises `ArgumentError` for an invalid setting, before
    anything is opened, `DataError` if the data cannot be read or have no window, `ConfigError` if the runs cannot be evaluated
    together, and `RunError` if there is no trained model.
    """
    # Arguments are checked before a model is loaded.
    if not isinstance(report, bool):
        raise ArgumentError(f"{report!r} given, expected true or false", parameter="report")
    if report and isinstance(run, Mapping):
        raise ArgumentError(
            "a report describes one run", parameter="report", remedy="for several runs, use framecast.compare"
        )
    check_kind(EvaluationSettings, settings=settings)
    check_kind(ReadOptions, options=options)
    job = Job.of(run, data, options, replace_fields(settings, stated))
    folder = Path(job.runs[0][1])
    if report and out is None:
        out = evaluation_folder(folder)
    with _claimed(out, *([REPORT] if report else [])):
        evaluation = run_job(job, out=out, cluster=cluster, progress=progress)
        if report and out is not None:
            _write_report(evaluation, folder, data, Path(out) / REPORT, job.settings.palette)
    return evaluation.verification


@contextmanager
def _claimed(out: str | Path | None, *pages: str) -> Iterator[None]:
    """Hold the lock of the folder of results, if there is one, in which the `pages` can be written."""
    if out is None:
        yield
        return
    folder = as_path(out, "a folder", "out")
    for page in pages:
        as_html_path(folder / page, "out")
        check_no_store(folder)
    with claim(folder):
        yield


def _write_report(evaluation: Evaluation, run: Path, data: FramesLike | None, page: Path, palette: str | None) -> None:
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
    write_report(
        verification,
        page,
        title=f"Verification of {run.name}",
        facts=facts,
        settings=settings_text(run),
        palette=palette,
    )


@takes_fields_of(EvaluationSettings)
@refuses_arrays
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
    """Compare the models of `runs` with each other and with the baselines, on the same cases and pixels: confidence intervals,
    significance tests and verdicts. `runs` are folders by name, or a list of folders, whose names are used.

    The other arguments and the errors are those of `evaluate`. With `out` the sums of every case are written to that folder as
    `cases.nc`, and the page as `comparison.html`.
    """
    check_kind(EvaluationSettings, settings=settings)
    check_kind(ReadOptions, options=options)
    by_name = name_runs(runs)
    job = Job.of(by_name, data, options, replace_fields(settings, stated))
    with _claimed(out, COMPARISON):
        verification = run_job(job, out=out, cluster=cluster, progress=progress).verification
        comparison = compare_scores(verification, list(by_name))
        if out is not None:
            from framecast.report.comparison import write_comparison  # late: without a page, matplotlib is not needed

            write_comparison(
                comparison,
                Path(out) / COMPARISON,
                title=f"Comparison of {', '.join(by_name)}",
                warnings=comparison.warnings,
            )
    return comparison
