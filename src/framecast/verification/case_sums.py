"""The sums of a batch of cases: all quantities that scores are made of, for each case and lead time, as one dataset.

Input are arrays of forecasts and truth; the scores in `framecast.scores` define the sums, and the records in
`framecast.verification.metrics` turn them into values. No file is read or written here.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
import xarray as xr
from scipy import ndimage
from torch import Tensor

from framecast.data.motion.optical_flow import estimate_motion
from framecast.data.quantities import Quantity
from framecast.data.scaling import default_scaling
from framecast.scores.events import Contingency
from framecast.scores.fractions import window_step
from framecast.scores.i3d import I3D
from framecast.scores.objects import SUMS as SAL_SUMS
from framecast.scores.objects import Scene, object_threshold, sal, scene
from framecast.scores.perceptual import LPIPS
from framecast.scores.probability import NEIGHBOURHOOD, crps_field, ladder_crps, rank_histogram
from framecast.scores.ssim import POOLED, SMALLEST
from framecast.scores.structure import spectrum
from framecast.verification.case_fields import EVERYWHERE, LEADS, Box, Column, Fields, make_fields, stack_columns
from framecast.verification.event_sums import (
    BINNED,
    event_sums,
    neighbourhood_sums_of_events,
    pool_probabilities,
    probability_sums_of_events,
)
from framecast.verification.scored_forecast import ScoredForecast
from framecast.verification.scoring_rules import ScoringRules

_MOTION_SIDE = 96
"""Frames are subsampled to about this many pixels a side to estimate the speed of motion."""
_TOUCHING = np.ones((3, 3))
"""Connectivity of objects: pixels that touch at a side or a corner belong to one object."""

_OF_PROBABILITIES = {
    *("crps", "brier", "brier_weight", *Contingency._fields, "fss_error", "fss_reference", "rank_count", "members"),
    *(f"{name}{suffix}" for name in BINNED for suffix in ("", "_by_lead_time")),
}
"""The sums by forecaster that need no values: those of probabilities, and of the events that follow from them."""

MAX_PIXELS = 2**21
"""Pixels of a forecast that are scored at once; intermediate results need many times their memory."""


class PerceptualNetworks(NamedTuple):
    """The pretrained networks of perceptual scores; a score without its network is not computed."""

    lpips: LPIPS | None = None
    i3d: I3D | None = None


def sum_cases(
    forecasts: Mapping[str, ScoredForecast],
    truth: np.ndarray,
    contexts: np.ndarray,
    cases: Sequence[int],
    rules: ScoringRules,
    networks: PerceptualNetworks,
) -> xr.Dataset:
    """The sums of a batch of cases with the numbers `cases`: `forecasts` by name, `truth (B, S, C, H, W)` and `contexts
    (B, T, C, H, W)`."""
    fields = make_fields(forecasts, truth, rules.quantity)
    # large frames: a few lead times at a time
    size = max(1, MAX_PIXELS // truth[:, 0].size)
    pieces = [slice(lead, lead + size) for lead in range(0, truth.shape[1], size)]
    box = _scored_box(fields, rules)
    data = _join_lead_times(
        [_lead_time_sums(fields.at(leads, box), rules, truth.shape[-2:]) for leads in pieces]
    ) | _join_lead_times([_spectrum_sums(fields.at(leads), rules) for leads in pieces])
    if rules.thresholds:
        data |= pool_probabilities(data)
    # sums that need all lead times of a case
    data |= _perceptual_sums(fields, networks)
    if fields.members:
        data |= _rank_sums(fields, cases, rules.quantity)
    data |= _weather_sums(fields, contexts, rules)
    _leave_out_values(data, [each.alone for each in forecasts.values()])
    # identity of the cases
    digests = [hashlib.blake2b(frames.tobytes(), digest_size=8).digest() for frames in truth]
    data["checksum"] = (("case",), np.array([int.from_bytes(digest, signed=True) for digest in digests]))
    for name, size in zip(("height", "width"), truth.shape[-2:], strict=True):
        data[name] = (("case",), np.full(len(truth), size))
    if any(each.rates is not None for each in forecasts.values()):
        for k, name in enumerate(("lowest_rate", "highest_rate")):
            rates = [np.nan if each.rates is None else each.rates[k] for each in forecasts.values()]
            data[name] = (("forecaster", "case"), np.repeat(np.array(rates)[:, None], len(truth), axis=1))
    return xr.Dataset(data, coords={"forecaster": list(forecasts)})


def _leave_out_values(data: dict[str, Column], alone: Sequence[bool]) -> None:
    """NaN in the place of what was computed from the values of forecasters that gave probabilities alone."""
    if not any(alone):
        return
    for name, (dims, values) in data.items():
        if dims[0] == "forecaster" and name not in _OF_PROBABILITIES:
            values = values.astype(np.float64)
            values[np.array(alone)] = np.nan
            data[name] = (dims, values)


def _scored_box(fields: Fields, rules: ScoringRules) -> Box:
    """The part of the frames outside of which no pixel is scored: with it the sums are those of full frames. Windows and mean
    pixels of MS-SSIM begin at the same places in it."""
    if not rules.convention.local:
        return EVERYWHERE
    return fields.box(math.lcm(POOLED, *map(window_step, rules.scales), window_step(NEIGHBOURHOOD)), SMALLEST)


def _lead_time_sums(fields: Fields, rules: ScoringRules, frame: tuple[int, int]) -> dict[str, Column]:
    """The sums that need no other lead time and no pixel that is not valid; `frame` is the size of full frames."""
    data = _frame_sums(fields, rules)
    if rules.thresholds:
        data |= event_sums(fields, rules) | probability_sums_of_events(fields, rules)
        if rules.scales:
            data |= neighbourhood_sums_of_events(fields, rules)
    if rules.quantity.precipitation:
        data |= _object_sums(fields, rules, float(np.hypot(*frame)))
    return data


def _join_lead_times(parts: Sequence[Mapping[str, Column]]) -> dict[str, Column]:
    """Join columns of consecutive lead times."""
    return {
        name: (dims, np.concatenate([part[name][1] for part in parts], dims.index("lead_time")))
        for name, (dims, _) in parts[0].items()
    }


def _frame_sums(fields: Fields, rules: ScoringRules) -> dict[str, Column]:
    """Sums of the frame scores of the convention, of the CRPS and of the ensemble spread, and the numbers of pixels."""
    columns, members = [], fields.members
    for name, values in fields.forecasts.items():
        sums = rules.convention.compute_sums(
            values, fields.truth, fields.images[name], fields.truth_images, fields.valid
        )
        every = members.get(name, values[None])
        if rules.convention.local and fields.scored[name].single:
            sums["crps"] = sums["mae"] / fields.truth.shape[2]  # of a single forecast the absolute error
        else:
            sums["crps"] = _sum_over_pixels(_crps(fields.scored[name], every, fields.truth), fields.valid)
        if members:
            error = (every.mean(0) - fields.truth).double().square()
            sums["ensemble_variance"] = _sum_over_pixels(_ensemble_variance(every), fields.valid)
            sums["ensemble_squared_error"] = _sum_over_pixels(error, fields.valid)
        columns.append(sums)
    pixels = {"pixels": fields.valid, "observed": fields.observed}
    return stack_columns(columns, LEADS) | {
        name: (LEADS[1:], mask.flatten(2).sum(2).numpy()) for name, mask in pixels.items()
    }


def _crps(scored: ScoredForecast, members: Tensor, truth: Tensor) -> Tensor:
    """The CRPS `(B, S, C, H, W)` of the members or the single forecast, or of a distribution without members; NaN if only some
    probabilities of that are known."""
    if scored.ladder is None:
        known = scored.exceedance is None or scored.members is not None
        return crps_field(members, truth) if known else torch.full_like(truth, torch.nan, dtype=torch.float64)
    probability, limits, dry, highest = scored.ladder
    each = [ladder_crps(torch.from_numpy(probability), limits, channel, dry, highest) for channel in truth.unbind(2)]
    return torch.stack(each, 2)


def _ensemble_variance(members: Tensor) -> Tensor:
    """The unbiased variance of `members (M, ...)` times (M + 1) / M: the expected squared error of the mean of a reliable
    ensemble. NaN if M = 1."""
    if len(members) < 2:
        return torch.full_like(members[0], torch.nan, dtype=torch.float64)
    return members.double().var(0) * (1 + 1 / len(members))


def _sum_over_pixels(values: Tensor, valid: Tensor) -> Tensor:
    """The sum over pixels of the mean over channels: `(B, S, C, H, W)` -> `(B, S)`."""
    return values.masked_fill(~valid, 0.0).mean(2).flatten(2).sum(2)


def _object_sums(fields: Fields, rules: ScoringRules, diagonal: float) -> dict[str, Column]:
    """SAL, signed and absolute, of the frames in which the truth and every forecast have rain: the same frames for all.
    `diagonal` is that of full frames."""
    known = [number for number, each in enumerate(fields.scored.values()) if not each.alone]
    forecasts = [[*fields.forecasts.values()][number] for number in known]
    scenes = [_scenes(values, fields.valid, rules) for values in (fields.truth, *forecasts)]
    totals = np.zeros((len(SAL_SUMS), len(fields.forecasts), *fields.truth.shape[:2]))
    for frame in scenes[0]:
        observed, *forecast_scenes = (each[frame] for each in scenes)
        if observed is None or None in forecast_scenes:
            continue
        for f, forecast in zip(known, forecast_scenes, strict=True):
            assert forecast is not None
            structure, amplitude, location = sal(forecast, observed, diagonal)
            totals[:, f, *frame] = structure, amplitude, location, abs(structure), abs(amplitude), 1
    return {name: (LEADS, values) for name, values in zip(SAL_SUMS, totals, strict=True)}


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


def _rank_sums(fields: Fields, cases: Sequence[int], quantity: Quantity) -> dict[str, Column]:
    """How often the truth has each rank among the members. Drizzle below the least wet value counts as dry, of the truth as of
    members: forecasts do not resolve it, and it would rank above all their dry members. Ties are broken at random, seeded by the
    number of the case, so that batches change nothing."""

    def resolved(values: Tensor) -> Tensor:
        return values if np.isinf(quantity.wet) else values.masked_fill(values < quantity.wet, quantity.dry)

    members = fields.members
    most = max(map(len, members.values()))
    counts = np.zeros((len(fields.forecasts), len(cases), most + 1), dtype=np.int64)
    for f, name in enumerate(fields.forecasts):
        for b, case in enumerate(cases):
            if name in members:
                generator = torch.Generator().manual_seed(case)
                truth = resolved(fields.truth[b]).masked_fill(~fields.valid[b], torch.nan)
                histogram = rank_histogram(resolved(members[name][:, b]), truth, generator)
                counts[f, b, : len(histogram)] = histogram.numpy()
    sizes = [[len(members[name]) if name in members else 1] * len(cases) for name in fields.forecasts]
    return {
        "rank_count": (("forecaster", "case", "rank"), counts),
        "members": (("forecaster", "case"), np.array(sizes)),
    }


def _spectrum_sums(fields: Fields, rules: ScoringRules) -> dict[str, Column]:
    """Power spectra of the deterministic forecasts and of the truth, and if there are ensembles the mean spectra of the members,
    of a single forecast its own."""
    rings = ("case", "lead_time", "wavelength")
    power = {name: spectrum(images, fields.valid).numpy() for name, images in fields.images.items()}
    data: dict[str, Column] = {
        "power": (("forecaster", *rings), np.stack(list(power.values()))),
        "observed_power": (rings, spectrum(fields.truth_images, fields.valid).numpy()),
    }
    if members := fields.members:
        scaling, quantity = default_scaling(rules.quantity), rules.quantity
        for name, every in members.items():
            each = [spectrum(scaling.forward(member, quantity), fields.valid).numpy() for member in every]
            power[name] = np.mean(each, axis=0)
        data["member_power"] = (("forecaster", *rings), np.stack(list(power.values())))
    return data


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
        data |= stack_columns(columns, LEADS)
    if networks.i3d is not None:
        features = [{"features": networks.i3d(clean_images(images))} for images in fields.images.values()]
        data |= stack_columns(features, ("forecaster", "case", "feature"))
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
        "wet_forecast": (LEADS, np.stack(wet_forecast)),
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
