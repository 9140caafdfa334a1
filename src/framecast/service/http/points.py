"""The time series at a point: what was observed in the last hours, and what is forecast, with its uncertainty.

Quantiles come from the file where it has them, else from its members, else from the probabilities of exceeding at least
`_THRESHOLDS` thresholds: the rate whose probability of being exceeded is that of the quantile, between thresholds on a straight
line over the logarithm of the rate. One below the lowest threshold is 0, one above the highest is the highest.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from framecast.service.http.names import Product, iso, seconds_of
from framecast.service.http.stored import NO_DATA, PACKINGS, Contents, read_series
from framecast.service.http.tiles import Source, Tiles

OBSERVED = Product("observed")
QUANTILES = (0.1, 0.5, 0.9)
_THRESHOLDS = 4
_LEAST_MEMBERS = 5


def forecast_at(source: Source, contents: Contents, row: int, column: int) -> dict[str, Any]:
    """The forecast at a pixel as plain data: lead times in minutes, values, probabilities by threshold, and quantiles. Raises
    `DataError` if the file cannot be read."""
    series = read_series(source.path, contents, row, column)
    values = series["values"]
    mean = values.mean(axis=0) if contents.members else values
    return {
        "lead_minutes": list(contents.leads),
        "values": _plain(mean),
        "probabilities": [
            {"threshold": threshold, "values": _plain(probability, 4)}
            for threshold, probability in zip(contents.thresholds, series.get("probabilities", ()), strict=False)
        ],
        "quantiles": _quantiles(contents, series),
    }


def observed_at(tiles: Tiles, frames: list[tuple[str, Source]], pixel: int) -> list[dict[str, Any]]:
    """What was observed at the pixel with a number, in the frames of these times. Raises `DataError`."""
    result = []
    for time, source in frames:
        field = tiles.field(source, OBSERVED, 0)
        packing, code = PACKINGS[field.quantity], int(field.codes[pixel])
        value = None if code == NO_DATA else round(packing.offset + packing.step * code, 2)
        result.append({"time": iso(seconds_of(time)), "value": value})
    return result


def _quantiles(contents: Contents, series: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    if "quantiles" in series:
        levels, quantiles = contents.quantiles, series["quantiles"]
    elif contents.members >= _LEAST_MEMBERS:
        levels, quantiles = QUANTILES, np.quantile(series["values"], QUANTILES, axis=0)
    elif len(contents.thresholds) >= _THRESHOLDS:
        levels = QUANTILES
        quantiles = from_probabilities(np.array(contents.thresholds), series["probabilities"], QUANTILES)
    else:
        return []
    return [{"level": level, "values": _plain(each)} for level, each in zip(levels, quantiles, strict=True)]


def from_probabilities(rates: np.ndarray, probabilities: np.ndarray, levels: tuple[float, ...]) -> np.ndarray:
    """Quantiles `(Q, L)` from the probabilities `(T, L)` of exceeding rising `rates (T,)`."""
    falling = np.minimum.accumulate(probabilities, axis=0)
    result = np.full((len(levels), falling.shape[1]), np.nan)
    logarithms = np.log(rates)
    for lead in np.flatnonzero(np.isfinite(falling).all(axis=0)):
        distribution = 1 - falling[:, lead]
        for number, level in enumerate(levels):
            if level >= distribution[0]:
                result[number, lead] = math.exp(np.interp(level, distribution, logarithms))
            else:
                result[number, lead] = 0.0
    return result


def _plain(values: np.ndarray, digits: int = 2) -> list[float | None]:
    """Numbers for JSON, rounded; None where there is none."""
    return [round(float(value), digits) if math.isfinite(value) else None for value in values]
