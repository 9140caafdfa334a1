"""One cycle's forecast: the fallback ladder on the newest frames, the products, and a folder that appears in one step."""

from __future__ import annotations

import dataclasses
import datetime
import logging
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from framecast.data.readers.options import DEFAULT, ReadOptions
from framecast.errors import FramecastError
from framecast.forecasting.labels import Forecast
from framecast.forecasting.ladder import NOTHING, Ladder
from framecast.forecasting.loading import is_baseline
from framecast.forecasting.open import open_forecast
from framecast.forecasting.outcome import Outcome, record_reasons
from framecast.forecasting.products.archive import append_forecast
from framecast.forecasting.products.write import possible, write_products
from framecast.forecasting.write import write
from framecast.service.layout import FORECAST, Layout, Time, from_stamp, to_stamp, write_json
from framecast.service.ledger import RECORD, Cycle
from framecast.service.memory import Held
from framecast.service.pace import Plan
from framecast.service.settings import Domain
from framecast.service.sources import Timer
from framecast.writing import replacing

RECENT = 4
"""Frames that a baseline uses, where there are so many."""
_log = logging.getLogger(__name__)


class Issuer:
    """Makes and writes the forecasts of one domain. The rungs are loaded once and kept; a model that cannot be loaded is tried
    again in each cycle."""

    def __init__(self, domain: Domain, layout: Layout, timer: Timer) -> None:
        self._domain, self._layout, self._timer = domain, layout, timer
        self._ladder = Ladder(domain.rungs, domain.device, tile=domain.tile, members=domain.members, seed=domain.seed)
        self._model = self._ladder.trained
        for text in () if self._model is None else self._model.notes():
            _log.warning(text)
        if self._model is None and not is_baseline(domain.model):
            _log.error(
                "the model %s cannot be loaded; each forecast says why, and is that of another rung", domain.model
            )

    @property
    def context(self) -> int:
        """The frames in a row that the best rung uses."""
        return RECENT if self._model is None else max(self._model.context, RECENT)

    @property
    def read_options(self) -> ReadOptions:
        """The options by which the model's training data were read."""
        return DEFAULT if self._model is None else self._model.card.read_options

    @property
    def rungs(self) -> tuple[str, ...]:
        """The names of the rungs, the best first, "nothing" the last."""
        return self._ladder.rungs

    def issue(
        self, time: Time, frames: xr.DataArray, plan: Plan, now: Time, held: Held, notes: tuple[str, ...]
    ) -> Cycle:
        """Forecast from the `frames` up to `time`, the last of which is `held`, and write the forecast if it begins at `time`;
        `notes` are further reasons. The record counts its seconds from when the frame could be read."""
        # the forecast
        begun, present = self._timer(), max(now, time)  # the clock of this machine may be behind
        outcome = self._forecast(frames, plan, present)
        forecast_seconds = self._timer() - begun
        newest = None if outcome.newest is None else from_stamp(outcome.newest)
        largest = max((float(each) for each in outcome.largest if np.isfinite(each)), default=None)
        draft = Cycle(
            cycle=time,
            outcome="nothing",
            rung=NOTHING,
            reasons=tuple(dict.fromkeys((*notes, *filter(None, [plan.reason]), *outcome.reasons))),
            newest_frame=newest,
            age_seconds=None if newest is None else (present - newest).total_seconds(),
            started=now,
            finished=now,
        )

        def finish(**changes: Any) -> Cycle:
            """The record as things stand at this moment."""
            end = self._timer()
            seconds = {"read": held.reading, "forecast": forecast_seconds, "write": end - begun - forecast_seconds}
            seconds["total"] = end - held.seen
            rounded = {name: round(value, 3) for name, value in seconds.items()}
            finished = now + datetime.timedelta(seconds=end - begun)
            return dataclasses.replace(draft, seconds=rounded, finished=finished, **changes)

        # its folder, which holds the record too
        if outcome.forecast is None or newest != time:
            return finish()
        record_reasons(outcome.forecast, draft.reasons)
        try:
            with replacing(self._layout.forecast(time), overwrite=False) as folder:
                folder.mkdir()
                files, problems = self._write(outcome.forecast, folder)
                cycle = finish(
                    outcome="forecast",
                    rung=outcome.rung,
                    reasons=(*draft.reasons, *problems),
                    forecaster=str(outcome.forecast.attrs.get("forecaster", outcome.rung)),
                    largest=None if largest is None else round(largest, 3),
                    files=tuple(files),
                )
                write_json(folder / RECORD, cycle.plain())
        except FramecastError as error:
            _log.error("the forecast of %s cannot be written: %s", time, error)
            return finish(reasons=(*draft.reasons, f"not_written: {error.what}"))
        return cycle

    def archive(self, time: Time) -> None:
        """Append the forecast that begins at `time` to the archive, if one is wanted and does not hold it. One that cannot be
        appended is logged."""
        if not self._domain.archive:
            return
        try:
            append_forecast(open_forecast(self._layout.forecast(time) / FORECAST), self._layout.archive)
        except FramecastError as error:
            _log.error("the forecast of %s cannot be archived: %s", time, error)

    def _forecast(self, frames: xr.DataArray, plan: Plan, now: Time) -> Outcome:
        """The outcome of the ladder, which raises nothing for what is wrong with frames or rungs."""
        if self._model is not None and self._model.members is not None and plan.members is not None:
            self._model.members = plan.members
        return self._ladder.forecast(
            frames,
            plan.horizon,
            now=to_stamp(now),
            max_age=datetime.timedelta(minutes=self._domain.max_age),
            step=np.timedelta64(round(self._domain.cadence * 60e9), "ns"),
            leave_out=dict.fromkeys(self._ladder.rungs[: plan.first], "to be on time"),
        )

    def _write(self, forecast: Forecast, folder: Path) -> tuple[list[str], list[str]]:
        """Write the forecast and its products into a folder; the names of the files, and what could not be written."""
        write(forecast, folder / FORECAST)
        files, settings = [FORECAST], self._domain.products
        if settings is None:
            return files, []
        try:
            chosen, problems = possible(forecast, settings)
            if chosen is not None:
                files += [path.name for path in write_products(forecast, folder, settings=chosen)]
        except FramecastError as error:
            problems = (error.what,)
            _log.error("the products cannot be written: %s", error)
        return files, [f"no_product: {problem}" for problem in problems]
