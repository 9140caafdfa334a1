"""The sums of a batch of cases: all quantities that scores are made of, for each case and lead time, as one dataset.

Input are arrays of forecasts and truth; the scores in `framecast.scores` define the sums, and the records in
`framecast.verification.metrics` turn them into values. No file is read or written here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
import xarray as xr
from scipy import ndimage
from torch import Tensor

from framecast.data.motion.optical_flow import estimate_motion
from framecast.data.quantities import ZR, Quantity
from framecast.data.scaling import default_scaling
from framecast.scores import CONVENTIONS, Convention, contingency
from framecast.scores.fractions import SCALES, SHARES, fractions_sums, percentile_limit, threshold_limit
from framecast.scores.i3d import I3D
from framecast.scores.objects import SUMS as SAL_SUMS
from framecast.scores.objects import Scene, object_threshold, sal, scene
from framecast.scores.perceptual import LPIPS
from framecast.scores.probability import crps_field, ensemble_sums, neighbourhood_sums, rank_histogram
from framecast.scores.structure import spectrum

_MOTION_SIDE = 96
"""Frames are subsampled to about this many pixels a side to estimate the speed of motion."""
_TOUCHING = np.ones((3, 3))
"""Connectivity of objects: pixels that touch at a side or a corner belong to one object."""

MAX_PIXELS = 2**21
"""Pixels of a forecast that are scored at once; intermediate results need many times their memory."""

Column = tuple[tuple[str, ...], np.ndarray]
"""Dimensions and values."""


@dataclass(frozen=True)
class ScoringRules:
    """How cases are scored: `rates` are thresholds in mm/h, `thresholds` the same in the units of the data, converted by `zr`;
    `scales` are the sides of neighbourhoods in pixels."""

    quantity: Quantity
    rates: tuple[float, ...] = ()
    thresholds: tuple[float, ...] = ()
    zr: ZR = field(default_factory=ZR)
    convention_name: str = "default"
    scales: tuple[int, ...] = SCALES

    @property
    def convention(self) -> Convention:
        """The convention of the frame scores."""
        return CONVENTIONS[self.convention_name]

    @property
    def wet(self) -> float:
        """Pixels at or above this value, in the units of the data, are wet; infinite for quantities other than precipitation."""
        return self.quantity.wet


class PerceptualNetworks(NamedTuple):
    """The pretrained networks of perceptual scores; a score without its network is not computed."""

    lpips: LPIPS | None = None
    i3d: I3D | None = None


class Fields(NamedTuple):
    """A batch of cases: the truth `(B, S, C, H, W)` and its forecasts by name, in physical units and as images from 0 to 1. Masks
    `(B, S, 1, H, W)`: `valid` where truth and all forecasts have data, `observed` where the truth has."""

    truth: Tensor
    forecasts: dict[str, Tensor]
    truth_images: Tensor
    images: dict[str, Tensor]
    valid: Tensor
    observed: Tensor

    def at(self, leads: slice) -> Fields:
        """The fields at some of the lead times."""
        forecasts, images = (
            {name: values[:, leads] for name, values in each.items()} for each in (self.forecasts, self.images)
        )
        truth, truth_images, valid, observed = (
            values[:, leads] for values in (self.truth, self.truth_images, self.valid, self.observed)
        )
        return Fields(truth, forecasts, truth_images, images, valid, observed)


def sum_cases(
    forecasts: Mapping[str, np.ndarray],
    members: Mapping[str, np.ndarray],
    truth: np.ndarray,
    contexts: np.ndarray,
    cases: Sequence[int],
    rules: ScoringRules,
    networks: PerceptualNetworks,
) -> xr.Dataset:
    """The sums of a batch of cases with the numbers `cases`: `forecasts` by name and `truth (B, S, C, H, W)`, the `members
    (M, B, S, C, H, W)` of the forecasts that are ensembles, and `contexts (B, T, C, H, W)`."""
    fields = _make_fields(forecasts, truth, rules.quantity)
    # large frames: a few lead times at a time
    size = max(1, MAX_PIXELS // truth[:, 0].size)
    pieces = [slice(lead, lead + size) for lead in range(0, truth.shape[1], size)]
    data = _join_lead_times(
        [
            _lead_time_sums(fields.at(leads), {name: every[:, :, leads] for name, every in members.items()}, rules)
            for leads in pieces
        ]
    )
    # sums that need all lead times of a case
    data |= _perceptual_sums(fields, networks)
    if members:
        data |= _rank_sums(fields, members, cases)
    data |= _weather_sums(fields, contexts, rules)
    # identity of the cases
    digests = [hashlib.blake2b(frames.tobytes(), digest_size=8).digest() for frames in truth]
    data["checksum"] = (("case",), np.array([int.from_bytes(digest, signed=True) for digest in digests]))
    for name, size in zip(("height", "width"), truth.shape[-2:], strict=True):
        data[name] = (("case",), np.full(len(truth), size))
    return xr.Dataset(data, coords={"forecaster": list(forecasts)})


def _lead_time_sums(fields: Fields, members: Mapping[str, np.ndarray], rules: ScoringRules) -> dict[str, Column]:
    """The sums that need no other lead time."""
    data = _frame_sums(fields, members, rules) | _spectrum_sums(fields)
    if rules.thresholds:
        data |= _event_sums(fields, rules) | _probability_sums(fields, members, rules)
        if rules.scales:
            data |= _neighbourhood_sums(fields, rules)
    if rules.quantity.precipitation:
        data |= _object_sums(fields, rules)
    return data


def _join_lead_times(parts: Sequence[Mapping[str, Column]]) -> dict[str, Column]:
    """Join columns of consecutive lead times: concatenate them, or add them where they have no dimension `lead_time`."""
    data: dict[str, Column] = {}
    for name, (dims, _) in parts[0].items():
        values = [part[name][1] for part in parts]
        data[name] = dims, np.concatenate(values, dims.index("lead_time")) if "lead_time" in dims else np.sum(values, 0)
    return data


def _make_fields(forecasts: Mapping[str, np.ndarray], truth: np.ndarray, quantity: Quantity) -> Fields:
    observed = np.isfinite(truth).all(axis=2, keepdims=True)
    forecast_valid = np.logical_and.reduce(
        [np.isfinite(values).all(axis=2, keepdims=True) for values in forecasts.values()]
    )
    scaling = default_scaling(quantity)
    return Fields(
        torch.from_numpy(truth),
        {name: torch.from_numpy(values) for name, values in forecasts.items()},
        torch.from_numpy(scaling.forward(truth, quantity)),
        {name: torch.from_numpy(scaling.forward(values, quantity)) for name, values in forecasts.items()},
        torch.from_numpy(observed & forecast_valid),
        torch.from_numpy(observed),
    )


_LEADS = ("forecaster", "case", "lead_time")


def _stack_columns(columns: Sequence[Mapping[str, Tensor | np.ndarray]], dims: tuple[str, ...]) -> dict[str, Column]:
    """Stack the columns of all forecasters, name by name."""
    return {name: (dims, np.stack([np.asarray(each[name]) for each in columns])) for name in columns[0]}


def _frame_sums(fields: Fields, members: Mapping[str, np.ndarray], rules: ScoringRules) -> dict[str, Column]:
    """Sums of the frame scores of the convention, of the CRPS and of the ensemble spread, and the numbers of pixels."""
    columns = []
    for name, values in fields.forecasts.items():
        sums = rules.convention.compute_sums(
            values, fields.truth, fields.images[name], fields.truth_images, fields.valid
        )
        every = torch.from_numpy(members[name]) if name in members else values[None]
        sums["crps"] = _sum_over_pixels(crps_field(every, fields.truth), fields.valid)
        if members:
            sums["ensemble_variance"] = _sum_over_pixels(_ensemble_variance(every), fields.valid)
            sums["ensemble_squared_error"] = _sum_over_pixels((values - fields.truth).double().square(), fields.valid)
        columns.append(sums)
    pixels = {"pixels": fields.valid, "observed": fields.observed}
    return _stack_columns(columns, _LEADS) | {
        name: (_LEADS[1:], mask.flatten(2).sum(2).numpy()) for name, mask in pixels.items()
    }


def _ensemble_variance(members: Tensor) -> Tensor:
    """The unbiased variance of `members (M, ...)` times (M + 1) / M: the expected squared error of the mean of a reliable
    ensemble. NaN if M = 1."""
    if len(members) < 2:
        return torch.full_like(members[0], torch.nan, dtype=torch.float64)
    return members.double().var(0) * (1 + 1 / len(members))


def _sum_over_pixels(values: Tensor, valid: Tensor) -> Tensor:
    """The sum over pixels of the mean over channels: `(B, S, C, H, W)` -> `(B, S)`."""
    return values.masked_fill(~valid, 0.0).mean(2).flatten(2).sum(2)


def _event_sums(fields: Fields, rules: ScoringRules) -> dict[str, Column]:
    """Contingency tables."""
    tables = [contingency(values, fields.truth, fields.valid, rules.thresholds) for values in fields.forecasts.values()]
    return _stack_columns([table._asdict() for table in tables], (*_LEADS, "threshold"))


def _neighbourhood_sums(fields: Fields, rules: ScoringRules) -> dict[str, Column]:
    """The two sums of the fractions skill score, for thresholds and for percentiles."""
    events = [threshold_limit(threshold) for threshold in rules.thresholds]
    largest = [percentile_limit(share, rules.wet) for share in SHARES]
    forecasts = list(fields.forecasts.values())
    sums = fractions_sums(forecasts, fields.truth, fields.valid, [*events, *largest], rules.scales)
    data: dict[str, Column] = {}
    for name, values in zip(("error", "reference"), sums, strict=True):
        data[f"fss_{name}"] = ((*_LEADS, "threshold", "scale"), values[..., : len(events), :].numpy())
        data[f"fss_percentile_{name}"] = ((*_LEADS, "percentile", "scale"), values[..., len(events) :, :].numpy())
    return data


def _probability_sums(fields: Fields, members: Mapping[str, np.ndarray], rules: ScoringRules) -> dict[str, Column]:
    """Forecast probabilities and observed events by bin, and the sums of the Brier score. The probability is the share of
    members; of a single forecast the share of the neighbourhood."""
    truth, valid, limits = _first_channel(fields.truth), _first_channel(fields.valid), rules.thresholds
    single = {name: _first_channel(values) for name, values in fields.forecasts.items() if name not in members}
    sums = dict(
        zip(single, zip(*neighbourhood_sums([*single.values()], truth, valid, limits), strict=True), strict=True)
    )
    for name, values in members.items():
        sums[name] = ensemble_sums(torch.from_numpy(values[:, :, :, 0]).flatten(1, 2), truth, valid, limits)
    binned, error = (torch.stack([sums[name][k] for name in fields.forecasts]) for k in range(2))
    binned, error = (each.view(len(sums), *fields.truth.shape[:2], *each.shape[2:]) for each in (binned, error))
    data: dict[str, Column] = {
        "brier": ((*_LEADS, "threshold"), error.numpy()),
        "brier_weight": ((*_LEADS, "threshold"), binned[..., 0, :].sum(-1).numpy()),
    }
    names = ("forecast_count", "forecast_probability", "observed_events")
    for name, part in zip(names, binned.sum(2).unbind(-2), strict=True):
        data[name] = (("forecaster", "case", "threshold", "probability"), part.numpy())
    return data


def _object_sums(fields: Fields, rules: ScoringRules) -> dict[str, Column]:
    """SAL, signed and absolute, of the frames in which the truth and every forecast have rain: the same frames for all."""
    diagonal = float(np.hypot(*fields.truth.shape[-2:]))
    scenes = [_scenes(values, fields.valid, rules) for values in (fields.truth, *fields.forecasts.values())]
    totals = np.zeros((len(SAL_SUMS), len(fields.forecasts), *fields.truth.shape[:2]))
    for frame in scenes[0]:
        observed, *forecasts = (each[frame] for each in scenes)
        if observed is None or None in forecasts:
            continue
        for f, forecast in enumerate(forecasts):
            assert forecast is not None
            structure, amplitude, location = sal(forecast, observed, diagonal)
            totals[:, f, *frame] = structure, amplitude, location, abs(structure), abs(amplitude), 1
    return {name: (_LEADS, values) for name, values in zip(SAL_SUMS, totals, strict=True)}


def _first_channel(values: Tensor) -> Tensor:
    """The first channel of all frames: `(B, S, C, H, W)` -> `(B S, H, W)`."""
    return values[:, :, 0].flatten(0, 1)


def _scenes(values: Tensor, valid: Tensor, rules: ScoringRules) -> dict[tuple[int, int], Scene | None]:
    """The SAL statistics of each frame, by case and lead time."""
    scenes = {}
    for b, s in np.ndindex(*values.shape[:2]):
        mask, field = valid[b, s, 0].numpy(), values[b, s, 0].numpy()
        rates = np.asarray(rules.quantity.rain_rate(field, rules.zr))
        rates = np.where(mask & (field > rules.quantity.dry), rates, 0.0).astype(np.float64)
        labels, _ = ndimage.label(rates >= object_threshold(rates), _TOUCHING)
        scenes[b, s] = scene(rates, labels, int(mask.sum()))
    return scenes


def _rank_sums(fields: Fields, members: Mapping[str, np.ndarray], cases: Sequence[int]) -> dict[str, Column]:
    """How often the truth has each rank among the members. Ties are broken at random, seeded by the number of the case, so that
    batches change nothing."""
    most = max(map(len, members.values()))
    counts = np.zeros((len(fields.forecasts), len(cases), most + 1), dtype=np.int64)
    for f, name in enumerate(fields.forecasts):
        for b, case in enumerate(cases):
            if name in members:
                generator = torch.Generator().manual_seed(case)
                truth = fields.truth[b].masked_fill(~fields.valid[b], torch.nan)
                histogram = rank_histogram(torch.from_numpy(members[name][:, b]), truth, generator)
                counts[f, b, : len(histogram)] = histogram.numpy()
    sizes = [[len(members[name]) if name in members else 1] * len(cases) for name in fields.forecasts]
    return {
        "rank_count": (("forecaster", "case", "rank"), counts),
        "members": (("forecaster", "case"), np.array(sizes)),
    }


def _spectrum_sums(fields: Fields) -> dict[str, Column]:
    """Power spectra of the forecasts and of the truth."""
    rings = ("case", "lead_time", "wavelength")
    power = [spectrum(images, fields.valid).numpy() for images in fields.images.values()]
    return {
        "power": (("forecaster", *rings), np.stack(power)),
        "observed_power": (rings, spectrum(fields.truth_images, fields.valid).numpy()),
    }


def _perceptual_sums(fields: Fields, networks: PerceptualNetworks) -> dict[str, Column]:
    """LPIPS, and the features of clips for FVD. Missing pixels are black in the images of truth and forecasts."""
    data: dict[str, Column] = {}
    if networks.lpips is None and networks.i3d is None:
        return data

    def clean_images(images: Tensor) -> Tensor:
        return images.clamp(0, 1).masked_fill(~fields.valid, 0.0)

    observed = clean_images(fields.truth_images)
    if networks.lpips is not None:
        weight = fields.valid.flatten(2).any(2).double()
        columns = []
        for images in fields.images.values():
            distance = networks.lpips(clean_images(images).flatten(0, 1), observed.flatten(0, 1)).unflatten(
                0, observed.shape[:2]
            )
            columns.append({"lpips": distance.double() * weight, "lpips_weight": weight})
        data |= _stack_columns(columns, _LEADS)
    if networks.i3d is not None:
        features = [{"features": networks.i3d(clean_images(images))} for images in fields.images.values()]
        data |= _stack_columns(features, ("forecaster", "case", "feature"))
        data["observed_features"] = (("case", "feature"), networks.i3d(observed).numpy())
    return data


def _weather_sums(fields: Fields, contexts: np.ndarray, rules: ScoringRules) -> dict[str, Column]:
    """Wet area of forecasts and truth, amount on wet pixels, and speed of motion: the properties that define regimes."""
    truth, valid = fields.truth[:, :, 0].numpy(), fields.valid[:, :, 0].numpy()
    wet = (truth >= rules.wet) & valid
    wet_forecast = [
        ((values[:, :, 0].numpy() >= rules.wet) & valid).sum((2, 3)) for values in fields.forecasts.values()
    ]
    return {
        "wet_forecast": (_LEADS, np.stack(wet_forecast)),
        "wet_observed": (("case", "lead_time"), wet.sum((2, 3))),
        "wet_amount": (("case", "lead_time"), np.where(wet, truth, 0).sum((2, 3), dtype=np.float64)),
        "speed": (("case",), np.array([_speed(context, rules.quantity) for context in contexts])),
    }


def _speed(context: np.ndarray, quantity: Quantity) -> float:
    """The speed of motion in the context, in pixels a frame: the mean over the wet pixels, NaN without any."""
    every = max(1, -(-max(context.shape[-2:]) // _MOTION_SIDE))
    recent = default_scaling(quantity).forward(context[-3:, :, ::every, ::every], quantity).mean(axis=1)
    if len(recent) < 2 or min(recent.shape[-2:]) < 8:
        return float("nan")
    wet = recent[-1] > recent.min()
    if not wet.any():
        return float("nan")
    return float(np.hypot(*estimate_motion(recent))[wet].mean() * every)
