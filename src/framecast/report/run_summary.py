"""The facts of a run for a report: its model, data, training and cost. Reads the run folder, and times one forecast."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from framecast.checkpoints.model_folder import ModelCard
from framecast.config.experiment import Experiment
from framecast.config.parsing import plain
from framecast.data.motion.coordinates import EULERIAN
from framecast.data.windows.sources import DataConfig
from framecast.forecasting.protocol import Context
from framecast.forecasting.trained_model import TrainedModel
from framecast.models.parts.flops import multiply_accumulates, parameters
from framecast.reading.paths import read_text
from framecast.training.run_data import record_of_model
from framecast.training.run_folder import EXPERIMENT, read_experiment


def run_summary(run: str | Path, trained: TrainedModel) -> dict[str, str]:
    """The facts of a model for a report, by name: settings, data, cost."""
    card, facts = trained.card, {}
    if (Path(run) / EXPERIMENT).is_file():
        facts = _experiment_facts(read_experiment(Path(run)))
    if (record := record_of_model(Path(run))) is not None:
        facts |= {"split": record.describe(), "record of the data": f"SHA-256 {record.digest}"}
    work = multiply_accumulates(card.model, card.head.shape(card.shape)) / 1e9
    shape = card.shape
    return {
        "model": f"{card.model.name}, {parameters(trained.model):,} weights",
        "window": f"{shape.context} + {shape.horizon} frames of {shape.height} x {shape.width}",
        **facts,
        **_distribution_facts(card),
        "scaling": ", ".join(f"{key} {value}" for key, value in plain(card.scaling).items() if key != "zr"),
        "cost of a forecast": f"{work:.2f} G multiply-accumulates at that size; {_measure_cost(trained)}",
    }


def _distribution_facts(card: ModelCard) -> dict[str, str]:
    """Coordinates, head, calibration and what is told of a model that is passed on, where there is something to tell."""
    facts = {}
    if card.coordinates != EULERIAN:
        facts["coordinates"] = f"{card.coordinates.name}: frames are carried along their motion"
    if card.head.rates:
        facts["head"] = f"probabilities of {', '.join(f'{rate:g}' for rate in card.head.rates)} mm/h"
        facts["calibration"] = _calibration(card.calibration)
    return facts | {name.replace("_", " "): str(text) for name, text in card.about.items() if isinstance(text, str)}


def _calibration(calibration: dict[str, Any]) -> str:
    """The calibration of a card as text."""
    if not calibration:
        return "none: the probabilities are those of the network"
    times = "; ".join(f"{first} to {last}" for first, last in calibration["times"])
    left = [f"{rate:g}" for rate, done in zip(calibration["rates"], calibration["calibrated"], strict=True) if not done]
    without = f", not at {', '.join(left)} mm/h (too few events)" if left else ""
    return f"on {calibration['pixels']:,} pixels of {times}{without}"


def settings_text(run: str | Path) -> str:
    """All settings of the training of a run, as YAML; empty for a model folder without its run."""
    path = Path(run) / EXPERIMENT
    return read_text(path) if path.is_file() else ""


def _experiment_facts(experiment: Experiment) -> dict[str, str]:
    data, training = experiment.data, experiment.training
    return {
        "data": data.description,
        "split": _split(data),
        "trained": f"{training.iterations:,} iterations of {training.batch_size} windows, loss {experiment.loss.name}, "
        f"curriculum {experiment.curriculum.name}, seed {training.seed}",
    }


def _split(data: DataConfig) -> str:
    """How training, validation and test data are split."""
    if data.split is None:
        return "that of the data set"
    return ", ".join(f"{key} {value}" for key, value in plain(data.split).items())


def _measure_cost(trained: TrainedModel) -> str:
    """The time of one forecast at the frame size of training, and the memory of this process."""
    shape = trained.card.shape
    context, inputs = np.split(
        np.zeros((1, shape.context, shape.channels, shape.height, shape.width), dtype=np.float32),
        [shape.predicted],
        axis=2,
    )
    actions = np.zeros((1, shape.context + shape.horizon, shape.actions), dtype=np.float32)
    trained.forecast(Context(context, actions, inputs), shape.horizon)
    start = time.perf_counter()
    trained.forecast(Context(context, actions, inputs), shape.horizon)
    seconds, memory = time.perf_counter() - start, psutil.Process().memory_info().rss
    return f"{seconds:.2f} s on {trained.device.type} ({torch.get_num_threads()} threads), process at {memory / 2**30:.1f} GiB"
