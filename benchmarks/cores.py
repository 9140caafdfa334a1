"""Judges six models as cores of one forecast of rain, each event left out in turn, with and without coordinates and head.

    python benchmarks/cores.py EVENT EVENT EVENT ... --minutes 10 --out FOLDER
        [--only unet ...] [--variants lagrangian-exceedance ...] [--event NAME ...] [--limit 8]

ConvLSTM, PredRNN-V2, MotionRNN, ModeRNN, SimVP and U-Net, with `coordinates` eulerian and lagrangian, and with the `head` values
and exceedance: 24 cross-validations of the recipe `radar#lagrangian`, which differ in nothing else but the loss of the head.
Budgets are equal, in iterations or in minutes of processor time, which other work on the machine hardly changes: those are
turned into iterations by two short trainings of each. A cross-validation in FOLDER that is finished is not repeated, and an
interrupted one continues. The table is in FOLDER/table.md and written again after each.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import framecast
from framecast.config.experiment import Experiment
from framecast.config.recipes import read
from framecast.data.datasets import ArchiveData
from framecast.data.motion.coordinates import Eulerian, Lagrangian
from framecast.losses import L1L2
from framecast.models import ConvLSTM, ModeRNN, MotionRNN, PredRNN, PredRNNV2, SimVP, UNet
from framecast.models.heads import Values
from framecast.models.parts.flops import parameters
from framecast.workflows.crossvalidate import CrossValidation
from framecast.workflows.event_scores import EventScore

TWO: Any = {"hidden": (32, 32), "kernel": 3}
CORES: dict[str, Any] = {
    "convlstm": ConvLSTM(**TWO),
    "predrnn_v2": PredRNNV2(**TWO, decoupling=0.02),
    "motionrnn": MotionRNN(backbone=PredRNN(**TWO)),
    "modernn_slots": ModeRNN(hidden=(32, 32), form="paper"),
    "simvp": SimVP(spatial=16, hidden=64, layers=4, blocks=4),
    "unet": UNet(),
}
VARIANTS = ["eulerian-values", "eulerian-exceedance", "lagrangian-values", "lagrangian-exceedance"]
PROBES = 4, 16
"""Iterations of the two trainings that measure the speed."""


def experiment(core: str, coordinates: str, head: str, events: Sequence[str]) -> Experiment:
    """The recipe with another core, coordinates and head. A model of values does not read the time step."""
    recipe = read("radar#lagrangian", [f"data.path={json.dumps(list(events))}"])
    recipe = replace(recipe, model=CORES[core], coordinates=Lagrangian() if coordinates == "lagrangian" else Eulerian())
    if head == "exceedance":
        return recipe
    data = recipe.data
    assert isinstance(data, ArchiveData)
    return replace(recipe, head=Values(), loss=L1L2(), data=replace(data, several_steps=False))


def lengthened(settings: Experiment, iterations: int) -> Experiment:
    """The experiment for that many iterations, validated at four of them."""
    every = max(iterations // 4, 1)
    training = replace(settings.training, iterations=iterations, validate_every=every, log_every=min(every, 20))
    return replace(settings, training=training)


def seconds_of(settings: Experiment, folder: Path) -> float:
    """Seconds of processor time that one more iteration of training takes, from two short trainings in `folder`."""
    seconds = []
    for iterations in PROBES:
        shutil.rmtree(folder, ignore_errors=True)
        short = replace(settings.training, iterations=iterations, log_every=iterations, validation_windows=1)
        start = sum(os.times()[:4])
        framecast.train(replace(settings, training=short), out=folder)
        seconds.append(sum(os.times()[:4]) - start)
    shutil.rmtree(folder)
    return (seconds[1] - seconds[0]) / (PROBES[1] - PROBES[0])


class Budget(NamedTuple):
    """The length of a training, and the seconds of processor time that one of its iterations takes."""

    iterations: int
    seconds: float


def means(rows: Sequence[EventScore], forecaster: str) -> list[EventScore]:
    """The scores of a forecaster in the mean of events, or on the only event."""
    return [each for each in rows if each.event == rows[-1].event and each.forecaster == forecaster]


def row(title: str, rows: Sequence[EventScore], forecaster: str, cost: str) -> str:
    """A row of the table."""
    return f"| {title} | {cost} | {' | '.join(f'{each.value:.4g}' for each in means(rows, forecaster))} |\n"


def table(results: Mapping[str, CrossValidation], budgets: Mapping[str, Budget], budget: str) -> str:
    """The table of all cross-validations that are finished, the baselines first."""
    first = next(iter(results.values()))
    model, *baselines = next(iter(first.verifications.values())).forecasters
    scores = [each.score for each in means(first.scores, model)]
    events = ", ".join(first.verifications)
    lines = f"Means over events left out ({events}); {budget}.\n\n"
    lines += (
        f"| core | weights | iterations | processor minutes | {' | '.join(scores)} |\n|{' --- |' * (len(scores) + 4)}\n"
    )
    lines += "".join(row(name, first.scores, name, " | |") for name in baselines)
    for title, result in results.items():
        run = next(each for each in sorted(result.out.iterdir()) if (each / "last").is_dir())
        iterations, seconds = budgets[title]
        cost = f"{parameters(framecast.load(run).model):,} | {iterations:,} | {iterations * seconds / 60:.1f}"
        name = next(iter(result.verifications.values())).forecasters[0]
        lines += row(title, result.scores, name, cost)
    return lines


def main() -> None:
    """Cross-validate the cores, and write the table after each."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("events", nargs="+", help="archives, an event each, with one time step")
    budget = options.add_mutually_exclusive_group(required=True)
    budget.add_argument("--iterations", type=int)
    budget.add_argument("--minutes", type=float)
    options.add_argument("--only", nargs="*", default=list(CORES), choices=list(CORES))
    options.add_argument("--variants", nargs="*", default=VARIANTS, choices=VARIANTS, help="coordinates and head")
    options.add_argument("--event", nargs="*", help="judge these events only")
    options.add_argument("--limit", type=int, help="cases of an event")
    options.add_argument("--out", type=Path, required=True)
    arguments = options.parse_args()
    stored = arguments.out / "budgets.json"
    known: dict[str, list[Any]] = json.loads(stored.read_text()) if stored.exists() else {}
    budgets = {title: Budget(*each) for title, each in known.items()}
    results: dict[str, CrossValidation] = {}
    for variant, core in product(arguments.variants, arguments.only):
        coordinates, head = variant.split("-")
        name, title = f"{core}-{coordinates}-{head}", f"{core}, {coordinates}, {head}"
        settings, folder = experiment(core, coordinates, head, arguments.events), arguments.out / name
        if title not in budgets:
            seconds = seconds_of(settings, arguments.out / "probe")
            iterations = arguments.iterations or max(round(arguments.minutes * 60 / seconds), PROBES[1])
            budgets[title] = Budget(iterations, seconds)
            stored.parent.mkdir(parents=True, exist_ok=True)
            stored.write_text(json.dumps(budgets, indent=1) + "\n")
        result = framecast.crossvalidate(
            lengthened(settings, budgets[title].iterations), out=folder, events=arguments.event, limit=arguments.limit
        )
        if result.interrupted:
            break
        results[title] = result
        text = (
            f"{arguments.minutes:g} minutes of processor time"
            if arguments.minutes
            else f"{arguments.iterations} iterations"
        )
        (arguments.out / "table.md").write_text(table(results, budgets, text))
        print((arguments.out / "table.md").read_text(), flush=True)


if __name__ == "__main__":
    main()
