"""A process of distributed training ends when the one that started it is gone, also before training begins."""

import os
import subprocess
import sys
import time
from pathlib import Path

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
    end = time.monotonic() + 30
    while time.monotonic() < end and is_running(child):
        time.sleep(0.1)
    assert not is_running(child)


def is_running(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
