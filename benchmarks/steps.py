"""Compares the models of a cross-validation with STEPS, whose events are those that enough members make, or with LINDA.

    python benchmarks/steps.py cv EVENT EVENT ... [--members 10] [--share 0.35] [--limit 4] [--linda]

`cv` is the folder that `framecast crossvalidate` has written; the event FILE.nc is judged by the model `cv/FILE`, which has not
seen it, or by `cv/all` where there is none. The row `steps` has the events of the largest expected CSI, the row `steps, share`
the pixels where the share of members at or above a rate is at least `--share` (its other columns are those of that field). With
`--linda` they are compared with LINDA in its place, one forecast without perturbations (minutes of a processor a case; its Brier
scores are those of a yes or no, its CRPS is its mean absolute error). The tables are those of nowcasts.py.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
from nowcasts import table

import framecast
from framecast.data.readers.options import DEFAULT
from framecast.forecasting.baselines.pysteps_ensembles import Linda, Steps
from framecast.forecasting.protocol import Context, Forecaster, Forecasts
from framecast.verification.evaluate import Job
from framecast.verification.settings import EvaluationSettings

BASELINES = ("extrapolation", "extrapolation_probability")
HORIZON = 12


class RecordedSteps(Steps):
    """STEPS that keeps its last forecast."""

    last: Forecasts | None = None

    def forecast(self, context: Context, /, horizon: int) -> Forecasts:
        """As `Steps.forecast`."""
        self.last = super().forecast(context, horizon)
        return self.last


class Share:
    """The field that reaches a rate where at least a share of the members of the last forecast of STEPS does: a quantile."""

    def __init__(self, steps: RecordedSteps, share: float) -> None:
        self.steps, self.share = steps, share
        self.name, self.context_length = "steps, share", steps.context_length

    def forecast(self, context: Context, /, horizon: int) -> np.ndarray:
        """One field `(1, B, L, C, H, W)` of the same context as that of STEPS, which is asked before."""
        assert self.steps.last is not None
        members = self.steps.last.values
        rank = math.ceil(self.share * len(members))
        field: np.ndarray = np.sort(members, axis=0)[len(members) - rank]
        return field[None]


def judge(run: Path, event: Path, members: int, share: float, limit: int, *, linda: bool) -> str:
    """The table of one event."""
    settings = EvaluationSettings(horizon=HORIZON, limit=limit, members=20, baselines=BASELINES)
    resources = Job.of(str(run), str(event), DEFAULT, settings).open()
    source = resources.sources.held_out()
    others: dict[str, Forecaster] = {}
    if linda:
        others["linda"] = Linda(source.quantity, 1)
    else:
        steps = RecordedSteps(source.quantity, members)
        others |= {"steps": steps, "steps, share": Share(steps, share)}
    forecasters = {**resources.forecasters, **others}
    return table(framecast.verify(forecasters, source, limit=limit, batch_size=1, step=resources.sources.step))


def main() -> None:
    """Print the table of each event."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("events", type=Path, nargs="+")
    parser.add_argument("--members", type=int, default=10)
    parser.add_argument("--share", type=float, default=0.35)
    parser.add_argument("--limit", type=int, default=4)
    parser.add_argument("--linda", action="store_true")
    arguments = parser.parse_args()
    for event in arguments.events:
        run = arguments.folder / event.stem
        run = run if run.is_dir() else arguments.folder / "all"
        print(f"\n**{event.stem}**, by {run}\n", flush=True)
        print(judge(run, event, arguments.members, arguments.share, arguments.limit, linda=arguments.linda), flush=True)


if __name__ == "__main__":
    main()
