"""The command `framecast export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypedDict

import typer

import framecast
from framecast.cli.options import Overwrite, command, height_width


class ExportResult(TypedDict):
    files: list[str]
    differences: dict[str, float]
    cases: int


@command
def export(
    run: Annotated[Path, typer.Argument(help="The folder of a run or of a saved model, or radar.")],
    onnx: Annotated[Path | None, typer.Option(help="The file to write in ONNX: model.onnx")] = None,
    program: Annotated[
        Path | None, typer.Option("--torch", help="The file to write as a program of torch.export: model.pt2")
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", help="Frames on which it is checked; generated frames unless stated.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="HEIGHTxWIDTH", help="The frame size; that of training unless stated.")
    ] = None,
    horizon: Annotated[int | None, typer.Option(help="Lead times; as many as in training unless stated.")] = None,
    kilometres: Annotated[
        float | None, typer.Option(help="Size of a pixel, for a model of distributions; of the data or of training.")
    ] = None,
    overwrite: Overwrite = False,
) -> ExportResult:
    """Export the network of a trained model, for programs without framecast, and check it on cases."""
    result = framecast.export(
        run,
        onnx=onnx,
        program=program,
        data=data,
        size=None if size is None else height_width(size),
        horizon=horizon,
        kilometres=kilometres,
        overwrite=overwrite,
    )
    for file in result.files:
        print(file)
    engines = {"onnx": "onnxruntime", "program": "torch.export"}
    for name, difference in result.differences.items():
        print(f"largest difference, {engines[name]}: {difference:.1e} of the largest output, {result.cases} cases")
    return {
        "files": list(map(str, result.files)),
        "differences": {name: float(value) for name, value in result.differences.items()},
        "cases": result.cases,
    }
