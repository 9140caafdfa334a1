"""The command `framecast forecast`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

import framecast
from framecast.cli.options import DataPath, Inputs, Overwrite, Palette, command, names, numbers
from framecast.cli.process import short_process
from framecast.cli.terminal import print_lines, warn
from framecast.data.readers.options import ReadOptions
from framecast.forecasting.targets import check_target

if TYPE_CHECKING:
    from framecast.forecasting.labels import Forecast


class ForecastResult(TypedDict):
    file: str
    forecaster: str
    init_time: str
    lead_minutes: list[float] | None
    rung: str
    reasons: list[str]
    age_seconds: float | None
    units: str
    largest: list[float | None]
    warnings: list[str]


@command
def forecast(
    options: ReadOptions,
    run: Annotated[
        Path,
        typer.Argument(
            help="The folder of a run or of a saved model, radar, or a baseline: extrapolation. A folder goes first."
        ),
    ],
    data: DataPath,
    out: Annotated[
        Path,
        typer.Option(help="The file to write: nowcast.nc, nowcast.zarr, or an animation: nowcast.mp4, nowcast.gif"),
    ],
    horizon: Annotated[
        int | None,
        typer.Option(help="The number of frames to forecast, by default as many as in training; may be more."),
    ] = None,
    members: Annotated[
        int | None,
        typer.Option(
            help="Members of an ensemble, of a model that predicts distributions or draws samples; else the mean."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="The seed of the members.")] = 0,
    rates: Annotated[
        str | None,
        typer.Option(
            "--rates",
            metavar="RATE,RATE,...",
            help="Rain rates in mm/h of whose exceedance the probability is written; 0.5,2,8 unless stated.",
        ),
    ] = None,
    quantiles: Annotated[
        str | None,
        typer.Option(metavar="QUANTILE,...", help="Quantiles of the rain rate to write, between 0 and 1: 0.1,0.5,0.9."),
    ] = None,
    actions: Annotated[
        Path | None, typer.Option(help="A .npy file with the action of every step, for an action-conditioned model.")
    ] = None,
    inputs: Inputs = None,
    tile: Annotated[
        int | None, typer.Option(help="Side of square tiles in pixels, to forecast large frames in less memory.")
    ] = None,
    overlap: Annotated[int, typer.Option(help="Overlap of neighbouring tiles in pixels.")] = 64,
    fallback: Annotated[
        bool,
        typer.Option(
            "--fallback",
            help="Where the model or the frames fail, forecast by extrapolation_probability, extrapolation or persistence.",
        ),
    ] = False,
    rungs: Annotated[
        str | None,
        typer.Option(
            "--rungs",
            metavar="NAME,NAME,...",
            help="As --fallback, on these, the best first: baselines, or the folders of models.",
        ),
    ] = None,
    max_age: Annotated[
        str | None, typer.Option("--max-age", metavar="DURATION", help="Forecast from no older frame: 15min, 1h.")
    ] = None,
    palette: Palette = None,
    overwrite: Overwrite = False,
) -> ForecastResult:
    """Forecast the frames after the newest ones of the data, on the same grid.

    The initial time, its age, the forecaster, the lead times and the largest values are printed to standard error, the path of
    the file to standard output.
    """
    check_target(out, overwrite=overwrite)  # before anything slow is imported
    with short_process():
        from rich.console import Console

        from framecast.forecasting.outcome import describe
        from framecast.ops.native.memory import keep_free

        keep_free(every_size=True)
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
            members=members,
            seed=seed,
            rates=None if rates is None else numbers(rates, "rates"),
            quantiles=() if quantiles is None else numbers(quantiles, "quantiles"),
            overwrite=overwrite,
            palette=palette,
            fallback=names(rungs) if rungs is not None else fallback,
            max_age=max_age,
        )
        console = Console(stderr=True)
        print_lines(console, *describe(result))
        warnings = [text for name in ("repairs", "warnings") for text in str(result.attrs.get(name, "")).splitlines()]
        for text in warnings:
            warn(console, text)
        print(out)
        return _result(out, result, warnings)


def _result(out: Path, forecast: Forecast, warnings: list[str]) -> ForecastResult:
    import numpy as np

    from framecast.data.frames import stamp
    from framecast.forecasting.labels import values_of
    from framecast.forecasting.outcome import largest_values

    values = values_of(forecast)
    leads = values["lead_time"].values
    return {
        "file": str(out),
        "forecaster": str(values.attrs.get("forecaster", "")),
        "init_time": stamp(values["init_time"].values.ravel()[0]),
        "lead_minutes": [float(each / np.timedelta64(1, "m")) for each in leads] if leads.dtype.kind == "m" else None,
        "rung": str(forecast.attrs["framecast_rung"]),
        "reasons": str(forecast.attrs.get("framecast_reasons", "")).splitlines(),
        "age_seconds": forecast.attrs.get("framecast_age_seconds"),
        "units": str(values.attrs["units"]),
        "largest": [value if np.isfinite(value) else None for value in largest_values(forecast)],
        "warnings": warnings,
    }
