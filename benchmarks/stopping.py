"""Seconds from SIGTERM until `framecast run` and all its processes have ended: at rest, and amid a forecast.

    python benchmarks/stopping.py EVENT.nc [--model radar] [--repeats 3]

The service forecasts the frames of the event, shifted to the present, with its HTTP server beside. Amid a forecast means right
after the newest frame has been taken in. Printed are the seconds of each, and the number of forecasts that are left: one at rest,
and a second one where the forecast in progress was finished.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from served_output import shifted, stamp, write_frame

import framecast

CONTEXT = 6
"""Frames that are there at the start."""
CONFIG = """
out: {folder}/out
serve: {{port: {port}}}
domains:
  - {{name: stopped, source: {folder}/in, model: {model}, poll: 0.2, scores: false, max_age: 600, wait: 600}}
"""


def main() -> None:
    """Parse the arguments, stop services, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("event", type=Path)
    parser.add_argument("--model", default="radar")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start")
    for name, amid in (("amid a forecast", True), ("at rest", False)):
        results = [stop(options.event, options.model, amid=amid) for _ in range(options.repeats)]
        seconds = [each for each, _ in results]
        print(f"{name}: {statistics.median(seconds):.1f} s, at most {max(seconds):.1f} s", end="; ")
        print(f"forecasts written: {', '.join(str(count) for _, count in results)}")


def stop(event: Path, model: str, *, amid: bool) -> tuple[float, int]:
    """Start a service, stop it; returns the seconds that this took, and the number of forecasts that it has left."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        frames = shifted(framecast.open(event)).isel(time=slice(-CONTEXT - 1, None)).load()
        names = [f"{stamp(time)}.nc" for time in frames["time"].values]
        for number in range(CONTEXT):
            write_frame(folder / "in" / names[number], frames.isel(time=[number]))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            text = CONFIG.format(folder=folder, port=free.getsockname()[1], model=model)
        (folder / "service.yaml").write_text(text)
        command = [sys.executable, "-m", "framecast.cli", "run", str(folder / "service.yaml")]
        service = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        domain = folder / "out" / "stopped"
        wait_for(domain / "forecasts" / names[CONTEXT - 1].removesuffix(".nc"))
        time.sleep(2)
        if amid:
            write_frame(folder / "in" / names[CONTEXT], frames.isel(time=[CONTEXT]))
            wait_for(domain / "frames" / names[CONTEXT])
        processes = [psutil.Process(service.pid), *psutil.Process(service.pid).children(recursive=True)]
        begun = time.perf_counter()
        service.send_signal(signal.SIGTERM)
        if service.wait() != 0:
            raise SystemExit("the service did not end well")
        psutil.wait_procs(processes, timeout=60)
        return time.perf_counter() - begun, len(list((domain / "forecasts").iterdir()))


def wait_for(path: Path) -> None:
    """Wait until a path is there."""
    deadline = time.monotonic() + 300
    while not path.exists():
        if time.monotonic() > deadline:
            raise SystemExit(f"{path} does not appear")
        time.sleep(0.01)


if __name__ == "__main__":
    main()
