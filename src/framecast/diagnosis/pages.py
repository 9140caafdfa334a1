"""Common parts of all diagnoses: the windows, the figures and the page. Opens data and writes the page."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from torch import Tensor

from framecast.checks import check_counts
from framecast.data.orientation import column_order, row_order
from framecast.data.readers.options import ReadOptions
from framecast.data.windows.batches import evaluation_batches
from framecast.data.windows.labels import Labels, labels_of
from framecast.data.windows.presentation import Presentation
from framecast.errors import ConfigError
from framecast.forecasting.trained_model import TrainedModel
from framecast.report.figures import COLOURS, MARKS, STYLE, png, svg
from framecast.report.page import write_page
from framecast.verification.windows import FramesLike, windows_of

_log = logging.getLogger(__name__)

PERPLEXITY, LEARNING_RATE, ITERATIONS = 30.0, 200.0, 250
"""The settings of t-SNE in ModeRNN (2022), section IV-B, on Euclidean distances."""
LONG = 1000
"""Iterations of Laurens van der Maaten and Geoffrey Hinton (2008), for a paper that cites them and prints no settings."""
FEWEST_PROJECTED = 12
"""The least number of points for t-SNE."""
WIDE = (4.6, 2.6)
"""Inches of a chart: on a telephone its text is still legible."""


_MAPS, _ACROSS = 6.5, 5
"""Inches of an image of maps, and maps in a row that is wrapped: on a telephone they are still seen."""


class Figure(NamedTuple):
    """Heading, caption, and the figure as inline SVG or as an image element."""

    heading: str
    caption: str
    image: str


class Windows(NamedTuple):
    """Scaled windows `(N, T + S, C, H, W)`, the lengths of context and horizon, whether the first row is the southern, the label
    by which windows are grouped, None where the data have none, and the `actions (N, T + S, A)` of a model that takes some."""

    frames: Tensor
    context: int
    horizon: int
    south_first: bool = False
    labels: Labels | None = None
    actions: Tensor | None = None

    def split(self, size: int) -> Iterator[Windows]:
        """So many of the windows after the other, without their labels."""
        for first in range(0, len(self.frames), size):
            part = slice(first, first + size)
            actions = None if self.actions is None else self.actions[part]
            yield self._replace(frames=self.frames[part], labels=None, actions=actions)

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


def windows_for(
    run: Path,
    trained: TrainedModel,
    data: FramesLike | None,
    options: ReadOptions,
    limit: int,
    group_by: str | None = None,
) -> Windows:
    """At most `limit` windows of the test split of a run, or of `data`, evenly spread, with the label `group_by` (by default the
    first that differs among them)."""
    check_counts(limit=limit)
    shape = trained.card.shape
    if shape.inputs:
        raise ConfigError("models with extra inputs are not diagnosed", where=run)
    if trained.card.head.rates:
        raise ConfigError(
            f"the head {trained.card.head.name} is not diagnosed",
            where=run,
            remedy="diagnose the model with head.name=values",
        )
    sources = windows_of(run, trained, data, options=options)
    for text in trained.notes(sources.frames):
        _log.warning("%s: %s", run, text)
    source = sources.held_out()
    size = min(shape.height, source.size_of(0)[0]), min(shape.width, source.size_of(0)[1])
    chosen = range(0, len(source), max(1, len(source) // limit))[:limit]
    presentation = Presentation(trained.card.coordinates)
    batches = [each for _, each in evaluation_batches(source, trained.card.scaling, 1, size, chosen, presentation)]
    frames = torch.cat([batch.frames for batch in batches])
    known = [batch.actions for batch in batches if batch.actions is not None] if shape.actions else []
    own, learned = row_order(sources.frames[0]) if sources.frames else None, trained.card.row_order
    if None not in (own, learned) and own != learned:
        frames = frames.flip(-2)
    own_columns = column_order(sources.frames[0]) if sources.frames else None
    if None not in (own_columns, trained.card.column_order) and own_columns != trained.card.column_order:
        frames = frames.flip(-1)
    labels = labels_of(source, chosen, group_by)
    south_first = (learned or own) == "south_first"
    actions = torch.cat(known) if known else None
    return Windows(frames, shape.context, source.shape.horizon, south_first, labels, actions)


def plot(draw: Callable[[Any], None], size: tuple[float, float] = WIDE, grid: tuple[int, int] | None = None) -> str:
    """A figure as inline SVG; `draw` is called with its axes, with a `grid` of rows and columns with an array of them."""
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(*(grid or (1, 1)), figsize=size, squeeze=False)
        draw(axes if grid else axes[0, 0])
        figure.tight_layout()
        return svg(figure)


def picture(frame: Tensor) -> np.ndarray:
    """A frame `(C, H, W)` as an image: three channels as colours `(H, W, 3)`, else their mean `(H, W)`."""
    if len(frame) == 3:
        return frame.clamp(0, 1).permute(1, 2, 0).numpy()
    return frame.mean(0).numpy()


def maps(
    rows: list[tuple[str, list[np.ndarray]]], cmap: str = "viridis", symmetric: bool = False, south_first: bool = False
) -> str:
    """Rows of maps `(h, w)`, or of colours `(h, w, 3)`, on one scale, as an image; the first row of a map is at the top, or if it
    is the southern at the bottom."""
    values = np.concatenate([each.ravel() for _, row in rows for each in row])
    high = float(np.nanmax(np.abs(values))) or 1.0
    low = -high if symmetric else float(np.nanmin(values))
    columns = max(len(row) for _, row in rows)
    labelled = 0.8 if any(name for name, _ in rows) else 0.0
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        height = (_MAPS - labelled) / columns * len(rows)
        figure, axes = plt.subplots(len(rows), columns, figsize=(_MAPS, height), squeeze=False)
        for line, (name, row) in zip(axes, rows, strict=True):
            line[0].set_ylabel(name, rotation=0, ha="right", va="center")
            for panel in line:
                panel.set(xticks=[], yticks=[])
                panel.spines[:].set_visible(False)
            for panel, each in zip(line, row, strict=False):
                panel.imshow(each, cmap=cmap, vmin=low, vmax=high, origin="lower" if south_first else "upper")
        figure.tight_layout(pad=0.3)
        return f'<img alt="maps" src="{png(figure)}">'


def count_axis(axes: Any) -> None:
    """Ticks of the x axis at whole numbers only."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def wrapped(images: Sequence[np.ndarray], numbers: Sequence[int]) -> list[tuple[str, list[np.ndarray]]]:
    """Images as rows of `_ACROSS`, each row labelled by the `numbers` of its first and last image."""
    rows = []
    for k in range(0, len(images), _ACROSS):
        part = numbers[k : k + _ACROSS]
        rows.append((f"{part[0]} to {part[-1]}" if len(part) > 1 else str(part[0]), list(images[k : k + _ACROSS])))
    return rows


def look(number: int, code: int = 0) -> dict[str, Any]:
    """Colour and mark of the group `number`; grey with a negative `code`: of none."""
    return {"color": "#bbbbbb" if code < 0 else COLOURS[number % 5], "marker": MARKS[number // 5 % 5]}


def legend_below(axes: Any, entries: int, title: str | None = None, gap: float = 0.02) -> None:
    """A legend under the axes, where it hides nothing."""
    columns = min(entries, 4)
    axes.legend(
        frameon=False, fontsize=8, title=title, title_fontsize=8, ncols=columns, loc="upper center",
        bbox_to_anchor=(0.5, -gap), handletextpad=0.2, columnspacing=1.2,
    )  # fmt: skip


def scatter(
    axes: Any, points: np.ndarray, codes: np.ndarray, names: Mapping[int, str] | Sequence[str], title: str | None = None
) -> None:
    """Points `(N, 2)` in the colours of their groups, with a legend below."""
    used = sorted(set(codes.tolist()))
    for k, code in enumerate(used):
        axes.plot(*points[codes == code].T, linestyle="", markersize=4, label=names[code], **look(k, code))
    legend_below(axes, len(used), title)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def format_number(value: float, needs: str) -> str:
    """A number as text; for NaN that it is undefined, and what it needs."""
    return f"undefined, needs {needs}" if np.isnan(value) else f"{value:.3f}"


def project(features: np.ndarray, iterations: int = ITERATIONS) -> np.ndarray:
    """Project features `(N, D)` to two dimensions, by t-SNE with the settings of ModeRNN (2022) from `FEWEST_PROJECTED` on, else
    by PCA. The perplexity is less where there are fewer than three points for each neighbour. Raises ValueError if all are the
    same, in which case scikit-learn's t-SNE would end the process."""
    if not np.ptp(features, axis=0).any():
        raise ValueError("all features are the same")
    if features.shape[1] == 1:
        features = np.pad(features, ((0, 0), (0, 1)))
    if len(features) < FEWEST_PROJECTED:
        return np.asarray(PCA(2).fit_transform(features))
    tsne = TSNE(
        2,
        perplexity=_perplexity(len(features)),
        learning_rate=LEARNING_RATE,
        max_iter=iterations,
        init="pca",
        random_state=0,
    )
    return np.asarray(tsne.fit_transform(features))


def describe_projection(count: int, iterations: int = ITERATIONS) -> str:
    """How `project` projects `count` points, in words."""
    if count < FEWEST_PROJECTED:
        return f"Projected by PCA: t-SNE takes {FEWEST_PROJECTED} points"
    perplexity = _perplexity(count)
    fewer = "" if perplexity == PERPLEXITY else f" ({PERPLEXITY:.0f} takes {3 * PERPLEXITY + 1:.0f} points)"
    return (
        f"t-SNE of {count} points: perplexity {perplexity:.3g}{fewer}, learning rate {LEARNING_RATE:.0f}, "
        f"{iterations:,} iterations, Euclidean, started from PCA"
    )


def _perplexity(count: int) -> float:
    return min(PERPLEXITY, (count - 1) / 3)


def write(diagnosis: Diagnosis, out: Path, title: str, facts: dict[str, str]) -> Path:
    """Write the page of a diagnosis to `out` and return its path. Raises `RunError`."""
    return write_page(
        "inspection.html",
        out,
        title=title,
        verdict=diagnosis.verdict,
        problems=(),
        concerns=(),
        facts_title="Numbers",
        facts=facts | diagnosis.facts,
        figures=[(heading, caption, Markup(image)) for heading, caption, image in diagnosis.figures],
    )
