"""A process of distributed training ends when the one that started it is gone, also before training begins."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from conftest import changed, small
from framecast.config.parsing import plain

FILE = Path(__file__).parents[2] / "src" / "framecast" / "training" / "peers.py"
WATCH = f"import os, runpy, subprocess, sys, time; peers = runpy.run_path({str(FILE)!r})"
CHILD = f"""{WATCH}
peers["watch_peers"].__globals__["GRACE"] = 0.2
peers["watch_peers"]()
print("watching", flush=True)
time.sleep(120)
"""
PARENT = f"""{WATCH}
peers["watch_peers"]()
environment = {{**os.environ, "LOCAL_RANK": "1"}}
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}], env=environment, stdout=subprocess.PIPE, text=True)
print(child.pid, child.stdout.readline(), flush=True)
os._exit(3)
"""


def test_a_process_ends_after_the_one_of_rank_zero() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "LOCAL_RANK"}
    parent = subprocess.run(
        [sys.executable, "-c", PARENT], capture_output=True, text=True, timeout=120, check=False, env=environment
    )
    assert parent.returncode == 3, parent.stderr
    child = int(parent.stdout.split()[0])
    assert "watching" in parent.stdout
    assert ends(child)


def ends(process: int) -> bool:
    """Whether a process ends within half a minute."""
    end = time.monotonic() + 30
    while time.monotonic() < end and is_running(process):
        time.sleep(0.1)
    return not is_running(process)


def is_running(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


RANK_ZERO = f"""{WATCH}
import logging
children = []
peers["end_with"](children)
children += [subprocess.Popen([sys.executable, "-c", code]) for code in ({{first!r}}, "import time; time.sleep(120)")]
print(children[1].pid, flush=True)
children[0].wait()
logging.getLogger("lightning_fabric.strategies.launchers.subprocess_script").info("Child process terminated with code")
time.sleep(120)
"""


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        ("import os; os.kill(os.getpid(), 9)", r"rank 1 was ended by SIGKILL \(out of memory"),
        ("import os; os.kill(os.getpid(), 15)", "rank 1 was ended by SIGTERM, so all"),
        ("raise SystemExit(3)", "rank 1 ended with exit code 3"),
    ],
)
def test_all_processes_end_after_one_of_them(first: str, reason: str) -> None:
    """At the message of Lightning's launcher, which would kill this process without another word."""
    code = RANK_ZERO.format(first=first)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert re.search(reason, ended.stderr), ended.stderr
    assert ends(int(ended.stdout))


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_killed_before_training_begins_ends_the_others(rank: int, tmp_path: Path) -> None:
    """Two real processes; the killed one is waited for in the rendezvous."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({"base": plain(changed(small(), devices=2, strategy="ddp"))}))
    arguments = [sys.executable, "-m", "framecast.cli", "train", str(recipe), "--out", str(tmp_path / "run")]
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while not (started := [int(each) for each in children.read_text().split() if is_rank_one(int(each))]):
        time.sleep(0.01)
    begin = time.monotonic()
    os.kill([process.pid, started[0]][rank], signal.SIGKILL)
    _, message = process.communicate(timeout=90)
    assert time.monotonic() - begin < 60
    assert ends(started[0])
    assert process.returncode == (2 if rank else -signal.SIGKILL)
    assert ("rank 1 was ended by SIGKILL" if rank else "the process of rank zero has ended") in message
    assert not (tmp_path / "run" / "last").exists()


def is_rank_one(process: int) -> bool:
    return b"LOCAL_RANK=1" in Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
