"""How a score that a paper prints is computed, by its name in a recipe.

    mse, mae, psnr, ssim, gdl, sharp, ...    frame scores of the verification, in the convention of the paper; of the best of
                                             samples, or the mean over them, where the paper prints that (`samples`)
    lpips, fvd                               the same, with the weights of pretrained networks
    csi_30, pod_40, far_50, ...              event scores at a level, in the `level_units` of the recipe; of the convention thuml
                                             the CSI is that of batches, as its code averages it
    sc                                       the silhouette of the groups of features (ModeRNN, 2022, equation 8)
    parameters, memory, speed_gained, ...    costs, see `costs`

A name that is none of these has no way. Nothing is written here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from framecast.config.experiment import Experiment
from framecast.config.recipes import Published
from framecast.data.quantities import find_level_units
from framecast.data.readers.options import DEFAULT
from framecast.errors import FramecastError, counted
from framecast.forecasting.trained_model import load
from framecast.scores import Contingency, Metric
from framecast.scores.events import batch_mean_csi
from framecast.scores.metric import Better
from framecast.verification.metrics import METRICS
from framecast.verification.result import Score, Verification
from framecast.workflows.costs import COSTS, CostContext
from framecast.workflows.samples import Samples

MOST_WINDOWS = 2_000
"""Windows from whose features the silhouette is computed."""


@dataclass(frozen=True)
class Outcome:
    """What a row has come to: the folder of its run, its experiment, the verification, what is published of it, the experiment of
    the row against which costs are printed, and the samples of its model where the paper prints scores of samples."""

    run: Path
    experiment: Experiment
    verification: Verification
    published: Published
    against: Experiment | None = None
    samples: Samples | None = None


class Answer(NamedTuple):
    """A score, None with the reason why it is not computed; the parameter whose files it needs; how it was computed, where that
    needs a word."""

    score: Score | None
    why: str = ""
    needs: str | None = None
    how: str = ""


class Way(NamedTuple):
    """A way to compute a printed score: its title with its units, the direction in which it is better, how it is computed,
    whether it is in decibels, and whether it is a cost, which does not depend on how long a model was trained."""

    title: str
    better: Better
    compute: Callable[[Outcome], Answer]
    decibels: bool = False
    cost: bool = False
    reason: str = ""
    """Why it is comparable with no published value."""


def find_way(name: str, published: Published) -> Way | None:
    """The way to compute the score of that name; None if there is none. Raises `ArgumentError` for unknown units of levels."""
    if name in COSTS:
        cost = COSTS[name]
        return Way(cost.title, cost.better, lambda outcome: _cost(outcome, name), cost=True, reason=cost.reason)
    if name == "sc":
        return Way("SC", "higher", _silhouette)
    for metric in METRICS:
        if metric.name == name and metric.group == "frame" and metric.convention in (None, published.convention):
            return Way(metric.title, metric.better, lambda outcome: _frame(outcome, name), metric.units == "dB")
    place = _event(name)
    if place is None or published.level_units is None:
        return None
    event, level = place
    title = f"{event.title} at {level:g} {find_level_units(published.level_units).label}"
    return Way(title, event.better, lambda outcome: _event_score(outcome, event, level))


def levels_of(published: Published) -> tuple[float, ...] | None:
    """The levels of the published event scores, ascending; None without any."""
    if published.level_units is None:
        return None
    return tuple(sorted({place[1] for name in published.scores if (place := _event(name)) is not None})) or None


def _event(name: str) -> tuple[Metric, float] | None:
    """The event score and the level of a name such as csi_30; None for another name."""
    score, _, level = name.rpartition("_")
    metric = next((each for each in METRICS if each.name == score and each.dims == ("threshold",)), None)
    try:
        return None if metric is None else (metric, float(level))
    except ValueError:
        return None


def _frame(outcome: Outcome, name: str) -> Answer:
    """A frame score of the model."""
    verification = outcome.verification
    metric = next((each for each in verification.metrics("frame") if each.name == name), None)
    if metric is None:
        return Answer(None, "weights needed", needs=name)
    single, paper = verification.score(verification.forecasters[0], metric), outcome.published
    if not paper.samples or not metric.mean:
        return Answer(single)
    if outcome.samples is None:
        return Answer(single, how="of one forecast: the model draws no samples")
    if paper.best_of is None:
        value = outcome.samples.mean(metric)
        what = f"the mean over {paper.samples} samples of each window"
    else:
        by = metric if paper.best_by is None else verification.metric(paper.best_by)
        value = outcome.samples.best(metric, by)
        what = f"the best of {paper.samples} samples for each window, by {by.title}"
    return Answer(Score(value, None), how=f"{what}; of one forecast, without noise, {single.value:.4g}")


def _event_score(outcome: Outcome, event: Metric, level: float) -> Answer:
    """An event score at a level."""
    verification = outcome.verification
    metric = verification.metric(event.name, threshold=verification.levels.index(level))
    pooled = verification.score(verification.forecasters[0], metric)
    how = str(verification.sums.attrs.get("level_source", ""))
    if event.name != "csi" or outcome.published.convention != "thuml":
        return Answer(pooled, how=how)
    order = np.argsort(verification.sums["case"].values)
    counts = torch.from_numpy(verification.table(verification.forecasters[0], metric)[:, order])
    size = outcome.experiment.training.batch_size
    text = f"mean over batches of {size}, as the published code; pooled {pooled.value:.3g}"
    return Answer(Score(batch_mean_csi(Contingency(*counts), size), None), how="; ".join(filter(None, (text, how))))


def _silhouette(outcome: Outcome) -> Answer:
    """The silhouette of the groups that DBSCAN finds in the features of the model on the test windows."""
    limit = min(outcome.verification.cases, MOST_WINDOWS)
    try:
        from framecast.diagnosis import groups, pages, probes  # late: of packages that may not be installed

        trained = load(outcome.run, device="cpu")
        windows = pages.windows_for(outcome.run, trained, None, DEFAULT, limit)
        computed = probes.features(trained.model, windows.past, windows.horizon, actions=windows.actions)
        features = computed.latent.numpy()
        if len(features) < groups.FEWEST:
            return Answer(None, f"of {len(features)} sequences; {groups.FEWEST} are needed")
        clusters = groups.find_groups(groups.standardize(features))
    except FramecastError as error:
        return Answer(None, str(error).splitlines()[0])
    how = f"{counted(clusters.number, 'group')} of {len(features)} sequences, eps {clusters.eps:.3g}"
    if np.isnan(clusters.silhouette):
        return Answer(None, f"{how}, and two are needed")
    return Answer(Score(clusters.silhouette, None), how=how)


def _cost(outcome: Outcome, name: str) -> Answer:
    """A cost of the model, or of it against another."""
    shape = load(outcome.run, device="cpu").card.shape
    seconds = outcome.verification.seconds.get(outcome.verification.forecasters[0])
    try:
        value = COSTS[name].compute(CostContext(outcome.experiment, shape, outcome.against, seconds))
    except FramecastError as error:
        return Answer(None, str(error).splitlines()[0])
    return Answer(Score(value, None))
