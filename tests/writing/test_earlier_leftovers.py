"""What earlier versions left beside a file when they were killed goes with the next write, and nothing else does."""

import os
import subprocess
import sys
import time
from pathlib import Path

from framecast.writing import write_text

DAY = 25 * 3600


def test_only_old_leftovers_of_dead_processes_go(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    dead, living = process.pid, os.getpid()
    gone = (f".x.nc.{dead}", f".{dead}.x.nc")
    stay = (
        f".x.nc.{living}",
        f".{living}.x.nc",
        f".y.nc.{dead}",
        f".x.nc.{dead}.txt",
        ".x.nc.0",
        ".x.nc.old",
        f"x.nc.{dead}",
    )
    for name in (*gone, *stay):
        (tmp_path / name).write_text("")
    folder = tmp_path / f".model.{dead}"
    folder.mkdir()
    (folder / "card.json").write_text("")
    for path in tmp_path.iterdir():
        os.utime(path, (time.time() - DAY,) * 2)
    write_text(tmp_path / "x.nc", "text")
    assert {path.name for path in tmp_path.iterdir()} == {*stay, "x.nc", folder.name}
    write_text(tmp_path / "model", "text")
    assert not folder.exists()


def test_a_leftover_of_today_stays(tmp_path: Path) -> None:
    """Its process may run on another host."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    leftover = tmp_path / f".x.nc.{process.pid}"
    leftover.write_text("")
    write_text(tmp_path / "x.nc", "text")
    assert leftover.exists()
