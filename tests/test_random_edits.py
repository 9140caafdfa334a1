"""Random edits of every file that framecast reads as text or as a checkpoint: each is read as it was, or refused in words.

None may end in another error than ours (exit code 1), hang, or change a forecast without a word. The quick form runs with a fixed
seed in the suite, the long one (`-m slow`) makes 1,000 edits.
"""

import contextlib
import json
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from rich.console import Console

import framecast
from framecast.config.recipes import read
from framecast.errors import FramecastError, input_error
from framecast.reading.plain_data import format_yaml, parse_json, parse_yaml

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 10**9, 2**31, 2**63, 2**64, 10**23, 10**400, 0.5, -0.0, 1e-300, 1e30, 1e300),
    *(
        float("inf"),
        float("nan"),
        "",
        "1",
        "true",
        "x",
        "\x00",
        "é",
        "\udcff",
        "a" * 5000,
        "../..",
        "/dev/zero",
        "~",
        "#",
        "*",
    ),
    *([], {}, [[]], [None], [True], [0], {"name": "x"}, {"": None}, {"name": []}, [1e400], ["a"] * 300),
)
BYTES = ("twice", "cut", "bytes", "flip")
"""Edits of bytes, of whatever content."""
TIME = 30
"""Seconds after which an edit counts as a hang."""


@dataclass(frozen=True)
class Subject:
    """A folder with the files of a run, and what its forecast was before any edit."""

    folder: Path
    frames: xr.DataArray
    forecast: np.ndarray


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    folder = tmp_path_factory.mktemp("edited")
    rain = np.random.default_rng(0).gamma(0.5, 2, (40, 8, 8)).astype("f4")
    times = np.datetime64("2020-01-01", "ns") + np.arange(40) * np.timedelta64(300, "s")
    array = xr.DataArray(rain, dims=("time", "y", "x"), coords={"time": times}, attrs={"units": "mm h-1"}, name="rain")
    array.to_netcdf(folder / "rain.nc", engine="h5netcdf")
    recipe = {
        "data": {"name": "archive", "path": str(folder / "rain.nc"), "context": 2, "horizon": 2},
        "model": {"name": "convlstm", "hidden": [2], "kernel": 3, "patch": 4},
        "training": {"iterations": 2, "batch_size": 2, "validation_windows": 2, "workers": 0},
    }
    (folder / "recipe.yaml").write_text(format_yaml(recipe))
    with contextlib.redirect_stdout(None):
        framecast.train(folder / "recipe.yaml", out=folder / "run", console=Console(quiet=True))
    framecast.convert(folder / "rain.nc", folder / "rain.zarr")
    frames = framecast.open(folder / "rain.nc")
    return Subject(folder, frames, framecast.load(folder / "run").forecast(frames, 2).values)


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Within this context only our errors are allowed, and `TIME` seconds."""

    def stop(*_: object) -> None:
        raise AssertionError("hangs")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(TIME)
    try:
        yield
    except FramecastError as error:
        _check_message(str(error))
    except AssertionError:
        raise
    except Exception as error:
        if input_error(error) is None:
            raise
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _check_message(message: str) -> None:
    assert 0 < len(message) < 6000


def places(content: Any) -> list[tuple[Any, Any]]:
    """All pairs of a container and a key or an index in it."""
    pairs = [(content, key) for key in (content if isinstance(content, dict) else range(len(content)))]
    nested = [content[key] for _, key in pairs if isinstance(content[key], dict | list)]
    return pairs + [pair for each in nested for pair in places(each)]


def edit(
    text: bytes, data: st.DataObject, load: Callable[[str], Any] | None = None, dump: Callable[[Any], str] = str
) -> bytes:
    """The text with one edit: of a value or a key of its content, or of its bytes."""
    kind = data.draw(st.sampled_from(["value", "value", "value", "key", *BYTES] if load else BYTES))
    if kind in ("cut", "bytes", "flip"):
        position = data.draw(st.integers(0, len(text)))
        if kind == "cut":
            return text[:position]
        if kind == "bytes":
            return text[:position] + data.draw(st.binary(min_size=1, max_size=6)) + text[position:]
        changed = bytearray(text)
        changed[position % len(text)] ^= 1 << data.draw(st.integers(0, 7))
        return bytes(changed)
    if kind == "twice":
        lines = text.splitlines(keepends=True)
        number = data.draw(st.integers(0, len(lines) - 1))
        return b"".join([*lines[: number + 1], *lines[number:]])
    assert load is not None
    content = load(text.decode())
    container, key = data.draw(st.sampled_from(places(content)))
    if kind == "value":
        container[key] = data.draw(st.sampled_from(ODD))
    else:
        value = container.pop(key)
        if isinstance(container, dict) and data.draw(st.booleans()):
            container["odd"] = value
    try:
        return dump(content).encode("utf-8", "surrogateescape")
    except (ValueError, UnicodeError):  # an odd value that the format cannot hold
        return text[:-1]


def edit_yaml(text: bytes, data: st.DataObject) -> bytes:
    return edit(text, data, lambda part: parse_yaml(part, "recipe"), format_yaml)


def edit_json(text: bytes, data: st.DataObject) -> bytes:
    return edit(text, data, lambda part: parse_json(part, "card"), json.dumps)


def check_recipe(subject: Subject, data: st.DataObject) -> None:
    changed = subject.folder / "changed.yaml"
    changed.write_bytes(edit_yaml((subject.folder / "recipe.yaml").read_bytes(), data))
    with bounded():
        experiment = read(changed)
        experiment.data.open(experiment.check)


def check_card_without_checksum(subject: Subject, data: st.DataObject) -> None:
    """A card of an earlier version is read strictly; what it says is obeyed, if it can be."""
    folder = _copy(subject, "run/last", "model")
    card = json.loads((folder / "card.json").read_bytes())
    del card["sha256"]
    (folder / "card.json").write_bytes(edit_json(json.dumps(card, indent=2).encode(), data))
    with bounded():
        framecast.load(folder).forecast(subject.frames, 2)


def check_manifest(subject: Subject, data: st.DataObject) -> None:
    store = _copy(subject, "rain.zarr", "store.zarr")
    (store / "manifest.json").write_bytes(edit_json((store / "manifest.json").read_bytes(), data))
    with bounded():
        framecast.convert(subject.folder / "rain.nc", store)
        np.testing.assert_array_equal(framecast.open(store).values, subject.frames.values)


def _check_model(name: str, change: Callable[[bytes, st.DataObject], bytes], subject: Subject, data: Any) -> None:
    """A forecast of a model with an edited file is the same as before, or refused."""
    folder = _copy(subject, "run/best", "model")
    (folder / name).write_bytes(change((folder / name).read_bytes(), data))
    with bounded():
        forecast = framecast.load(folder).forecast(subject.frames, 2).values
        np.testing.assert_array_equal(forecast, subject.forecast)


def _check_run(name: str, change: Callable[[bytes, st.DataObject], bytes], subject: Subject, data: Any) -> None:
    """A run with an edited file is resumed to the same model as before, or refused, and keeps its models."""
    run = _copy(subject, "run", "resumed")
    (run / name).write_bytes(change((run / name).read_bytes(), data))
    with bounded(), contextlib.redirect_stdout(None):
        framecast.resume(run, console=Console(quiet=True))
    forecast = framecast.load(run).forecast(subject.frames, 2).values
    np.testing.assert_array_equal(forecast, subject.forecast)


def _copy(subject: Subject, name: str, copy: str) -> Path:
    target = subject.folder / copy
    shutil.rmtree(target, ignore_errors=True)
    shutil.rmtree(target.with_name(f".{copy}.partial"), ignore_errors=True)
    shutil.copytree(subject.folder / name, target)
    return target


CHECKS: dict[str, Callable[[Subject, Any], None]] = {
    "recipe": check_recipe,
    "card": partial(_check_model, "card.json", edit_json),
    "card without checksum": check_card_without_checksum,
    "weights": partial(_check_model, "weights.safetensors", edit),
    "manifest": check_manifest,
    "experiment": partial(_check_run, "experiment.yaml", edit_yaml),
    "log": partial(_check_run, "log.csv", edit),
    "record": partial(_check_run, "data.json", edit_json),
    "checkpoint": partial(_check_run, "checkpoints/iteration-000000002.pt", edit),
}
QUICK = {
    "recipe": 40,
    "card": 25,
    "card without checksum": 25,
    "weights": 10,
    "manifest": 5,
    "experiment": 2,
    "log": 2,
    "checkpoint": 2,
}
LONG = {
    "recipe": 300,
    "card": 200,
    "card without checksum": 200,
    "weights": 60,
    "manifest": 80,
    "experiment": 60,
    "log": 40,
    "record": 20,
    "checkpoint": 40,
}


def _edit(check: Callable[[Subject, st.DataObject], None], subject: Subject, examples: int) -> None:
    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def run(data: st.DataObject) -> None:
        check(subject, data)

    run()


@pytest.mark.parametrize("check", QUICK)
def test_a_random_edit_is_refused_or_changes_nothing(check: str, subject: Subject) -> None:
    _edit(CHECKS[check], subject, QUICK[check])


@pytest.mark.slow
@pytest.mark.parametrize("check", LONG)
def test_a_thousand_edits(check: str, subject: Subject) -> None:
    _edit(CHECKS[check], subject, LONG[check])
