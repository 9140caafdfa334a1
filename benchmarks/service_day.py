"""Runs a day of a service at high speed with real frames and faults at random, and checks what it leaves behind.

    python benchmarks/service_day.py EVENT.nc [EVENT.nc ...] [--model radar] [--cycles 288] [--side 128] [--members 8]

The frames of the events, cropped to `side` pixels where most rain falls, follow each other forward and backward, one every five
minutes; the clock is set by hand. Printed are what each fault led to, the seconds of a cycle, and the largest memory of the
process between two cycles, by twelfths of the day. It fails if an expected time has no outcome or two, if a usable frame was not
forecast, if a file is half written, or if memory grew by more than a tenth after the first quarter.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import xarray as xr

import framecast
from framecast.data.readers.options import ReadOptions
from framecast.forecasting.products.settings import ProductSettings
from framecast.ops.native.memory import keep_free
from framecast.service.layout import to_stamp
from framecast.service.processes import FILES
from framecast.service.settings import Domain

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "service"))
from rain_frames import at
from simulated_day import Day, check_day, table

GROWTH = 1.1


def read_frames(paths: list[str], side: int) -> tuple[np.ndarray, xr.DataArray]:
    """The frames `(N, side, side)` of the events, and the first of them, with its coordinates."""
    parts = []
    for path in paths:
        frames = framecast.open(path)
        values = frames.values[:, 0]
        rain = np.nansum(values, axis=0)
        top, left = (_best_start(rain.sum(axis), side) for axis in (1, 0))
        parts.append(frames.isel(y=slice(top, top + side), x=slice(left, left + side)))
    return np.concatenate([part.values[:, 0] for part in parts]), parts[0].isel(time=[0]).load()


def _best_start(sums: np.ndarray, side: int) -> int:
    """Where the window of `side` pixels with the largest sum begins."""
    if len(sums) <= side:
        return 0
    return int(np.convolve(np.nan_to_num(sums), np.ones(side), "valid").argmax())


def main() -> None:
    """Parse the command line, run the day, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("events", nargs="+")
    parser.add_argument("--model", default="radar")
    parser.add_argument("--cycles", type=int, default=288)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--horizon", type=int, default=12)
    parser.add_argument("--members", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    out = arguments.out or Path(tempfile.mkdtemp(prefix="service-day-"))
    values, example = read_frames(arguments.events, arguments.side)
    order = [*range(len(values)), *range(len(values) - 2, 0, -1)]

    def encode(number: int, frame: np.ndarray) -> bytes:
        height, width = frame.shape
        sized = example.isel(y=slice(height), x=slice(width)).drop_vars("source")
        stored = sized.copy(data=frame[None, None]).assign_coords(time=[to_stamp(at(number))])
        stored.attrs = {key: value for key, value in stored.attrs.items() if key != "repairs"}
        return bytes(stored.drop_encoding().to_dataset(name="rain").to_netcdf(engine="h5netcdf"))

    domain = Domain(
        name="day",
        source=str(out / "incoming"),
        options=ReadOptions(),
        model=arguments.model,
        horizon=arguments.horizon,
        members=arguments.members,
        products=ProductSettings(products=("accumulation", "exceedance_2"), formats=("geotiff",)),
    )
    dry = float(example.attrs["dry"])
    day = Day(
        domain, out, lambda k: values[order[k % len(order)]], encode, ".nc", arguments.cycles, arguments.seed, dry
    )
    keep_free(every_size=True)
    xr.set_options(file_cache_maxsize=FILES)  # type: ignore[no-untyped-call]
    begun, processor = time.perf_counter(), time.process_time()
    day.run(lambda number: print(f"\r{number + 1} of {arguments.cycles}", end="", file=sys.stderr))
    elapsed, processor = time.perf_counter() - begun, time.process_time() - processor
    print(file=sys.stderr)
    counts = table(day, check_day(day))
    print(f"{arguments.cycles} expected times, {arguments.cycles} outcomes; output in {out}")
    for fault, rungs in sorted(counts.items()):
        print(f"  {fault:<13} {', '.join(f'{rung} {count}' for rung, count in rungs.most_common())}")
    print(
        f"seconds a cycle, all included: {elapsed / arguments.cycles:.2f}, of the processor {processor / arguments.cycles:.2f}"
    )
    twelfths = [part.max() / 2**20 for part in np.array_split(np.array(day.memory), 12)]
    print("memory in MB by twelfths:", ", ".join(f"{each:.0f}" for each in twelfths))
    if max(twelfths[3:]) > GROWTH * max(twelfths[:3]):
        sys.exit("the memory has grown")


if __name__ == "__main__":
    main()
