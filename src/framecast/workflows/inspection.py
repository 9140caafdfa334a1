"""The public functions `framecast.inspect` and `framecast.training_cost`: the content of an archive, and a recipe's cost.

The inspection reads the frames, and writes a page only if `page` is given; the cost is measured by one training step on zeros.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from framecast.checks import (
    as_html_path,
    as_path,
    check_counts,
    check_fraction,
    check_kind,
    refuses_arrays,
    replace_fields,
    takes_fields_of,
)
from framecast.colours import check_palette
from framecast.config.recipes import read
from framecast.data.archives.opening import open as open_frames
from framecast.data.frames import check_frames
from framecast.data.inspection.inspect import Inspection, inspect_frames
from framecast.data.readers.options import DEFAULT, ReadOptions
from framecast.data.windows.splits import ByBlocks, Split
from framecast.errors import ArgumentError
from framecast.training.cost import estimate


@takes_fields_of(ReadOptions)
@refuses_arrays
def inspect(
    data: xr.DataArray | str | Path | Sequence[str | Path],
    *,
    context: int = 10,
    horizon: int = 10,
    stride: int = 1,
    min_valid: float = 0.5,
    split: Split | None = None,
    page: str | Path | None = None,
    palette: str | None = None,
    options: ReadOptions = DEFAULT,
    **stated: Any,
) -> Inspection:
    """Inspect opened Frames, or what `framecast.open` takes: range, units, gaps, missing data, stuck frames, windows, leakage.

    `context`, `horizon`, `stride` and `min_valid` define the windows that are counted, `split` the rule by which frames are held
    out (by blocks of time by default). With `page` the result is also written as an HTML page with figures, rain in the
    colours of `palette`. `options` apply to files, not to opened Frames.

    Raises `DataError` if the data cannot be opened, `ArgumentError` for an invalid argument, and `RunError` if the page cannot
    be written.
    """
    counts = {"context": context, "horizon": horizon, "stride": stride}
    check_counts(**{name: 0 if count is None else count for name, count in counts.items()})  # None is allowed elsewhere
    check_fraction(min_valid, "min_valid")
    check_kind(ReadOptions, options=options)
    target = None if page is None else as_html_path(page, "page")
    if palette is not None:
        check_palette(palette)
    options = replace_fields(options, stated)
    if isinstance(data, str | Path | list | tuple):
        frames = open_frames(data, options)
    else:
        frames = check_frames(data)
        for name in options.stated:
            raise ArgumentError(
                "given for frames that are open already", parameter=name, remedy=f"framecast.open(path, {name}=...)"
            )
    inspection = inspect_frames(frames, context, horizon, stride, min_valid, split or ByBlocks())
    if target is not None:
        from framecast.report.inspection import write_inspection  # late: without a page, matplotlib is not needed

        title = f"What is in {data}" if isinstance(data, str | Path) else "What is in the data"
        write_inspection(inspection, target, title=title, palette=palette)
    return inspection


@takes_fields_of(ReadOptions)
@refuses_arrays
def training_cost(
    recipe: str | Path, data: str | Path, *, options: ReadOptions = DEFAULT, **stated: Any
) -> dict[str, str]:
    """Measure the cost of training `recipe` on the files `data`: weights, work, time and memory of a step, as text by name.

    `recipe` is that of `framecast.train`; `options` and keywords say how the files are read. Raises `ConfigError` for an invalid
    recipe, and `DataError` if the data cannot be opened or hold no window for training.
    """
    check_kind(ReadOptions, options=options)
    path = as_path(data, "a file, folder or glob pattern of frames", "data")
    settings = {"path": str(path), **replace_fields(options, stated).stated}
    return estimate(read(recipe, [f"data.{name}={json.dumps(value)}" for name, value in settings.items()]))
