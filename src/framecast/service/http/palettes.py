"""The colours of tiles and their legends: tables from the codes of `stored` to the colours of `framecast.colours`.

Rates and amounts are drawn in the palette chosen; probabilities always in the one whose lightness falls evenly, so that they are
not taken for rain. Dry pixels are transparent, pixels without data grey with stripes.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from framecast.colours import PALETTES, Scale, scale_of
from framecast.data.quantities import QUANTITIES, RAIN_RATE, Quantity
from framecast.service.http.stored import NO_DATA, OUTSIDE, PACKINGS

_AMOUNT = replace(
    RAIN_RATE, name="accumulation", label="mm", colour_steps=(0.1, 0.5, 1, 2, 5, 10, 15, 20, 30, 40, 60, 80)
)
_PROBABILITY = replace(
    RAIN_RATE, name="probability", label="%", colour_steps=(0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
)
_DRAWN = {**QUANTITIES, _AMOUNT.name: _AMOUNT, _PROBABILITY.name: _PROBABILITY}
_OPAQUE, _VEIL, _STRIPE = 225, 45, 100
"""Opacity of rain, of no data, and of the stripes on it, of 255."""
_LIGHTEST = (150, 195)
"""Opacity of the lowest steps."""
_GREY = (120, 124, 130)


class Table(NamedTuple):
    """The colours of a quantity in a palette: `steps (65536,)` uint8 from codes to colours, of which 0 is transparent; `rgb` and
    `alpha` of the colours as PNG has them; the colour of a `stripe`."""

    steps: np.ndarray
    rgb: bytes
    alpha: bytes
    stripe: int


@cache
def table_of(quantity: str, palette: str) -> Table:
    """The table of a quantity of `PACKINGS` in one of `PALETTES`."""
    record, scale = _scale(quantity, palette)
    packing = PACKINGS[quantity]
    values = packing.offset + packing.step * (
        np.arange(NO_DATA + 1) + 1e-3
    )  # a code that is a limit lies in the step above
    painted = (np.asarray(scale.colours(scale.norm(values)))[:, :3] * 255).astype(np.uint8)
    colours, index = np.unique(painted, axis=0, return_inverse=True)
    if len(colours) > 240:  # a continuous scale
        colours, index = _coarser(painted)
    table = (index.reshape(-1) + 1).astype(np.uint8)
    visible = values >= record.colour_steps[0] if record.colour_steps else values > record.dry
    table[~visible] = 0
    missing = len(colours) + 1
    table[OUTSIDE], table[NO_DATA] = 0, missing
    rgb = np.concatenate([[[0, 0, 0]], colours, [_GREY, _GREY]]).astype(np.uint8)
    opacity = [_OPAQUE] * len(colours)
    lowest = dict.fromkeys(table[visible].tolist()) if record.colour_steps else ()
    for step, lighter in zip(lowest, _LIGHTEST, strict=False):
        opacity[step - 1] = lighter
    alpha = bytes([0, *opacity, _VEIL, _STRIPE])
    return Table(table, rgb.tobytes(), alpha, missing + 1)


@cache
def legend_of(quantity: str, palette: str) -> dict[str, Any]:
    """The legend of a quantity as plain data: its unit, and steps from the lowest, each with its lower limit and its colour."""
    record, scale = _scale(quantity, palette)
    limits = record.colour_steps or tuple(np.linspace(*record.usual, 6)[:-1])
    colours = np.asarray(scale.colours(scale.norm(np.array(limits) + 1e-6)))[:, :3] * 255
    factor = 100 if quantity == _PROBABILITY.name else 1
    steps = [
        {"from": round(limit * factor, 3), "colour": "#" + "".join(f"{round(part):02x}" for part in colour)}
        for limit, colour in zip(limits, colours, strict=True)
    ]
    return {"quantity": quantity, "unit": record.label, "steps": steps}


def _scale(quantity: str, palette: str) -> tuple[Quantity, Scale]:
    record = _DRAWN[quantity]
    return record, scale_of(record, PALETTES[-1] if quantity == _PROBABILITY.name else palette)


def _coarser(painted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most 200 colours of a scale of many, and the number of that of each."""
    numbers = np.arange(len(painted)) * 200 // len(painted)
    return painted[np.searchsorted(numbers, np.arange(200))], numbers
