"""Measures over several models whether forecasts blur as features collapse.

All models are trained alike on digits of several kinds. The result is the correlation of the silhouette of their features with
the gradient difference loss of their forecasts (ModeRNN, tables III and IV).

    python benchmarks/collapse.py FOLDER [--images FOLDER_OF_MNIST] [--iterations 250]

Runs and the page are written to FOLDER; a finished run is not trained again.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from learning import experiment
from rich.console import Console

from framecast.data.synthetic.varied_mnist import MixedDigits
from framecast.diagnosis import across
from framecast.training import train

MODELS = ("convlstm", "predrnn", "predrnn_v2", "mim", "motionrnn (predrnn)", "modernn_slots")
WINDOWS = 128


def main() -> None:
    """Train the missing models, and print the diagnosis over all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", default="bundled")
    parser.add_argument("--iterations", type=int, default=250)
    arguments = parser.parse_args()
    data = MixedDigits(images=arguments.images, size=32, train=20_000, validation=16, test=WINDOWS)
    runs = {name: arguments.folder / name.split()[0] for name in MODELS}
    for name, run in runs.items():
        if not (run / "last").exists():
            settings = replace(experiment(name, arguments.images, arguments.iterations), data=data)
            train(settings, out=run, console=Console(quiet=True))
    diagnosis, page = across(runs, out=arguments.folder / "collapse.html", limit=WINDOWS)
    print(diagnosis.verdict)
    for name, value in diagnosis.facts.items():
        print(f"  {name}: {value}")
    print(page)


if __name__ == "__main__":
    main()
