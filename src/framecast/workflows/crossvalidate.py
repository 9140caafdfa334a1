"""Cross-validation by event: train with each event left out in turn, and judge the model on that event.

The data of the recipe are several archives, each an event (or a radar). A fold is trained on all archives but one, with the
validation split of the recipe and without a test split, and evaluated on all windows of the archive left out. An event that is
only judged is evaluated by a model that is trained on all archives. `out` holds

    <event>/                 the run trained without that event; all/ is the run trained on all archives
    <event>/evaluation/      cases.nc of the event left out, and the settings of its evaluation
    all/evaluation/<event>/  the same of an event that is only judged
    summary.csv, .json       the scores by event and their means: workflows/event_scores.py
    lead_times.csv           the scores at each lead time

No model is chosen here, and no setting of one: whoever compares recipes by these scores has used all events.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from framecast.checks import as_path, as_tuple, check_kind, refuses_arrays, replace_fields, require, takes_fields_of
from framecast.config.experiment import Experiment
from framecast.config.parsing import plain
from framecast.config.recipes import read
from framecast.data.archives.opening import files_named_by
from framecast.data.identity import FileIdentity, identify_files
from framecast.errors import ConfigError, FramecastError
from framecast.progress import Progress
from framecast.reading.plain_data import read_json
from framecast.training import resume, train
from framecast.training.run_folder import EXPERIMENT
from framecast.verification.evaluate import CASES, DEFAULTS
from framecast.verification.result import Verification
from framecast.verification.settings import EvaluationSettings
from framecast.workflows.evaluation import evaluate
from framecast.workflows.event_scores import EventScore, event_scores, lead_scores, write_table
from framecast.workflows.folds import Fold, check_data, check_files, check_settings, choose_events, plan_folds
from framecast.writing import claim, write_text

SETTINGS = "settings.json"
"""The file of the settings of an evaluation, beside its `cases.nc`."""


@dataclass(frozen=True)
class CrossValidation:
    """The scores of the events that have been evaluated, with their verifications by event; `waiting` are the other events."""

    out: Path
    verifications: Mapping[str, Verification]
    scores: list[EventScore]
    waiting: tuple[str, ...]
    interrupted: bool = False
    """Whether the training of a fold was interrupted; the same call continues it."""


@takes_fields_of(EvaluationSettings)
@refuses_arrays
def crossvalidate(
    recipe: str | Path | Experiment,
    overrides: Sequence[str] = (),
    settings: EvaluationSettings = DEFAULTS,
    *,
    out: str | Path,
    events: Sequence[str | Path] | None = None,
    judge: Sequence[str | Path] = (),
    console: Console | None = None,
    progress: Progress | None = None,
    **stated: Any,
) -> CrossValidation:
    """Train the experiment of `recipe` with each of its archives left out in turn, and evaluate each model on the archive that
    it has not seen, against the baselines.

    `data.path` of the recipe (with `overrides` "key=value") is a list of archives, an event or a radar each. Events at the paths
    of `judge` are never trained on: they are evaluated by one more model, which is trained on all archives. `events`, names or
    paths, restricts what is evaluated now; the other archives are trained on in every fold. `settings` define what is scored and
    how, as in `evaluate`; keywords override them.

    `out` holds a run folder for each fold, and the scores in `summary.csv`, `summary.json` and `lead_times.csv`. A fold that is
    finished there is not trained again, an interrupted one continues exactly; an event is evaluated again only with other
    evaluation settings, or if its files have changed. The progress of training is shown on `console` (default: standard error);
    `progress` is called with the number of cases done and of all cases of an event. Ctrl-C in training saves a checkpoint and
    returns.

    Returns the scores of all events that are evaluated. Raises `ArgumentError` for fewer than two archives, an unknown event, or
    an event that shares a file with the training data, `ConfigError` if `out` holds folds of other settings or of other
    training files, and the errors of `train` and `evaluate`.
    """
    # the plan, checked before anything is trained
    check_kind(EvaluationSettings, settings=settings)
    settings = replace_fields(settings, stated)
    folder = as_path(out, "a folder", "out")
    experiment = _experiment(recipe, overrides)
    judged_only = tuple(str(as_path(path, "the path of frames", "judge")) for path in as_tuple(judge, "judge"))
    folds = plan_folds(experiment, judged_only, folder)
    chosen = choose_events(events, folds)
    require("lightning_fabric", "tensorboard", "psutil", extra="train", purpose="training")
    for fold in folds:
        check_settings(fold)
        check_files(fold)
    check_data(experiment, folds, chosen, judged_only, settings)
    with claim(folder):
        return _run_folds(folds, chosen, settings, folder, console or Console(stderr=True), progress)


def _run_folds(
    folds: Sequence[Fold],
    chosen: Set[str],
    settings: EvaluationSettings,
    folder: Path,
    console: Console,
    progress: Progress | None,
) -> CrossValidation:
    """Train the folds and evaluate the events; the scores are written however it ends."""
    verifications = _finished(folds, settings)
    try:
        interrupted = not all(_run(fold, chosen, verifications, settings, console, progress) for fold in folds)
    finally:
        judged = [event for fold in folds for event in fold.judged]
        verifications = {event: verifications[event] for event in judged if event in verifications}
        scores = event_scores(verifications)
        write_table(scores, folder / "summary.csv")
        write_table(scores, folder / "summary.json")
        write_table(lead_scores(verifications), folder / "lead_times.csv")
    waiting = tuple(event for event in judged if event not in verifications)
    return CrossValidation(folder, verifications, scores, waiting, interrupted)


def _run(
    fold: Fold,
    chosen: Set[str],
    verifications: dict[str, Verification],
    settings: EvaluationSettings,
    console: Console,
    progress: Progress | None,
) -> bool:
    """Train a fold and evaluate those of its `chosen` events that have no verification yet; False if training was interrupted."""
    due = [event for event in fold.judged if event in chosen and event not in verifications]
    if due:
        line = f"{', '.join(due)}: judged by a model trained on {', '.join(fold.archives)}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)
        if not _train(fold, console):
            return False
        for event in due:
            verifications[event] = _evaluate(fold, event, settings, progress)
    return True


def _experiment(recipe: str | Path | Experiment, overrides: Sequence[str]) -> Experiment:
    """The experiment. Raises `ConfigError` for overrides of an experiment that is given as such."""
    overrides = as_tuple(overrides, "overrides")
    if not isinstance(recipe, Experiment):
        return read(recipe, overrides)
    if overrides:
        raise ConfigError(
            f"{overrides[0]!r} cannot change an Experiment", remedy="use dataclasses.replace, or pass a recipe"
        )
    return recipe


def _train(fold: Fold, console: Console) -> bool:
    """Train a fold, or continue its run; whether it is finished."""
    if not (fold.folder / EXPERIMENT).is_file():
        train(fold.experiment, out=fold.folder, console=console)
    elif not (fold.folder / "last").is_dir():
        resume(fold.folder, console=console)
    return (fold.folder / "last").is_dir()


def _evaluate(fold: Fold, event: str, settings: EvaluationSettings, progress: Progress | None) -> Verification:
    """Evaluate the model of a fold on an event. The settings are written last, so that they belong to a complete evaluation."""
    path, folder = fold.judged[event]
    (folder / SETTINGS).unlink(missing_ok=True)
    verification = evaluate(fold.folder, path, settings, out=folder, progress=progress)
    write_text(folder / SETTINGS, json.dumps(_record(path, settings), indent=1) + "\n")
    return replace(verification, examples=[])  # whole frames, which nothing here shows


def _record(path: str, settings: EvaluationSettings) -> dict[str, Any]:
    """What an evaluation depends on: its data, with the identity of their files, and its settings."""
    files = identify_files(sorted(files_named_by(path)))
    return {"data": path, "settings": plain(settings), "files": [file._asdict() for file in files]}


def _is_current(record: Any, path: str, settings: EvaluationSettings) -> bool:
    """Whether a stored record is that of an evaluation with these settings on the files that are there now; records of earlier
    versions name no files."""
    if not isinstance(record, dict) or (record.get("data"), record.get("settings")) != (path, plain(settings)):
        return False
    if "files" not in record:
        return True
    try:
        files = [FileIdentity(**file) for file in record["files"]]
        return {file.path for file in files} == files_named_by(path) and all(file.is_at(file.path) for file in files)
    except (TypeError, AttributeError):  # the record was edited
        return False


def _read_record(file: Path) -> Any:
    """The settings in a file; None if it does not exist, or was not written to its end."""
    try:
        return read_json(file)
    except FramecastError:
        return None


def _finished(folds: Sequence[Fold], settings: EvaluationSettings) -> dict[str, Verification]:
    """The verifications of the events that have been evaluated with these settings."""
    verifications = {}
    for event, (path, folder) in (item for fold in folds for item in fold.judged.items()):
        if _is_current(_read_record(folder / SETTINGS), path, settings):
            verifications[event] = Verification.open(folder / CASES)
    return verifications
