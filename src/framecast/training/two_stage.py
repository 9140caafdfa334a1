"""Training in two stages: an autoencoder on single frames, then a predictor of its latents.

The config of a model states whether it is such a design (`models.parts.capabilities.TwoStageConfig`). This module derives the
experiment of each stage and the folder of the first; it trains nothing itself.
"""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from framecast.checkpoints.model_folder import find, load, warn_of_last
from framecast.config.experiment import Experiment
from framecast.curriculum import TeacherForced
from framecast.data.windows.augmentation import NO_AUGMENTATION
from framecast.errors import ConfigError
from framecast.losses import L2
from framecast.models.parts.capabilities import Pretraining, two_stages
from framecast.models.parts.protocols import ModelConfig
from framecast.training.run_folder import has_checkpoints


def check_cache(experiment: Experiment) -> None:
    """Raise `ConfigError` if latents are cached but the windows have random crops, flips or rotations."""
    data = experiment.data
    augmented = data.crop_size is not None or data.flips or data.rotations or experiment.augmentation != NO_AUGMENTATION
    if caches_latents(experiment.model) and augmented:
        raise ConfigError(
            "latents of windows with random crops, flips or rotations cannot be cached",
            where="model.cache",
            remedy="model.cache=false, or train without crop, flips and rotations",
        )


def caches_latents(model: ModelConfig) -> bool:
    """Whether `model` is trained on latents that are computed once and cached."""
    design = two_stages(model)
    return design is not None and design.caches_latents


def trained_part(model: ModelConfig, network: Any) -> Any:
    """The part of the `network` of `model` that is trained: the predictor, called with latents in place of frames, if latents are
    cached; else the complete network."""
    design = two_stages(model)
    return network if design is None or not design.caches_latents else design.trained_part(network)


def first_stage(experiment: Experiment) -> Experiment | None:
    """The experiment of the first stage of `experiment`; None if it has none, or a trained one."""
    design = two_stages(experiment.model)
    first = None if design is None else design.pretraining()
    if first is None or first.folder is not None:
        return None
    training = replace(experiment.training, iterations=first.iterations, batch_size=first.batch_size, graph=False)
    model: Any = first.model
    return replace(
        experiment,
        model=model,
        curriculum=TeacherForced(),
        loss=L2(),
        optimiser=replace(experiment.optimiser, learning_rate=first.learning_rate),
        training=training,  # without a CUDA graph: the update of a codebook depends on its values
    )


def second_stage(experiment: Experiment, out: Path) -> tuple[Experiment, Path]:
    """The experiment of the second stage in `out`, and the folder of the first stage, a sibling of `out`. An experiment of one
    stage is returned unchanged, with `out`."""
    design = two_stages(experiment.model)
    if design is None:
        return experiment, out
    first = design.pretraining()
    folder = _sibling(out, first)
    model: Any = design.pretrained(str(folder))
    return (experiment if first.folder is not None else replace(experiment, model=model)), folder


def first_stage_beside(experiment: Experiment, out: Path) -> Experiment:
    """The `experiment` that was read from the run in `out`, with its first stage in the folder beside it, as both may have moved.
    Unchanged where the first stage has another name, which was trained by itself."""
    design = two_stages(experiment.model)
    if design is None:
        return experiment
    first = design.pretraining()
    folder = _sibling(out, first)
    if first.folder is None or Path(first.folder).name != folder.name:
        return experiment
    model: Any = design.pretrained(str(folder))
    return replace(experiment, model=model)


def _sibling(out: Path, first: Pretraining) -> Path:
    path = out.absolute()  # "." has no name
    return path.with_name(f"{path.name}-{first.part}")


def pending_first_stage(experiment: Experiment, out: Path) -> Path | None:
    """The folder of the first stage if the run in `out` waits for it, else None."""
    design = two_stages(experiment.model)
    if design is None:
        return None
    first = design.pretraining()
    folder = _sibling(out, first)
    waits = first.folder == str(folder) and not has_checkpoints(out) and not (folder / "last").is_dir()
    return folder if waits else None


def load_first_stage(network: Any, model: ModelConfig) -> None:
    """Load the weights of the trained first stage into a new `network` of `model`. Models of one stage are left unchanged. Raises
    `RunError` if the folder has no model, and `ConfigError` if no folder is named or its model has other settings."""
    design = two_stages(model)
    if design is None:
        return
    first = design.pretraining()
    if first.folder is None:
        raise ConfigError(f"no trained {first.part}", where="model.trained", remedy="name the folder of its run")
    trained, card = load(find(Path(first.folder)))
    warn_of_last(Path(first.folder))
    if card.model != first.model:
        raise ConfigError(
            f"{first.folder} holds {first.part} weights with {_difference(card.model, first.model)}",
            where=f"model.{first.part}",
            remedy="use the settings with which it was trained",
        )
    getattr(network, first.part).load_state_dict(trained.state_dict())


def _difference(stored: Any, expected: Any) -> str:
    """The settings in which two configs differ, as text."""
    values = [(each.name, getattr(stored, each.name), getattr(expected, each.name, None)) for each in fields(stored)]
    if type(stored) is not type(expected):
        values = [value for value in values if value[0] == "name"]
    return ", ".join(f"{name} {value}, not {other}" for name, value, other in values if value != other)
