"""The contract of every command of the app: one JSON object on standard output, records of the log with a stamp, completion."""

import json
import logging
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any, get_args, get_type_hints, is_typeddict

import pytest
from typer.main import get_command

import framecast
from command_line import run_command
from framecast.cli import app, completion, logs, terminal
from framecast.cli.results import AnswerOptions, plain
from framecast.config.recipes import rows

DOCS = (Path(__file__).parents[2] / "docs" / "command_line.md").read_text()
COMMANDS: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
HEAD = {"schema": 1, "framecast": framecast.__version__}
STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """A function that runs a command in this process: exit code, standard output, standard error."""
    return partial(run_command, monkeypatch, capsys)


def documented() -> dict[str, set[str]]:
    """The fields of the results by command, from the table of the page."""
    rows = re.findall(r"^\| `([a-z]+)` \| ([^|]*) \|$", DOCS, flags=re.MULTILINE)
    assert len(rows) == len({command for command, _ in rows}), "a command has two lines"
    return {command: set(re.findall(r"`(\w+)`", fields)) for command, fields in rows}


def result_fields(command: str) -> set[str]:
    """The fields of the type that a command returns; none if it returns nothing."""
    function = COMMANDS[command].callback
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    kind = get_type_hints(function)["return"]
    if kind is type(None):
        return set()
    assert is_typeddict(kind), f"{command} returns {kind}, expected a TypedDict or nothing"
    return set(get_type_hints(kind))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_the_options_of_answers_and_logs(command: str) -> None:
    names = {parameter.name for parameter in COMMANDS[command].params}
    assert set(AnswerOptions._fields) <= names


@pytest.mark.parametrize(
    ("command", "arguments", "listed"),
    [
        ("evaluate", "RUN", "RUN"),
        ("compare", "RUNS...", "RUNS"),
        ("verify", "[NAME=]FORECASTS...", "[NAME=]FORECASTS"),
        ("train", "[RECIPE] [SETTINGS]...", "SETTINGS"),
        ("import", "CHECKPOINT", "CHECKPOINT"),
    ],
)
def test_usage_names_the_arguments_in_capitals(command: str, arguments: str, listed: str, run: Any) -> None:
    _, out, _ = run(command, "--help")
    assert f" {command} [OPTIONS] {arguments} " in " ".join(out.split())
    assert re.search(rf"^│ [* ] +{re.escape(listed)} +<", out, flags=re.MULTILINE)


def test_help_shows_brackets(run: Any) -> None:
    """They are markup of rich unless they are escaped."""
    _, out, _ = run("crossvalidate", "--help")
    assert "[one.nc, two.nc, three.nc]" in re.sub(r"[\s│]+", " ", out)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_page_lists_the_fields_of_every_result(command: str) -> None:
    assert documented().get(command, set()) == result_fields(command)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_answers_a_wrong_option_with_one_object(command: str, run: Any) -> None:
    code, out, err = run(command, "--json", "--no-such-option")
    assert code == 2
    document = json.loads(out)
    assert document == {**HEAD, "command": command, "exit_code": 2, "error": document["error"]}
    assert "--no-such-option" in document["error"]["message"]
    assert err, "people read why on standard error"


def test_the_options_of_no_command_are_in_each_others_way() -> None:
    for name, command in COMMANDS.items():
        options = [option for parameter in command.params for option in parameter.opts if option.startswith("-")]
        assert len(options) == len(set(options)), name


def test_results_are_objects_with_the_documented_fields(run: Any, rain: Path, trained: Path, tmp_path: Path) -> None:
    nowcast = tmp_path / "nowcast.nc"
    for command, *arguments in (
        ("doctor",),
        ("recipes", "radar"),
        ("datasets",),
        ("inspect", rain, "--context", 3, "--horizon", 3),
        ("convert", rain, "--out", tmp_path / "rain.zarr"),
        ("train", "--resume", trained),
        ("forecast", trained, "--data", rain, "--out", nowcast),
        ("evaluate", trained, "--data", rain, "--limit", 2, "--out", tmp_path / "scores"),
    ):
        code, out, _ = run(command, *arguments, "--json")
        document = json.loads(out)
        assert code == 0, out
        assert {name: document[name] for name in HEAD} == HEAD
        assert document["command"] == command
        assert set(document["result"]) == result_fields(command) == documented()[command]
        if command == "forecast":
            result = document["result"]
            assert result["file"] == str(nowcast)
            assert result["lead_minutes"] == [5.0, 10.0, 15.0]
            assert result["rung"]
            assert result["reasons"] == []
            assert result["age_seconds"] > 0
            assert len(result["largest"]) == 3
        if command == "evaluate":
            row = document["result"]["scores"][0]
            assert row["forecaster"] == "predrnn_v2"
            assert set(row) == {"forecaster", "score", "at", "value", "low", "high"}


def test_what_inspect_finds_comes_with_its_exit_code(run: Any, rain: Path) -> None:
    code, out, _ = run("inspect", rain, "--context", 100, "--json")
    document = json.loads(out)
    assert code == document["exit_code"] == 3
    assert "no window of 110 frames" in document["result"]["problems"][0]


def test_an_error_is_an_object_with_the_place_and_the_remedy(run: Any, tmp_path: Path) -> None:
    code, out, err = run("evaluate", tmp_path, "--limit", "0", "--json")
    error = json.loads(out)["error"]
    assert code == 2
    assert error["parameter"] == "limit"
    assert error["message"] == "0 given, expected a whole number of at least 1"
    assert error["text"] in err


def test_an_internal_error_is_an_object_too(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of course")

    monkeypatch.setattr(framecast, "inspect", broken)
    code, out, _ = run("inspect", "x", "--json")
    assert code == json.loads(out)["exit_code"] == 1
    assert "ZeroDivisionError: of course" in json.loads(out)["error"]["message"]


def test_values_of_every_kind_become_json() -> None:
    assert plain({"a": float("nan"), 1: (Path("x"), {2}), "b": [float("inf"), True]}) == {
        "a": None,
        "1": ["x", [2]],
        "b": [None, True],
    }


@pytest.fixture
def warned(rain: Path, tmp_path: Path) -> tuple[object, ...]:
    """A command with a warning: one of two files is damaged."""
    folder = tmp_path / "archive"
    folder.mkdir()
    (folder / "a.nc").write_bytes(rain.read_bytes())
    (folder / "b.nc").write_bytes(rain.read_bytes()[:5000])
    return ("convert", folder, "--out", tmp_path / "archive.zarr")


def test_the_log_is_lines_of_json(run: Any, warned: tuple[object, ...], tmp_path: Path) -> None:
    code, _, err = run(*warned, "--log-format", "json", "--log-file", tmp_path / "log", "-v")
    assert code == 0, err
    records = [json.loads(line) for line in err.splitlines()]
    assert all(re.fullmatch(STAMP, record["time"]) for record in records)
    (warning,) = [record for record in records if record["level"] == "WARNING"]
    assert "b.nc: the file is incomplete" in warning["message"]
    assert warning["logger"].startswith("framecast.")
    assert {record["level"] for record in records} == {"DEBUG", "WARNING"}
    assert [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()] == records


def test_a_warning_is_printed_once_and_a_quiet_command_prints_none(run: Any, warned: tuple[object, ...]) -> None:
    _, out, err = run(*warned)
    assert (out + err).count("b.nc: the file is incomplete") == 1
    _, out, err = run(*warned, "-q")
    assert "b.nc" not in out + err
    assert err == ""


def test_an_error_is_a_stamped_line_of_a_log(run: Any, tmp_path: Path) -> None:
    code, out, err = run("inspect", tmp_path / "nothing", "--log-format", "text")
    assert code == 2
    assert re.match(rf"{STAMP} ERROR framecast\.\S+: .*nothing", err)
    assert "framecast: " not in out + err


def test_a_log_that_cannot_be_written_ends_with_2(run: Any, tmp_path: Path) -> None:
    code, _, err = run("doctor", "--log-file", tmp_path / "nowhere" / "log")
    assert code == 2
    assert "nowhere" in err


def test_a_log_spoils_no_file(run: Any, rain: Path, tmp_path: Path) -> None:
    before = rain.read_bytes()
    (tmp_path / "link").symlink_to(rain)
    page = tmp_path / "page.html"
    for log, *arguments in (
        (rain, "inspect", rain),
        (tmp_path / "link", "recipes"),
        (rain, "train", "radar#convlstm", f"data.path={rain}"),
        (page, "inspect", rain, "--html", page),
    ):
        code, _, err = run(*arguments, "--log-file", log)
        assert code == 2
        assert "spoilt by the log" in err
        assert "--log-file" in err
    assert rain.read_bytes() == before
    assert not page.exists()


def test_a_command_leaves_no_handler_behind(run: Any) -> None:
    logger = logging.getLogger("framecast")
    before = (*logger.handlers,), logger.level
    run("recipes", "-v")
    assert ((*logger.handlers,), logger.level) == before
    assert logs.prints_lines()


def test_progress_is_lines_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(terminal, "_LOG_FIRST", 0.0)
    monkeypatch.setattr(terminal, "_LOG_EVERY", 0.0)
    report = terminal.progress_bar("verifying")
    with caplog.at_level(logging.INFO, logger="framecast"):
        for done in (10, 20, 30):  # work that is resumed after 10
            report(done, 40)
    assert [re.sub(r"\d:\d\d:\d\d", "T", message) for message in caplog.messages] == [
        "verifying: 20 of 40, T left",
        "verifying: 30 of 40, T left",
    ]


def test_completion_knows_every_entry_of_the_registries() -> None:
    from framecast.diagnosis import KINDS
    from framecast.models import Model
    from framecast.scores import CONVENTIONS

    assert completion.models() == sorted({kind.name for kind in get_args(Model)})
    assert completion.kinds() == sorted(KINDS)
    assert completion.conventions() == sorted(CONVENTIONS)
    rows = {f"{name}#{row}" for name, recipe in framecast.recipes().items() for row in recipe.rows}
    assert set(completion.recipes()) == rows | set(framecast.recipes())
    assert "csi" in completion.metrics()


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("train radar#pred", ["radar#predrnn", "radar#predrnn_v2"]),
        ("train radar model.name=simv", ["model.name=simvp"]),
        ("evaluate x --baselines steps,pers", ["steps,persistence"]),
        ("forecast rad", ["radar"]),
        ("docto", ["doctor"]),
    ],
)
def test_a_shell_completes(words: str, completed: list[str]) -> None:
    code = "import sys; sys.argv = ['framecast']; from framecast.cli import main; main()"
    line = f"framecast {words}"
    environment = {"_FRAMECAST_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == completed, done.stderr


def test_without_a_command_the_first_steps_are_printed(run: Any) -> None:
    code, out, _ = run()
    assert code == 0
    for line in (
        "framecast demo",
        "framecast inspect FOLDER",
        "framecast forecast radar --data FOLDER",
        "framecast recipes",
    ):
        assert line in out


def test_training_is_logged(run: Any, trained: Path) -> None:
    code, out, err = run("train", "--resume", trained, "--log-format", "json")
    assert code == 0
    assert out == f"{trained}\n"
    records = [json.loads(line) for line in err.splitlines()]
    assert {record["logger"] for record in records} >= {"framecast.training.progress"}
    assert any("weights on" in record["message"] for record in records)


def test_a_recipe_is_copied_to_be_changed(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("recipes", "radar", "--copy", ".")
    assert (code, out) == (0, "radar.yaml\n")
    (tmp_path / "radar.yaml").write_text((tmp_path / "radar.yaml").read_text().replace("predrnn_v2: {}", "mine: {}"))
    assert "mine" in rows("radar.yaml"), "a file of that name stands before the recipe of the package"
    assert "mine" not in rows("radar")
    code, _, err = run("recipes", "radar", "--copy", ".")
    assert code == 2
    assert "radar.yaml: exists already" in err
    for arguments, message in ((("--copy", "."), "--copy: no recipe given"), (("radra",), "no recipe 'radra'")):
        code, _, err = run("recipes", *arguments)
        assert code == 2
        assert message in err
