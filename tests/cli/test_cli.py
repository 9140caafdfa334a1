"""The command line: quick to start, exit codes that mean something, no traceback, and the whole way from end to end."""

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image
from rich.console import Console
from test_result import Clips
from typer.testing import CliRunner

import framecast
from command_line import run_command as run
from framecast.cli import app
from framecast.cli.score_tables import format_score, print_scores
from framecast.data.store import layout
from framecast.forecasting.baselines.persistence import Persistence
from framecast.verification.metrics import METRICS
from framecast.verification.result import Score
from framecast.verification.verify import verify
from small_run import SMALL_RUN

FRAMECAST = [sys.executable, "-m", "framecast.cli"]
COMMANDS = ("demo", "inspect", "convert", "train", "evaluate", "forecast", "doctor")
SMALL = ("data.context=3", "data.horizon=3", "model.hidden=[4,4]", *SMALL_RUN)


@pytest.mark.parametrize(
    ("command", "heavy"),
    [
        ("import framecast", ("torch", "xarray", "matplotlib", "rich", "numpy")),
        (
            "import framecast.cli; framecast.cli.app(['--help'], standalone_mode=False)",
            ("torch", "xarray", "matplotlib"),
        ),
        (
            "import framecast.cli; framecast.cli.app(['train', '--help'], standalone_mode=False)",
            ("torch", "xarray", "matplotlib"),
        ),
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(command: str, heavy: tuple[str, ...]) -> None:
    code = (
        f"{command}\nimport sys; found = [name for name in {heavy!r} if name in sys.modules]; assert not found, found"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_names_every_command() -> None:
    said = CliRunner().invoke(app, ["--help"]).output
    assert all(command in said for command in COMMANDS)
    for command in COMMANDS:
        assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0
    assert framecast.__version__ in CliRunner().invoke(app, ["--version"]).output


def test_from_end_to_end(
    rain: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """inspect, train --resume, evaluate and forecast, as the README has them."""
    code, out, _ = run(monkeypatch, capsys, "inspect", rain, "--recipe", trained / "experiment.yaml")
    assert code == 0
    assert "rain rate in mm/h" in out
    assert "every 1000" in out
    assert "multiply-accumulates" in out

    code, out, _ = run(monkeypatch, capsys, "train", "--resume", trained, "training.iterations=6")
    assert code == 0
    assert out.strip().endswith(str(trained))

    code, out, err = run(
        monkeypatch, capsys, "evaluate", trained, "--data", rain, "--rates", "0.5,5", "--out", tmp_path / "scores"
    )
    assert code == 0, err
    for word in (
        "predrnn_v2",
        "persistence",
        "extrapolation",
        "5 mm/h or more",
        "CSI",
        "POD",
        "BRIER",
        "BIAS",
        "event pixels",
    ):
        assert word in out, word
    assert (tmp_path / "scores" / "cases.nc").is_file()
    assert "the model was trained on 30 of these frames" in " ".join(out.split())
    assert "beware" in (tmp_path / "scores" / "report.html").read_text()

    code, out, err = run(
        monkeypatch, capsys, "forecast", trained, "--data", rain, "--horizon", 5, "--out", tmp_path / "next.nc"
    )
    assert code == 0, err
    with xr.open_dataset(tmp_path / "next.nc", decode_timedelta=True) as forecast:
        assert forecast.sizes["lead_time"] == 5
        np.testing.assert_array_equal(forecast["x"], framecast.open(rain)["x"])
        values = forecast["rain"].values.squeeze()
        assert np.isnan(values[:, :4, :4]).all()
        assert np.isfinite(values[:, 4:, 4:]).all()


def test_the_same_in_python(rain: Path, tmp_path: Path) -> None:
    """As the README has it, with frames in memory."""
    frames = framecast.open(rain)
    run = framecast.train("recipes/radar.yaml#predrnn_v2", SMALL, data=frames, out=tmp_path / "run")
    assert framecast.resume(run, 6, data=frames) == run
    forecast = framecast.load(run).forecast(frames.isel(time=slice(-3, None)), horizon=7)
    assert forecast.sizes["lead_time"] == 7
    framecast.write(forecast, tmp_path / "nowcast.nc")
    with xr.open_dataset(tmp_path / "nowcast.nc", decode_timedelta=True) as written:
        np.testing.assert_array_equal(written["rain"].values, forecast.values)


class Outside(HTMLParser):
    """Collects whatever a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [
            value
            for name, value in attrs
            if value and name in ("src", "href", "srcset", "data") and not value.startswith(("data:", "#", "scores."))
        ]


def test_the_report_stands_alone(trained: Path, rain: Path, tmp_path: Path) -> None:
    verification = framecast.evaluate(trained, str(rain), limit=3)
    page = framecast.write_report(verification, tmp_path / "report.html", title="Rain <&> sun", facts={"a": "b > c"})
    text = page.read_text()
    parser = Outside()
    parser.feed(text)
    assert parser.fetched == []
    assert "@import" not in text
    assert "Rain &lt;&amp;&gt; sun" in text
    assert "b &gt; c" in text
    for word in ("persistence", "extrapolation", "event pixels", "CSI", "<svg" if "<svg" in text else "data:image"):
        assert word in text
    assert {path.name for path in tmp_path.iterdir()} == {"report.html", "scores.csv", "scores.json"}
    assert re.search(r"2020-06-01 \d\d:\d\d to ", text)
    assert "24 x 28 pixels" in text
    for word in ("pixels scored", "of those observed", "events, 2 mm/h", "CSI at 8 mm/h"):
        assert word in text, word
    observed = 1 - 16 / (24 * 28)
    assert f"{observed:.1%} of them observed" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train",), "no recipe given"),
        (("train", "nowhere.yaml"), "nowhere.yaml"),
        (("train", "recipes/radar.yaml#oracle"), "oracle"),
        (("train", "recipes/radar.yaml#predrnn_v2", "data.path=/nowhere"), "/nowhere"),
        (("train", "recipes/radar.yaml#predrnn_v2", "data.path=x", "model.hiden=[4]"), "hiden"),
        (("train", "--resume", "/nowhere"), "/nowhere"),
        (("train", "--resume", "/nowhere", "training.iterations=²"), "training.iterations=NUMBER"),
        (("train", "--resume", "/nowhere", "training.iterations=-5"), "training.iterations=-5 given; only"),
        (("evaluate", "/nowhere"), "no trained model here"),
        (("evaluate", "/nowhere", "--convention", "mine"), "one of: default"),
        (("evaluate", "/nowhere", "--zr", "200"), "two numbers"),
        (("evaluate", "/nowhere", "--zr", "200,-1"), "--zr: Z = 200.0 R^-1.0 is no Z-R relation"),
        (("evaluate", "/nowhere", "--zr", "inf,1"), "no Z-R relation"),
        (("evaluate", "/nowhere", "--rates", "much"), "not numbers"),
        (("forecast", "/nowhere", "--data", "x", "--horizon", "2", "--out", "x.txt"), "x.txt"),
        (("inspect", "/nowhere"), "/nowhere"),
        (("inspect", "/nowhere", "--size", "32"), "--size: '32' is not HEIGHTxWIDTH"),
        (("import", "x.pt", "--from", "tctn", "--out", "x", "--size", "32,32"), "--size: '32,32' is not HEIGHTxWIDTH"),
        (("convert", "/nowhere", "--out", "x.zarr", "--chunks", "inf,8,8"), "not 3 whole numbers"),
    ],
)
def test_what_was_given_wrong_ends_with_2_and_a_remedy(
    arguments: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(monkeypatch, capsys, *arguments)
    assert code == 2
    assert message in err
    assert "Traceback" not in out + err
    assert list(tmp_path.iterdir()) == [], "nothing is half-written"


@pytest.fixture(scope="module")
def in_memory(rain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "in_memory"
    return framecast.train("recipes/radar.yaml#predrnn_v2", SMALL, data=framecast.open(rain), out=out)


@pytest.mark.parametrize(
    ("before", "after", "remedy"),
    [
        (("train", "--resume"), (), "framecast.resume(RUN, data=frames)"),
        (("evaluate",), (), "--data PATH"),
        (("evaluate",), ("--data", "RAIN", "--baselines", "climatology"), "leave the climatology out"),
        (("diagnose",), ("gradients",), "--data PATH"),
    ],
)
def test_a_run_trained_on_frames_in_memory_says_so(
    before: tuple[str, ...],
    after: tuple[str, ...],
    remedy: str,
    in_memory: Path,
    rain: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [str(rain) if word == "RAIN" else word for word in after]
    code, out, err = run(monkeypatch, capsys, *before, in_memory, *given)
    assert code == 2
    assert f"{in_memory}: was trained on frames in memory" in err
    assert remedy in err
    assert "Traceback" not in out + err


def test_a_run_trained_on_frames_in_memory_goes_on_with_them(in_memory: Path, rain: Path) -> None:
    for call in (framecast.resume, framecast.evaluate):
        with pytest.raises(framecast.RunError, match="was trained on frames in memory"):
            call(in_memory)
    with pytest.raises(framecast.DataError, match="they were frames in memory"):
        framecast.train(in_memory / "experiment.yaml", out=in_memory.with_name("again"))
    assert framecast.evaluate(in_memory, str(rain), limit=2).cases == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize(
    "arguments", [("--help",), ("recipes",), ("scores", "/nowhere", "--json"), ("recipes", "--json")]
)
def test_an_output_that_cannot_be_written_ends_with_2(arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*FRAMECAST, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert re.search(r"standard output.* written \(No space left on device\)\n  -> .*(room|space)", done.stderr)
    assert "internal error" not in done.stderr


def test_options_that_do_not_exist_end_with_2() -> None:
    done = subprocess.run([*FRAMECAST, "inspect", "--colour"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_inspect_ends_with_3_where_training_would_be_spoilt(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rain: Path, tmp_path: Path
) -> None:
    code, out, _ = run(monkeypatch, capsys, "inspect", rain, "--html", tmp_path / "page.html")
    assert code == 0
    assert "page.html" in out
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    code, out, _ = run(monkeypatch, capsys, "inspect", rain, "--context", 100)
    assert code == 3
    assert "!! no window of 110 frames" in out


def test_inspect_says_what_it_found_before_why_a_recipe_will_not_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rain: Path, trained: Path, tmp_path: Path
) -> None:
    short = tmp_path / "an hour & a half.nc"
    framecast.open(rain).isel(time=slice(0, 18)).drop_vars("source").to_netcdf(short, engine="h5netcdf")
    monkeypatch.chdir(tmp_path)
    code, out, err = run(monkeypatch, capsys, "inspect", "*.nc", "--recipe", trained / "experiment.yaml")
    assert code == 2
    assert "rain rate in mm/h" in out
    assert f"{short.name}, variable 'rain': no window is left for training" in err
    assert "of 18 frames there are" in err


def test_inspect_leaves_out_a_damaged_file_where_all_are_opened(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for minute in range(8):
        pixels = np.random.default_rng(minute).integers(0, 255, (16, 16), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"rain_20200101_000{minute}.png")
    damaged = tmp_path / "rain_20200101_0003.png"
    damaged.write_bytes(damaged.read_bytes()[:200])
    code, _, err = run(monkeypatch, capsys, "inspect", tmp_path, "--by-name")
    assert code == 2
    assert f"{damaged.name}: " in err
    assert "if all files are opened it is left out: --no-by-name" in err
    code, out, _ = run(monkeypatch, capsys, "inspect", tmp_path, "--no-by-name", "--context", 1, "--horizon", 1)
    assert code == 0
    assert "1 of 8 files could not be read and were left out" in out


def test_convert_says_size_frames_and_what_was_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rain: Path, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.nc").write_bytes(rain.read_bytes())
    (source / "b.nc").write_bytes(rain.read_bytes()[:5000])
    code, out, _ = run(monkeypatch, capsys, "convert", source, "--out", tmp_path / "a.zarr", "--coarsen", 2)
    assert code == 0
    assert "60 frames of 1 x 12 x 14; to write: " in out
    assert "1 read, 1 left out" in out
    assert out.count("b.nc") == 1
    assert "b.nc: the file is incomplete" in out
    code, out, _ = run(monkeypatch, capsys, "convert", source, "--out", tmp_path / "a.zarr", "--coarsen", 2)
    assert "continues after 60 existing frames" in out
    code, _, err = run(monkeypatch, capsys, "convert", source, "--out", tmp_path / "b.zarr", "--crop", "1,2")
    assert code == 2
    assert "4 whole numbers" in err


def test_convert_that_is_interrupted_says_what_is_kept_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rain: Path, tmp_path: Path
) -> None:
    def interrupting(name: str) -> Callable[[int, int], None]:
        def show(done: int, of: int) -> None:
            if done:
                raise KeyboardInterrupt

        return show

    convert = ("convert", rain, "--out", tmp_path / "a.zarr", "--chunks", "8,24,28")
    monkeypatch.setattr(layout, "SHARD", 16 * 4 * 24 * 28)
    with monkeypatch.context() as interrupted:
        interrupted.setattr(framecast.cli.data, "progress_bar", interrupting)
        code, _, err = run(interrupted, capsys, *convert)
    assert code == 130
    assert err.splitlines() == [
        "16 of 60 frames are written; run the same command again to continue",
        "framecast: interrupted",
    ]
    code, out, _ = run(monkeypatch, capsys, *convert)
    assert code == 0
    assert "continues after 16 existing frames" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("inspect", "x.npy"), "--units 'mm h-1'"),
        (("evaluate", "x", "--cluster", "local:none", "--data", "x.npy"), "no trained model here"),
        (("evaluate", "x", "--baselines", "oracle"), "--baselines: unknown baseline 'oracle'"),
        (("evaluate", "x", "--rates", "0.5,-1"), "--rates: -1.0 given"),
        (("evaluate", "x", "--thresholds=0.5,-1"), "--rates: -1.0 given"),
        (("evaluate", "x", "--limit", "0"), "--limit: 0 given"),
        (("diagnose", "x", "slots", "--beside", "y"), "--beside: several models"),
        (("import", "x.pt", "--from", "mine", "--out", "y"), "--from: unknown source 'mine'"),
        (("reproduce", "recipes/moving_mnist.yaml", "--scale", "2"), "--scale: 2.0 is not above 0"),
        (("train", "recipes/radar.yaml#predrnn_v2", "data.path=x.npy"), "data.units='mm h-1'"),
    ],
)
def test_an_error_names_the_option(
    arguments: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "recipes").symlink_to(Path("recipes").resolve())
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.random.default_rng(0).gamma(1, 2, (40, 16, 20)).astype(np.float32))
    code, _, err = run(monkeypatch, capsys, *arguments)
    assert code == 2
    assert message in err


def test_a_fault_of_ours_ends_with_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of course")

    monkeypatch.setattr(framecast, "inspect", broken)
    code, _, err = run(monkeypatch, capsys, "inspect", "x")
    assert code == 1
    assert "internal error, ZeroDivisionError: of course" in err
    assert "Traceback" not in err


def test_a_forecast_never_replaces_what_is_there(
    trained: Path, rain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "next.nc"
    target.write_text("precious")
    given = ("forecast", trained, "--data", rain, "--horizon", 2, "--out", target)
    code, _, err = run(monkeypatch, capsys, *given)
    assert code == 2
    assert "--overwrite" in err
    assert target.read_text() == "precious"
    assert run(monkeypatch, capsys, *given, "--overwrite")[0] == 0


def test_data_of_another_kind_are_refused(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "video.npy", np.zeros((20, 24, 28), dtype=np.uint8))
    for command in (("evaluate", trained), ("forecast", trained, "--horizon", 2, "--out", tmp_path / "x.nc")):
        code, _, err = run(monkeypatch, capsys, *command, "--data", tmp_path / "video.npy")
        assert code == 2
        assert "trained on rain rate (mm/h)" in err
        assert "video.npy, variable 'frames'" in err
        assert "->" in err
    assert not (tmp_path / "x.nc").exists()


def test_an_archive_without_any_rain(
    bad: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It trains, its scores are undefined where there is nothing to score, and its forecast is a number everywhere."""
    dry = bad / "all_dry.nc"
    split = "data.split={name: blocks, validation: 0, test: 0}"
    recipe = ("train", "recipes/radar.yaml#predrnn_v2", f"data.path={dry}", split, *SMALL, "--out", tmp_path / "run")
    code, _, err = run(monkeypatch, capsys, *recipe)
    assert code == 0, err
    assert "not finite" not in err
    code, _, err = run(monkeypatch, capsys, "evaluate", tmp_path / "run", "--data", dry)
    assert code == 2
    assert "was trained on 16 of these frames" in err
    with xr.open_dataset(dry) as frames:
        frames.load().assign_coords(time=frames["time"] + np.timedelta64(1, "D")).to_netcdf(tmp_path / "later.nc")
    code, out, err = run(monkeypatch, capsys, "evaluate", tmp_path / "run", "--data", tmp_path / "later.nc")
    assert code == 0, err
    assert "undefined" in out
    code, _, err = run(
        monkeypatch, capsys, "forecast", tmp_path / "run", "--data", dry, "--horizon", 2, "--out", tmp_path / "dry.nc"
    )
    assert code == 0, err
    with xr.open_dataset(tmp_path / "dry.nc", decode_timedelta=True) as forecast:
        values = forecast["rainfall_rate"].values
        observed = np.isfinite(framecast.open(dry).values).any(axis=0)
        assert np.isfinite(values[..., observed[0]]).all()


@pytest.mark.parametrize(
    ("value", "half", "shown"),
    [
        (164.3, 12.7, "164 ± 13"),
        (56.78, 0.96, "56.8 ± 1.0"),
        (0.85312, 0.0127, "0.85 ± 0.01"),
        (0.85312, 0.00005, "0.85312 ± 0.00005"),
        (0.0, 0.0, "0 ± 0"),
        (12345.6, 234.5, "12346 ± 234"),
    ],
)
def test_a_score_and_its_interval_end_at_the_same_digit(value: float, half: float, shown: str) -> None:
    assert format_score(Score(value, (value - half, value + half))) == shown


def test_a_score_without_interval_or_value() -> None:
    assert format_score(Score(0.85312, None)) == "0.853"
    assert format_score(Score(float("nan"), None)) == "undefined"
    assert format_score(None) == ""


def test_many_scores_are_printed_whole_in_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wide = [replace(metric, headline=metric.headline or metric.group == "frame") for metric in METRICS]
    monkeypatch.setattr("framecast.verification.metrics.METRICS", wide)
    values = np.random.default_rng(0).gamma(0.6, 3.0, (8, 5, 1, 20, 20))
    result = verify({"a_model_of_mine": Persistence(), "persistence": Persistence()}, Clips(values))
    print_scores(result, Console(width=80))
    out = capsys.readouterr().out
    assert "…" not in out
    assert out.count("a_model_of_mine  ") == 2 + len(result.rates)
    assert "SSIM" in out


def test_recipes_are_listed_with_their_rows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(monkeypatch, capsys, "recipes")
    assert code == 0
    for name, recipe in framecast.recipes().items():
        assert f"{name}: {recipe.title}" in out
        assert all(f"  {name}#{row}\n" in out for row in recipe.rows)
