"""Devices and processes: launches Lightning Fabric, makes algorithms deterministic, and catches the signals that
end training.

The only module of training that changes global state of the process (signal handlers, environment, flags of PyTorch).
"""

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
from framecast.training.peers import end_with, watch_peers

_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


def launch(settings: Training) -> Any:
    """Launch Fabric with the devices, precision and processes of the settings. Raises `ConfigError` if they do not exist."""
    require("lightning_fabric", extra="train", purpose="training")
    from lightning_fabric import Fabric
    from lightning_fabric.utilities.exceptions import MisconfigurationException

    most = 4 * (os.cpu_count() or 1)
    if settings.devices > most and not torch.cuda.is_available():
        raise ConfigError(
            f"{settings.devices} processes given, and this machine has {os.cpu_count()} cores",
            where="training.devices",
            remedy=f"use at most {most}",
        )
    if settings.devices > 1:
        watch_peers()
    try:
        fabric = Fabric(
            accelerator=settings.accelerator,
            devices=settings.devices,
            num_nodes=settings.num_nodes,
            strategy=settings.strategy,
            precision=settings.precision,
        )
        if settings.devices > 1:
            end_with(getattr(fabric.strategy.launcher, "procs", []))
        fabric.launch()
    except (MisconfigurationException, ValueError, TypeError, RuntimeError) as error:
        raise ConfigError(f"cannot be used on this machine: {error}", where="training") from error
    if settings.graph and not _is_recordable(fabric):
        raise ConfigError(
            f"a CUDA graph needs one GPU, and this run uses {fabric.world_size} x {fabric.device.type}",
            where="training.graph",
            remedy="leave it out",
        )
    return fabric


def start_time(settings: Training) -> int:
    """The start of the run in seconds since 1970, the clock of rank zero in all processes."""
    own = int(time.time())
    if settings.devices * settings.num_nodes == 1:
        return own
    fabric = launch(settings)
    first = torch.tensor(own if fabric.global_rank == 0 else 0, device=fabric.device)
    return int(fabric.all_reduce(first, reduce_op="sum"))


def _is_recordable(fabric: Any) -> bool:
    return bool(fabric.device.type == "cuda" and fabric.world_size == 1)


@contextmanager
def deterministic_algorithms(deterministic: bool) -> Iterator[None]:
    """Use only algorithms that give the same result every time, if `deterministic`. On a CPU all of them do."""
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
def catch_signals() -> Iterator[list[int]]:
    """A list to which SIGTERM, SIGHUP and Ctrl-C append their number; a second Ctrl-C raises `KeyboardInterrupt`. A signal that
    is ignored stays so, such as SIGHUP under nohup."""
    signals: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return

    def record(number: int, _: Any) -> None:
        if signals and number == signal.SIGINT:
            raise KeyboardInterrupt
        signals.append(number)

    caught = [number for number in _SIGNALS if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    before = {number: signal.signal(number, record) for number in caught}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def any_process(fabric: Any, condition: bool) -> bool:
    """Whether the condition holds in any of the processes. All must call it together."""
    if fabric.world_size == 1:
        return condition
    return bool(fabric.all_reduce(torch.tensor(float(condition), device=fabric.device), reduce_op="sum") > 0)
