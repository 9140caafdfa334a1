"""Devices and processes (Lightning Fabric), and the signals that end a run cleanly."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from framecast.checks import require
from framecast.config.experiment import Training
from framecast.errors import ConfigError


def launch(settings: Training) -> Any:
    """A launched Fabric with the devices, precision and processes that the settings ask for. Raises `ConfigError`."""
    require("lightning_fabric", extra="train", purpose="training")
    from lightning_fabric import Fabric
    from lightning_fabric.utilities.exceptions import MisconfigurationException

    try:
        fabric = Fabric(
            accelerator=settings.accelerator,
            devices=settings.devices,
            num_nodes=settings.num_nodes,
            strategy=settings.strategy,
            precision=settings.precision,
        )
        fabric.launch()
    except (MisconfigurationException, ValueError, TypeError, RuntimeError) as error:
        raise ConfigError(f"cannot be used on this machine: {error}", where="training") from error
    if settings.graph and not _recordable(fabric):
        raise ConfigError(
            f"a step is recorded on one GPU, and this runs on {fabric.world_size} x {fabric.device.type}",
            where="training.graph",
            remedy="leave it out",
        )
    return fabric


def begun(settings: Training) -> int:
    """The time in seconds, the same in all processes: that of the first."""
    own = int(time.time())
    if settings.devices * settings.num_nodes == 1:
        return own
    fabric = launch(settings)
    first = torch.tensor(own if fabric.global_rank == 0 else 0, device=fabric.device)
    return int(fabric.all_reduce(first, reduce_op="sum"))


def _recordable(fabric: Any) -> bool:
    return bool(fabric.device.type == "cuda" and fabric.world_size == 1)


@contextmanager
def exactly(deterministic: bool) -> Iterator[None]:
    """Algorithms that give the same result every time, if `deterministic`. On a CPU they all do."""
    if not deterministic:
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]


@contextmanager
def interruptible() -> Iterator[list[int]]:
    """A list that holds the signal once SIGTERM or Ctrl-C came; a second Ctrl-C interrupts at once."""
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return

    def note(number: int, _: Any) -> None:
        if came and number == signal.SIGINT:
            raise KeyboardInterrupt
        came.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def agreed(fabric: Any, interrupted: bool) -> bool:
    """Whether any of the processes was interrupted."""
    if fabric.world_size == 1:
        return interrupted
    return bool(fabric.all_reduce(torch.tensor(float(interrupted), device=fabric.device), reduce_op="sum") > 0)
