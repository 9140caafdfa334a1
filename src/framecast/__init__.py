"""framecast learns to predict the next frames of a spatiotemporal sequence and says how good the prediction is.

    frames = framecast.open("archive/")                      # xarray, lazy, physical units, NaN where there is no data
    run = framecast.train("radar#predrnn_v2", data=frames)
    forecast = framecast.load(run).forecast(frames, horizon=18)

Names are imported when they are first used, so that importing framecast is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from framecast.config.recipes import recipes
    from framecast.data.archives.opening import open
    from framecast.data.inspection.inspect import inspect
    from framecast.data.readers.options import Options
    from framecast.data.store.conversion import convert
    from framecast.errors import ConfigError, DataError, Exhausted, FramecastError, RunError
    from framecast.forecasting.api import forecast
    from framecast.forecasting.baselines import baselines
    from framecast.forecasting.protocol import Context, Forecaster
    from framecast.forecasting.trained_model import load
    from framecast.forecasting.write import write
    from framecast.report import write_report
    from framecast.training import resume, train
    from framecast.verification.evaluate import evaluate
    from framecast.verification.run import verify
    from framecast.workflows.reproduce import reproduce

__version__ = "0.1.0"

_HOME = {
    "ConfigError": "framecast.errors",
    "Context": "framecast.forecasting.protocol",
    "DataError": "framecast.errors",
    "Exhausted": "framecast.errors",
    "Forecaster": "framecast.forecasting.protocol",
    "FramecastError": "framecast.errors",
    "Options": "framecast.data.readers.options",
    "RunError": "framecast.errors",
    "baselines": "framecast.forecasting.baselines",
    "convert": "framecast.data.store.conversion",
    "evaluate": "framecast.verification.evaluate",
    "forecast": "framecast.forecasting.api",
    "inspect": "framecast.data.inspection.inspect",
    "load": "framecast.forecasting.trained_model",
    "open": "framecast.data.archives.opening",
    "recipes": "framecast.config.recipes",
    "reproduce": "framecast.workflows.reproduce",
    "resume": "framecast.training",
    "train": "framecast.training",
    "verify": "framecast.verification.run",
    "write": "framecast.forecasting.write",
    "write_report": "framecast.report",
}

__all__ = [
    "ConfigError",
    "Context",
    "DataError",
    "Exhausted",
    "Forecaster",
    "FramecastError",
    "Options",
    "RunError",
    "baselines",
    "convert",
    "evaluate",
    "forecast",
    "inspect",
    "load",
    "open",
    "recipes",
    "reproduce",
    "resume",
    "train",
    "verify",
    "write",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'framecast' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
