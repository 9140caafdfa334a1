"""Trains every model, small, for the same number of steps on moving digits, and compares the scores with the baselines.

    python benchmarks/learning.py [--images FOLDER_OF_MNIST] [--iterations 250] [--only NAME ...] --out docs/models.md

Frames of 32 x 32, two digits, 10 context frames and 10 forecast frames; test sequences use digits that training does not. Models
with actions have a square that goes where it is pushed. The results are stored in `benchmarks/results/learning.json`, from which
the table is rewritten after each model; a stored model is not trained again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from rich.console import Console

from framecast.config.experiment import Experiment, Optimiser, Training
from framecast.curriculum import NoSampling, ReverseScheduled, TeacherForced
from framecast.data.datasets import ArchiveData
from framecast.data.synthetic.moving_mnist import MovingDigits
from framecast.forecasting.baselines.extrapolation import Extrapolation
from framecast.forecasting.baselines.persistence import Persistence
from framecast.forecasting.protocol import Forecaster
from framecast.forecasting.trained_model import load
from framecast.losses import L1L2
from framecast.models import (
    E3DLSTM,
    FCLSTM,
    LMC,
    MAU,
    MIM,
    SVG,
    TAU,
    TCTN,
    VQVAE,
    ActionModeRNN,
    ActionPredRNN,
    ActionSVG,
    ConvLSTM,
    ConvTTLSTM,
    CrevNet,
    MoDeRNN,
    ModeRNN,
    ModularDesign,
    MotionRNN,
    PhyDNet,
    PredNet,
    PredRNN,
    PredRNNMOnly,
    PredRNNPlusPlus,
    PredRNNV2,
    SAConvLSTM,
    SimVP,
    TrajGRU,
    UNet,
)
from framecast.models.modular import FirstStage
from framecast.models.parts.flops import parameters
from framecast.training import train
from framecast.verification.verify import verify

TWO: Any = {"hidden": (32, 32)}
MODELS: dict[str, Any] = {
    "convlstm": ConvLSTM(**TWO),
    "predrnn": PredRNN(**TWO),
    "predrnn_v2": PredRNNV2(**TWO, decoupling=0.02),
    "predrnn_m": PredRNNMOnly(**TWO),
    "predrnn_pp": PredRNNPlusPlus(**TWO),
    "mim": MIM(**TWO),
    "e3dlstm": E3DLSTM(**TWO),
    "trajgru": TrajGRU(**TWO, links=5),
    "sa_convlstm": SAConvLSTM(**TWO, attention=16),
    "conv_tt_lstm": ConvTTLSTM(**TWO),
    "motionrnn (predrnn)": MotionRNN(backbone=PredRNN(**TWO)),
    "motionrnn (convlstm)": MotionRNN(backbone=ConvLSTM(**TWO)),
    "modernn_dcb": MoDeRNN(**TWO),
    "modernn_slots": ModeRNN(**TWO),
    "tctn": TCTN(hidden=32, layers=3),
    "modular (predrnn)": ModularDesign(
        autoencoder=VQVAE(width=64, latent=16, size=128),
        predictor=PredRNN(hidden=(32, 32), patch=1),
        first=FirstStage(iterations=250, batch_size=8, learning_rate=2e-3),
    ),
    "phydnet": PhyDNet(width=16, hidden=32, layers=(32, 32)),
    "simvp (gsta)": SimVP(spatial=16, hidden=64, layers=2, blocks=4),
    "simvp (incepu)": SimVP(spatial=16, hidden=64, layers=2, blocks=4, kind="incepu"),
    "tau": TAU(spatial=16, hidden=64, layers=2, blocks=4),
    "unet": UNet(),
    "svg": SVG(width=32, levels=3, hidden=128),
    "crevnet": CrevNet(blocks=(2, 2, 2), layers=4, group=1),
    "lmc": LMC(width=16),
    "fc_lstm": FCLSTM(hidden=(512, 512)),
    "mau": MAU(hidden=32, layers=2, reduction=2),
    "prednet": PredNet(hidden=(32, 64)),
}
PUSHED: dict[str, Any] = {
    "predrnn_action": ActionPredRNN(**TWO),
    "modernn_slots_action": ActionModeRNN(**TWO),
    "svg_action": ActionSVG(width=32, levels=3, hidden=128),
}
CASES = 100


def experiment(name: str, images: str, iterations: int) -> Experiment:
    """The experiment of a model. Only the curriculum differs: one-shot models and LMC-Memory have none, TCTN, SVG and CrevNet are
    teacher-forced."""
    curriculum: Any = ReverseScheduled(start=iterations // 8, stop=iterations // 2, alpha=iterations / 12)
    if name.startswith(("simvp", "tau", "unet", "lmc")):
        curriculum = NoSampling()
    elif name in ("tctn", "svg", "svg_action", "crevnet"):
        curriculum = TeacherForced()
    return Experiment(
        data=MovingDigits(images=images, size=32, train=20_000, validation=16, test=CASES),
        model=(MODELS | PUSHED)[name],
        curriculum=curriculum,
        loss=L1L2(alpha=0.1),
        optimiser=Optimiser(learning_rate=2e-3, schedule="one_cycle", clip=1.0),
        training=Training(
            iterations=iterations,
            batch_size=8,
            log_every=50,
            validate_every=iterations,
            validation_windows=16,
            checkpoint_every=iterations,
            accelerator="cpu",
        ),
    )


RESULTS = Path(__file__).parent / "results" / "learning.json"
"""The stored results."""


def write_pushed(file: Path) -> ArchiveData:
    """Write 1,000 clips of a square of 8 x 8 that goes where it is pushed, by up to 2 pixels a step, with the pushes."""
    pushes = np.random.default_rng(0).integers(-2, 3, (1000, 20, 2))
    places = 12 + np.concatenate([np.zeros((1000, 1, 2), dtype=int), pushes[:, :-1].cumsum(1)], axis=1)
    frames = np.zeros((1000, 20, 1, 32, 32), dtype=np.uint8)
    for clip, step in np.ndindex(*places.shape[:2]):
        rows, columns = (np.arange(8) + place for place in places[clip, step])
        frames[clip, step, 0, rows[:, None] % 32, columns % 32] = 255
    np.savez(file, frames=frames, actions=pushes.astype(np.float32))
    return ArchiveData(path=str(file), context=10, horizon=10, actions=True)


def measure(name: str, images: str, iterations: int, folder: Path) -> dict[str, Any]:
    """Train and verify one model."""
    settings = experiment(name, images, iterations)
    if name in PUSHED:
        settings = replace(settings, data=write_pushed(folder / "pushed.npz"))
    start = time.process_time()
    run = train(settings, out=folder / "run", console=Console(quiet=True))
    seconds = time.process_time() - start
    model = load(run)
    test = settings.data.open().test
    assert test is not None
    scores = verify({name: model}, test, batch_size=8)
    return {
        "mse": scores.frame(name, "mse").value,
        "ssim": scores.frame(name, "ssim").value,
        "weights": parameters(model.model),
        "seconds": seconds,
        "memory": psutil.Process().memory_info().rss / 2**30,
    }


def baselines(images: str) -> dict[str, dict[str, Any]]:
    """Persistence and extrapolation on the same sequences."""
    test = MovingDigits(images=images, size=32, test=CASES).open().test
    assert test is not None
    forecasters: dict[str, Forecaster] = {"persistence": Persistence(), "extrapolation": Extrapolation(test.quantity)}
    scores = verify(forecasters, test)
    return {
        name: {"mse": scores.frame(name, "mse").value, "ssim": scores.frame(name, "ssim").value} for name in forecasters
    }


def page(rows: dict[str, dict[str, Any]], iterations: int) -> str:
    """Format the document."""
    text = f"""# Models

Every model with the same small budget: {iterations} iterations of 8 sequences, moving MNIST digits of 32 x 32, 10 frames in and
10 out, two layers of 32 channels or about as much, learning rate 2e-3, two CPU cores. {CASES} test sequences of digits never seen
in training. It shows that each of them learns, not which is best: that takes a thousand times more. Time includes
validation; it is that of the clock, on a machine that did other work beside it, and for the last rows, from svg on, that of the
processor; memory is that of the process after training.

    python benchmarks/learning.py --images FOLDER_OF_MNIST --iterations {iterations} --out docs/models.md

| model | MSE | SSIM | weights | training | memory |
| --- | --- | --- | --- | --- | --- |
"""
    text += "".join(line(name, row) for name, row in rows.items() if name not in PUSHED)
    text += """
Models with actions, on 1,000 clips of a square that goes where it is pushed, 15 % of them for the test:

| model | MSE | SSIM | weights | training | memory |
| --- | --- | --- | --- | --- | --- |
"""
    text += "".join(line(name, row) for name, row in rows.items() if name in PUSHED)
    if missing := [name for name in MODELS | PUSHED if name not in rows]:
        text += f"\nNot measured: {', '.join(missing)}.\n"
    return text


def line(name: str, row: dict[str, Any]) -> str:
    """A line of the tables."""
    cost = " | | |"
    if "weights" in row:
        cost = f" {row['weights']:,} | {row['seconds']:.0f} s | {row['memory']:.1f} GiB |"
    return f"| {name} | {row['mse']:.4f} | {row['ssim']:.3f} |{cost}\n"


def main() -> None:
    """Measure the models without a stored result, and write the page."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--images", default="bundled", help="folder with MNIST's IDX files")
    options.add_argument("--iterations", type=int, default=250)
    options.add_argument("--only", nargs="*", default=list(MODELS | PUSHED))
    options.add_argument("--out", type=Path, required=True)
    arguments = options.parse_args()
    rows: dict[str, dict[str, Any]] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if "persistence" not in rows:
        rows |= baselines(arguments.images)
    for name in arguments.only:
        if name not in rows:
            folder = Path(tempfile.mkdtemp())
            rows[name] = measure(name, arguments.images, arguments.iterations, folder)
            shutil.rmtree(folder)
            print(name, rows[name], flush=True)
            RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
            arguments.out.write_text(page(rows, arguments.iterations))


if __name__ == "__main__":
    main()
