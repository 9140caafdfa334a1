"""The two stages of a design such as the modular one: an autoencoder on single frames, then a predictor of its latents.

Which model is such a design, and of what parts, its config says (`models.parts.capabilities.TwoStageConfig`).
"""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from framecast.checkpoints.model_folder import find, load
from framecast.config.experiment import Experiment
from framecast.curriculum import TeacherForced
from framecast.errors import ConfigError
from framecast.losses import L2
from framecast.models.parts.capabilities import Pretraining, two_stages
from framecast.models.parts.protocols import ModelConfig
from framecast.training.run_folder import has_begun


def check_cache(experiment: Experiment) -> None:
    """Raise `ConfigError` where latents are to be kept of windows that are changed at random on the way."""
    data = experiment.data
    changed = data.crop_size is not None or data.flips or data.rotations
    if caches_latents(experiment.model) and changed:
        raise ConfigError(
            "windows that are cropped or turned at random have no latents to keep",
            where="model.cache",
            remedy="model.cache=false, or train without crop, flips and rotations",
        )


def caches_latents(model: ModelConfig) -> bool:
    """Whether `model` is trained on latents that are computed once and kept."""
    design = two_stages(model)
    return design is not None and design.caches_latents


def trained_part(model: ModelConfig, network: Any) -> Any:
    """What of the `network` of `model` is trained: with its latents cached a second stage is called by itself, on latents as if
    they were frames; all of it otherwise."""
    design = two_stages(model)
    return network if design is None or not design.caches_latents else design.trained_part(network)


def first_stage(experiment: Experiment) -> Experiment | None:
    """The training of the part that `experiment` needs before its own; None where it needs none."""
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
        training=training,  # not recorded: a codebook cannot be
    )


def second_stage(experiment: Experiment, out: Path) -> tuple[Experiment, Path]:
    """The training in `out` after the first stage, and the folder of that, a sibling of `out`. An experiment of one stage comes
    back as it is, with `out`."""
    design = two_stages(experiment.model)
    if design is None:
        return experiment, out
    first = design.pretraining()
    folder = _sibling(out, first)
    model: Any = design.pretrained(str(folder))
    return (experiment if first.folder is not None else replace(experiment, model=model)), folder


def _sibling(out: Path, first: Pretraining) -> Path:
    whole = out.absolute()  # "." has no name
    return whole.with_name(f"{whole.name}-{first.part}")


def unfinished(experiment: Experiment, out: Path) -> Path | None:
    """The folder of the first stage, where the run in `out` waits for it; None where it does not."""
    design = two_stages(experiment.model)
    if design is None:
        return None
    first = design.pretraining()
    folder = _sibling(out, first)
    waits = first.folder == str(folder) and not has_begun(out) and not (folder / "last").is_dir()
    return folder if waits else None


def adopt_first_stage(network: Any, model: ModelConfig) -> None:
    """Give a new `network` of `model` the weights of its trained first stage, where it has one. Raises `RunError` where there is
    none in that folder, and `ConfigError` where none is named or it is another one."""
    design = two_stages(model)
    if design is None:
        return
    first = design.pretraining()
    if first.folder is None:
        raise ConfigError(f"no trained {first.part}", where="model.trained", remedy="name the folder of its run")
    trained, card = load(find(Path(first.folder)))
    if card.model != first.model:
        raise ConfigError(
            f"{first.folder} holds {first.part} weights with {_difference(card.model, first.model)}",
            where=f"model.{first.part}",
            remedy="give the settings with which it was trained",
        )
    getattr(network, first.part).load_state_dict(trained.state_dict())


def _difference(stored: Any, wanted: Any) -> str:
    """In which settings one is not the other."""
    values = [(each.name, getattr(stored, each.name), getattr(wanted, each.name, None)) for each in fields(stored)]
    if type(stored) is not type(wanted):
        values = [value for value in values if value[0] == "name"]
    return ", ".join(f"{name} {value}, not {other}" for name, value, other in values if value != other)
