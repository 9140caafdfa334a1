"""`framecast forecast`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import framecast
from framecast.cli.options import DataPath, Inputs, Overwrite, command
from framecast.cli.terminal import warn
from framecast.data.readers.options import ReadOptions


@command
def forecast(
    options: ReadOptions,
    run: Annotated[Path, typer.Argument(help="The folder of a run or of a saved model.")],
    data: DataPath,
    horizon: Annotated[int, typer.Option(help="How many frames to forecast; may be longer than trained.")],
    out: Annotated[Path, typer.Option(help="nowcast.nc, nowcast.zarr, or to look at: nowcast.mp4, nowcast.gif")],
    actions: Annotated[
        Path | None, typer.Option(help="A .npy with the actions of every step, for a model that takes them.")
    ] = None,
    inputs: Inputs = None,
    tile: Annotated[
        int | None, typer.Option(help="Forecast larger frames in tiles of so many pixels, to save memory.")
    ] = None,
    overlap: Annotated[int, typer.Option(help="Pixels that neighbouring tiles share.")] = 64,
    overwrite: Overwrite = False,
) -> None:
    """Forecast the frames after the newest ones, on their grid, without any future frame."""
    from rich.console import Console

    result = framecast.forecast(
        run,
        data,
        horizon,
        out=out,
        options=options,
        actions=actions,
        inputs=inputs or (),
        tile=tile,
        overlap=overlap,
        overwrite=overwrite,
    )
    console = Console(stderr=True)
    for name in ("repairs", "warnings"):
        for text in str(result.attrs.get(name, "")).splitlines():
            warn(console, text)
    print(out)
