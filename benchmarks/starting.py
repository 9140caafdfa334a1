"""Measures a forecast from a cold start to its file, above what importing PyTorch alone takes.

    python benchmarks/starting.py FILE.nc [--before TREE] [--whole] [--members 20] [--rounds 7]

Runs `python -c "import torch"` and `framecast forecast radar --data FILE.nc` in turn, of the newest frames in a small window of
the file, or with --whole of the file itself; with --before also that of another source tree, which has `src`. Prints the medians
of processor and wall time with their ranges, and the differences from PyTorch in each round.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import xarray as xr

SIDE = 128


def seconds(command: list[str], sources: str | None) -> tuple[float, float]:
    """The processor and the wall time of a process, without its output, that imports from `sources`."""
    environment = os.environ if sources is None else {**os.environ, "PYTHONPATH": sources}
    before, begin = os.times(), time.perf_counter()
    subprocess.run(
        [sys.executable, *command],
        check=True,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    after = os.times()
    used = after.children_user - before.children_user + after.children_system - before.children_system
    return used, time.perf_counter() - begin


def describe(values: list[float]) -> str:
    """The median and the range."""
    return f"{statistics.median(values):.2f} s ({min(values):.2f} to {max(values):.2f})"


def write_window(source: str, path: Path) -> None:
    """Write the first frames in the middle of a file."""
    with xr.open_dataset(source) as event:
        top, left = ((event.sizes[axis] - SIDE) // 2 for axis in ("y", "x"))
        small = event.isel(time=slice(0, 6), y=slice(top, top + SIDE), x=slice(left, left + SIDE)).load()
    for name in small.variables:
        for key in ("chunksizes", "preferred_chunks", "original_shape"):
            small[name].encoding.pop(key, None)
    small.to_netcdf(path, engine="h5netcdf")


def main() -> None:
    """Print medians and differences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--before")
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--members", type=int)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data, out = Path(folder, "small.nc"), Path(folder, "out.nc")
        if arguments.whole:
            data = Path(arguments.file)
        else:
            write_window(arguments.file, data)
        command = ["-m", "framecast.cli", "forecast", "radar", "--data", str(data), "--out", str(out), "--overwrite"]
        if arguments.members:
            command += ["--members", str(arguments.members)]
        forms: dict[str, tuple[list[str], str | None]] = {"import torch": (["-c", "import torch"], None)}
        if arguments.before:
            forms["before"] = (command, str(Path(arguments.before, "src").resolve()))
        forms["forecast"] = (command, None)
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in forms}
        for round_ in range(arguments.rounds + 1):
            for name, form in forms.items():
                measured = seconds(*form)
                if round_:  # the first fills caches
                    times[name].append(measured)
    for k, kind in enumerate(("processor", "wall")):
        alone = [each[k] for each in times["import torch"]]
        print(f"{kind}: import torch {describe(alone)}")
        for name in [each for each in forms if each != "import torch"]:
            own = [each[k] for each in times[name]]
            above = [ours - theirs for ours, theirs in zip(own, alone, strict=True)]
            print(f"{kind}: {name} {describe(own)}, above {describe(above)}")


if __name__ == "__main__":
    main()
