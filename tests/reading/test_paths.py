"""Paths of any kind are read, or refused at once and in words; nothing blocks."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import framecast
from framecast.errors import ArgumentError, DataError, FramecastError, input_error
from framecast.reading.paths import check_file, is_file, read_bytes, read_text, status


@contextmanager
def within(seconds: int) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise AssertionError("blocks")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(params=["pipe", "device", "socket", "folder"])
def odd(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("odd")
    if request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    elif request.param == "folder":
        path.mkdir()
    else:
        path = Path("/dev/zero")
    return path


def test_only_regular_files_are_read(odd: Path) -> None:
    with within(5):
        assert not is_file(odd)
        for read in (check_file, read_bytes, read_text):
            with pytest.raises(DataError):
                read(odd)


CALLS: dict[str, Callable[[Any], object]] = {
    "open": framecast.open,
    "train": lambda path: framecast.train(path),
    "resume": framecast.resume,
    "load": framecast.load,
    "evaluate": framecast.evaluate,
    "inspect": lambda path: framecast.inspect(path),
    "convert": lambda path: framecast.convert(path, "store.zarr"),
    "forecast": lambda path: framecast.forecast(path, path),
}


@pytest.mark.parametrize("call", CALLS)
def test_no_command_blocks_on_what_is_no_file(odd: Path, call: str) -> None:
    with within(120), pytest.raises(FramecastError):
        CALLS[call](odd)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("path", ["a" * 5000, "a/" * 3000 + "b", "a\x00b"])
def test_what_can_be_no_path_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FramecastError) as error:
        CALLS[call](path)
    assert len(str(error.value)) < 2000


def test_names_may_hold_any_bytes(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xe4.txt"))
    path.write_bytes(b"text")
    assert status(path) is not None
    assert read_text(path) == "text"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(28, "No space left on device", "out.nc"), "out.nc: cannot be read or written (No space"),
        (MemoryError(), "not enough memory"),
        (RuntimeError("[enforce fail] can't allocate memory: you tried to allocate 5 bytes"), "not enough memory"),
        (RecursionError(), "nested too deeply"),
        (RuntimeError("Connection closed by peer [127.0.0.1]"), "another process of the run has ended"),
    ],
)
def test_errors_of_the_machine_become_ours(error: Exception, words: str) -> None:
    known = input_error(error)
    assert known is not None
    assert words in str(known)
    assert known.exit_code == 2


def test_errors_of_the_program_stay_internal() -> None:
    assert input_error(ValueError("x")) is None
    assert input_error(RuntimeError("x")) is None


def test_messages_are_bounded() -> None:
    error = ArgumentError("x" * 10_000, where="y" * 10_000, remedy="z" * 10_000)
    assert len(str(error)) < 5_000
