"""The command `framecast import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypedDict

import typer

import framecast
from framecast.cli.options import command, height_width, numbers


class ImportResult(TypedDict):
    model: str
    reference: str
    unused: list[str]
    assumed: dict[str, Any]


@command
def import_(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint of a published implementation.")],
    source: Annotated[
        str,
        typer.Option("--from", help="The implementation: thuml-predrnn, openstl, ... (an unknown name lists them)."),
    ],
    out: Annotated[Path, typer.Option(help="A new folder for the model.")],
    size: Annotated[str, typer.Option(help="HEIGHTxWIDTH of the frames.")] = "64x64",
    channels: Annotated[int, typer.Option(min=1, help="Channels of the frames.")] = 1,
    patch: Annotated[
        int | None, typer.Option(min=1, help="The patch size of the training: 4 unless given; PhyDNet needs it.")
    ] = None,
    context: Annotated[int, typer.Option(min=1, help="Context frames of training.")] = 10,
    horizon: Annotated[int, typer.Option(min=1, help="Forecast frames of training.")] = 10,
    actions: Annotated[int, typer.Option(min=0, help="Dimension of an action, for action-conditioned models.")] = 0,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of the published implementation that is not its default: n_heads=4"),
    ] = None,
) -> ImportResult:
    """Convert a published checkpoint to a model folder of framecast. Only tensors are loaded from it, never code."""
    from framecast.types import FrameShape

    settings = dict(text.partition("=")[::2] for text in setting or [])
    imported = framecast.import_checkpoint(
        checkpoint,
        source,
        FrameShape(channels, *height_width(size), context, horizon, actions),
        patch=patch,
        settings={key: numbers(value, "setting")[0] for key, value in settings.items()},
        out=out,
    )
    print(f"{imported.reference}: {imported.card.model}")
    print(f"missing: none; unused: {', '.join(imported.unused) or 'none'}")
    if imported.assumed:
        assumed = ", ".join(f"{key}={value}" for key, value in imported.assumed.items())
        print(f"assumed, in no weight: {assumed} (another value: --set)")
    print(out)
    return {
        "model": str(out),
        "reference": str(imported.reference),
        "unused": list(imported.unused),
        "assumed": dict(imported.assumed),
    }
