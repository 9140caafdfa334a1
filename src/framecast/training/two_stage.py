"""The two stages of a modular design: an autoencoder on single frames, then a predictor of its latents."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from framecast.checkpoints.model_folder import find, load
from framecast.config.experiment import Experiment
from framecast.curriculum import TeacherForced
from framecast.errors import ConfigError
from framecast.losses import L2
from framecast.models import ModularDesign
from framecast.training.run_folder import has_begun


def check_cache(experiment: Experiment) -> None:
    """Raise `ConfigError` where latents are to be kept of windows that are changed at random on the way."""
    data, model = experiment.data, experiment.model
    changed = data.crop_size is not None or data.flips or data.rotations
    if isinstance(model, ModularDesign) and model.cache and changed:
        raise ConfigError(
            "windows that are cropped or turned at random have no latents to keep",
            where="model.cache",
            remedy="model.cache=false, or train without crop, flips and rotations",
        )


def first_stage(experiment: Experiment) -> Experiment | None:
    """The training of the autoencoder that `experiment` needs before its own; None where it needs none."""
    model = experiment.model
    if not isinstance(model, ModularDesign) or model.trained is not None:
        return None
    first = model.first
    try:
        training = replace(experiment.training, iterations=first.iterations, batch_size=first.batch_size)
        optimiser = replace(experiment.optimiser, learning_rate=first.learning_rate)
    except ConfigError as error:
        where = f"model.first.{str(error.where).rpartition('.')[2]}"
        raise ConfigError(error.what, where=where, remedy=error.remedy) from error
    return replace(
        experiment,
        model=model.autoencoder,
        curriculum=TeacherForced(),
        loss=L2(),
        optimiser=optimiser,
        training=replace(training, graph=False),  # a codebook cannot be recorded
    )


def second_stage(experiment: Experiment, out: Path) -> tuple[Experiment, Path]:
    """The training in `out` after the first stage, and the folder of that, which is beside `out`. An experiment of one
    stage comes back as it is."""
    first = _beside(out)
    if isinstance(experiment.model, ModularDesign) and experiment.model.trained is None:
        experiment = replace(experiment, model=replace(experiment.model, trained=str(first)))
    return experiment, first


def _beside(out: Path) -> Path:
    whole = out.absolute()  # "." has no name
    return whole.with_name(f"{whole.name}-autoencoder")


def unfinished(experiment: Experiment, out: Path) -> Path | None:
    """The folder of the first stage, where the run in `out` waits for it; None where it does not."""
    first = _beside(out)
    waits = isinstance(experiment.model, ModularDesign) and experiment.model.trained == str(first)
    return first if waits and not has_begun(out) and not (first / "last").is_dir() else None


def adopt_autoencoder(network: Any, model: ModularDesign) -> None:
    """Give a new `network` of `model` the weights of its trained autoencoder. Raises `RunError` where there is none, and
    `ConfigError` where it is another one."""
    if model.trained is None:
        raise ConfigError("no trained autoencoder", where="model.trained", remedy="name the folder of its run")
    trained, card = load(find(Path(model.trained)))
    if card.model != model.autoencoder:
        raise ConfigError(
            f"{model.trained} holds an autoencoder with {_difference(card.model, model.autoencoder)}",
            where="model.autoencoder",
            remedy="give the settings with which it was trained",
        )
    network.autoencoder.load_state_dict(trained.state_dict())


def _difference(found: Any, wanted: Any) -> str:
    """In which settings one is not the other."""
    values = [(each.name, getattr(found, each.name), getattr(wanted, each.name, None)) for each in fields(found)]
    if type(found) is not type(wanted):
        values = [value for value in values if value[0] == "name"]
    return ", ".join(f"{name} {value}, not {other}" for name, value, other in values if value != other)
