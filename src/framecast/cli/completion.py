"""Completion of values in the shell (`framecast --install-completion`), by the name of the parameter, so that a new command has
it too: recipes and their rows, models, baselines, metrics, diagnoses, trained models.

A shell waits for each answer, so nothing here imports torch, except for the names of metrics.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from typer.models import ParameterInfo

PACKAGE = Path(__file__).parents[1]


def recipes() -> Iterator[str]:
    """The recipes of the package, each alone and with each of its rows."""
    from framecast.reading.plain_data import read_yaml

    for path in sorted((PACKAGE / "recipes").glob("*.yaml")):
        yield path.stem
        content = read_yaml(path)
        yield from (f"{path.stem}#{row}" for row in content.get("rows") or {})


def models() -> list[str]:
    """The names of the models, as the annotations `name: Literal["convlstm"]` of their settings have them, and of plugins."""
    from framecast.checks import plugins

    names = set(plugins("model"))
    for path in {*(PACKAGE / "models").glob("*.py")} - {PACKAGE / "models" / "heads.py"}:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "name":
                names |= _literals(node.annotation)
    return sorted(names)


def _literals(annotation: ast.expr) -> set[str]:
    if not isinstance(annotation, ast.Subscript) or ast.unparse(annotation.value) != "Literal":
        return set()
    return {str(each.value) for each in ast.walk(annotation.slice) if isinstance(each, ast.Constant)}


def settings() -> list[str]:
    """The settings of a recipe that are most often changed."""
    common = (
        "data.path=",
        "data.images=",
        "data.units=",
        "training.iterations=",
        "training.batch_size=",
        "model.hidden=",
    )
    return [*common, *(f"model.name={name}" for name in models())]


def baselines() -> list[str]:
    """The names of the baselines."""
    from framecast.forecasting.baselines import BASELINES

    return sorted(BASELINES)


def metrics() -> list[str]:
    """The names of the metrics."""
    from framecast.verification.metrics import METRICS

    return sorted({metric.name for metric in METRICS})


def packaged_models() -> list[str]:
    """The trained models of the package."""
    return sorted(path.name for path in (PACKAGE / "checkpoints" / "packaged").iterdir() if path.is_dir())


def kinds() -> list[str]:
    """The kinds of diagnosis."""
    return ["attention", "attribution", "collapse", "decoupling", "gradients", "motion", "response", "slots"]


def conventions() -> list[str]:
    """The conventions of frame scores."""
    return ["czh98", "default", "openstl", "thuml"]


SOURCES: dict[str, Callable[[], Iterable[str]]] = {
    "recipe": recipes,
    "settings": settings,
    "model": models,
    "run": packaged_models,
    "runs": packaged_models,
    "baselines": baselines,
    "metrics": metrics,
    "kind": kinds,
    "convention": conventions,
}
"""What completes a parameter, by its name."""


def with_completion(name: str, annotation: Any) -> Any:
    """An annotation of typer with the completion of the parameter `name`, if there is one. In a list with commas the last part is
    completed; a name may stand for a path too, which the shell completes."""
    if get_origin(annotation) is not Annotated or name not in SOURCES:
        return annotation
    kind, *infos = get_args(annotation)
    infos = [_completing(info, SOURCES[name]) if isinstance(info, ParameterInfo) else info for info in infos]
    return Annotated[kind, *infos]


def _completing(info: ParameterInfo, source: Callable[[], Iterable[str]]) -> ParameterInfo:
    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        return [f"{before}{comma}{value}" for value in source() if value.startswith(last)]

    info = copy(info)
    info.autocompletion = complete
    return info
