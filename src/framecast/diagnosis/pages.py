"""Common parts of all diagnoses: the windows, the figures and the page. Opens data and writes the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch
from markupsafe import Markup
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from torch import Tensor

from framecast.checks import check_counts
from framecast.data.orientation import column_order, row_order
from framecast.data.readers.options import ReadOptions
from framecast.data.windows.batches import evaluation_batches
from framecast.data.windows.presentation import Presentation
from framecast.errors import ConfigError
from framecast.forecasting.trained_model import TrainedModel
from framecast.report.figures import COLOURS, STYLE, png, svg
from framecast.report.page import write_page
from framecast.verification.windows import FramesLike, windows_of

Figure = tuple[str, str, str]
"""Heading, caption, and the figure as inline SVG or as an image element."""


class Windows(NamedTuple):
    """Scaled windows `(N, T + S, C, H, W)`, the lengths of context and horizon, and whether the first row is the southern."""

    frames: Tensor
    context: int
    horizon: int
    south_first: bool = False

    @property
    def past(self) -> Tensor:
        return self.frames[:, : self.context]

    @property
    def future(self) -> Tensor:
        return self.frames[:, self.context :]


class Diagnosis(NamedTuple):
    """The result of a diagnosis: a sentence, facts by name, and figures."""

    verdict: str
    facts: dict[str, str]
    figures: list[Figure]


def windows_for(run: Path, trained: TrainedModel, data: FramesLike | None, options: ReadOptions, limit: int) -> Windows:
    check_counts(limit=limit)
    shape = trained.card.shape
    if shape.actions or shape.inputs:
        raise ConfigError("models with actions or inputs are not diagnosed", where=run)
    if trained.card.head.rates:
        raise ConfigError(
            f"the head {trained.card.head.name} is not diagnosed",
            where=run,
            remedy="diagnose the model with head.name=values",
        )
    sources = windows_of(run, trained, data, options=options)
    source = sources.held_out()
    size = min(shape.height, source.size_of(0)[0]), min(shape.width, source.size_of(0)[1])
    chosen = range(0, len(source), max(1, len(source) // limit))[:limit]
    presentation = Presentation(trained.card.coordinates)
    batches = evaluation_batches(source, trained.card.scaling, 1, size, chosen, presentation)
    frames = torch.cat([batch.frames for _, batch in batches])
    own, learned = row_order(sources.frames[0]) if sources.frames else None, trained.card.row_order
    if None not in (own, learned) and own != learned:
        frames = frames.flip(-2)
    own_columns = column_order(sources.frames[0]) if sources.frames else None
    if None not in (own_columns, trained.card.column_order) and own_columns != trained.card.column_order:
        frames = frames.flip(-1)
    return Windows(frames, shape.context, source.shape.horizon, (learned or own) == "south_first")


def plot(draw: Callable[[Any], None], size: tuple[float, float] = (8.4, 2.8), columns: int = 1) -> str:
    """A figure as inline SVG; `draw` is called with its axes."""
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(1, columns, figsize=size, squeeze=False)
        draw(axes[0] if columns > 1 else axes[0, 0])
        figure.tight_layout()
        return svg(figure)


def maps(
    rows: list[tuple[str, list[np.ndarray]]], cmap: str = "viridis", symmetric: bool = False, south_first: bool = False
) -> str:
    """Rows of maps `(h, w)` on one scale, as an image; the first row of a map is at the top, or if it is the southern at the
    bottom."""
    values = np.concatenate([each.ravel() for _, row in rows for each in row])
    high = float(np.nanmax(np.abs(values))) or 1.0
    low = -high if symmetric else float(np.nanmin(values))
    columns = max(len(row) for _, row in rows)
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure, axes = plt.subplots(len(rows), columns, figsize=(9, 9 / columns * len(rows) + 0.2), squeeze=False)
        for line, (name, row) in zip(axes, rows, strict=True):
            line[0].set_ylabel(name, fontsize=8)
            for panel in line:
                panel.set(xticks=[], yticks=[])
            for panel, each in zip(line, row, strict=False):
                panel.imshow(each, cmap=cmap, vmin=low, vmax=high, origin="lower" if south_first else "upper")
        figure.tight_layout(pad=0.3)
        return f'<img alt="maps" src="{png(figure)}">'


def scatter(axes: Any, points: np.ndarray, labels: np.ndarray, names: dict[int, str]) -> None:
    for k, label in enumerate(sorted(set(labels.tolist()))):
        chosen = labels == label
        colour = "#bbbbbb" if label < 0 else COLOURS[k % 5]
        axes.plot(*points[chosen].T, "o", markersize=4, color=colour, label=names.get(label, f"group {label}"))
    axes.legend(frameon=False, fontsize=7)
    axes.set(xticks=[], yticks=[])


def format_number(value: float, needs: str) -> str:
    """A number as text; for NaN that it is undefined, and what it needs."""
    return f"undefined, needs {needs}" if np.isnan(value) else f"{value:.3f}"


def project(features: np.ndarray) -> np.ndarray:
    """Project features `(N, D)` to two dimensions, by t-SNE from 12 on, else by PCA. Raises ValueError if all are the same, in
    which case scikit-learn's t-SNE would end the process."""
    if not np.ptp(features, axis=0).any():
        raise ValueError("all features are the same")
    if len(features) < 12:
        return np.asarray(PCA(2).fit_transform(features))
    return np.asarray(
        TSNE(2, perplexity=min(30, len(features) / 4), init="pca", random_state=0).fit_transform(features)
    )


def write(diagnosis: Diagnosis, out: Path, title: str, facts: dict[str, str]) -> Path:
    """Write the page of a diagnosis to `out` and return its path. Raises `RunError`."""
    return write_page(
        "inspection.html",
        out,
        title=title,
        verdict=diagnosis.verdict,
        problems=(),
        concerns=(),
        facts=facts | diagnosis.facts,
        figures=[(heading, caption, Markup(image)) for heading, caption, image in diagnosis.figures],
    )
