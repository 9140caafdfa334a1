"""Measures a forecast from a cold start to its file, above what importing PyTorch alone takes.

    python benchmarks/starting.py FILE.nc [--rounds 7]

Runs `python -c "import torch"` and `framecast forecast radar --data FILE.nc` in turn, of the newest frames in a small window of
the file. Prints the medians of processor and wall time with their ranges, and the difference in each round.
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


def seconds(*command: str) -> tuple[float, float]:
    """The processor and the wall time of a process, without its output."""
    before, begin = os.times(), time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = os.times()
    used = after.children_user - before.children_user + after.children_system - before.children_system
    return used, time.perf_counter() - begin


def describe(values: list[float]) -> str:
    """The median and the range."""
    return f"{statistics.median(values):.2f} s ({min(values):.2f} to {max(values):.2f})"


def main() -> None:
    """Print medians and differences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data, out = Path(folder, "small.nc"), Path(folder, "out.nc")
        with xr.open_dataset(arguments.file) as event:
            top, left = ((event.sizes[axis] - SIDE) // 2 for axis in ("y", "x"))
            small = event.isel(time=slice(0, 6), y=slice(top, top + SIDE), x=slice(left, left + SIDE)).load()
        for name in small.variables:
            for key in ("chunksizes", "preferred_chunks", "original_shape"):
                small[name].encoding.pop(key, None)
        small.to_netcdf(data, engine="h5netcdf")
        command = ("-m", "framecast.cli", "forecast", "radar", "--data", str(data), "--out", str(out), "--overwrite")
        forms = {"import torch": ("-c", "import torch"), "framecast forecast": command}
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in forms}
        for round_ in range(arguments.rounds + 1):
            for name, form in forms.items():
                measured = seconds(*form)
                if round_:  # the first fills caches
                    times[name].append(measured)
    for k, kind in enumerate(("processor", "wall")):
        alone, forecast = ([each[k] for each in values] for values in times.values())
        above = [ours - theirs for ours, theirs in zip(forecast, alone, strict=True)]
        print(f"{kind}: import torch {describe(alone)}, forecast {describe(forecast)}, above {describe(above)}")


if __name__ == "__main__":
    main()
