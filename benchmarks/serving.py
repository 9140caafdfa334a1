"""Tiles a second, and how long they take, while forecasts are made on the same machine.

    python benchmarks/served_output.py OUT switzerland=mch_20150515.nc netherlands=knmi_20100826.nc
    python benchmarks/serving.py OUT [--frames mch_20150515.nc] [--rate 200] [--seconds 30]

Three processes: `framecast serve`, this client, and one that forecasts with the radar model from FRAMES again and again.
Requests are sent at their times, whether the ones before are answered or not, and a duration counts from that time, so that
waiting counts. Four of five tiles come from a page that people look at (the frames of one view), the others from anywhere in
the domains: the first request for a tile is cold, later ones are warm. Printed are quantiles in milliseconds of each, failures,
the CPU time of the server for a tile, and the seconds of a forecast with and without the load.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from pyproj import Transformer

CONNECTIONS = 32
FORECASTS = """
import sys, time
import framecast
model = framecast.load("radar")
frames = framecast.open(sys.argv[1])
newest = frames.isel(time=slice(-model.context, None)).load()
while True:
    start = time.perf_counter()
    model.forecast(newest, 12)
    print(time.perf_counter() - start, flush=True)
"""


def main() -> None:
    """Parse the arguments, run everything, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--frames", type=Path, help="forecast from these beside the load")
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve = ["-m", "framecast.cli", "serve", str(options.out), "--port", str(port), "--rate", "100000"]
    server = subprocess.Popen([sys.executable, *serve], stdout=subprocess.DEVNULL)
    forecaster = None
    try:
        wait_for(port)
        alone = []
        if options.frames is not None:
            forecaster = subprocess.Popen(
                [sys.executable, "-c", FORECASTS, str(options.frames)], stdout=subprocess.PIPE, text=True
            )
            alone = [float(forecaster.stdout.readline()) for _ in range(4)][1:]  # type: ignore[union-attr]
        process = psutil.Process(server.pid)
        before = sum(process.cpu_times()[:2])
        targets = list(tiles(port, int(options.rate * options.seconds)))
        durations, failures = asyncio.run(load(port, targets, options.rate))
        used = sum(process.cpu_times()[:2]) - before
        report(targets, durations, failures, used)
        if forecaster is not None:
            forecaster.terminate()
            beside = [float(line) for line in forecaster.stdout.read().split()]  # type: ignore[union-attr]
            print(
                f"forecast: {statistics.median(alone):.2f} s alone, {statistics.median(beside or [0]):.2f} s under load"
            )
        print(f"memory of the server: {process.memory_info().rss / 2**20:.0f} MB")
    finally:
        for each in (server, forecaster):
            if each is not None:
                each.terminate()
                each.wait()


def wait_for(port: int) -> None:
    """Wait until the server answers."""
    for _ in range(600):
        try:
            get(port, "healthz")
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the server does not start")


def get(port: int, path: str) -> Any:
    """The JSON at a path."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=60) as answer:
        return json.load(answer)


def tiles(port: int, count: int, seed: int = 0) -> Any:
    """Paths of tiles: four of five of one view of a page, the others anywhere."""
    rng = random.Random(seed)
    to_world = Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True)
    pages = []
    for domain in [each["domain"] for each in get(port, "api/status")["domains"]]:
        detail, forecast = get(port, f"api/domains/{domain}"), get(port, f"api/domains/{domain}/forecasts/latest")
        observed = [(name, "observed", 0) for name in detail["frames"][-24:]]
        ahead = [
            (forecast["init"], product, round(m)) for m in forecast["lead_minutes"] for product in forecast["products"]
        ]
        west, south, east, north = detail["bounds"]
        pages.append((domain, observed, ahead, to_world.transform([west, east], [south, north])))

    def path(page: Any, zooms: range, rates_only: bool) -> str:
        domain, observed, ahead, (x, y) = page
        zoom, half = rng.choice(zooms), 20037508.342789244
        side = 2 * half / 2**zoom
        column = int((rng.uniform(*x) + half) / side)
        row = int((half - rng.uniform(*y)) / side)
        frames = observed + [each for each in ahead if each[1] == "rate" or not rates_only]
        init, product, lead = rng.choice(frames)
        return f"/tiles/{domain}/{init}/{product}/{lead}/{zoom}/{column}/{row}.png?size=256"

    for number in range(count):
        yield path(rng.choice(pages), range(4, 11), False) if number % 5 == 0 else path(pages[-1], range(6, 7), True)


async def load(port: int, targets: list[str], rate: float) -> tuple[list[float], list[str]]:
    """Ask for the targets at a rate; returns the seconds of each, and the answers that are no tiles."""
    queue: asyncio.Queue[tuple[int, float]] = asyncio.Queue()
    durations, failures = [0.0] * len(targets), []

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while True:
            number, due = await queue.get()
            writer.write(f"GET {targets[number]} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            durations[number] = time.perf_counter() - due
            if not head.startswith(b"HTTP/1.1 200"):
                failures.append(f"{targets[number]}: {head[9:12].decode()}")
            queue.task_done()

    workers = [asyncio.create_task(connection()) for _ in range(CONNECTIONS)]
    start = time.perf_counter() + 0.1
    for number in range(len(targets)):
        due = start + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        queue.put_nowait((number, due))
    await queue.join()
    for worker in workers:
        worker.cancel()
    return durations, failures


def report(targets: list[str], durations: list[float], failures: list[str], used: float) -> None:
    """Print the quantiles."""
    seen: set[str] = set()
    cold = np.array([target not in seen and not seen.add(target) for target in targets])  # type: ignore[func-returns-value]
    milliseconds = 1e3 * np.array(durations)
    later = np.arange(len(targets)) >= len(targets) // 3
    print(f"{len(targets)} tiles, {cold.mean():.0%} cold, {len(failures)} failures {failures[:3] or ''}")
    chosen_by_name = {"all": cold | True, "warm": ~cold, "cold": cold, "after a third of the time": later}
    chosen_by_name["the same, cold"] = later & cold
    for name, chosen in chosen_by_name.items():
        values = [f"{quantile}: {np.percentile(milliseconds[chosen], quantile):.1f}" for quantile in (50, 95, 99, 100)]
        print(f"{name}: ms at percentile {', '.join(values)}")
    print(f"server: {1e3 * used / len(targets):.1f} ms of CPU a tile")


if __name__ == "__main__":
    main()
