"""The sums of events at thresholds: contingency tables, neighbourhoods, and probabilities with how often they came true.

Which events a forecast makes, and with what probability, is decided here for all scores: a distribution and an ensemble, whose
probability is the share of its members, those of the largest expected CSI; a single forecast its values and the share of its
neighbourhood.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from framecast.scores import contingency
from framecast.scores.events import event_contingency
from framecast.scores.fractions import SHARES, fractions_sums, percentile_limit, threshold_limit
from framecast.scores.probability import forecast_sums, neighbourhood_sums, share_of_members
from framecast.verification.case_fields import LEADS, Column, Fields, first_channel, stack_columns
from framecast.verification.scoring_rules import ScoringRules


def event_sums(fields: Fields, rules: ScoringRules) -> dict[str, Column]:
    """Contingency tables; the events of a distribution or an ensemble are its own, those of others reach the thresholds."""
    tables = []
    for name, values in fields.forecasts.items():
        events = fields.scored[name].events
        if events is None:
            tables.append(contingency(values, fields.truth, fields.valid, rules.thresholds))
        else:
            own = list(torch.from_numpy(events)[:, :, :, None])
            tables.append(event_contingency(own, fields.truth, fields.valid, rules.thresholds))
    return stack_columns([table._asdict() for table in tables], (*LEADS, "threshold"))


def neighbourhood_sums_of_events(fields: Fields, rules: ScoringRules) -> dict[str, Column]:
    """The two sums of the fractions skill score, for thresholds, and for percentiles where wet is defined; the events at
    thresholds are those of the contingency tables."""
    limits = [threshold_limit(threshold) for threshold in rules.thresholds]
    largest = [percentile_limit(share, rules.wet) for share in SHARES] if math.isfinite(rules.wet) else []
    forecasts = list(fields.forecasts.values())
    sums = fractions_sums(forecasts, fields.truth, fields.valid, [*limits, *largest], rules.scales)
    for f, scored in enumerate(fields.scored.values()):
        for k, threshold in enumerate(rules.thresholds if scored.events is not None else ()):
            assert scored.events is not None
            pair = torch.from_numpy(scored.events[k])[:, :, None].float(), (fields.truth >= threshold).float()
            own = fractions_sums([pair[0]], pair[1], fields.valid, [threshold_limit(0.5)], rules.scales)
            for values, each in zip(sums, own, strict=True):
                values[f, :, :, k] = each[0, :, :, 0]
    data: dict[str, Column] = {}
    for name, values in zip(("error", "reference"), sums, strict=True):
        data[f"fss_{name}"] = ((*LEADS, "threshold", "scale"), values[..., : len(limits), :].numpy())
        if largest:
            data[f"fss_percentile_{name}"] = ((*LEADS, "percentile", "scale"), values[..., len(limits) :, :].numpy())
    return data


BINNED = ("forecast_count", "forecast_probability", "observed_events")
"""The sums by bin of probability."""


def probability_sums_of_events(fields: Fields, rules: ScoringRules) -> dict[str, Column]:
    """Forecast probabilities and observed events by bin, and the sums of the Brier score. The probability is that of the
    distribution, else the share of members; of a single forecast the share of the neighbourhood."""
    truth, valid, limits = first_channel(fields.truth), first_channel(fields.valid), rules.thresholds
    # forecasts with probabilities of their own, then single ones
    sums: dict[str, tuple[Tensor, Tensor]] = {}
    for name, scored in fields.scored.items():
        if scored.exceedance is not None:
            exceedance = torch.from_numpy(scored.exceedance).flatten(1, 2)
            sums[name] = forecast_sums(exceedance.transpose(0, 1), truth, valid, limits)
        elif scored.members is not None:
            members = torch.from_numpy(scored.members[:, :, :, 0]).flatten(1, 2)
            shares = [share_of_members(members, limit) for limit in limits]
            sums[name] = forecast_sums(torch.stack(shares, 1), truth, valid, limits)
    single = {name: first_channel(values) for name, values in fields.forecasts.items() if name not in sums}
    by_field = neighbourhood_sums([*single.values()], truth, valid, limits)
    sums |= dict(zip(single, zip(*by_field, strict=True), strict=True))
    # (F, B, S, K, 3, BINS) and (F, B, S, K)
    binned, error = (torch.stack([sums[name][k] for name in fields.forecasts]) for k in range(2))
    binned, error = (each.view(len(sums), *fields.truth.shape[:2], *each.shape[2:]) for each in (binned, error))
    data: dict[str, Column] = {
        "brier": ((*LEADS, "threshold"), error.numpy()),
        "brier_weight": ((*LEADS, "threshold"), binned[..., 0, :].sum(-1).numpy()),
    }
    for name, part in zip(BINNED, binned.unbind(-2), strict=True):
        data[name] = ((*LEADS, "threshold", "probability"), part.numpy())
    return data


def pool_probabilities(data: Mapping[str, Column]) -> dict[str, Column]:
    """The counts by bin of probability: the sums over all lead times, and those of the first, the middle and the last one, which
    are few enough to be stored for each case."""
    columns: dict[str, Column] = {}
    for name in BINNED:
        values = data[name][1]
        columns[name] = (("forecaster", "case", "threshold", "probability"), values.sum(2))
        dims = ("forecaster", "case", "reliability_lead_time", "threshold", "probability")
        columns[f"{name}_by_lead_time"] = (dims, values[:, :, reliability_leads(values.shape[2])])
    return columns


def reliability_leads(count: int) -> list[int]:
    """The indices of the lead times, of `count`, whose reliability is stored: the first, the middle and the last one."""
    return sorted({0, (count - 1) // 2, count - 1})
