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

    from framecast.data.archives.opening import open_like
    from framecast.data.frames import coverage, impossible
    from framecast.data.quantities import of
    from framecast.data.readers.numpy_files import array_of
    from framecast.data.windows.inputs import moved
    from framecast.forecasting.write import check_target

    check_target(out, overwrite=overwrite)
    trained = framecast.load(run, tile=tile, overlap=overlap)
    frames = open_like(data, options, trained.card.reading)
    newest = frames.isel(time=slice(-trained.context, None))
    for text in (*frames.attrs["repairs"], *impossible(coverage(newest), of(newest))):
        warn(Console(stderr=True), text)
    context = newest if "sequence" not in frames.dims else None
    forecast = trained.forecast(
        frames, horizon, None if actions is None else array_of(actions), moved(trained.card.inputs, inputs or ())
    )
    framecast.write(forecast, out, overwrite=overwrite, context=context)
    print(out)
