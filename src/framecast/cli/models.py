"""Commands that train models and use them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import framecast
from framecast.cli.arguments import (
    DataPath,
    Inputs,
    OptionalData,
    Overwrite,
    Reading,
    by_name,
    height_width,
    numbers,
    spread,
)
from framecast.cli.judging import warn
from framecast.cli.score_tables import brief, print_scores


@spread
def demo(
    reading: Reading,
    data: OptionalData = None,
    out: Annotated[
        Path, typer.Option(help="Folder for everything it makes; one of an earlier demo is replaced.")
    ] = Path("demo"),
    digits: Annotated[
        str, typer.Option(help="Without --data: 'bundled', or a folder with MNIST's IDX files.")
    ] = "bundled",
    iterations: Annotated[int | None, typer.Option(help="How long to train; 550 unless stated.", min=1)] = None,
) -> None:
    """Train, verify against baselines, forecast and write a report: a few minutes on two cores."""
    from rich.console import Console

    from framecast.workflows.demo import ITERATIONS
    from framecast.workflows.demo import demo as run_demo

    console = Console()
    verification, report = run_demo(
        data,
        options=reading.options,
        digits=digits,
        out=out,
        iterations=iterations or ITERATIONS,
        console=console,
    )
    print_scores(verification, console)
    console.print(f"report: {report}", highlight=False, markup=False, soft_wrap=True)


def train(
    recipe: Annotated[str | None, typer.Argument(help="A row of a recipe: recipes/radar.yaml#predrnn_v2")] = None,
    settings: Annotated[list[str] | None, typer.Argument(help="What to change in it: data.path=archive/ ...")] = None,
    out: Annotated[Path | None, typer.Option(help="A new folder; runs/<model>-<time> by default.")] = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="Go on with this run, exactly where it stopped; training.iterations=N makes it longer."),
    ] = None,
) -> None:
    """Train a model as a recipe says, or go on with a run."""
    from framecast.errors import ConfigError
    from framecast.training import resume as go_on
    from framecast.training import train as begin

    if resume is None:
        if recipe is None:
            raise ConfigError(
                "no recipe given", remedy="framecast train recipes/radar.yaml#predrnn_v2 data.path=archive/"
            )
        print(begin(recipe, settings or [], out=out))
        return
    given = [text for text in (recipe, *(settings or [])) if text]
    lengths = [text.removeprefix("training.iterations=") for text in given]
    if not all(text.isdecimal() for text in lengths):
        raise ConfigError("with --resume only training.iterations=NUMBER may be given", where="command line")
    print(go_on(resume, int(lengths[-1]) if lengths else None))


@spread
def forecast(
    reading: Reading,
    run: Annotated[Path, typer.Argument(help="The folder of a run or of a saved model.")],
    data: DataPath,
    horizon: Annotated[int, typer.Option(min=1, help="How many frames to forecast; may be longer than trained.")],
    out: Annotated[Path, typer.Option(help="nowcast.nc, nowcast.zarr, or to look at: nowcast.mp4, nowcast.gif")],
    actions: Annotated[
        Path | None, typer.Option(help="A .npy with the actions of every step, for a model that takes them.")
    ] = None,
    inputs: Inputs = None,
    tile: Annotated[
        int | None, typer.Option(min=1, help="Forecast larger frames in tiles of so many pixels, to save memory.")
    ] = None,
    overlap: Annotated[int, typer.Option(min=0, help="Pixels that neighbouring tiles share.")] = 64,
    overwrite: Overwrite = False,
) -> None:
    """Forecast the frames after the newest ones, on their grid, without any future frame."""
    from rich.console import Console

    from framecast.data.archives.opening import open_like
    from framecast.data.frames import coverage, impossible
    from framecast.data.quantities import of
    from framecast.data.readers.numpy_files import array_of
    from framecast.data.windows.inputs import moved
    from framecast.forecasting.write import check_target

    check_target(out, overwrite=overwrite)
    trained = framecast.load(run, tile=tile, overlap=overlap)
    frames = open_like(data, reading.options, trained.card.read_options)
    newest = frames.isel(time=slice(-trained.context, None))
    for said in (*frames.attrs["repairs"], *impossible(coverage(newest), of(newest))):
        warn(Console(stderr=True), said)
    taken = None if actions is None else array_of(actions)
    context = newest if "sequence" not in frames.dims else None
    beside = moved(trained.card.inputs, inputs or ())
    framecast.write(trained.forecast(frames, horizon, taken, beside), out, overwrite=overwrite, context=context)
    print(out)


@spread
def diagnose(
    reading: Reading,
    run: Annotated[Path, typer.Argument(help="The folder of a run or of a saved model.")],
    kind: Annotated[
        str, typer.Argument(help="decoupling, gradients, response, collapse, slots, motion, attention, attribution")
    ],
    data: OptionalData = None,
    beside: Annotated[
        list[Path] | None,
        typer.Option(
            help="Two runs or more, for collapse: do forecasts blur where features collapse? The correlation."
        ),
    ] = None,
    reach: Annotated[
        float, typer.Option(help="With --beside: eps of DBSCAN, in median distances to a neighbour.")
    ] = 1.0,
    min_samples: Annotated[int, typer.Option(min=1, help="With --beside: of DBSCAN.")] = 4,
    limit: Annotated[int, typer.Option(min=1, help="How many windows to look at.")] = 32,
    out: Annotated[Path | None, typer.Option(help="RUN/diagnosis-KIND.html by default.")] = None,
) -> None:
    """Look inside a model: what its memories, gradients, features, slots, motions and attention do, as a page."""
    from rich.console import Console

    from framecast.diagnosis import across
    from framecast.diagnosis import diagnose as look
    from framecast.errors import ConfigError

    if beside and kind != "collapse":
        raise ConfigError("models are only put beside each other in collapse", where="--beside")
    if beside:
        page = out or run / "diagnosis-collapse-across.html"
        found, page = across(
            by_name([run, *beside]),
            data,
            options=reading.options,
            out=page,
            limit=limit,
            reach=reach,
            min_samples=min_samples,
        )
    else:
        found, page = look(run, kind, data, options=reading.options, out=out, limit=limit)
    console = Console()
    console.print(found.verdict, highlight=False, markup=False)
    for name, value in found.facts.items():
        console.print(f"  {name}: {value}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"page: {page}", highlight=False, markup=False, soft_wrap=True)


def reproduce(
    recipe: Annotated[str, typer.Argument(help="recipes/moving_mnist.yaml, or one row of it: ...yaml#predrnn")],
    settings: Annotated[list[str] | None, typer.Argument(help="What to change in it: data.images=mnist/ ...")] = None,
    scale: Annotated[float, typer.Option(help="Share of the published training, 1 for all of it.")] = 1.0,
    out: Annotated[Path, typer.Option(help="Folder for the runs; finished ones are not trained again.")] = Path(
        "runs/reproduced"
    ),
) -> None:
    """Run the rows of a published table again, and print ours beside theirs."""
    from rich.console import Console
    from rich.table import Table

    from framecast.workflows.reproduce import reproduce as run_again

    results = run_again(recipe, settings or [], scale=scale, out=out)
    table = Table(title=recipe)
    for column in ("row", "score", "ours", "theirs", "verdict"):
        table.add_column(column)
    for result in results:
        table.add_row(result.row, result.score.upper(), brief(result.ours), f"{result.theirs:g}", result.verdict)
    Console().print(table)


def import_(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint of a published implementation.")],
    source: Annotated[str, typer.Option("--from", help="thuml-predrnn, openstl, ...: a wrong name lists them.")],
    out: Annotated[Path, typer.Option(help="A new folder for the model.")],
    size: Annotated[str, typer.Option(help="HEIGHTxWIDTH of its frames.")] = "64x64",
    channels: Annotated[int, typer.Option(min=1, help="Channels of its frames.")] = 1,
    patch: Annotated[int, typer.Option(min=1, help="Its patch size.")] = 4,
    context: Annotated[int, typer.Option(min=1, help="Frames that it sees.")] = 10,
    horizon: Annotated[int, typer.Option(min=1, help="Frames that it was trained to forecast.")] = 10,
    actions: Annotated[int, typer.Option(min=0, help="Numbers in an action, for models that take them.")] = 0,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="key=value of its own settings, where unusual: n_heads=4")
    ] = None,
) -> None:
    """Turn a published checkpoint into a model of framecast. Nothing but weights is ever loaded."""
    from framecast.checkpoints.importing import import_checkpoint, write
    from framecast.types import FrameShape

    height, width = height_width(size)
    settings = dict(text.partition("=")[::2] for text in setting or [])
    imported = import_checkpoint(
        checkpoint,
        source,
        FrameShape(channels, height, width, context, horizon, actions),
        patch=patch,
        settings={key: numbers(value, f"--set {key}")[0] for key, value in settings.items()},
    )
    write(imported, out)
    print(f"{imported.reference}: {imported.card.model}")
    print(f"missing: none; unused: {', '.join(imported.unused) or 'none'}")
    print(out)
