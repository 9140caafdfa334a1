"""A folder has one writer at a time; the lock of a dead process is none."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from framecast.errors import RunError
from framecast.writing import LOCK, claim, locks

HOLD = """
import sys
from framecast.writing import claim
with claim(sys.argv[1], sibling=sys.argv[2] == "sibling"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("sibling", [False, True])
def test_a_second_writer_is_refused_and_a_dead_one_replaced(sibling: bool, tmp_path: Path) -> None:
    folder, where = tmp_path / "run", "sibling" if sibling else "inside"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, folder, where], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"held\n"
    message = f"process {process.pid} on "
    with pytest.raises(RunError, match=message), claim(folder, sibling=sibling):
        pytest.fail("two at once")
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()
    lock = tmp_path / f".run{LOCK}" if sibling else folder / LOCK
    assert lock.exists()
    with claim(folder, sibling=sibling):
        assert json.loads(lock.read_text())["pid"] == os.getpid()
        with pytest.raises(RunError, match=str(os.getpid())), claim(folder, sibling=sibling):
            pytest.fail("two at once")
    assert not lock.exists()


def test_a_folder_that_stays_empty_is_removed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing"), claim(tmp_path / "new" / "run"):
        raise ValueError("nothing is written")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "own").mkdir()
    with claim(tmp_path / "own"):
        pass
    assert list(tmp_path.iterdir()) == [tmp_path / "own"]


def test_the_lock_is_not_inherited_by_a_child(tmp_path: Path) -> None:
    read, write = os.pipe()
    with claim(tmp_path / "run"):
        child = os.fork()
        if child == 0:
            os.read(read, 1)  # lives on after its parent has let go
            os._exit(0)
    with claim(tmp_path / "run"):
        pass
    os.write(write, b"x")
    os.waitpid(child, 0)


def test_without_locks_the_record_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(locks.fcntl, "flock", unsupported)
    (tmp_path / LOCK).write_text(json.dumps({"host": locks.socket.gethostname(), "pid": 2**22 + 1}))
    with claim(tmp_path), pytest.raises(RunError, match="another process"), claim(tmp_path):
        pytest.fail("two at once")
    (tmp_path / LOCK).write_text(json.dumps({"host": "another", "pid": 1}))
    with pytest.raises(RunError, match="on another"), claim(tmp_path):
        pytest.fail("may live")
    (tmp_path / LOCK).write_text("garbage")
    with claim(tmp_path):
        pass


def test_a_folder_that_cannot_be_written_is_an_error_of_the_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"), claim(tmp_path / "file"):
        pytest.fail("a file is no folder")
