"""A batch of cases as fields on the same pixels, and the columns of their sums. No score is computed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from framecast.data.quantities import Quantity
from framecast.data.scaling import default_scaling
from framecast.verification.scored_forecast import ScoredForecast

Column = tuple[tuple[str, ...], np.ndarray]
"""Dimensions and values."""
LEADS = ("forecaster", "case", "lead_time")
"""The dimensions of most sums."""


Box = tuple[slice, slice]
"""A part of a frame: rows and columns."""
EVERYWHERE: Box = (slice(None), slice(None))


class Fields(NamedTuple):
    """A batch of cases: the truth `(B, S, C, H, W)` and the deterministic values of its forecasts by name, in physical units and
    as images from 0 to 1, and what else is `scored` of the forecasts. Masks `(B, S, 1, H, W)`: `valid` where truth and all
    forecasts have data, `observed` where the truth has."""

    truth: Tensor
    scored: dict[str, ScoredForecast]
    forecasts: dict[str, Tensor]
    truth_images: Tensor
    images: dict[str, Tensor]
    valid: Tensor
    observed: Tensor

    def at(self, leads: slice, box: Box = EVERYWHERE) -> Fields:
        """The fields at some of the lead times, and in a box."""
        place = (slice(None), leads, slice(None), *box)
        forecasts, images = (
            {name: values[place] for name, values in each.items()} for each in (self.forecasts, self.images)
        )
        truth, truth_images, valid, observed = (
            values[place] for values in (self.truth, self.truth_images, self.valid, self.observed)
        )
        scored = {name: each.at(leads, box) for name, each in self.scored.items()}
        return Fields(truth, scored, forecasts, truth_images, images, valid, observed)

    def box(self, multiple: int, least: int) -> Box:
        """The smallest box that holds all valid pixels and at least `least` pixels a side, where the frame does; its limits are
        multiples of `multiple` or the edge of the frame."""
        anywhere = self.valid.flatten(0, 2).any(0)
        return tuple(_limits(anywhere.any(1 - axis), multiple, least) for axis in range(2))  # type: ignore[return-value]

    @property
    def members(self) -> dict[str, Tensor]:
        """The members `(M, B, S, C, H, W)` of the ensembles, by name."""
        return {name: torch.from_numpy(each.members) for name, each in self.scored.items() if each.members is not None}


def _limits(used: Tensor, multiple: int, least: int) -> slice:
    """The first and last place that are `used (N,)`, as `Fields.box` extends them."""
    places = used.nonzero()
    first, end = (int(places[0]), int(places[-1]) + 1) if len(places) else (0, 0)
    first = first // multiple * multiple
    end = -(-max(end, first + least) // multiple) * multiple
    if end > len(used):
        end, first = len(used), min(first, max(len(used) - least, 0) // multiple * multiple)
    return slice(first, end)


def make_fields(forecasts: Mapping[str, ScoredForecast], truth: np.ndarray, quantity: Quantity) -> Fields:
    """The fields of forecasts by name and the truth `(B, S, C, H, W)`."""
    observed = np.isfinite(truth).all(axis=2, keepdims=True)
    forecast_valid = np.logical_and.reduce([each.valid for each in forecasts.values()])
    scaling = default_scaling(quantity)
    return Fields(
        torch.from_numpy(truth),
        dict(forecasts),
        {name: torch.from_numpy(each.values) for name, each in forecasts.items()},
        torch.from_numpy(scaling.forward(truth, quantity)),
        {name: torch.from_numpy(scaling.forward(each.values, quantity)) for name, each in forecasts.items()},
        torch.from_numpy(observed & forecast_valid),
        torch.from_numpy(observed),
    )


def stack_columns(columns: Sequence[Mapping[str, Tensor | np.ndarray]], dims: tuple[str, ...]) -> dict[str, Column]:
    """Stack the columns of all forecasters, name by name."""
    return {name: (dims, np.stack([np.asarray(each[name]) for each in columns])) for name in columns[0]}


def first_channel(values: Tensor) -> Tensor:
    """The first channel of all frames: `(B, S, C, H, W)` -> `(B S, H, W)`."""
    return values[:, :, 0].flatten(0, 1)
