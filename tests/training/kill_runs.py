"""Train a recipe in processes that are killed at random moments, until it is finished: `python kill_runs.py RECIPE OUT SEED`.

The processes are forked from one that has imported everything, so that moments before the first checkpoint are met too. Prints
the number of ends by each signal, those before the first checkpoint, and those while a file was being written.
"""

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import lightning_fabric  # noqa: F401  - imported before the forks
import torch.utils.tensorboard  # noqa: F401

import framecast.training.loop  # noqa: F401
from framecast.cli import main

SIGNALS = (*[signal.SIGKILL] * 5, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


def start(*arguments: str, output: str | Path = os.devnull) -> int:
    """The process of a command line, which prints into the file `output`."""
    process = os.fork()
    if process:
        return process
    sys.stdout = sys.stderr = open(output, "w", buffering=1)  # noqa: SIM115  - for the life of the process
    sys.argv = ["framecast", *arguments]
    code = 1
    try:
        main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    finally:
        os._exit(code)


def wait(process: int, seconds: float) -> int | None:
    """The exit status of a process; None if it lives after some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    return None


def newest(run: Path) -> int:
    """The iteration of the newest checkpoint; -1 without one."""
    return max((int(path.stem.split("-")[1]) for path in (run / "checkpoints").glob("*.pt")), default=-1)


def kill_runs(recipe: str, run: Path, seed: int) -> Counter[str]:
    """The number of ends of each kind. Processes live longer the more of them have ended without a new checkpoint."""
    rng, ends, span = random.Random(seed), Counter[str](), 0.5
    while not (run / "last").is_dir():
        before = newest(run)
        again = before >= 0 or ((run / "experiment.yaml").is_file() and rng.random() < 0.5)
        process = start("train", *(["--resume", str(run)] if again else [recipe, "--out", str(run)]))
        code = wait(process, rng.uniform(0, span))
        if code is None:
            number = rng.choice(SIGNALS)
            os.kill(process, number)
            status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
            ends[f"{signal.Signals(number).name} {status}"] += 1
            ends["early"] += newest(run) < 0
            ends["while writing"] += any(run.rglob(".writing-*"))
            span *= 1.2 if newest(run) == before else 0.8
        elif code:
            raise SystemExit(f"ended by itself with exit code {code}: {ends}")
    return ends


if __name__ == "__main__":
    print(json.dumps(kill_runs(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
