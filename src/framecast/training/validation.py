"""Free-running forecasts of validation windows, and the trained models that a run saves (`best/`, `last/`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from framecast.checkpoints.model_folder import ModelCard, save
from framecast.config.experiment import Experiment
from framecast.data.orientation import row_order
from framecast.data.scale import scale_of
from framecast.data.windows.batches import evaluation_batches
from framecast.data.windows.index import time_step
from framecast.data.windows.presentation import Presentation
from framecast.data.windows.record import DataRecord
from framecast.data.windows.sources import DataSplits
from framecast.models.parts.capabilities import picture_of, predict_future, truth_of
from framecast.training.events import Validated
from framecast.training.logs import draw_strip
from framecast.training.step import move


@torch.no_grad()
def validate(
    experiment: Experiment, sources: DataSplits, presentation: Presentation, model: Any, iteration: int, out: Path
) -> Validated | None:
    """The mean loss over the horizon of the first `validation_windows`, and an image of the first. If training uses crops, the
    centre of the frames is validated. An autoencoder reconstructs the horizon. None if there are no validation windows."""
    source = sources.validation
    if source is None or experiment.training.validation_windows < 1:
        return None
    model.eval()
    device = next(model.parameters()).device
    image = out / "pictures" / f"validation-{iteration:07d}.png"
    context = source.shape.context
    total, count = 0.0, 0
    crop, size = experiment.data.crop_size, experiment.training.batch_size
    for indices, batch in evaluation_batches(source, sources.scaling, size, crop, presentation=presentation):
        batch = move(batch, device)
        forecast = predict_future(model, batch.seen, context, batch.actions)
        loss = experiment.loss(forecast, truth_of(model, batch.frames[:, context:]), batch.valid[:, context:])
        if count == 0:
            south_first = bool(sources.frames) and row_order(sources.frames[0]) == "south_first"
            draw_strip(image, batch.frames[0], picture_of(model, forecast)[0], south_first)
        total += loss.item() * len(indices)
        count += len(indices)
        if count >= experiment.training.validation_windows:
            break
    return Validated(iteration, total / count, image)


def build_card(experiment: Experiment, sources: DataSplits, data_digest: str = "") -> ModelCard:
    """The card of the models that a run saves, without scores; `data_digest` is that of the record of its data."""
    assert sources.train is not None
    grid: dict[str, Any] = {}
    if sources.frames:
        first = sources.frames[0]
        grid = {"y": first.sizes["y"], "x": first.sizes["x"]}
        for axis in ("y", "x"):
            if axis in first.coords and first.sizes[axis] > 1:
                grid[f"{axis}_spacing"] = float(first[axis][1] - first[axis][0])
        scales = [scale_of(frames) for frames in sources.frames]
        if not any("pixel size" in scale.assumed for scale in scales):
            sides = [round(scale.kilometres, 6) for scale in scales]
            grid["kilometres"] = [min(sides), max(sides)]
        if "crs" in first.coords:
            grid["mapping"] = str(first["crs"].attrs.get("grid_mapping_name", ""))
    return ModelCard(
        model=experiment.model,
        scaling=sources.scaling,
        quantity=sources.train.quantity,
        shape=sources.shape(experiment.data.crop_size),
        step_seconds=None if sources.step is None else float(sources.step / np.timedelta64(1, "s")),
        grid=grid,
        inputs=experiment.data.inputs,
        read_options=experiment.data.reading,
        coordinates=experiment.coordinates,
        head=experiment.head,
        step_range=_step_range(sources) if experiment.head.conditions else None,
        training_data_sha256=data_digest,
        row_order=row_order(sources.frames[0]) if sources.frames else None,
    )


def _step_range(sources: DataSplits) -> tuple[float, float] | None:
    """The shortest and the longest step of the archives, in seconds; None if one has no times."""
    steps = [time_step(frames) for frames in sources.frames]
    seconds = [float(step / np.timedelta64(1, "s")) for step in steps if isinstance(step, np.timedelta64)]
    return (min(seconds), max(seconds)) if seconds and len(seconds) == len(steps) else None


def save_model(folder: Path, model: Any, card: ModelCard, record: DataRecord | None, **scores: float) -> None:
    """Save the model with its card, `scores` and the `record` of its data in `folder`."""
    save(folder, model, replace(card, scores=scores), record)


@contextmanager
def use_average(model: Any, average: dict[str, Tensor] | None) -> Iterator[Any]:
    """Replace the weights of the model by their `average` within the context; leave them if it is None."""
    if average is None:
        yield model
        return
    weights = {name: weight.clone() for name, weight in model.state_dict().items()}
    model.load_state_dict(average)
    try:
        yield model
    finally:
        model.load_state_dict(weights)
