"""The sums of a few cases: everything that scores are made of, for each case and lead time.

What is summed is documented where it is computed (`framecast.scores`) and turned into scores by `framecast.verification.metrics`.
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

from framecast.data.quantities import ZR, Quantity
from framecast.data.scaling import default_scaling
from framecast.forecasting.baselines.optical_flow import estimate_motion
from framecast.scores import CONVENTIONS, Convention, contingency
from framecast.scores.fractions import SCALES, SHARES, among_the_largest, exceeds, fractions_sums
from framecast.scores.i3d import I3D
from framecast.scores.objects import SUMS as SAL_SUMS
from framecast.scores.objects import Scene, object_threshold, sal, scene
from framecast.scores.perceptual import LPIPS
from framecast.scores.probability import crps_field, ensemble_sums, neighbourhood_sums, rank_histogram
from framecast.scores.structure import spectrum

_MOTION_SIDE = 96
"""Frames are made about this small for judging how fast the weather moves."""
_TOUCHING = np.ones((3, 3))
"""Pixels that touch at a side or a corner belong to one object."""

PIECE = 2**21
"""Pixels of a forecast that are scored at once: what is made of them on the way is many times as large."""

Column = tuple[tuple[str, ...], np.ndarray]
"""Dimensions and values."""


@dataclass(frozen=True)
class Rules:
    """How cases are judged: `rates` are thresholds in mm/h, `thresholds` the same in the units of the data, led there by `zr`;
    `scales` are the sides of neighbourhoods in pixels."""

    quantity: Quantity
    rates: tuple[float, ...] = ()
    thresholds: tuple[float, ...] = ()
    zr: ZR = field(default_factory=ZR)
    convention_name: str = "default"
    scales: tuple[int, ...] = SCALES

    @property
    def convention(self) -> Convention:
        """How frame scores are computed."""
        return CONVENTIONS[self.convention_name]

    @property
    def wet(self) -> float:
        """From which value a pixel is wet, in the units of the data; infinite where that means nothing."""
        return self.quantity.wet


class Networks(NamedTuple):
    """Trained networks that frames are seen with; a score without its network is not computed."""

    lpips: LPIPS | None = None
    i3d: I3D | None = None


class Fields(NamedTuple):
    """Some cases: the truth `(B, S, C, H, W)` and the forecasts of it by name, in physical units and as pictures from 0 to 1, and
    where all of them have data `(B, S, 1, H, W)`."""

    truth: Tensor
    forecasts: dict[str, Tensor]
    true_pictures: Tensor
    pictures: dict[str, Tensor]
    valid: Tensor
    observed: Tensor

    def at(self, leads: slice) -> Fields:
        """Some of the lead times."""
        forecasts, pictures = (
            {name: values[:, leads] for name, values in each.items()} for each in (self.forecasts, self.pictures)
        )
        truth, shown, valid, observed = (
            values[:, leads] for values in (self.truth, self.true_pictures, self.valid, self.observed)
        )
        return Fields(truth, forecasts, shown, pictures, valid, observed)


def tally(
    forecasts: Mapping[str, np.ndarray],
    members: Mapping[str, np.ndarray],
    truth: np.ndarray,
    contexts: np.ndarray,
    cases: Sequence[int],
    rules: Rules,
    networks: Networks,
) -> xr.Dataset:
    """The sums of `cases`: `forecasts` and `truth (B, S, C, H, W)`, the `members (M, B, S, C, H, W)` of those forecasts that are
    ensembles, and `contexts (B, T, C, H, W)`."""
    fields = _fields(forecasts, truth, rules.quantity)
    size = max(1, PIECE // truth[:, 0].size)
    pieces = [slice(lead, lead + size) for lead in range(0, truth.shape[1], size)]
    data = _joined(
        [
            _by_lead_time(fields.at(leads), {name: every[:, :, leads] for name, every in members.items()}, rules)
            for leads in pieces
        ]
    )
    data |= _perceptual(fields, networks)
    if members:
        data |= _ranks(fields, members, cases)
    data |= _weather(fields, contexts, rules)
    digests = [hashlib.blake2b(frames.tobytes(), digest_size=8).digest() for frames in truth]
    data["checksum"] = (("case",), np.array([int.from_bytes(digest, signed=True) for digest in digests]))
    for name, size in zip(("height", "width"), truth.shape[-2:], strict=True):
        data[name] = (("case",), np.full(len(truth), size))
    return xr.Dataset(data, coords={"forecaster": list(forecasts)})


def _by_lead_time(fields: Fields, members: Mapping[str, np.ndarray], rules: Rules) -> dict[str, Column]:
    """What can be computed for some lead times alone."""
    data = _frames(fields, members, rules) | _spectra(fields)
    if rules.thresholds:
        data |= _events(fields, rules) | _probabilities(fields, members, rules)
        if rules.scales:
            data |= _neighbourhoods(fields, rules)
    if rules.quantity.precipitation:
        data |= _objects(fields, rules)
    return data


def _joined(parts: Sequence[Mapping[str, Column]]) -> dict[str, Column]:
    """Columns of all lead times from those of some: one after the other, or added up where all have one place."""
    data: dict[str, Column] = {}
    for name, (dims, _) in parts[0].items():
        values = [part[name][1] for part in parts]
        data[name] = dims, np.concatenate(values, dims.index("lead_time")) if "lead_time" in dims else np.sum(values, 0)
    return data


def _fields(forecasts: Mapping[str, np.ndarray], truth: np.ndarray, quantity: Quantity) -> Fields:
    observed = np.isfinite(truth).all(axis=2, keepdims=True)
    based = np.logical_and.reduce([np.isfinite(values).all(axis=2, keepdims=True) for values in forecasts.values()])
    scaling = default_scaling(quantity)
    return Fields(
        torch.from_numpy(truth),
        {name: torch.from_numpy(values) for name, values in forecasts.items()},
        torch.from_numpy(scaling.forward(truth, quantity)),
        {name: torch.from_numpy(scaling.forward(values, quantity)) for name, values in forecasts.items()},
        torch.from_numpy(observed & based),
        torch.from_numpy(observed),
    )


_LEADS = ("forecaster", "case", "lead_time")


def _stacked(columns: Sequence[Mapping[str, Tensor | np.ndarray]], dims: tuple[str, ...]) -> dict[str, Column]:
    """One column of each name, from those of each forecaster."""
    return {name: (dims, np.stack([np.asarray(each[name]) for each in columns])) for name in columns[0]}


def _frames(fields: Fields, members: Mapping[str, np.ndarray], rules: Rules) -> dict[str, Column]:
    """Frame scores of the convention, the CRPS, and the spread of ensembles."""
    columns = []
    for name, values in fields.forecasts.items():
        sums = rules.convention.tally(values, fields.truth, fields.pictures[name], fields.true_pictures, fields.valid)
        every = torch.from_numpy(members[name]) if name in members else values[None]
        sums["crps"] = _over_pixels(crps_field(every, fields.truth), fields.valid)
        if members:
            sums["ensemble_variance"] = _over_pixels(_spread(every), fields.valid)
            sums["ensemble_squared_error"] = _over_pixels((values - fields.truth).double().square(), fields.valid)
        columns.append(sums)
    pixels = {"pixels": fields.valid, "observed": fields.observed}
    return _stacked(columns, _LEADS) | {
        name: (_LEADS[1:], there.flatten(2).sum(2).numpy()) for name, there in pixels.items()
    }


def _spread(members: Tensor) -> Tensor:
    """The unbiased variance of `members (M, ...)`, times (M + 1) / M: the squared error that the mean of a good ensemble of so
    many has. NaN for one."""
    if len(members) < 2:
        return torch.full_like(members[0], torch.nan, dtype=torch.float64)
    return members.double().var(0) * (1 + 1 / len(members))


def _over_pixels(values: Tensor, valid: Tensor) -> Tensor:
    """The sum over pixels of the mean over channels: `(B, S, C, H, W)` -> `(B, S)`."""
    return values.masked_fill(~valid, 0.0).mean(2).flatten(2).sum(2)


def _events(fields: Fields, rules: Rules) -> dict[str, Column]:
    """Contingency tables."""
    tables = [contingency(values, fields.truth, fields.valid, rules.thresholds) for values in fields.forecasts.values()]
    return _stacked([table._asdict() for table in tables], (*_LEADS, "threshold"))


def _neighbourhoods(fields: Fields, rules: Rules) -> dict[str, Column]:
    """Both sums of the fractions skill score, for thresholds and for percentiles."""
    events = [exceeds(threshold) for threshold in rules.thresholds]
    largest = [among_the_largest(share, rules.wet) for share in SHARES]
    forecasts = list(fields.forecasts.values())
    sums = fractions_sums(forecasts, fields.truth, fields.valid, [*events, *largest], rules.scales)
    data: dict[str, Column] = {}
    for name, values in zip(("error", "reference"), sums, strict=True):
        data[f"fss_{name}"] = ((*_LEADS, "threshold", "scale"), values[..., : len(events), :].numpy())
        data[f"fss_percentile_{name}"] = ((*_LEADS, "percentile", "scale"), values[..., len(events) :, :].numpy())
    return data


def _probabilities(fields: Fields, members: Mapping[str, np.ndarray], rules: Rules) -> dict[str, Column]:
    """How likely events were said to be, and how often they came: by the share of members, for a single forecast by the share of
    the neighbourhood."""
    true, there, limits = _first(fields.truth), _first(fields.valid), rules.thresholds
    single = {name: _first(values) for name, values in fields.forecasts.items() if name not in members}
    sums = dict(
        zip(single, zip(*neighbourhood_sums([*single.values()], true, there, limits), strict=True), strict=True)
    )
    for name, values in members.items():
        sums[name] = ensemble_sums(torch.from_numpy(values[:, :, :, 0]).flatten(1, 2), true, there, limits)
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


def _objects(fields: Fields, rules: Rules) -> dict[str, Column]:
    """SAL, signed and without sign, of the frames in which the truth and every forecast have rain: the same for all."""
    diagonal = float(np.hypot(*fields.truth.shape[-2:]))
    scenes = [_scenes(values, fields.valid, rules) for values in (fields.truth, *fields.forecasts.values())]
    found = np.zeros((len(SAL_SUMS), len(fields.forecasts), *fields.truth.shape[:2]))
    for place in scenes[0]:
        true, *said = (each[place] for each in scenes)
        if true is None or None in said:
            continue
        for f, forecast in enumerate(said):
            assert forecast is not None
            structure, amplitude, location = sal(forecast, true, diagonal)
            found[:, f, *place] = structure, amplitude, location, abs(structure), abs(amplitude), 1
    return {name: (_LEADS, values) for name, values in zip(SAL_SUMS, found, strict=True)}


def _first(values: Tensor) -> Tensor:
    """The first channel of all frames: `(B, S, C, H, W)` -> `(B S, H, W)`."""
    return values[:, :, 0].flatten(0, 1)


def _scenes(values: Tensor, valid: Tensor, rules: Rules) -> dict[tuple[int, int], Scene | None]:
    """What SAL knows of each frame, by case and lead time."""
    scenes = {}
    for b, s in np.ndindex(*values.shape[:2]):
        there, field = valid[b, s, 0].numpy(), values[b, s, 0].numpy()
        rates = np.asarray(rules.quantity.rain_rate(field, rules.zr))
        rates = np.where(there & (field > rules.quantity.dry), rates, 0.0).astype(np.float64)
        labels, _ = ndimage.label(rates >= object_threshold(rates), _TOUCHING)
        scenes[b, s] = scene(rates, labels, int(there.sum()))
    return scenes


def _ranks(fields: Fields, members: Mapping[str, np.ndarray], cases: Sequence[int]) -> dict[str, Column]:
    """How often the truth has each rank among the members; ties are broken by chance, the same for a case in any batch."""
    most = max(map(len, members.values()))
    counts = np.zeros((len(fields.forecasts), len(cases), most + 1), dtype=np.int64)
    for f, name in enumerate(fields.forecasts):
        for b, case in enumerate(cases):
            if name in members:
                chance = torch.Generator().manual_seed(case)
                truth = fields.truth[b].masked_fill(~fields.valid[b], torch.nan)
                found = rank_histogram(torch.from_numpy(members[name][:, b]), truth, chance)
                counts[f, b, : len(found)] = found.numpy()
    sizes = [[len(members[name]) if name in members else 1] * len(cases) for name in fields.forecasts]
    return {
        "rank_count": (("forecaster", "case", "rank"), counts),
        "members": (("forecaster", "case"), np.array(sizes)),
    }


def _spectra(fields: Fields) -> dict[str, Column]:
    """Power by wavelength."""
    rings = ("case", "lead_time", "wavelength")
    power = [spectrum(pictures, fields.valid).numpy() for pictures in fields.pictures.values()]
    return {
        "power": (("forecaster", *rings), np.stack(power)),
        "observed_power": (rings, spectrum(fields.true_pictures, fields.valid).numpy()),
    }


def _perceptual(fields: Fields, networks: Networks) -> dict[str, Column]:
    """LPIPS, and the features of clips for FVD: of pictures of which missing pixels are black in truth and forecast."""
    data: dict[str, Column] = {}
    if networks.lpips is None and networks.i3d is None:
        return data

    def shown(pictures: Tensor) -> Tensor:
        return pictures.clamp(0, 1).masked_fill(~fields.valid, 0.0)

    true = shown(fields.true_pictures)
    if networks.lpips is not None:
        weight = fields.valid.flatten(2).any(2).double()
        columns = []
        for pictures in fields.pictures.values():
            distance = networks.lpips(shown(pictures).flatten(0, 1), true.flatten(0, 1)).unflatten(0, true.shape[:2])
            columns.append({"lpips": distance.double() * weight, "lpips_weight": weight})
        data |= _stacked(columns, _LEADS)
    if networks.i3d is not None:
        features = [{"features": networks.i3d(shown(pictures))} for pictures in fields.pictures.values()]
        data |= _stacked(features, ("forecaster", "case", "feature"))
        data["observed_features"] = (("case", "feature"), networks.i3d(true).numpy())
    return data


def _weather(fields: Fields, contexts: np.ndarray, rules: Rules) -> dict[str, Column]:
    """How wet it was and was said to be, how intense it was, and how fast it moved."""
    truth, valid = fields.truth[:, :, 0].numpy(), fields.valid[:, :, 0].numpy()
    wet = (truth >= rules.wet) & valid
    said = [((values[:, :, 0].numpy() >= rules.wet) & valid).sum((2, 3)) for values in fields.forecasts.values()]
    return {
        "wet_forecast": (_LEADS, np.stack(said)),
        "wet_observed": (("case", "lead_time"), wet.sum((2, 3))),
        "wet_amount": (("case", "lead_time"), np.where(wet, truth, 0).sum((2, 3), dtype=np.float64)),
        "speed": (("case",), np.array([_speed(context, rules.quantity) for context in contexts])),
    }


def _speed(context: np.ndarray, quantity: Quantity) -> float:
    """How fast the weather moved before the forecast, in pixels a frame: the mean over the wet pixels, NaN without any."""
    every = max(1, -(-max(context.shape[-2:]) // _MOTION_SIDE))
    recent = default_scaling(quantity).forward(context[-3:, :, ::every, ::every], quantity).mean(axis=1)
    if len(recent) < 2 or min(recent.shape[-2:]) < 8:
        return float("nan")
    there = recent[-1] > recent.min()
    if not there.any():
        return float("nan")
    return float(np.hypot(*estimate_motion(recent))[there].mean() * every)
