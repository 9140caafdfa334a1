"""The demonstration on radar: the model that comes with framecast, on an hour of rain that it was not trained on.

It verifies the model against the baselines and forecasts from the newest frames; it trains nothing.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import framecast.workflows.sample as sample
from framecast.checkpoints.model_folder import find
from framecast.checks import ensure_folder
from framecast.data.archives.opening import open as open_frames
from framecast.forecasting.trained_model import load
from framecast.forecasting.write import write
from framecast.verification.result import Verification
from framecast.workflows.evaluation import evaluate
from framecast.writing import write_bytes

MODEL = "radar"
HORIZON = 6
"""Lead times of the verification; those of the forecast are as trained."""
MEMBERS = 10
SAMPLE = Path(sample.__file__).parent / "opera_20241126.nc"


def radar_demo(folder: Path) -> tuple[Verification, Path]:
    """Write `report.html`, `nowcast.nc` and `nowcast.png` to the new `folder`; returns the scores and the path of the report."""
    import matplotlib.pyplot as plt

    from framecast.report import write_report
    from framecast.report.forecast import plot
    from framecast.report.run_summary import run_summary

    ensure_folder(folder)
    verification = evaluate(MODEL, SAMPLE, horizon=HORIZON, members=MEMBERS, out=folder)
    model = load(MODEL)
    facts: dict[str, Any] = run_summary(find(Path(MODEL)), model)
    report = write_report(verification, folder / "report.html", title="framecast on radar", facts=facts)
    frames = open_frames(SAMPLE)
    forecast = model.forecast(frames, model.card.shape.horizon)
    write(forecast, folder / "nowcast.nc", overwrite=True)
    figure = plot(forecast)
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=110)
    plt.close(figure)
    write_bytes(folder / "nowcast.png", image.getbuffer())
    return verification, report
