"""What a person must know to use an exported network without framecast, as plain data: `OUT.json`."""

from __future__ import annotations

from typing import Any

import framecast
from framecast.config.parsing import plain
from framecast.data.motion.coordinates import Lagrangian
from framecast.forecasting.exporting.cases import Cases
from framecast.forecasting.trained_model import TrainedModel
from framecast.models.parts.exceedance import LEAST, ROUNDING

VERSION = 1
_SCALINGS = {
    "unit": ("(x - low) / (high - low)", "y * (high - low) + low"),
    "rain_log": (
        "log(1 + max(R, 0) / floor) / log(1 + ceiling / floor), R the rain rate in mm/h",
        "floor * (exp(max(y, 0) * log(1 + ceiling / floor)) - 1), the dry value where y <= 0",
    ),
    "dbz": (
        "max((Z - low) / (high - low), 0), Z the reflectivity in dBZ",
        "y * (high - low) + low in dBZ, the dry value where y <= 0",
    ),
}
"""By the name of a scaling: from physical to scaled, and back."""


def describe(model: TrainedModel, cases: Cases, differences: dict[str, float], kilometres: float) -> dict[str, Any]:
    """The description of an exported network."""
    card = model.card
    forward, inverse = _SCALINGS[card.scaling.name]
    inputs = [
        {"name": "frames", "dtype": "float32", "shape": [1, *cases.frames.shape[1:]], "axes": "batch time channel y x"}
    ]
    if cases.actions is not None:
        inputs.append(
            {"name": "actions", "dtype": "float32", "shape": [1, *cases.actions.shape[1:]], "axes": "batch step action"}
        )
    return {
        "format_version": VERSION,
        "framecast": framecast.__version__,
        "model": plain(card.model),
        "inputs": inputs,
        "channels": _channels(model, kilometres),
        "output": {
            "name": "output",
            "dtype": "float32",
            "shape": [1, *cases.output.shape[1:]],
            "axes": "batch lead_time channel y x",
            **_meaning(model),
        },
        "quantity": {"name": card.quantity.name, "units": card.quantity.units, "dry": float(card.quantity.dry)},
        "normalisation": {
            **plain(card.scaling),
            "forward": forward,
            "inverse": inverse,
            "no_data": "becomes the dry value before it is scaled; the forecast says nothing where the context has no data",
        },
        "rain_from_reflectivity": "Z = a R^b (zr), where quantity and normalisation differ",
        "step_seconds": card.step_seconds,
        "row_order": card.row_order,
        "column_order": card.column_order,
        "coordinates": _coordinates(model),
        "training_data_sha256": card.training_data_sha256,
        "largest_difference": differences,
        "difference": "of the largest output of a case, over the cases beside this file (.npz: frames, output)",
    }


def _channels(model: TrainedModel, kilometres: float) -> list[str]:
    card = model.card
    names = [f"{card.quantity.name}, scaled"] * card.shape.predicted
    names += [f"extra input {number}, 0 to 1" for number in range(1, card.shape.inputs + 1)]
    if card.head.conditions:
        names += [
            "1 where the pixel has data, else 0",
            "minutes between frames",
            f"km of a pixel: {kilometres:g}, for which the network was exported",
        ]
    return names


def _meaning(model: TrainedModel) -> dict[str, Any]:
    rates = list(model.card.head.rates)
    if not rates:
        return {"meaning": "scaled values"}
    return {
        "meaning": "logits of the probabilities that the rain rate is at or above the rates: "
        f"p = (1 + 2 e) / (1 + exp(-output)) - e with e = {LEAST:g}, and 0 below {ROUNDING:g}",
        "rates": rates,
        "rates_units": "mm/h",
    }


def _coordinates(model: TrainedModel) -> str:
    if not isinstance(model.card.coordinates, Lagrangian):
        return "eulerian: frames and forecast are on the grid"
    return (
        "lagrangian: each frame of the context is carried along the motion of the rain to where its parcels are in the newest "
        "frame, and each lead time of the output on to where they will be; both are done outside of the network"
    )
