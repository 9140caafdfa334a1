"""Verification that never ends: each forecast is scored when its frames have come, beside the rungs below it, into `scores.csv`.

The rows of a forecast are appended in one piece, in the order of initial times, so that the file itself says what is scored. A
summary of the last day is kept from the sums of the rows.
"""

from __future__ import annotations

import csv
import datetime
import io
import logging
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from framecast.errors import FramecastError
from framecast.forecasting.open import open_forecast
from framecast.reading.paths import check_file
from framecast.service.appended import cut_beginning, cut_torn_line, last_lines
from framecast.service.issuing import FORECAST
from framecast.service.layout import Layout, Time, from_iso, from_stamp, iso, times_in
from framecast.service.memory import Clock
from framecast.service.settings import Domain
from framecast.verification.arriving import score_forecast
from framecast.verification.score_rows import ScoreRow, metric_of
from framecast.writing import append_text

COLUMNS = ("init_time", "lead_minutes", "forecaster", "score", "threshold", "value", "pixels", "sums")
_HEADER = ",".join(COLUMNS) + "\n"
SCORES = ("mse", "csi", "bias", "brier")
ISSUED = "issued"
"""The forecaster of the summary that is the forecast of the service, whichever rung it was of."""
_DAY = datetime.timedelta(days=1)
_TAIL = 32 * 2**20
"""Bytes at the end of the file that are read at the start: about two days."""
_log = logging.getLogger(__name__)
_Key = tuple[str, str, float | None]
_Row = tuple[str, str, float | None, Any]


class _Scored(NamedTuple):
    """A forecast that was scored: the sums over its lead times, by forecaster, score and threshold."""

    time: Time
    sums: dict[_Key, np.ndarray]


class Scorer:
    """Scores the forecasts of one domain, one at a call."""

    def __init__(self, domain: Domain, layout: Layout, clock: Clock, rungs: Mapping[Time, str]) -> None:
        self._domain, self._layout, self._clock = domain, layout, clock
        self._recent: deque[_Scored] = deque(maxlen=int(_DAY / clock.step) + 1)
        self._through: Time | None = None
        cut_torn_line(layout.scores)
        self._restore(rungs)

    def due(self, oldest: Time, newest: Time) -> Time | None:
        """The oldest forecast that is not scored and all of whose frames may have come, which lie between the `oldest` and the
        `newest`; None if there is none."""
        length = self._domain.horizon * self._clock.step
        done = oldest if self._through is None else max(self._through, oldest)
        first = next((time for time, _ in times_in(self._layout.forecasts) if time > done), None)
        return first if first is not None and first + length <= newest else None

    def score(self, time: Time, frames: xr.DataArray) -> None:
        """Score the forecast that begins at `time` by the `frames` before and after it. One that cannot be scored is logged and
        passed over. Raises `RunError` if the file cannot be written."""
        self._through = time
        names = [name for name in self._domain.ladder if name != self._domain.model]
        try:
            forecast = open_forecast(self._layout.forecast(time) / FORECAST)
            rung = str(forecast.attrs.get("framecast_rung", forecast.attrs.get("forecaster", "")))
            rows = score_forecast(forecast, frames, fallbacks=names, scores=SCORES)
        except FramecastError as error:
            _log.warning("the forecast of %s cannot be scored: %s", iso(time), error.what)
            return
        if not rows:
            _log.warning("the forecast of %s cannot be scored: none of its frames are there", iso(time))
            return
        append_text(self._layout.scores, ("" if self._layout.scores.exists() else _HEADER) + _as_csv(rows))
        plain = ((row.forecaster, row.score, row.threshold, row.sums) for row in rows)
        self._recent.append(_Scored(time, _pool(plain, rung)))

    def summary(self, now: Time) -> dict[str, Any]:
        """The scores of the forecasts of the last day, for `status.json`."""
        recent = [each for each in self._recent if each.time >= now - _DAY]
        pooled = _pool(((*key, sums) for each in recent for key, sums in each.sums.items()), ISSUED)
        scores: dict[str, dict[str, float]] = defaultdict(dict)
        for (forecaster, score, threshold), sums in pooled.items():
            value = float(metric_of(score).formula(np.asarray(sums)))
            if np.isfinite(value):
                name = score if threshold is None else f"{score}_{threshold:g}"
                scores[name][forecaster] = round(value, 6)
        return {"forecasts": len(recent), "scores": scores}

    def delete_old(self, now: Time) -> None:
        """Cut off the rows of forecasts that are older than the retention and a day."""
        limit = now - datetime.timedelta(days=self._domain.retention.scores)
        path = self._layout.scores
        if not path.exists():
            return
        with check_file(path).open("rb") as file:
            place = len(file.readline())
            first = _time_of(file.readline())
            if first is None or first >= limit - _DAY:
                return
            file.seek(place)
            for line in file:
                time = _time_of(line)
                if time is not None and time >= limit:
                    break
                place += len(line)
        cut_beginning(path, place, _HEADER)

    def _restore(self, rungs: Mapping[Time, str]) -> None:
        """Take in the end of the file: what is scored, and the sums of the last day; `rungs` are those of its forecasts."""
        groups: dict[Time, list[_Row]] = defaultdict(list)
        for row in csv.DictReader((line.decode() for line in last_lines(self._layout.scores, _TAIL)), COLUMNS):
            try:
                threshold = float(row["threshold"]) if row["threshold"] else None
                sums = np.array([float(each) for each in row["sums"].split()])
                groups[from_iso(row["init_time"])].append((row["forecaster"], row["score"], threshold, sums))
            except (ValueError, TypeError, AttributeError):  # the header, or a line of another
                continue
        for time in sorted(groups):
            self._through = time
            self._recent.append(_Scored(time, _pool(groups[time], rungs.get(time, ISSUED))))


def _pool(rows: Iterable[_Row], rung: str) -> dict[_Key, np.ndarray]:
    """The sums of rows, added by forecaster, score and threshold; the forecaster `rung` is the one that was issued."""
    pooled: dict[_Key, np.ndarray] = {}
    for forecaster, score, threshold, sums in rows:
        key = (ISSUED if forecaster == rung else forecaster, score, threshold)
        pooled[key] = np.asarray(sums, dtype=np.float64) + pooled.get(key, 0.0)
    return pooled


def _time_of(line: bytes) -> Time | None:
    """The initial time of a line; None if it has none."""
    try:
        return from_iso(line.partition(b",")[0].decode())
    except ValueError:
        return None


def _as_csv(rows: Sequence[ScoreRow]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        threshold = "" if row.threshold is None else f"{row.threshold:g}"
        sums = " ".join(f"{each:.9g}" for each in row.sums)
        time = iso(from_stamp(row.init_time))
        writer.writerow(
            (time, f"{row.lead_minutes:g}", row.forecaster, row.score, threshold, f"{row.value:.6g}", row.pixels, sums)
        )
    return text.getvalue()
