"""Logs of a run: CSV, TensorBoard, MLflow (optional), and images of validation forecasts.

Everything is written to the folder of the run; only `MLflow` uses the network.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from framecast.checks import require
from framecast.errors import ConfigError
from framecast.reading.paths import read_bytes, read_text
from framecast.training.events import Progress, Validated
from framecast.writing import append_text, write_bytes, write_errors, write_text

_SCALE, _GAP = 3, 2
_LARGEST = 2**30
"""Bytes of a log that are read at most."""


class MLflow:
    """Curves in a run of MLflow, with the methods of TensorBoard's writer. If the server fails, training continues, nothing
    more is sent, and `failure` holds the reason. Raises `ConfigError` if MLflow is not installed or `uri` cannot be used."""

    EXPERIMENT, RUN = "framecast", "mlflow.txt"

    def __init__(self, uri: str) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # no usage reports
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        os.environ.setdefault(
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3"
        )  # the default of 7 can block a step for four minutes
        require("mlflow", extra="mlflow", purpose="sending curves to MLflow", where="training.mlflow")
        from mlflow.tracking import MlflowClient

        self.failure = ""
        self._uri, self._run = uri, ""
        self._sent: dict[str, int] = {}
        with self._as_config_error():
            self._client = MlflowClient(tracking_uri=uri)
            existing = self._client.get_experiment_by_name(self.EXPERIMENT)
            self._experiment = existing.experiment_id if existing else self._client.create_experiment(self.EXPERIMENT)

    def begin(self, out: Path) -> None:
        """Continue the run of MLflow that a file in the folder `out` names, after the last value of each curve; else create one
        and write its name there."""
        with self._as_config_error():
            if (out / self.RUN).is_file():
                self._run = read_text(out / self.RUN).strip()
                self._client.update_run(self._run, status="RUNNING")
                for name in self._client.get_run(self._run).data.metrics:
                    history = self._client.get_metric_history(self._run, name)
                    self._sent[name] = max(value.step for value in history)
            else:
                self._run = self._client.create_run(self._experiment, run_name=out.name).info.run_id
                write_text(out / self.RUN, f"{self._run}\n")

    def add_scalar(self, name: str, value: float, iteration: int) -> None:
        """Add a value to a curve, unless the run has it already."""
        if iteration > self._sent.get(name, -1):
            self._send(lambda: self._client.log_metric(self._run, name, value, step=iteration))

    def close(self) -> None:
        """Mark the run of MLflow as finished."""
        self._send(lambda: self._client.set_terminated(self._run))

    def _send(self, call: Callable[[], None]) -> None:
        if self.failure:
            return
        try:
            call()
        except Exception as error:  # MLflow's own errors, and those of its HTTP client
            self.failure = (
                f"MLflow at {self._uri} failed and receives no more curves ({error}); log.csv has all of them"
            )

    @contextmanager
    def _as_config_error(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raise ConfigError(f"{self._uri} cannot be used: {error}", where="training.mlflow") from error


class Logs:
    """Rows in `log.csv` and curves in `tensorboard/` and, if given, `mlflow`. A run that is resumed at `iteration` continues with
    `text`, the log of its checkpoint; without, with the rows of the file up to there. `text` is the log so far."""

    FIELDS = ("iteration", "loss", "learning_rate", "frames_per_second", "validation_loss", "terms")

    def __init__(self, out: Path, iteration: int, mlflow: MLflow | None = None, text: str | None = None) -> None:
        require("tensorboard", extra="train", purpose="training")
        from torch.utils.tensorboard import SummaryWriter

        self._file = out / "log.csv"
        stored = read_bytes(self._file, _LARGEST) if self._file.is_file() else b""
        self.text = _rows_until(stored, iteration, self.FIELDS) if text is None else text
        self.warnings = []
        if iteration and not stored.startswith(self.text.encode()):
            self.warnings.append(f"log.csv was damaged and was restored to its {len(self.text.splitlines()) - 1} rows")
        write_text(self._file, self.text)
        self._mlflow, self._has_warned = mlflow, False
        if mlflow is not None:
            mlflow.begin(out)
        self._board_folder = out / "tensorboard"
        self._boards: list[Any] = [] if mlflow is None else [mlflow]
        try:
            folder = os.fsencode(self._board_folder).decode()
        except UnicodeDecodeError:
            self.warnings.append("no curves in tensorboard/: TensorBoard cannot write to a path that is not in UTF-8")
            return
        with write_errors(self._board_folder):
            self._boards.insert(0, SummaryWriter(folder, purge_step=iteration))

    def progress(self, event: Progress) -> None:
        """Log losses, learning rate and speed."""
        terms = " ".join(f"{name}={value:.6g}" for name, value in event.terms.items())
        self._write(
            event.iteration,
            loss=event.loss,
            learning_rate=event.learning_rate,
            frames_per_second=event.frames_per_second,
            terms=terms,
        )

    def validated(self, event: Validated) -> None:
        """Log the loss of the validation windows."""
        self._write(event.iteration, validation_loss=event.loss)

    def _write(self, iteration: int, **values: float | str) -> None:
        """Write one row; numbers become points of curves as well."""
        row = {"iteration": iteration, **values}
        line = io.StringIO()
        csv.DictWriter(line, self.FIELDS, restval="").writerow(row)
        self.text += line.getvalue()
        append_text(self._file, line.getvalue())
        with write_errors(self._board_folder):  # TensorBoard writes its files itself
            for name, value in values.items():
                if isinstance(value, float):
                    for board in self._boards:
                        board.add_scalar(name, value, iteration)

    def failure(self) -> str:
        """Why MLflow receives no more curves, once after it failed; else an empty string."""
        if self._mlflow is None or self._has_warned:
            return ""
        self._has_warned = bool(self._mlflow.failure)
        return self._mlflow.failure

    def close(self) -> None:
        """Flush and close all logs."""
        with write_errors(self._board_folder):
            for board in self._boards:
                board.close()


def _rows_until(stored: bytes, iteration: int, fields: Sequence[str]) -> str:
    """The valid rows of a log up to an iteration, with the header."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(fields)
    for line in stored.decode(errors="replace").splitlines(keepends=True)[1:]:
        row = next(csv.reader([line]), [])
        if line.endswith("\n") and len(row) == len(fields) and row[0].isdecimal() and int(row[0]) <= iteration:
            writer.writerow(row)
    return text.getvalue()


def draw_strip(path: Path, observed: Tensor, forecast: Tensor, south_first: bool = False) -> None:
    """Save an image of one window: observed frames `(T, C, H, W)` above, the forecast of the last frames `(S, C, H, W)` below;
    north is at the top where the first row is the southern.

    Values are normalised, 0 black and 1 white; the first channel only, or three as colours.
    """
    above, below = (_row(frames.flip(-2) if south_first else frames) for frames in (observed, forecast))
    empty = np.full((below.shape[0], above.shape[1] - below.shape[1], above.shape[2]), 64, dtype=np.uint8)
    gap = np.full((_GAP, above.shape[1], above.shape[2]), 64, dtype=np.uint8)
    strip = np.concatenate([above, gap, np.concatenate([empty, below], axis=1)])
    scale = max(1, _SCALE * 64 // observed.shape[-1])
    image = io.BytesIO()
    Image.fromarray(strip.repeat(scale, axis=0).repeat(scale, axis=1)).save(image, format="PNG")
    write_bytes(path, image.getbuffer())


def _row(frames: Tensor) -> np.ndarray:
    """Frames `(T, C, H, W)` in one row `(H, T * (W + gap), 3)` uint8."""
    images = frames.detach().float().cpu().clamp(0, 1).numpy()
    channels = images if images.shape[1] == 3 else np.repeat(images[:, :1], 3, axis=1)
    framed = np.pad(channels, ((0, 0), (0, 0), (0, 0), (0, _GAP)), constant_values=0.25)
    return np.asarray(np.concatenate(list((framed * 255).astype(np.uint8).transpose(0, 2, 3, 1)), axis=1))
