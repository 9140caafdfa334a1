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
from framecast.forecasting.outcome import Outcome
from framecast.forecasting.products.write import possible, write_products
from framecast.forecasting.trained_model import TrainedModel, load
from framecast.forecasting.write import write
from framecast.service.layout import Layout, Time, from_stamp, to_stamp, write_json
from framecast.service.ledger import RECORD, Cycle
from framecast.service.memory import Held
from framecast.service.pace import Plan
from framecast.service.settings import Domain
from framecast.service.sources import Timer
from framecast.writing import replacing

FORECAST = "forecast.nc"
RECENT = 4
"""Frames that a baseline uses, where there are so many."""
_log = logging.getLogger(__name__)


class Issuer:
    """Makes and writes the forecasts of one domain. The model is loaded once; if that fails, the ladder tries each cycle."""

    def __init__(self, domain: Domain, layout: Layout, timer: Timer) -> None:
        self._domain, self._layout, self._timer = domain, layout, timer
        self._model = _load(domain)
        self._ladders: dict[int | None, Ladder] = {}

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
        return self._ladder(self._domain.members).rungs

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

    def _forecast(self, frames: xr.DataArray, plan: Plan, now: Time) -> Outcome:
        """The outcome of the ladder, which raises nothing for what is wrong with frames or rungs."""
        return self._ladder(plan.members).forecast(
            frames,
            plan.horizon,
            now=to_stamp(now),
            max_age=datetime.timedelta(minutes=self._domain.max_age),
            step=np.timedelta64(round(self._domain.cadence * 60e9), "ns"),
            leave_out=None if plan.model else {self._ladder(plan.members).rungs[0]: plan.reason},
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

    def _ladder(self, members: int | None) -> Ladder:
        """The ladder whose model draws so many members, on the one loaded model."""
        if members not in self._ladders:
            best = self._domain.model if self._model is None else _with_members(self._model, members, self._domain.seed)
            rungs = [best, *(name for name in self._domain.ladder if name != self._domain.model)]
            self._ladders[members] = Ladder(rungs, device=self._domain.device, seed=self._domain.seed)
        return self._ladders[members]


def _load(domain: Domain) -> TrainedModel | None:
    """The trained model of a domain; None for a baseline, and where it cannot be loaded, which is logged."""
    if is_baseline(domain.model):
        return None
    try:
        return load(domain.model, domain.device, tile=domain.tile)
    except FramecastError as error:
        _log.error("the model cannot be loaded: %s", error)
        return None


def _with_members(model: TrainedModel, members: int | None, seed: int) -> TrainedModel:
    """The same model with another number of members."""
    return TrainedModel(
        model.model, model.card, model.device, tile=model.tile, overlap=model.overlap, members=members, seed=seed,
        folder=model.folder,
    )  # fmt: skip
