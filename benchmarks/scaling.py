"""Measures the time and memory of a training step and a forecast over frame size, sequence length, width and batch size.

    python benchmarks/scaling.py --out docs/pictures/scaling.png

PredRNN-V2 with two layers, 5x5 kernels and patches of 4; the central setting is 128 x 128 frames, 10 -> 10, 32 channels, batch
2, and one of these is varied at a time. Each setting runs in a process of its own, whose peak memory is measured. All settings
run `--passes` times, minutes apart, and the fastest counts. `work` is multiply-accumulates; if time is proportional to it, the
last column is constant. Then full training, from data to optimiser, with one process and two on the same batch, and with 0, 1
and 2 threads that load windows.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

MIDDLE_CHANNELS = 32


@dataclass(frozen=True)
class Setting:
    """A setting of the model and its data."""

    size: int = 128
    length: int = 20
    hidden: int = MIDDLE_CHANNELS
    batch: int = 2


VARIED = {
    "size": (64, 128, 192, 256, 384, 512),
    "length": (10, 20, 30, 40, 60),
    "hidden": (16, 32, 64, 96),
    "batch": (1, 2, 4, 8),
}


def measure(setting: Setting) -> dict[str, float]:
    """Measure the seconds of a training step and of a forecast (the fastest of three), peak memory in GiB, and work in G."""
    import torch
    from measuring import fastest

    from framecast.models import PredRNNV2
    from framecast.models.parts.flops import multiply_accumulates
    from framecast.ops.native.memory import keep_free
    from framecast.types import FrameShape

    keep_free()  # as training does
    shape = FrameShape(1, setting.size, setting.size, setting.length // 2, setting.length // 2)
    config = PredRNNV2(hidden=(setting.hidden, setting.hidden))
    model = config.build(shape)
    frames = torch.rand(setting.batch, setting.length, 1, setting.size, setting.size)
    teacher = torch.ones(setting.batch, setting.length - 1, dtype=torch.bool)

    def step() -> None:
        predicted, losses, _ = model(frames, teacher)
        ((predicted - frames[:, 1:]).square().mean() + sum(losses.values())).backward()
        model.zero_grad()

    def forecast() -> None:
        with torch.no_grad():
            model.eval().forecast(frames[:, : shape.context], shape.horizon)
        model.train()

    seconds = fastest(step, 3)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    work = setting.batch * multiply_accumulates(config, shape) / 1e9
    return {"step": seconds, "forecast": fastest(forecast, 3), "memory": memory, "work": work}


def measure_in_subprocess(setting: Setting) -> dict[str, float]:
    """The result of `measure` in a process of its own."""
    command = [sys.executable, __file__, "--one", json.dumps(setting.__dict__)]
    result: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return result


LOADING = ((1, 0), (1, 1), (1, 2), (2, 1))
"""Processes, and threads that load windows in each."""
BATCH, LOGGED, ITERATIONS = 4, 5, 20


def training(processes: int, workers: int) -> float:
    """Train, and return the median frames per second of the log."""
    import yaml

    from framecast.config.experiment import Experiment, Training
    from framecast.config.parsing import plain
    from framecast.data.synthetic.moving_mnist import MovingDigits
    from framecast.models import PredRNNV2

    experiment = Experiment(
        data=MovingDigits(size=128),
        model=PredRNNV2(hidden=(MIDDLE_CHANNELS,) * 2),
        training=Training(
            iterations=ITERATIONS,
            batch_size=BATCH // processes,
            devices=processes,
            strategy="ddp" if processes > 1 else "auto",
            workers=workers,
            log_every=LOGGED,
            validation_windows=0,
            checkpoint_every=ITERATIONS,
            accelerator="cpu",
        ),
    )
    with tempfile.TemporaryDirectory() as folder:
        recipe = Path(folder) / "recipe.yaml"
        recipe.write_text(yaml.safe_dump({"base": plain(experiment)}))
        command = [sys.executable, "-m", "framecast.cli", "train", str(recipe), "--out", f"{folder}/run"]
        subprocess.run(command, check=True, capture_output=True)
        rows = list(csv.DictReader((Path(folder) / "run" / "log.csv").read_text().splitlines()))
    return statistics.median(float(row["frames_per_second"]) for row in rows[1:] if row["frames_per_second"])


def main() -> None:
    """Print the tables, and draw a figure if `--out` is given."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, help="File of a figure.")
    parser.add_argument("--passes", type=int, default=2)
    parser.add_argument("--one", help="Measure one setting, as JSON, in this process.")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(Setting(**json.loads(options.one)))))
        return
    points = [(name, value) for name, values in VARIED.items() for value in values]
    passes = [
        [measure_in_subprocess(replace(Setting(), **{name: value})) for name, value in points]
        for _ in range(options.passes)
    ]
    best = [{what: min(run[what] for run in runs) for what in runs[0]} for runs in zip(*passes, strict=True)]
    results: dict[str, list[tuple[int, dict[str, float]]]] = {name: [] for name in VARIED}
    for (name, value), result in zip(points, best, strict=True):
        results[name].append((value, result))
    for name, rows in results.items():
        print(f"\n{name:>8}  step s  forecast s  memory GiB  work G   s per 1000 G")
        for value, result in rows:
            print(
                f"{value:>8}  {result['step']:6.2f}  {result['forecast']:10.2f}  {result['memory']:10.2f}  {result['work']:6.0f}"
                f"  {1000 * result['step'] / result['work']:13.2f}"
            )
    if options.out:
        draw(results, options.out)
    print("\nprocesses  loading threads  frames per second")
    for processes, workers in LOADING * 2:
        print(f"{processes:>9}  {workers:>17}  {training(processes, workers):15.0f}", flush=True)


def draw(results: dict[str, list[tuple[int, dict[str, float]]]], out: Path) -> None:
    """Draw time and memory against work, one line for each varied parameter."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker

    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for name, points in results.items():
        work = [result["work"] for _, result in points]
        for axis, what in zip(axes, ("step", "memory"), strict=True):
            axis.plot(work, [result[what] for _, result in points], marker="o", markersize=4, label=name)
    for axis, what in zip(axes, ("seconds of a training step", "peak memory, GiB"), strict=True):
        axis.set(xscale="log", yscale="log", xlabel="G multiply-accumulates, forward", title=what)
        for each in (axis.xaxis, axis.yaxis):
            each.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
            each.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
            each.set_minor_formatter(ticker.NullFormatter())
        axis.grid(alpha=0.3)
    axes[0].legend(title="varied")
    figure.savefig(out, dpi=120)


if __name__ == "__main__":
    main()
