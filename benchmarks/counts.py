# ruff: noqa: E501  - a table reads best with a row a line
"""Counts the parameters and multiply-accumulates of the configurations in the papers, and prints them with the published numbers.

    python benchmarks/counts.py > docs/counts.md

Only shapes are computed. Multiply-accumulates are for one window, T - 1 steps for next-step models.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from framecast.models import (
    E3DLSTM,
    MIM,
    TAU,
    TCTN,
    VQVAE,
    ActionPredRNN,
    ConvLSTM,
    MoDeRNN,
    ModeRNN,
    ModularDesign,
    MotionRNN,
    PhyDNet,
    PredRNN,
    PredRNNPlusPlus,
    PredRNNV2,
    SimVP,
)
from framecast.models.parts.flops import multiply_accumulates, parameters
from framecast.types import FrameShape

HUMAN = FrameShape(3, 128, 128, 4, 4)
MNIST = FrameShape(1, 64, 64, 10, 10)
BAIR = FrameShape(3, 64, 64, 2, 10, 4)
ROBONET = FrameShape(3, 64, 64, 5, 10)
D64: Any = {"hidden": (64,) * 4}
D128: Any = {"hidden": (128,) * 4}
PEEPHOLES = ConvLSTM(**D64, peephole="conv")


class Row(NamedTuple):
    """A configuration, its published numbers, and a note that explains a difference."""

    name: str
    config: Any
    shape: FrameShape
    printed: str
    note: str = ""


ROWS = {
    "Human3.6M, 128 x 128 x 3, 4 -> 4 (MotionRNN, table 2)": [
        Row("PredRNN 64x4", PredRNN(**D64), HUMAN, "6.41 M / 46.0 G"),
        Row("MIM 64x4", MIM(**D64), HUMAN, "9.79 M / 70.2 G", "printed without the 1,179,648 peepholes, and with the MIM-N call of the first step, which is discarded"),
        Row("ConvLSTM 64x4", PEEPHOLES, HUMAN, "4.41 M / 31.6 G", "with convolutional peepholes, deduced"),
        Row("E3D-LSTM 64x4", E3DLSTM(**D64), HUMAN, "20.4 M / 292 G", "unexplained: another kernel or window"),
        Row("MotionRNN + ConvLSTM", MotionRNN(backbone=PEEPHOLES), HUMAN, "5.21 M / 36.6 G"),
        Row("MotionRNN + PredRNN", MotionRNN(backbone=PredRNN(**D64)), HUMAN, "7.01 M / 49.5 G", "unexplained: two convolutional gates instead of three would give 7,009,793"),
        Row("MotionRNN + MIM", MotionRNN(backbone=MIM(**D64)), HUMAN, "10.4 M / 73.7 G", "as MIM"),
        Row("MotionRNN + E3D-LSTM", MotionRNN(backbone=E3DLSTM(**D64)), HUMAN, "21.3 M / 303 G", "as E3D-LSTM"),
    ],
    "Moving MNIST, 64 x 64, 10 -> 10 (OpenSTL)": [
        Row("ConvLSTM 128x4", ConvLSTM(**D128), MNIST, "15.0 M / 56.8 G", "printed with weights that are never used"),
        Row("PredRNN 128x4", PredRNN(**D128), MNIST, "23.8 M / 116.0 G"),
        Row("PredRNN-V2 128x4", PredRNNV2(**D128), MNIST, "23.9 M / 116.6 G", "printed with the decoupling, which a forecast does without"),
        Row("PredRNN++ 128x4", PredRNNPlusPlus(**D128), MNIST, "38.6 M / 171.7 G", "printed with weights that are never used"),
        Row("MIM 128x4", MIM(**D128), MNIST, "38.0 M / 179.2 G", "printed with weights that are never used"),
        Row("E3D-LSTM 128x4", E3DLSTM(**D128), MNIST, "51.0 M / 298.9 G"),
        Row("PhyDNet", PhyDNet(), MNIST, "3.1 M / 15.3 G"),
        Row("SimVP gSTA", SimVP(), MNIST, "46.8 M / 16.5 G"),
        Row("SimVP IncepU", SimVP(kind="incepu"), MNIST, "58.0 M / 19.4 G"),
        Row("TAU", TAU(), MNIST, "44.7 M / 16.0 G"),
    ],
    "Others": [
        Row("MoDeRNN 64x4, Moving MNIST", MoDeRNN(), MNIST, "4.590 M", "unexplained; without the weights of LayerNorms 3,901,520"),
        Row("ModeRNN 64x4, RoboNet", ModeRNN(), ROBONET, '6.4 "MB"', "unexplained; the released code owns 5,888,520, of which it uses these"),
        Row("TCTN 128, Moving MNIST", TCTN(), MNIST, "-", "the released code owns 31,900,032, of which it uses these"),
        Row("VQ-VAE, Moving MNIST", VQVAE(codebook="gradient"), MNIST, "2.17 M", "layers deduced from this number"),
        Row("PredRNN-modular, predictor", ModularDesign(), MNIST, "6.60 M", "multiply-accumulates with the autoencoder"),
        Row("action PredRNN 64x4, BAIR", ActionPredRNN(), BAIR, "-"),
        Row("action PredRNN-V2 128x4, BAIR", ActionPredRNN(**D128, decoupling=0.1), BAIR, "-"),
    ],
}  # fmt: skip


def main() -> None:
    """Print the page."""
    print("# Parameters and multiply-accumulates\n\nComputed by `python benchmarks/counts.py`, beside what is printed.")
    for title, rows in ROWS.items():
        print(
            f"\n## {title}\n\n| model | printed | weights | multiply-accumulates | |\n| --- | --- | --- | --- | --- |"
        )
        for row in rows:
            with torch.device("meta"):
                weights = parameters(row.config.build(row.shape))
            work = multiply_accumulates(row.config, row.shape) / 1e9
            print(f"| {row.name} | {row.printed} | {weights:,} | {work:.2f} G | {row.note} |")


if __name__ == "__main__":
    main()
