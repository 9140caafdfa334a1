"""`framecast import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import framecast
from framecast.cli.options import command, height_width, numbers


@command
def import_(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint of a published implementation.")],
    source: Annotated[str, typer.Option("--from", help="thuml-predrnn, openstl, ...: a wrong name lists them.")],
    out: Annotated[Path, typer.Option(help="A new folder for the model.")],
    size: Annotated[str, typer.Option(help="HEIGHTxWIDTH of its frames.")] = "64x64",
    channels: Annotated[int, typer.Option(min=1, help="Channels of its frames.")] = 1,
    patch: Annotated[int, typer.Option(min=1, help="Its patch size.")] = 4,
    context: Annotated[int, typer.Option(min=1, help="Frames that it sees.")] = 10,
    horizon: Annotated[int, typer.Option(min=1, help="Frames that it was trained to forecast.")] = 10,
    actions: Annotated[int, typer.Option(min=0, help="Numbers in an action, for models that take them.")] = 0,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="key=value of its own settings, where unusual: n_heads=4")
    ] = None,
) -> None:
    """Turn a published checkpoint into a model of framecast. Nothing but weights is ever loaded."""
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
    print(out)
