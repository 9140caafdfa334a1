"""The public function `framecast.verify_forecasts`: scores of forecasts that lie in files, `cases.nc` and the HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from framecast.checks import (
    as_html_path,
    as_path,
    check_counts,
    check_kind,
    ensure_folder,
    refuses_arrays,
    replace_fields,
    takes_fields_of,
)
from framecast.data.archives.outputs import check_output
from framecast.data.readers.options import DEFAULT, ReadOptions
from framecast.errors import ArgumentError
from framecast.forecasting.labels import RECENT
from framecast.progress import Progress, no_progress
from framecast.verification.comparison import compare as compare_scores
from framecast.verification.evaluate import CASES, check_cluster
from framecast.verification.forecast_files import Paths
from framecast.verification.result import Verification
from framecast.verification.score_store import check_no_store
from framecast.verification.settings import EvaluationSettings
from framecast.verification.verify_forecasts import ForecastJob, OpenedForecasts, run_forecast_job
from framecast.verification.windows import FramesLike
from framecast.workflows.evaluation import COMPARISON, REPORT
from framecast.writing import claim

DEFAULTS = EvaluationSettings()


@takes_fields_of(EvaluationSettings)
@refuses_arrays
def verify_forecasts(
    forecasts: Mapping[str, Paths] | Paths,
    truth: FramesLike,
    settings: EvaluationSettings = DEFAULTS,
    *,
    options: ReadOptions = DEFAULT,
    context: int = RECENT,
    runs: Sequence[str | Path] = (),
    forecast_variable: str | None = None,
    forecast_units: str | None = None,
    regrid: bool = False,
    out: str | Path | None = None,
    report: bool = False,
    cluster: str | None = None,
    progress: Progress | None = None,
    **stated: Any,
) -> Verification:
    """Verify forecasts that lie in files, framecast's own or those of others, on the frames of `truth`.

    `forecasts` is a file, a folder or a glob pattern of NetCDF or Zarr that `framecast.open_forecast` understands, or several
    such sources by name, which are scored on the initial times, lead times and pixels that they share. `truth` are opened Frames
    or what `framecast.open` takes, read with `options`; baselines are forecast from its `context` frames up to each initial time,
    `baselines=()` leaves them out. Members and probabilities in the files are verified as such. `forecast_variable` and
    `forecast_units` say what a forecast file leaves open; with `regrid` each pixel of the truth is judged by the nearest one of
    the forecast, where that lies on another grid. `runs` are the folders of the models that made the forecasts: those
    that meet frames of their training are left out. What else is left out is in `repairs` and `warnings` of the result.

    With `out` the sums of every case are written to that folder as `cases.nc`, and with `report` a page: `report.html` of one
    source, `comparison.html` of several. `settings` are those of `framecast.evaluate`; `horizon` is the number of lead times.
    `progress` is called with the number of cases done and of all. What an interrupted call has scored lies in `out` too: the same
    call continues, with the same result to the last bit. `cluster` is that of `framecast.evaluate`.

    Raises `ArgumentError` for an invalid setting, and `DataError` if forecasts or truth cannot be read, do not fit each other, or
    share no time.
    """
    # arguments are checked before anything is opened
    check_kind(EvaluationSettings, settings=settings)
    check_kind(ReadOptions, options=options)
    check_counts(context=context)
    check_cluster(cluster, truth)
    if report and out is None:
        raise ArgumentError("a report needs a folder", parameter="out", example="verification")
    settings = replace_fields(settings, stated)
    compares = isinstance(forecasts, Mapping) and len(forecasts) > 1
    if out is not None:
        folder = as_path(out, "a folder", "out")
        as_html_path(folder / REPORT, "out")
        check_no_store(folder)
    job = ForecastJob.of(
        forecasts,
        truth,
        settings=settings,
        options=options,
        context=context,
        runs=runs,
        variable=forecast_variable,
        units=forecast_units,
        regrid=regrid,
    )
    opened, progress = job.open(), progress or no_progress
    if out is None:
        return run_forecast_job(job, opened, progress, cluster=cluster)
    ensure_folder(folder)
    with claim(folder):
        check_output(folder / CASES, [opened.truth], truth, opened.files)
        verification = run_forecast_job(job, opened, progress, out=folder, cluster=cluster)
        if report:
            _write_page(verification, opened, settings.palette, folder, compares)
    return verification


def _write_page(
    verification: Verification, opened: OpenedForecasts, palette: str | None, folder: Path, compares: bool
) -> None:
    """The report of one source, or the comparison of several."""
    names = [source.name for source in opened.sources]
    if compares:
        from framecast.report.comparison import write_comparison  # late: scores alone need nothing to draw with

        comparison = compare_scores(verification, names)
        title = f"Comparison of {', '.join(names)}"
        write_comparison(comparison, folder / COMPARISON, title=title, warnings=comparison.warnings)
        return
    from framecast.report import write_report  # late, as above

    facts = {"forecasts": f"{len(opened.files)} files, the first {opened.files[0]}"}
    if verification.warnings:
        facts["beware"] = "; ".join(verification.warnings)
    if verification.repairs:
        facts["repaired"] = "; ".join(verification.repairs)
    write_report(verification, folder / REPORT, title=f"Verification of {names[0]}", facts=facts, palette=palette)
