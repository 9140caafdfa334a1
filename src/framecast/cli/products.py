"""The command `framecast products`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypedDict

import typer

import framecast
from framecast.cli.options import command
from framecast.forecasting.products.settings import ProductSettings


class ProductsResult(TypedDict):
    files: list[str]


@command
def products(
    settings: ProductSettings,
    forecast: Annotated[Path, typer.Argument(help="A forecast, .nc or .zarr, of framecast or of another.")],
    out: Annotated[Path, typer.Option(help="The folder for the files; it is created.")],
    variable: Annotated[
        str | None, typer.Option(help="The variable of the values, where several could be meant.")
    ] = None,
    units: Annotated[str | None, typer.Option(help="Their units, where the file states none.")] = None,
) -> ProductsResult:
    """Write products of a forecast: rates, accumulations, probabilities, quantiles, members, alerts by area."""
    opened = framecast.open_forecast(forecast, variable=variable, units=units)
    files = framecast.write_products(opened, out, settings=settings)
    for file in files:
        print(file)
    return {"files": list(map(str, files))}
