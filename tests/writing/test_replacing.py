"""Files and folders are replaced in one step, whatever fails, and never onto what they are made from."""

import errno
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from faulty_disk import FAULTS, FaultyDisk, content_of

from framecast.errors import ConfigError, FramecastError, RunError
from framecast.writing import append_text, clean_leftovers, files, put_bytes, replacing, write_bytes, write_text


def write_model(path: Path, text: bytes) -> None:
    """A folder of three files."""
    with replacing(path) as temporary:
        put_bytes(temporary / "card.json", text)
        put_bytes(temporary / "weights" / "a", text * 1000)
        put_bytes(temporary / "weights" / "b", b"")


def write_file(path: Path, text: bytes) -> None:
    write_bytes(path, text * 1000)


def error_of(write: Callable[[Path, bytes], None], path: Path) -> str | None:
    """The message if writing fails."""
    try:
        write(path, b"new")
    except RunError as error:
        return str(error)
    return None


@pytest.mark.parametrize("write", [write_file, write_model])
@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("can_exchange", [False, True])
@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_fails_the_target_is_whole_and_nothing_else_is_left(
    write, exists, can_exchange, fault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not can_exchange:
        monkeypatch.setattr(files, "rename_by", lambda *_: False)
    write(tmp_path / "expected" / "x", b"new")
    expected = content_of(tmp_path / "expected")
    for at in range(100):
        folder = tmp_path / f"{at}"
        folder.mkdir()
        if exists:
            write(folder / "x", b"old")
        before = content_of(folder)
        with monkeypatch.context() as patch:
            disk = FaultyDisk(tmp_path, at, fault).install(patch)
            message = error_of(write, folder / "x")
        failed = message is not None
        assert message is None or re.search(r"x: cannot be written[^$]*do the same again", message)
        after = content_of(folder)
        assert failed == (disk.has_failed and fault != "short")
        replaced = not can_exchange and exists and write is write_file  # such a rename cannot be undone
        assert after == (before if failed else expected) or (replaced and after == expected)
        write(folder / "x", b"new")
        assert content_of(folder) == expected
        if not disk.has_failed:
            assert at > 4
            return
    pytest.fail("no end of calls")


def test_modes_follow_the_umask(tmp_path: Path) -> None:
    for mask in (0o022, 0o002, 0o027):
        before = os.umask(mask)
        try:
            write_text(tmp_path / f"{mask}" / "file", "text")
            write_model(tmp_path / f"{mask}" / "model", b"text")
        finally:
            os.umask(before)
        for path in (tmp_path / f"{mask}").rglob("*"):
            mode = 0o777 if path.is_dir() else 0o666
            assert stat.S_IMODE(path.stat().st_mode) == mode & ~mask


@pytest.mark.parametrize("write", [write_file, write_model])
def test_links_are_followed(write, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    write(tmp_path / "disk" / "target", b"old")
    (tmp_path / "link").symlink_to("disk/target")
    (tmp_path / "link2").symlink_to("link")
    (tmp_path / "dangling").symlink_to("disk/later")
    write(tmp_path / "link2", b"new")
    write(tmp_path / "dangling", b"new")
    write(tmp_path / "expected", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "link2").is_symlink()
    assert (tmp_path / "dangling").is_symlink()
    for name in ("disk/target", "disk/later"):
        path = tmp_path / name
        expected = tmp_path / "expected"
        if path.is_dir():
            assert content_of(path) == content_of(expected)
        else:
            assert path.read_bytes() == expected.read_bytes()


def test_sources_are_never_replaced(tmp_path: Path) -> None:
    store = tmp_path / "data" / "own.zarr"
    write_model(store, b"frames")
    write_file(tmp_path / "data" / "own.nc", b"frames")
    (tmp_path / "link.nc").symlink_to("data/own.nc")
    (tmp_path / "linked").symlink_to("data")
    os.link(tmp_path / "data" / "own.nc", tmp_path / "hard.nc")
    before = content_of(tmp_path / "data")
    sources = [store, tmp_path / "data" / "own.nc", "s3://bucket/own.nc"]
    refused = [
        "data/own.nc",
        "link.nc",
        "linked/own.nc",
        "hard.nc",
        "data/../data/own.nc",
        "data/own.zarr",
        "data/own.zarr/x.nc",
        "data/own.zarr/new/x.nc",
        "linked/own.zarr/card.json",
        "data",
        "linked",
        ".",
    ]
    for name in refused:
        with pytest.raises(ConfigError, match=r"made from|is made"):
            write_bytes(tmp_path / name, b"", sources)
    with pytest.raises(ConfigError, match="made from"):
        write_bytes(tmp_path / "data" / "own.nc", b"", [str(tmp_path / "da*" / "*.nc")])
    write_bytes(tmp_path / "data" / "other.nc", b"", sources)
    assert content_of(tmp_path / "data") == {**before, "other.nc": b""}


def test_only_files_and_folders_are_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    for path in (tmp_path / "pipe", tmp_path / "null"):
        with pytest.raises(ConfigError, match="neither a file nor a folder"):
            write_bytes(path, b"text")
    with pytest.raises(FramecastError, match="name of a file"):
        write_bytes(tmp_path / "nul\0", b"text")
    with pytest.raises(RunError, match="shorter name"):
        write_bytes(tmp_path / ("n" * 300), b"text")
    (tmp_path / "folder").mkdir()
    with pytest.raises(RunError, match="Is a directory"):
        write_bytes(tmp_path / "folder", b"text")
    write_bytes(tmp_path / "file", b"text")
    with pytest.raises(RunError, match="Not a directory"):
        write_bytes(tmp_path / "file" / "below", b"text")
    with pytest.raises(RunError, match="Not a directory"):
        write_model(tmp_path / "file", b"text")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "null", "pipe"]


def test_without_leave_nothing_is_overwritten(tmp_path: Path) -> None:
    def write() -> None:
        with replacing(tmp_path / "x", overwrite=False) as temporary:
            temporary.write_bytes(b"mine")
            (tmp_path / "x").write_bytes(b"another was faster")

    with pytest.raises(RunError, match="exists already"):
        write()
    assert content_of(tmp_path) == {"x": b"another was faster"}


def test_an_interrupted_body_leaves_nothing(tmp_path: Path) -> None:
    write_file(tmp_path / "x", b"old")
    before = content_of(tmp_path)

    def write(error: type[BaseException]) -> None:
        with replacing(tmp_path / "x") as temporary:
            temporary.write_bytes(b"half")
            raise error

    for error in (KeyboardInterrupt, SystemExit, ValueError):
        with pytest.raises(error):
            write(error)
    assert content_of(tmp_path) == before


def test_a_torn_append_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append_text(tmp_path / "log.csv", "a,b\n")
    with monkeypatch.context() as patch:
        FaultyDisk(tmp_path, 0, "torn").install(patch)
        with pytest.raises(RunError, match="cannot be written"):
            append_text(tmp_path / "log.csv", "1,2\n")
    append_text(tmp_path / "log.csv", "3,4\n")
    assert (tmp_path / "log.csv").read_text() == "a,b\n3,4\n"


DIE = """
import os, sys
from pathlib import Path
from framecast.writing import files, replacing
path, step = Path(sys.argv[1]), sys.argv[2]
if step == "between":
    files.rename_by = lambda *_: False
    rename, count = os.rename, 0
    def die(old, new):
        rename(old, new)
        os._exit(9)
    os.rename = die
with replacing(path) as temporary:
    temporary.mkdir()
    (temporary / "card").write_text("new")
    if step == "body":
        print("written", flush=True)
        sys.stdin.read()
"""


def test_what_a_dead_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", DIE, tmp_path / "model", "body"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"written\n"
    clean_leftovers(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()
    clean_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_swap_that_was_interrupted_is_completed(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "card").write_text("old")
    assert subprocess.run([sys.executable, "-c", DIE, tmp_path / "model", "between"]).returncode == 9
    assert not (tmp_path / "model").exists()
    clean_leftovers(tmp_path)
    assert content_of(tmp_path) == {"model/card": b"new"}


def test_errors_of_libraries_are_errors_of_the_disk(tmp_path: Path) -> None:
    texts = {
        RuntimeError("No space left on device (os error 28)"): "No space left",
        OSError("Unable to create file (errno = 28, error message = 'No space left on device')"): "No space left",
        OSError(errno.EROFS, os.strerror(errno.EROFS)): "read-only",
    }
    for raised, message in texts.items():
        with pytest.raises(RunError, match=message), replacing(tmp_path / "x"):
            raise raised
    with pytest.raises(RuntimeError, match="a mistake"), replacing(tmp_path / "x"):
        raise RuntimeError("a mistake")
