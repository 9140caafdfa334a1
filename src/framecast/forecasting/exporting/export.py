"""The public function `framecast.export`: a trained network as ONNX or as a program of `torch.export`, checked on cases.

The network is exported as it forecasts: frames in the scaling of the model in, its output out, for one frame size and horizon.
Scaling, motion and tiles stay outside; `OUT.json` says what they are. The loops in C and Winograd's convolutions have no part
in it.
"""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr

from framecast.checkpoints.model_folder import CARD, WEIGHTS
from framecast.checks import as_path, check_counts, is_positive, refuses_arrays, require
from framecast.data.archives.opening import open_like
from framecast.data.archives.outputs import check_output
from framecast.data.frames import check_frames
from framecast.data.readers.options import DEFAULT
from framecast.data.scale import ASSUMED, scale_of
from framecast.errors import ArgumentError, ConfigError, RunError
from framecast.forecasting.exporting.cases import Cases, Network, generated, largest_difference, observed, record
from framecast.forecasting.exporting.description import describe
from framecast.forecasting.targets import check_absent, check_folder
from framecast.forecasting.trained_model import TrainedModel, load
from framecast.ops.choice import use_algorithm
from framecast.writing import write_bytes, write_text

_log = logging.getLogger(__name__)
LIMIT = 1e-4
"""The largest difference from framecast, relative to the largest output."""


class Export(NamedTuple):
    """The result of an export: the `files`, and the largest relative difference of each format, `onnx` or `program`, from what
    framecast computes, over so many `cases`."""

    files: tuple[Path, ...]
    differences: dict[str, float]
    cases: int


@refuses_arrays
def export(
    run: str | Path,
    *,
    onnx: str | Path | None = None,
    program: str | Path | None = None,
    data: str | Path | xr.DataArray | None = None,
    size: tuple[int, int] | None = None,
    horizon: int | None = None,
    kilometres: float | None = None,
    overwrite: bool = False,
) -> Export:
    """Export the network of a run, of a model folder, or one that comes with framecast by its name, as `onnx` (.onnx) or as a
    `program` of `torch.export` (.pt2), for frames of `size` (height, width) and a `horizon`, by default those of training. One
    that predicts distributions is exported for pixels of so many `kilometres`, by default those of `data`, or of training.

    It is checked on cases, of `data` if given, else of generated frames: onnxruntime, and the program, must give what framecast
    computes to 1e-4 of the largest output. Beside the file are written `.json`, which says what goes in and out, and `.npz`, the
    cases.

    Raises `ConfigError` with the reason for a model that cannot be exported, for a file of these that exists unless `overwrite`,
    for one of the model or the data, for other arguments that are invalid and without the extra `export`; `RunError` if the
    difference is larger, or a file cannot be written.
    """
    targets = _targets(onnx, program)
    stems = dict.fromkeys(path.with_suffix("") for path in targets.values())
    files = [*targets.values(), *(stem.with_suffix(suffix) for stem in stems for suffix in (".json", ".npz"))]
    for file in files:
        check_absent(file, overwrite=overwrite)
        check_folder(file)
    model = load(run, "cpu")
    sources = [] if model.folder is None else [model.folder / CARD, model.folder / WEIGHTS]
    size, horizon = _size(model, size), model.card.shape.horizon if horizon is None else horizon
    check_counts(horizon=horizon)
    frames = None if data is None else _frames(model, data)
    for text in model.notes([] if frames is None else [frames]):
        _log.warning(text)
    for file in files:
        check_output(file, [] if frames is None else [frames], others=sources)
    pixel = _kilometres(model, frames, kilometres)
    if frames is None:
        context = generated(model, size, horizon, pixel)
    else:
        context = observed(model, frames, size, pixel)
    cases = record(model, context, horizon)
    graph = _trace(model, cases, horizon, pixel)
    contents, differences = {}, {}
    for name in targets:
        contents[name], outputs = _as_onnx(graph, cases, model.name) if name == "onnx" else _as_program(graph, cases)
        differences[name] = largest_difference(cases, outputs)
        if not differences[name] <= LIMIT:
            raise RunError(
                f"{model.name} as {name} differs from framecast by {differences[name]:.1e} of the largest output, more than "
                f"{LIMIT:g}",
                remedy="report it, with the versions of torch, onnx and onnxruntime",
            )
    for name, path in targets.items():
        write_bytes(path, contents[name], overwrite=overwrite)
    description = json.dumps(describe(model, cases, differences, pixel), indent=1)
    for stem in stems:
        write_text(stem.with_suffix(".json"), description, overwrite=overwrite)
        write_bytes(stem.with_suffix(".npz"), _pack(cases), overwrite=overwrite)
    return Export(tuple(files), differences, len(cases.frames))


def _targets(onnx: str | Path | None, program: str | Path | None) -> dict[str, Path]:
    """The files to write. Raises `ConfigError`."""
    targets = {}
    for name, value, suffix in (("onnx", onnx, ".onnx"), ("program", program, ".pt2")):
        if value is None:
            continue
        path = targets[name] = as_path(value, f"the path of a file to write, ...{suffix}", name)
        if path.suffix != suffix:
            raise ConfigError(
                f"{path.suffix or 'no suffix'} is not {suffix}", where=path, remedy=f"name it ...{suffix}"
            )
    if not targets:
        raise ArgumentError("no file to write given", parameter="onnx", example="model.onnx")
    if onnx is not None:
        require("onnx", "onnxscript", "onnxruntime", extra="export", purpose="an export to ONNX")
    return targets


def _size(model: TrainedModel, size: tuple[int, int] | None) -> tuple[int, int]:
    """The frame size. Raises `ArgumentError` for one that the model does not support."""
    shape, multiple = model.card.shape, model.card.model.multiple
    height, width = (shape.height, shape.width) if size is None else size
    check_counts(size=height)
    check_counts(size=width)
    if model.card.model.tied_to_size and (height, width) != (shape.height, shape.width):
        raise ArgumentError(
            f"{model.name} works for frames of {shape.height} x {shape.width} only",
            parameter="size",
            remedy="leave it out",
        )
    if height % multiple or width % multiple:
        raise ArgumentError(
            f"{height} x {width} are not multiples of {multiple}", parameter="size", remedy="pad the frames"
        )
    return height, width


def _frames(model: TrainedModel, data: str | Path | xr.DataArray) -> xr.DataArray:
    if isinstance(data, xr.DataArray):
        return check_frames(data)
    return open_like(data, DEFAULT, model.card.read_options)


def _kilometres(model: TrainedModel, frames: xr.DataArray | None, stated: float | None) -> float:
    """The size of a pixel: as stated, of the frames, of the training data, or assumed. Raises `ArgumentError`."""
    if stated is not None:
        if not is_positive(stated):
            raise ArgumentError(f"{stated!r} given, expected a number above 0", parameter="kilometres", example=1.0)
        return float(stated)
    if frames is not None:
        return scale_of(frames).kilometres
    trained = model.card.kilometres
    return ASSUMED.kilometres if trained is None else trained[0]


def _trace(model: TrainedModel, cases: Cases, horizon: int, kilometres: float) -> Any:
    """The graph of the network. Raises `ConfigError` with the reason for a network that has none."""
    if model.card.head.conditions:
        model.model.pixel = kilometres
    try:
        with torch.no_grad(), use_algorithm("direct"), _quiet():
            return torch.export.export(Network(model.model, horizon).eval(), cases.arguments(0))
    except Exception as error:  # torch has no common error for what it cannot trace
        raise _refusal(model.name, error) from error


def _as_program(graph: Any, cases: Cases) -> tuple[bytes, list[Any]]:
    """The file of the program, and its output for each case."""
    content = io.BytesIO()
    with _quiet():
        torch.export.save(graph, content)
        loaded = torch.export.load(io.BytesIO(content.getvalue())).module()
    with torch.no_grad():
        return content.getvalue(), [loaded(*cases.arguments(number)) for number in range(len(cases.frames))]


def _as_onnx(graph: Any, cases: Cases, name: str) -> tuple[bytes, list[Any]]:
    """The file in ONNX, and the output of onnxruntime for each case. Raises `ConfigError` with the reason if an operation has no
    form in ONNX."""
    import onnxruntime

    names = ["frames"] if cases.actions is None else ["frames", "actions"]
    try:
        with _quiet():
            converted: Any = torch.onnx.export(
                graph, dynamo=True, verbose=False, input_names=names, output_names=["output"]
            )
            content: bytes = converted.model_proto.SerializeToString()
    except Exception as error:  # neither has torch.onnx
        raise _refusal(name, error) from error
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    outputs = []
    for number in range(len(cases.frames)):
        arrays = [each.numpy() for each in cases.arguments(number)]
        outputs += session.run(None, dict(zip(names, arrays, strict=True)))
    return content, outputs


def _refusal(name: str, error: Exception) -> ConfigError:
    reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return ConfigError(
        f"{name} cannot be exported: {type(error).__name__}: {reason}",
        where="export",
        remedy="run it with framecast.load(run), or choose a model that docs/export.md lists",
    )


def _pack(cases: Cases) -> bytes:
    content = io.BytesIO()
    parts: dict[str, Any] = {"frames": cases.frames.numpy(), "output": cases.output.numpy()}
    if cases.actions is not None:
        parts["actions"] = cases.actions.numpy()
    np.savez_compressed(content, **parts)
    return content.getvalue()


@contextmanager
def _quiet() -> Iterator[None]:
    """Within this context, the progress and the notes of the exporters are not printed."""
    names = ("torch.onnx", "onnxscript", "onnx_ir", "torch.export", "torch.fx", "torch._dynamo")
    before = {name: logging.getLogger(name).level for name in names}
    try:
        for name in names:
            logging.getLogger(name).setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
