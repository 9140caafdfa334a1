"""What a model promises: its advantage over a reference, as its evaluation or its card has it.

Of a score that is better low the advantage is 1 - score / score of the reference, of one that is better high the difference.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from framecast.checkpoints.model_folder import CARD, evaluation_folder, find
from framecast.errors import RunError
from framecast.reading.paths import is_file, read_text
from framecast.reading.plain_data import parse_json
from framecast.scores import Metric
from framecast.scores.bootstrap import blocks_with_value, draw_blocks, resample
from framecast.verification.evaluate import CASES
from framecast.verification.result import Verification

SCORES, REFERENCES = "left_out_scores", "left_out_references"
"""Keys of what a card says about its model: its scores on the events that it had not seen, `EVENT, SCORE`, and those of other
forecasters on the same frames, by name."""


@dataclass(frozen=True)
class Advantage:
    """An advantage, the standard deviation of its bootstrap, and the number of blocks with a value."""

    value: float
    spread: float
    blocks: int

    @classmethod
    def nothing(cls) -> Advantage:
        """That of a reference over itself, which is known."""
        return cls(0.0, 0.0, sys.maxsize)

    @classmethod
    def of_tables(cls, metric: Metric, tables: list[np.ndarray], blocks: np.ndarray) -> Advantage:
        """That of the sums `(K, N)` of one over those of another, in `blocks (N,)`."""
        known = np.all([blocks_with_value(metric.formula, table, blocks) for table in tables], axis=0)
        counts = draw_blocks(blocks)
        values = [metric.formula(table.sum(1)) for table in tables]
        repeats = [metric.formula(resample(table, blocks, counts)) for table in tables]
        differences = advantage(metric, *repeats)
        differences = differences[np.isfinite(differences)]
        spread = float(differences.std(ddof=1)) if len(differences) > 1 else float("nan")
        return cls(float(advantage(metric, *values)), spread, int(known.sum()))

    @classmethod
    def of_events(cls, values: np.ndarray) -> Advantage:
        """The mean of the advantages of events, which are its blocks."""
        count = len(values)
        spread = float(values.std(ddof=1) / np.sqrt(count)) if count > 1 else float("nan")
        return cls(float(values.mean()), spread, count)


def advantage(metric: Metric, value: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The advantage of `value` over `reference`; NaN where it is undefined."""
    value, reference = np.asarray(value), np.asarray(reference)
    if metric.better == "higher":
        return np.asarray(value - reference)
    share = np.divide(value, reference, out=np.full(np.shape(value), np.nan), where=reference > 0)
    return np.asarray(1 - share)


class Promise(Protocol):
    """What is promised, and by what: `source`, in words."""

    @property
    def source(self) -> str:
        """What promises it."""
        ...

    def over(
        self, reference: str, metric: Metric, threshold: float | None, leads: Collection[float]
    ) -> Advantage | None:
        """The advantage over a reference in a score, at a threshold in mm/h, over lead times in minutes; None where it is not
        known for these."""
        ...


@dataclass(frozen=True)
class EvaluationPromise:
    """The advantage of the first forecaster of a verification, over the same lead times."""

    verification: Verification
    source: str = "the evaluation"

    def over(
        self, reference: str, metric: Metric, threshold: float | None, leads: Collection[float]
    ) -> Advantage | None:
        """See `Promise`."""
        promise = self.verification
        chosen = self._places(leads)
        if chosen is None or reference not in promise.forecasters[1:]:
            return None
        at = {}
        if threshold is not None:
            near = [k for k, rate in enumerate(promise.rates) if np.isclose(rate, threshold, rtol=1e-3)]
            if not near:
                return None
            at = {"threshold": near[0]}
        own = promise.metric(metric.name, **at)
        tables = [promise.table(name, own)[..., chosen].sum(2) for name in (promise.forecasters[0], reference)]
        return Advantage.of_tables(own, tables, promise.sums["block"].values)

    def _places(self, leads: Collection[float]) -> np.ndarray | None:
        """The places of the lead times in the verification; None if it lacks one of them."""
        if "lead_time" not in self.verification.sums.coords:
            return np.arange(self.verification.sums.sizes["lead_time"])
        stored = self.verification.sums["lead_time"].values
        if stored.dtype.kind != "m":
            return None
        near = np.isclose(stored[None] / np.timedelta64(1, "m"), np.array(sorted(leads))[:, None], atol=1e-3)
        return near.argmax(1) if near.any(1).all() else None


@dataclass(frozen=True)
class CardPromise:
    """The mean advantage on the events that a model had not seen, as its card has it, over `leads` lead times."""

    scores: Mapping[str, float]
    references: Mapping[str, Mapping[str, float]]
    leads: int
    source: str

    def over(
        self, reference: str, metric: Metric, threshold: float | None, leads: Collection[float]
    ) -> Advantage | None:
        """See `Promise`."""
        others = self.references.get(reference, {})
        label = metric.title if threshold is None else f"{metric.title} at {threshold:g} mm/h"
        names = [name for name in self.scores if name.partition(", ")[2] == label and name in others]
        values = advantage(metric, *(np.array([each[name] for name in names]) for each in (self.scores, others)))
        values = values[np.isfinite(values)]
        return Advantage.of_events(values) if len(values) and len(leads) == self.leads else None


def promise_of(model: str | Path) -> Promise | None:
    """What a model promises: its evaluation, where `framecast evaluate` wrote one, else its card; None without, and for a
    baseline. Raises `DataError` for an evaluation that cannot be read."""
    cases = evaluation_folder(Path(model)) / CASES
    if is_file(cases):
        return EvaluationPromise(Verification.open(cases), f"its evaluation, {'/'.join(cases.parts[-3:])}")
    try:
        where = find(Path(model)) / CARD
        card = parse_json(read_text(where), where)
    except RunError:
        return None
    return _of_card(card)


def _of_card(card: Mapping[str, Any]) -> CardPromise | None:
    about = card.get("about") or {}
    scores, references = about.get(SCORES), about.get(REFERENCES)
    if not scores or not references:
        return None
    events = len({name.partition(", ")[0] for name in scores})
    return CardPromise(
        scores, references, int(card["shape"]["horizon"]), f"its card, of {events} events not trained on"
    )
