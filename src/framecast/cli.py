"""The command line: parse, call one function, print. Exit codes: 0 done, 1 our fault (of `inspect`: something would
spoil training), 2 the fault of what was given."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import framecast
from framecast.errors import FramecastError

if TYPE_CHECKING:
    from rich.console import Console

    from framecast.data.quantities import ZR
    from framecast.verification import Score, Verification

app = typer.Typer(
    name="framecast",
    help="Learn to predict the next frames of a sequence, say how good the prediction is, and run it on new data.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

DataPath = Annotated[str, typer.Option("--data", help="A file, folder or glob pattern of frames.")]
OptionalData = Annotated[str | None, typer.Option("--data", help="A file, folder or glob pattern of frames.")]
Units = Annotated[str | None, typer.Option(help="Units of the values, where the files do not say.")]
Variable = Annotated[str | None, typer.Option(help="Which variable to read, where a file holds several.")]
TimeStep = Annotated[float | None, typer.Option(help="Minutes between frames, where the files do not say.")]
Baselines = Annotated[str, typer.Option(help="Of persistence, extrapolation, climatology, steps, linda.")]
Cluster = Annotated[
    str | None, typer.Option("--dask", help="Share the cases out: a Dask scheduler's address, or local:N.")
]
Grey = Annotated[bool, typer.Option("--grey", help="Of pictures and video: without colours.")]
FrameSize = Annotated[str | None, typer.Option("--size", help="Of pictures and video: another HEIGHTxWIDTH.")]
FrameRate = Annotated[float | None, typer.Option(help="Of video: so many frames a second.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]


def main() -> None:
    """Run the command line."""
    try:
        app(standalone_mode=True)
    except FramecastError as error:
        print(f"framecast: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("framecast: interrupted", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if os.environ.get("FRAMECAST_DEBUG"):
            raise
        print(
            f"framecast: internal error, {type(error).__name__}: {error}\n"
            "  -> this is our fault; run again with FRAMECAST_DEBUG=1 and report what it prints",
            file=sys.stderr,
        )
        sys.exit(1)


def _version(wanted: bool) -> None:
    if wanted:
        print(framecast.__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Learn to predict the next frames of a sequence, say how good the prediction is, and run it on new data."""


@app.command()
def demo(
    data: OptionalData = None,
    out: Annotated[Path, typer.Option(help="Folder for everything the demonstration makes.")] = Path("demo"),
    digits: Annotated[str, typer.Option(help="'bundled', or a folder with MNIST's IDX files.")] = "bundled",
    iterations: Annotated[int | None, typer.Option(help="How long to train.", min=1)] = None,
    units: Units = None,
) -> None:
    """Train, verify against baselines, forecast and write a report: a few minutes on two cores."""
    from rich.console import Console

    from framecast.demo import ITERATIONS
    from framecast.demo import demo as run_demo

    console = Console()
    verification, report = run_demo(
        data, digits=digits, out=out, iterations=iterations or ITERATIONS, units=units, console=console
    )
    _print_scores(verification, console)
    console.print(f"report: {report}", highlight=False, markup=False, soft_wrap=True)


@app.command()
def inspect(
    path: Annotated[str, typer.Argument(help="A file, folder or glob pattern of frames.")],
    context: Annotated[int, typer.Option(min=1)] = 10,
    horizon: Annotated[int, typer.Option(min=1)] = 10,
    units: Units = None,
    time_step: TimeStep = None,
    variable: Variable = None,
    grey: Grey = False,
    size: FrameSize = None,
    frame_rate: FrameRate = None,
    recipe: Annotated[
        str | None, typer.Option(help="Estimate memory and time of a training step of this recipe.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write it as a page with pictures too.")] = None,
) -> None:
    """What is in the data: range, units, gaps, no data, stuck frames, windows; and what a recipe would cost on it.

    Ends with 1 where something would spoil training."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    sides = _size(size)
    frames = framecast.open(
        path, units=units, time_step=time_step, variable=variable, grey=grey, size=sides, frame_rate=frame_rate
    )
    seen = framecast.inspect(frames, context=context, horizon=horizon)
    facts = dict(seen.facts)
    if recipe is not None:
        from framecast.estimate import estimate
        from framecast.experiment import read

        stated = {"units": units, "time_step": time_step, "variable": variable, "frame_rate": frame_rate}
        settings = [f"data.{name}={value}" for name, value in stated.items() if value is not None]
        settings += ["data.grey=true"] if grey else []
        settings += [f"data.size=[{sides[0]},{sides[1]}]"] if sides else []
        facts |= estimate(read(recipe, [f"data.path={path}", *settings]))
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in facts.items():
        table.add_row(Text(name, style="bold"), Text(value))
    console.print(table)
    for concern in seen.concerns:
        mark = ("!! ", "red") if concern in seen.problems else ("! ", "yellow")
        console.print(Text.assemble(mark, concern))
    if not seen.concerns:
        console.print("nothing suspicious")
    if html is not None:
        from framecast.report.inspection import write_inspection

        print(write_inspection(seen, html, title=f"What is in {path}"))
    if seen.problems:
        raise typer.Exit(1)


@app.command()
def convert(
    source: Annotated[str, typer.Argument(help="A file, folder or glob pattern of frames.")],
    out: Annotated[Path, typer.Option(help="archive.zarr; one made before grows by the frames that are new.")],
    chunks: Annotated[str, typer.Option(help="Frames, height and width of a chunk.")] = "16,128,128",
    crop: Annotated[str | None, typer.Option(help="top,left,height,width in pixels.")] = None,
    coarsen: Annotated[int, typer.Option(min=1, help="So many pixels in y and x become one.")] = 1,
    reproject: Annotated[str | None, typer.Option(help="Onto a grid of another projection: EPSG:3035.")] = None,
    units: Units = None,
    time_step: TimeStep = None,
    variable: Variable = None,
    grey: Grey = False,
    size: FrameSize = None,
    frame_rate: FrameRate = None,
) -> None:
    """Write an archive as one Zarr store, which training reads fastest. Interrupted, run it again."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from framecast.data.conversion import Changes, Size
    from framecast.data.inspection import bytes_in_words
    from framecast.data.readers.options import Options

    console = Console()

    def say_size(size: Size) -> None:
        there = f", {size.already:,} of them there already" if size.already else ""
        console.print(
            f"{size.frames:,} frames of {' x '.join(map(str, size.shape))}{there}; to write: "
            f"{bytes_in_words(size.bytes)} before compression",
            highlight=False,
        )

    four = None if crop is None else _whole(crop, "--crop", 4)
    three = _whole(chunks, "--chunks", 3)
    done = framecast.convert(
        source,
        out,
        changes=Changes(None if four is None else (four[0], four[1], four[2], four[3]), coarsen, reproject),
        chunks=(three[0], three[1], three[2]),
        options=Options(units, time_step, variable, None, grey, _size(size), frame_rate),
        begun=say_size,
        progress=_bar("converting"),
    )
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in (
        ("frames", f"{done.frames:,}, {done.added:,} of them new"),
        ("files", f"{done.files:,} read, {len(done.left_out):,} left out"),
        ("on disk", bytes_in_words(done.bytes)),
        ("manifest", str(done.out / "manifest.json")),
    ):
        table.add_row(Text(name, style="bold"), Text(value))
    console.print(table)
    for what, listed in (("left out", done.left_out), ("without data", done.missing)):
        for where, why in listed.items():
            console.print(Text.assemble(("! ", "yellow"), f"{what}: {where}: {why}"), soft_wrap=True)
    for repair in done.repairs:
        console.print(Text.assemble(("! ", "yellow"), repair), soft_wrap=True)


@app.command()
def train(
    recipe: Annotated[str | None, typer.Argument(help="recipes/radar.yaml#predrnn_v2")] = None,
    settings: Annotated[list[str] | None, typer.Argument(help="key=value ...")] = None,
    out: Annotated[Path | None, typer.Option(help="A new folder; runs/<model>-<time> by default.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with this run, exactly where it stopped.")] = None,
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
    if not all(text.isdigit() for text in lengths):
        raise ConfigError("with --resume only training.iterations=NUMBER may be given", where="command line")
    print(go_on(resume, int(lengths[-1]) if lengths else None))


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    data: OptionalData = None,
    thresholds: Annotated[str | None, typer.Option(help="Rain rates in mm/h, such as 0.5,2,8.")] = None,
    zr: Annotated[str, typer.Option(help="a,b of Z = a R^b, which leads thresholds to reflectivity.")] = "223,1.53",
    convention: Annotated[str, typer.Option(help="default, thuml, czh98 or openstl.")] = "default",
    horizon: Annotated[int | None, typer.Option(min=1)] = None,
    stride: Annotated[int, typer.Option(min=1, help="Frames between the starts of windows.")] = 1,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many cases, evenly spread.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for cases.nc and report.html; RUN/evaluation by default.")
    ] = None,
    units: Units = None,
    variable: Variable = None,
    baselines: Baselines = "persistence,extrapolation",
    dask: Cluster = None,
) -> None:
    """Score a model beside persistence and extrapolation, by lead time and threshold, and write a report."""
    from rich.console import Console

    from framecast.evaluation import facts_of, trained_on

    relation = _relation(zr)
    _check_convention(convention)
    console, folder = Console(), out or run / "evaluation"
    verification = framecast.evaluate(
        run,
        data,
        units=units,
        variable=variable,
        out=folder,
        rates=None if thresholds is None else _numbers(thresholds, "--thresholds"),
        zr=relation,
        convention=convention,
        horizon=horizon,
        stride=stride,
        limit=limit,
        baselines=baselines.split(","),
        cluster=dask,
        report=_bar("verifying"),
    )
    facts = facts_of(run, framecast.load(run)) | ({"verified on": data} if data else {})
    if seen := trained_on(run, data):
        beware = (
            f"the model was trained on {len(seen)} of these files: {', '.join(Path(file).name for file in seen[:5])}"
        )
        facts["beware"] = beware
        console.print(f"! {beware}", style="yellow", highlight=False, markup=False)
    report = framecast.write_report(
        verification, folder / "report.html", title=f"Verification of {run.name}", facts=facts
    )
    _print_scores(verification, console)
    console.print(f"sums: {folder / 'cases.nc'}\nreport: {report}", highlight=False, markup=False, soft_wrap=True)


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="The folders of runs, or of saved models.")],
    data: OptionalData = None,
    thresholds: Annotated[str | None, typer.Option(help="Rain rates in mm/h, such as 0.5,2,8.")] = None,
    zr: Annotated[str, typer.Option(help="a,b of Z = a R^b, which leads thresholds to reflectivity.")] = "223,1.53",
    convention: Annotated[str, typer.Option(help="default, thuml, czh98 or openstl.")] = "default",
    horizon: Annotated[int | None, typer.Option(min=1)] = None,
    stride: Annotated[int, typer.Option(min=1, help="Frames between the starts of windows.")] = 1,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many cases, evenly spread.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for cases.nc and comparison.html.")] = Path("comparison"),
    units: Units = None,
    variable: Variable = None,
    baselines: Baselines = "persistence,extrapolation",
    dask: Cluster = None,
) -> None:
    """Say whether models differ, from each other and from baselines, on the same cases: intervals, tests, verdicts."""
    from rich.console import Console

    from framecast.comparison import compare as claims_of
    from framecast.evaluation import evaluate_all
    from framecast.report.comparison import write_comparison

    relation = _relation(zr)
    _check_convention(convention)
    named: dict[str, str | Path] = {run.resolve().name: run for run in runs}
    if len(named) < len(runs):
        named = {str(run): run for run in runs}
    verification = evaluate_all(
        named,
        data,
        units=units,
        variable=variable,
        out=out,
        rates=None if thresholds is None else _numbers(thresholds, "--thresholds"),
        zr=relation,
        convention=convention,
        horizon=horizon,
        stride=stride,
        limit=limit,
        baselines=[name for name in baselines.split(",") if name],
        cluster=dask,
        report=_bar("verifying"),
    )
    result = claims_of(verification, list(named))
    page = write_comparison(result, out / "comparison.html", title=f"Comparison of {', '.join(named)}")
    console = Console()
    for claim in result.overall:
        console.print(claim.verdict, highlight=False, markup=False, soft_wrap=True)
    for name in named:
        skill = result.skill(name)
        if skill == skill:
            console.print(f"{name}: MSE skill over extrapolation {skill:.3f}", highlight=False, markup=False)
    console.print(f"report: {page}", highlight=False, markup=False, soft_wrap=True)


@app.command()
def forecast(
    run: Annotated[Path, typer.Argument(help="The folder of a run or of a saved model.")],
    data: DataPath,
    horizon: Annotated[int, typer.Option(min=1, help="How many frames to forecast; may be longer than trained.")],
    out: Annotated[Path, typer.Option(help="nowcast.nc, nowcast.zarr, or to look at: nowcast.mp4, nowcast.gif")],
    units: Units = None,
    time_step: TimeStep = None,
    variable: Variable = None,
    grey: Grey = False,
    size: FrameSize = None,
    frame_rate: FrameRate = None,
    actions: Annotated[
        Path | None, typer.Option(help="A .npy with the actions of every step, for a model that takes them.")
    ] = None,
    tile: Annotated[
        int | None, typer.Option(min=1, help="Forecast larger frames in tiles of so many pixels, to save memory.")
    ] = None,
    overlap: Annotated[int, typer.Option(min=0, help="Pixels that neighbouring tiles share.")] = 64,
    overwrite: Overwrite = False,
) -> None:
    """Forecast the frames after the newest ones, on their grid, without any future frame."""
    from framecast.data.readers.numpy_files import array_of
    from framecast.forecasting.write import check_target

    check_target(out, overwrite=overwrite)
    frames = framecast.open(
        data,
        units=units,
        time_step=time_step,
        variable=variable,
        grey=grey,
        size=_size(size),
        frame_rate=frame_rate,
    )
    taken = None if actions is None else array_of(actions)
    trained = framecast.load(run, tile=tile, overlap=overlap)
    context = frames.isel(time=slice(-trained.context, None)) if "sequence" not in frames.dims else None
    framecast.write(trained.forecast(frames, horizon, taken), out, overwrite=overwrite, context=context)
    print(out)


@app.command()
def reproduce(
    recipe: Annotated[str, typer.Argument(help="recipes/moving_mnist.yaml, or one row of it: ...yaml#predrnn")],
    settings: Annotated[list[str] | None, typer.Argument(help="key=value ...")] = None,
    scale: Annotated[float, typer.Option(help="Share of the published training, 1 for all of it.")] = 1.0,
    out: Annotated[Path, typer.Option(help="Folder for the runs.")] = Path("runs/reproduced"),
) -> None:
    """Run the rows of a published table again, and print ours beside theirs."""
    from rich.console import Console
    from rich.table import Table

    from framecast.reproduction import reproduce as run_again

    results = run_again(recipe, settings or [], scale=scale, out=out)
    table = Table(title=recipe)
    for column in ("row", "score", "ours", "theirs", "verdict"):
        table.add_column(column)
    for result in results:
        table.add_row(result.row, result.score.upper(), _brief(result.ours), f"{result.theirs:g}", result.verdict)
    Console().print(table)


@app.command()
def datasets(
    fetch: Annotated[str | None, typer.Option(help="Fetch the files of this set (a word of its title).")] = None,
    out: Annotated[Path, typer.Option(help="Folder for what is fetched.")] = Path("data"),
) -> None:
    """The benchmark sets of the papers: where they come from, their terms and sizes, how their files must lie."""
    from rich.console import Console
    from rich.text import Text

    from framecast.data.sets.catalogue import CATALOGUE, by_name
    from framecast.data.sets.download import fetch as fetch_file

    console = Console()
    if fetch is not None:
        for remote in by_name(fetch).files:
            print(fetch_file(remote, out, _bar(remote.name)))
        return
    for known in CATALOGUE:
        console.print(Text(known.title, style="bold"))
        for name in ("data", "source", "terms", "size", "layout"):
            console.print(Text(f"  {name:<7} {getattr(known, name)}"), soft_wrap=True)
        if known.files:
            console.print(Text(f"  fetch   framecast datasets --fetch '{known.title}'"), soft_wrap=True)


@app.command("import")
def import_(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint of a published implementation.")],
    source: Annotated[str, typer.Option("--from", help="thuml-predrnn, openstl, ...: a wrong name lists them.")],
    out: Annotated[Path, typer.Option(help="A new folder for the model.")],
    size: Annotated[str, typer.Option(help="Height x width of its frames.")] = "64x64",
    channels: Annotated[int, typer.Option(min=1)] = 1,
    patch: Annotated[int, typer.Option(min=1, help="Its patch size.")] = 4,
    context: Annotated[int, typer.Option(min=1)] = 10,
    horizon: Annotated[int, typer.Option(min=1)] = 10,
    actions: Annotated[int, typer.Option(min=0, help="Numbers in an action, for models that take them.")] = 0,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="key=value of its own settings, where unusual: n_heads=4")
    ] = None,
) -> None:
    """Turn a published checkpoint into a model of framecast. Nothing but weights is ever loaded."""
    from framecast.published import import_checkpoint, write
    from framecast.types import FrameShape

    height, width = _whole(size.replace("x", ","), "--size", 2)
    settings = dict(text.partition("=")[::2] for text in setting or [])
    imported = import_checkpoint(
        checkpoint,
        source,
        FrameShape(channels, height, width, context, horizon, actions),
        patch=patch,
        settings={key: _numbers(value, f"--set {key}")[0] for key, value in settings.items()},
    )
    write(imported, out)
    print(f"{imported.reference}: {imported.card.model}")
    print(f"missing: none; unused: {', '.join(imported.unused) or 'none'}")
    print(out)


def _relation(text: str) -> ZR:
    """a,b of Z = a R^b. Raises `ConfigError`."""
    from framecast.data.quantities import ZR
    from framecast.errors import ConfigError

    numbers = _numbers(text, "--zr")
    if len(numbers) != 2:
        raise ConfigError(f"{text!r} are not two numbers a,b", where="--zr")
    return ZR(a=numbers[0], b=numbers[1])


def _check_convention(name: str) -> None:
    from framecast.errors import ConfigError
    from framecast.scores import CONVENTIONS

    if name not in CONVENTIONS:
        raise ConfigError(f"unknown convention {name!r}", remedy=f"one of: {', '.join(CONVENTIONS)}")


def _numbers(text: str, where: str) -> tuple[float, ...]:
    from framecast.errors import ConfigError

    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"{text!r} are not numbers separated by commas", where=where) from error


def _whole(text: str, where: str, count: int) -> tuple[int, ...]:
    """So many whole numbers. Raises `ConfigError`."""
    from framecast.errors import ConfigError

    numbers = _numbers(text, where)
    if len(numbers) != count or any(number != int(number) for number in numbers):
        raise ConfigError(f"{text!r} are not {count} whole numbers separated by commas", where=where)
    return tuple(int(number) for number in numbers)


def _size(text: str | None) -> tuple[int, int] | None:
    """64x64 as height and width. Raises `ConfigError`."""
    if text is None:
        return None
    height, width = _whole(text.replace("x", ","), "--size", 2)
    return height, width


def _bar(name: str) -> Callable[[int, int], None]:
    """A progress bar as a callback, on standard error."""
    from rich.console import Console
    from rich.progress import Progress

    bar = Progress(console=Console(stderr=True), transient=True)
    task = bar.add_task(name, total=None)

    def report(done: int, of: int) -> None:
        if not bar.live.is_started:
            bar.start()
        bar.update(task, completed=done, total=of)
        if done == of:
            bar.stop()

    return report


def _print_scores(verification: Verification, console: Console) -> None:
    """The table of scores over all lead times, and the verdict."""
    from rich.table import Table

    from framecast.report.verdict import verdict

    def scores(title: str, names: Sequence[str], score: Callable[[str, str], Score]) -> None:
        table = Table(title=title)
        table.add_column("")
        for name in names:
            table.add_column(name.upper(), justify="right", no_wrap=True)
        for forecaster in verification.forecasters:
            table.add_row(forecaster, *(_brief(score(forecaster, name)) for name in names))
        console.print(table)

    frames = [name for name in ("mse", "mae", "psnr", "ssim") if name in verification.frame_scores]
    scores(f"{verification.cases} cases, convention {verification.convention.name}", frames, verification.frame)
    for number, rate in enumerate(verification.rates):
        observed = int(verification.events(number).sum())
        scores(
            f"{rate:g} mm/h or more: {observed:,} event pixels",
            ["csi", "pod", "far", "bias"],
            partial(verification.event, threshold=number),
        )
    console.print("± is half of the 95 % interval; the report has them whole, and more scores", highlight=False)
    console.print(verdict(verification), highlight=False)


def _brief(score: Score | None) -> str:
    """A value and half the width of its interval."""
    if score is None:
        return ""
    if score.value != score.value:
        return "undefined"
    if score.interval is None:
        return f"{score.value:.3g}"
    return f"{score.value:.3g} ±{(score.interval[1] - score.interval[0]) / 2:.1g}"


if __name__ == "__main__":
    main()
