"""Measures the speed of a training step on this CPU against plain implementations of the same models.

    python benchmarks/training.py [--models predrnn_v2 mim ...] [--repeats 5] [--memory plain|framecast|'segments of 2']

Four layers of 64 channels, 5x5 kernels, frames of 64 x 64 in patches of 4, 10 -> 10, batch 8. The plain forms of PredRNN-V2 and
ModeRNN are in plain.py, written from the equations; those of the others are framecast with `use_algorithm("direct")`, which
computes one convolution and one gate after the other. Each model is measured in a process of its own, since the layout of memory
depends on earlier allocations. `--memory` prints the peak memory of one form in this process, with an optimiser; its moments and
the part of PyTorch that it loads (0.14 GiB) are included.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import torch
from measuring import alternating, line, machine
from plain import PlainModeRNN, PlainPredRNNV2, Rollout, copy_weights
from torch import nn

from framecast.models import (
    MIM,
    ConvLSTM,
    ConvTTLSTM,
    MoDeRNN,
    ModeRNN,
    MotionRNN,
    PredRNN,
    PredRNNPlusPlus,
    PredRNNV2,
)
from framecast.ops.choice import use_algorithm
from framecast.ops.native.memory import keep_free
from framecast.types import FrameShape

SHAPE = FrameShape(1, 64, 64, 10, 10)
BATCH, HIDDEN = 8, (64, 64, 64, 64)
MODELS: dict[str, Any] = {
    "predrnn_v2": PredRNNV2(hidden=HIDDEN),
    "motionrnn": MotionRNN(backbone=PredRNN(hidden=HIDDEN)),
    "mim": MIM(hidden=HIDDEN, kernel=5),
    "predrnn_pp": PredRNNPlusPlus(hidden=HIDDEN),
    "convlstm": ConvLSTM(hidden=HIDDEN),
    "conv_tt_lstm": ConvTTLSTM(hidden=HIDDEN),
    "modernn_dcb": MoDeRNN(hidden=HIDDEN),
    "modernn_slots": ModeRNN(hidden=HIDDEN),
}
SEGMENTS = {f"segments of {n}": PredRNNV2(hidden=HIDDEN, segment=n) for n in (5, 2)}


def ending(model: nn.Module, optimised: bool) -> Callable[[], None]:
    """Build the end of a training step: the update and the reset of gradients."""
    optimiser = torch.optim.AdamW(model.parameters()) if optimised else None

    def end() -> None:
        if optimiser is not None:
            optimiser.step()
        model.zero_grad()

    return end


def forms(config: Any, optimised: bool = False) -> dict[str, Callable[[], None]]:
    """Build a training step of framecast and of the plain form with the same weights, with or without an optimiser."""
    torch.manual_seed(0)
    model = config.build(SHAPE).train()
    frames = torch.rand(BATCH, SHAPE.context + SHAPE.horizon, 1, SHAPE.height, SHAPE.width)
    teacher = torch.rand(BATCH, frames.shape[1] - 1) < 0.5
    teacher[:, 0] = True
    end = ending(model, optimised)

    def ours() -> None:
        predicted, losses, _ = model(frames, teacher)
        ((predicted - frames[:, 1:]).square().mean() + sum(losses.values())).backward()
        end()

    def direct() -> None:
        with use_algorithm("direct"):
            ours()

    plain: Rollout
    if isinstance(config, PredRNNV2):
        plain = PlainPredRNNV2(1, HIDDEN, config.kernel, config.patch, config.decoupling).train()
    elif isinstance(config, ModeRNN):
        grid = SHAPE.height // config.patch, SHAPE.width // config.patch
        plain = PlainModeRNN(1, HIDDEN, config.patch, config.slots, grid).train()
    else:
        return {"framecast": ours, "plain": direct}
    copy_weights(plain, model)
    end_theirs = ending(plain, optimised)

    def theirs() -> None:
        predicted, loss = plain(frames, teacher)
        ((predicted - frames[:, 1:]).square().mean() + loss).backward()
        end_theirs()

    return {"framecast": ours, "plain": theirs}


def main() -> None:
    """Print one line for each model."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--repeats", type=int, default=5)
    full = MODELS["predrnn_v2"]
    configs = {"framecast": full, **SEGMENTS}
    parser.add_argument("--memory", choices=("plain", *configs))
    options = parser.parse_args()
    keep_free()  # as training does
    if options.memory:
        config, form = (full, "plain") if options.memory == "plain" else (configs[options.memory], "framecast")
        step = forms(config, optimised=True)[form]
        for _ in range(2):
            step()
        print(f"{options.memory}: peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.3f} GiB")
        return
    if len(options.models) > 1:
        for name in options.models:
            command = [sys.executable, __file__, "--models", name, "--repeats", str(options.repeats)]
            subprocess.run(command, check=True)
        return
    from framecast.models.parts.flops import multiply_accumulates  # late: its 70 MiB would count in the memory above

    print(machine())
    (name,) = options.models
    times = alternating(forms(MODELS[name]), options.repeats)
    work = 3 * 2 * BATCH * multiply_accumulates(MODELS[name], SHAPE) / 1e9
    print(line(name, times), f"- direct work {work / min(times['plain']):.0f} GFLOP/s", flush=True)
    if name == "predrnn_v2":
        for form, segmented in SEGMENTS.items():
            both = {form: forms(segmented)["framecast"], "all activations": forms(full)["framecast"]}
            print(
                line("activation checkpointing", alternating(both, options.repeats), of="all activations"), flush=True
            )


if __name__ == "__main__":
    main()
