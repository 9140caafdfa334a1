"""Logs of a run: CSV, TensorBoard, and pictures of validation forecasts."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from framecast.training.events import Progress, Validated

_SCALE, _GAP = 3, 2


class Logs:
    """Rows in `log.csv` and curves in `tensorboard/`, continued at `iteration` without rows that come twice."""

    FIELDS = ("iteration", "loss", "learning_rate", "frames_per_second", "validation_loss", "terms")

    def __init__(self, out: Path, iteration: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._file = out / "log.csv"
        self._forget_after(iteration)
        self._board: Any = SummaryWriter(str(out / "tensorboard"), purge_step=iteration)

    def progress(self, event: Progress) -> None:
        """Losses, learning rate and speed."""
        terms = " ".join(f"{name}={value:.6g}" for name, value in event.terms.items())
        self._write(
            event.iteration,
            loss=event.loss,
            learning_rate=event.learning_rate,
            frames_per_second=event.frames_per_second,
            terms=terms,
        )

    def validated(self, event: Validated) -> None:
        """The loss of the validation windows."""
        self._write(event.iteration, validation_loss=event.loss)

    def _write(self, iteration: int, **values: float | str) -> None:
        """One row; numbers become curves as well."""
        row = {"iteration": iteration, **values}
        line = io.StringIO()
        csv.DictWriter(line, self.FIELDS, restval="").writerow(row)
        with self._file.open("a", newline="") as file:
            file.write(line.getvalue())
        for name, value in values.items():
            if isinstance(value, float):
                self._board.add_scalar(name, value, iteration)

    def close(self) -> None:
        """Write out what is waiting."""
        self._board.close()

    def _forget_after(self, iteration: int) -> None:
        rows = []
        if self._file.is_file():
            with self._file.open(newline="") as file:
                rows = [row for row in csv.DictReader(file) if row["iteration"] and int(row["iteration"]) <= iteration]
        with self._file.open("w", newline="") as file:
            writer = csv.DictWriter(file, self.FIELDS, restval="")
            writer.writeheader()
            writer.writerows(rows)


def draw_strip(path: Path, truth: Tensor, forecast: Tensor) -> None:
    """A picture of one window: the truth `(T, C, H, W)` above, the forecast of its last frames `(S, C, H, W)` below.

    Values are those the model sees, 0 black and 1 white; the first channel only, or three as colours.
    """
    above = _row(truth)
    below = _row(forecast)
    empty = np.full((below.shape[0], above.shape[1] - below.shape[1], above.shape[2]), 64, dtype=np.uint8)
    gap = np.full((_GAP, above.shape[1], above.shape[2]), 64, dtype=np.uint8)
    strip = np.concatenate([above, gap, np.concatenate([empty, below], axis=1)])
    scale = max(1, _SCALE * 64 // truth.shape[-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(strip.repeat(scale, axis=0).repeat(scale, axis=1)).save(path)


def _row(frames: Tensor) -> np.ndarray:
    """Frames `(T, C, H, W)` beside each other `(H, T * (W + gap), 3)` uint8."""
    pictures = frames.detach().float().cpu().clamp(0, 1).numpy()
    channels = pictures if pictures.shape[1] == 3 else np.repeat(pictures[:, :1], 3, axis=1)
    framed = np.pad(channels, ((0, 0), (0, 0), (0, 0), (0, _GAP)), constant_values=0.25)
    return np.asarray(np.concatenate(list((framed * 255).astype(np.uint8).transpose(0, 2, 3, 1)), axis=1))
