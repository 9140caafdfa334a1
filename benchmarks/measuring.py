"""Timing functions for the speed benchmarks: the peak rates of the machine, and alternating measurements."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import torch
from torch.nn import functional


def machine() -> str:
    """Describe the machine: threads, versions, and the rates of a large matrix product and a large direct convolution."""
    a = torch.rand(2048, 2048)
    x, weight = torch.rand(8, 64, 16, 16), torch.rand(448, 64, 5, 5)
    product = 2 * 2048**3 / fastest(lambda: a @ a) / 1e9
    direct = 2 * 25 * 64 * 448 * 8 * 256 / fastest(lambda: functional.conv2d(x, weight, padding=2)) / 1e9
    return (
        f"{torch.get_num_threads()} threads, torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}; "
        f"matrix product {product:.0f} GFLOP/s, direct 5x5 convolution {direct:.0f} GFLOP/s"
    )


def seconds(work: Callable[[], object]) -> float:
    """The duration of one call of `work`."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def fastest(work: Callable[[], object], repeats: int = 7) -> float:
    """The shortest duration of `repeats` calls, in seconds."""
    return min(seconds(work) for _ in range(repeats))


def alternating(forms: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each form, measured in turn after one warm-up round, so that other load on the machine affects all forms."""
    times: dict[str, list[float]] = {name: [] for name in forms}
    for round_ in range(repeats + 1):
        for name, work in forms.items():
            duration = seconds(work)
            if round_:
                times[name].append(duration)
    return times


def line(name: str, times: Mapping[str, list[float]], of: str = "plain") -> str:
    """Format medians with ranges, and the ratio of `of` to the first form: of the medians, and the range over rounds."""
    first = next(iter(times))
    parts = [
        f"{form} {statistics.median(values):.3f} s ({min(values):.3f}-{max(values):.3f})"
        for form, values in times.items()
    ]
    ratio = statistics.median(times[of]) / statistics.median(times[first])
    pairs = [theirs / ours for theirs, ours in zip(times[of], times[first], strict=True)]
    return f"{name:<28} {', '.join(parts)}: {ratio:.2f} x (rounds {min(pairs):.2f}-{max(pairs):.2f})"
