"""Scoring part by part, so that an evaluation that was interrupted continues: with the same result, to the last bit.

The parts of a plan are its batches, which are the same however often it is interrupted. Stored parts have no frames: those with a
case for figures are scored again.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import torch
import xarray as xr

import framecast
from framecast.data.archives.outputs import source_files
from framecast.data.identity import stamp_files
from framecast.data.windows.sources import WindowSource
from framecast.ops.native.library import status
from framecast.progress import Progress
from framecast.verification.examples import Example
from framecast.verification.run import PartialResult, ScoringPlan, relative_error
from framecast.verification.stored_parts import StoredPart, StoredParts

ScoreParts = Callable[[Sequence[ScoringPlan], Callable[[PartialResult], None]], None]
"""Scores parts, in any order, and calls a function with each result."""
_log = logging.getLogger(__name__)


def dependencies(
    work: Mapping[str, object],
    plan: ScoringPlan,
    source: WindowSource,
    frames: Sequence[xr.DataArray],
    others: Iterable[str] = (),
    *,
    in_memory: bool,
) -> dict[str, str]:
    """What the bits of a result depend on, by what it is called: `work`, by name, with what `repr` tells all of, and the windows
    of `plan`, of `frames` and of `other` files. Frames `in_memory` may differ from the file that they name."""
    program = (framecast.__version__, torch.__version__, str(status()), torch.get_num_threads())
    return {
        "version of the program or number of threads": repr(program),
        **{name: repr(value) for name, value in work.items()},
        "data": _data_digest(plan, source, frames, others, in_memory),
    }


def _data_digest(
    plan: ScoringPlan, source: WindowSource, frames: Sequence[xr.DataArray], others: Iterable[str], in_memory: bool
) -> str:
    """The windows, and the stamps of the files that they are read from; of frames in memory or without files their values."""
    digest = hashlib.blake2b(repr((plan.cases, sorted(plan.examples), source.shape)).encode(), digest_size=16)
    files = sorted(source_files(*frames))
    digest.update(stamp_files([*files, *others]).encode())
    for case in plan.cases:
        digest.update(repr(source.init_time(case)).encode())
        if in_memory or not files:
            digest.update(np.ascontiguousarray(source.read(case)).tobytes())
    return digest.hexdigest()


class _Parts:
    """The parts that are scored, by number, and the best and the worst case of all: `(error, number of the part, case)`."""

    def __init__(self) -> None:
        self.scored: dict[int, PartialResult] = {}
        self.extremes: dict[str, tuple[float, int, Example]] = {}

    def add(self, number: int, part: PartialResult) -> None:
        """Add a part; of equal extremes that of the first part stays, in whatever order they are added."""
        for why, (error, case) in part.extremes.items():
            if (error, number) < self.extremes.get(why, (np.inf, -1))[:2]:
                self.extremes[why] = (float(error), number, case)
        self.scored[number] = part._replace(extremes={})

    @property
    def done(self) -> int:
        """The number of cases."""
        return sum(len(part.order) for part in self.scored.values())

    def without_frames(self) -> set[int]:
        """The parts with the best and the worst case if they were stored without frames."""
        numbers = sorted(self.scored)
        errors = [relative_error(self.scored[number].sums) for number in numbers]
        missing = set()
        for why, sign in (("best", 1), ("worst", -1)):
            least = [float(np.min(sign * each[~np.isnan(each)], initial=np.inf)) for each in errors]
            number = numbers[int(np.argmin(least))]
            if min(least) < np.inf and (why not in self.extremes or self.extremes[why][1] != number):
                missing.add(number)
        return missing

    def results(self) -> list[PartialResult]:
        """All parts in order; the first has the extremes."""
        first, *others = (self.scored[number] for number in sorted(self.scored))
        extremes = {why: (error, case) for why, (error, _, case) in sorted(self.extremes.items())}
        return [first._replace(extremes=extremes), *others]


def score_parts(
    plan: ScoringPlan, batches: int, score: ScoreParts, progress: Progress, store: StoredParts[StoredPart] | None = None
) -> list[PartialResult]:
    """Score the parts of a plan, of `batches` batches each, and store each in `store`; those that are stored there are not scored
    again. `progress` is called with the numbers of cases done and of all cases. Raises what `score` raises."""
    pieces, parts = plan.parts(batches), _Parts()
    number_of = {case: number for number, piece in enumerate(pieces) for case in piece.cases}
    for number, stored in (store.parts if store else {}).items():
        if not plan.examples & set(pieces[number].cases):
            parts.add(number, PartialResult(stored.order, stored.sums, [], {}, stored.seconds))
    progress(parts.done, len(plan.cases))

    def finished(part: PartialResult) -> None:
        number = number_of[part.order[0]]
        parts.add(number, part)
        if store:
            store.add(number, StoredPart(part.order, part.sums, part.seconds))
        progress(parts.done, len(plan.cases))

    try:
        score([piece for number, piece in enumerate(pieces) if number not in parts.scored], finished)
        if plan.examples:
            score([pieces[number] for number in sorted(parts.without_frames())], finished)
    except KeyboardInterrupt:
        if store:
            _log.warning("%s of %s cases are stored: the same command continues", parts.done, len(plan.cases))
        raise
    finally:
        if store:
            store.write()
    return parts.results()
