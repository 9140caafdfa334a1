"""The demonstration: train, verify against baselines, forecast and write a report, in a few minutes on two cores.

It writes to its output folder only, and replaces that folder if an earlier demonstration created it.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from rich.console import Console

from framecast.checks import as_path, check_counts, ensure_folder, refuses_arrays, require
from framecast.config.experiment import Experiment, Optimiser, Training
from framecast.curriculum import ReverseScheduled
from framecast.data.archives.outputs import source_files
from framecast.data.datasets import ArchiveData, Data
from framecast.data.quantities import INTENSITY
from framecast.data.readers.options import DEFAULT, ReadOptions
from framecast.data.synthetic.moving_mnist import MovingDigits
from framecast.data.windows.splits import ByBlocks
from framecast.errors import Interrupted, RunError
from framecast.forecasting.write import write
from framecast.losses import L1L2
from framecast.models import PredRNNV2
from framecast.training import train
from framecast.verification.evaluate import Job, run_job
from framecast.verification.result import Verification
from framecast.verification.settings import EvaluationSettings
from framecast.workflows.radar_demo import radar_demo
from framecast.writing import check_sources, claim, resolve, write_text

MARK = ".framecast-demo"
"""The file by which the folder of a demonstration is known."""
ITERATIONS = 550
"""Iterations of training by default."""
TEST_SEQUENCES = 200
"""Held-out sequences of moving digits for the verification."""
_MODULES = ("lightning_fabric", "tensorboard", "psutil", "matplotlib", "jinja2", "sklearn")
"""The optional modules it needs: for training, the report, and the digits of scikit-learn."""


@refuses_arrays
def demo(
    data: str | None = None,
    *,
    options: ReadOptions = DEFAULT,
    digits: str = "bundled",
    out: str | Path = "demo",
    iterations: int | None = None,
    console: Console | None = None,
) -> tuple[Verification, Path]:
    """Run the demonstration, with 550 `iterations` of training by default, and write its results to the folder `out`; returns the
    scores and the path of the report.

    `data` are your own frames: what `framecast.open` takes, read with `options`. Without it the data are moving digits, those of
    scikit-learn (`digits="bundled"`) or of a folder with the IDX files of MNIST; then the radar model that comes with framecast
    forecasts an hour of rain, into `radar/`. Raises `RunError` if `out` exists and is not
    from a demonstration, `ConfigError` if a package is missing, and `DataError` if the data cannot be read.
    """
    # Check everything before the folder of an earlier demonstration is removed.
    check_counts(iterations=iterations)
    iterations = ITERATIONS if iterations is None else iterations
    require(*_MODULES, extra="demo", purpose="the demonstration")
    console = console or Console()
    folder = as_path(out, "a folder", "out")
    if folder.exists() and not (folder / MARK).exists():
        raise RunError(
            f"{folder} exists and is not from an earlier demonstration", parameter="out", remedy="choose another folder"
        )
    experiment = _experiment(data, options, digits, iterations)
    check_sources(folder, _sources(experiment.data))
    with claim(folder, sibling=True):
        shutil.rmtree(resolve(folder), ignore_errors=True)
        write_text(ensure_folder(resolve(folder)) / MARK, "")
        return _run(experiment, folder, data is None, console)


def _run(experiment: Experiment, folder: Path, shows_radar: bool, console: Console) -> tuple[Verification, Path]:
    """Train, verify, forecast, report."""
    from framecast.report import write_report
    from framecast.report.run_summary import run_summary

    start = time.perf_counter()
    run = train(experiment, out=folder / "run", console=console)
    if not (run / "last").is_dir():
        raise Interrupted("training was interrupted, and a demonstration begins anew", remedy="run it again")
    duration = time.perf_counter() - start
    console.print("verifying on sequences that were not used in training ...")
    settings = EvaluationSettings(limit=TEST_SEQUENCES if shows_radar else 24)
    verification, models = run_job(Job.of(run, None, DEFAULT, settings), out=folder)
    (model,) = models.values()
    write(model.forecast(_forecast_input(experiment.data), 2 * experiment.data.horizon), folder / "forecast.nc")
    cost = (
        f"{experiment.training.iterations} iterations in {duration / 60:.1f} minutes, {torch.get_num_threads()} threads"
    )
    facts = run_summary(run, model) | {"training": cost}
    report = write_report(verification, folder / "report.html", title="framecast demonstration", facts=facts)
    if shows_radar:
        console.print("forecasting an hour of rain with the radar model that comes with framecast ...")
        _, radar_report = radar_demo(folder / "radar")
        console.print(f"radar: {radar_report}, {radar_report.with_name('nowcast.png')}", soft_wrap=True)
    return verification, report


def _sources(data: Data) -> list[str]:
    """The files and folders that the demonstration reads, none of which it may replace."""
    if isinstance(data, ArchiveData):
        return [*source_files(*data.open_archives())]
    return [data.images] if isinstance(data, MovingDigits) and data.images != "bundled" else []


def _forecast_input(data: Data) -> xr.DataArray:
    """The frames to forecast from: your own, or the context of the first test sequence."""
    if isinstance(data, ArchiveData):
        return data.open_archives()[0].isel(sequence=0, missing_dims="ignore")
    test = data.open().test
    assert test is not None
    return xr.DataArray(
        test.read(0)[: data.context],
        dims=("time", "channel", "y", "x"),
        coords={"time": np.arange(data.context)},
        attrs={"units": INTENSITY.units, "quantity": INTENSITY.name, "dry": INTENSITY.dry, "repairs": []},
        name=INTENSITY.name,
    )


def _experiment(data: str | None, options: ReadOptions, digits: str, iterations: int) -> Experiment:
    """A small PredRNN-V2, with the settings that learn most in three minutes of training."""
    settings: Data
    if data is None:
        settings = MovingDigits(
            images=digits, size=32, digits=2, context=10, horizon=10, train=20_000, validation=32, test=TEST_SEQUENCES
        )
    else:
        archive = ArchiveData(
            path=data, **vars(options), context=6, horizon=6, flips=True, split=ByBlocks(validation=0.15, test=0.2)
        )
        sizes = archive.open_archives()[0].sizes
        settings = replace(archive, crop=min(64, sizes["y"] // 4 * 4, sizes["x"] // 4 * 4))
    return Experiment(
        data=settings,
        model=PredRNNV2(hidden=(32, 32), kernel=5, patch=4, decoupling=0.02),
        curriculum=ReverseScheduled(start=iterations // 8, stop=max(iterations // 2, 1), alpha=max(iterations / 12, 1)),
        loss=L1L2(alpha=0.1),
        optimiser=Optimiser(learning_rate=3e-3, schedule="one_cycle", clip=1.0),
        training=Training(
            iterations=iterations,
            batch_size=8 if data is None else 4,
            log_every=10,
            validate_every=-(-iterations // 4),
            validation_windows=32,
            checkpoint_every=-(-iterations // 4),
            accelerator="cpu",
        ),
    )
