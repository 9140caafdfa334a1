"""Whether the forecasters of a domain can do what its settings ask of them, seen before the first cycle."""

from __future__ import annotations

import re

import torch

from framecast.errors import ConfigError, RunError
from framecast.forecasting.loading import is_baseline
from framecast.forecasting.products.settings import Window
from framecast.forecasting.trained_model import find_device, load
from framecast.service.settings import Domain

_CLOSE = 1e-6
"""Cadences by which the end of a window may be off a frame."""


def check_forecasters(domain: Domain, place: str) -> list[str]:
    """The models that cannot be loaded yet, in words. Raises `ConfigError` for a device that this machine does not have, for
    members or tiles that a model cannot give, and for windows of sums that the frames do not make up; `place` is where the
    settings of the domain stand, in messages."""
    _check_windows(domain, f"{place}.products")
    if domain.device is not None and (fault := _device_fault(domain.device)):
        raise ConfigError(
            fault, where=f"{place}.device", remedy="write device: cpu, or leave it out", parameter="device"
        )
    return [note for name in domain.rungs if not is_baseline(name) for note in _check_model(name, domain, place)]


def _device_fault(name: str) -> str:
    """Why a device cannot be used; empty if it can. A GPU is not opened, since this process would hold its memory."""
    if match := re.fullmatch(r"cuda(?::(\d+))?", name):
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        return "" if int(match[1] or 0) < count else f"device {name!r} cannot be used: this machine has {count} of them"
    try:
        find_device(name)
    except ConfigError as error:
        return error.what
    return ""


def _check_model(name: str, domain: Domain, place: str) -> list[str]:
    """Load a model as the service does, but on the CPU. One that cannot be loaded may come later."""
    try:
        load(name, "cpu", tile=domain.tile, members=domain.members, seed=domain.seed)
    except ConfigError as error:
        if error.parameter == "overlap":
            what, key, remedy = (
                f"{domain.tile} x {domain.tile}: too small for {name} ({error.what})",
                "tile",
                "tile: 256",
            )
        elif error.parameter == "members":
            what, key, remedy = error.what, "members", "leave members out, or choose a model that draws members: radar"
        else:
            return [f"{domain.name}: the model {name} cannot be loaded: {error.what}"]
        raise ConfigError(what, where=f"{place}.{key}", remedy=remedy, parameter=key) from error
    except RunError as error:
        return [f"{domain.name}: the model {name} cannot be loaded yet: {error.what}"]
    except Exception as error:  # whatever is wrong with a model, the rungs below it forecast
        return [f"{domain.name}: the model {name} cannot be loaded: {error}"]
    return []


def _check_windows(domain: Domain, place: str) -> None:
    """Raise `ConfigError` for a window of sums that does not begin and end with a frame of the forecast."""
    if domain.products is None:
        return
    named = [
        number for name, numbers in domain.products.requests().items() if name == "accumulation" for number in numbers
    ]
    for window in (*named, *domain.products.windows):
        if reason := _fault(window, domain):
            raise ConfigError(
                f"the window {window[0]:g} to {window[1]:g} min {reason}",
                where=place,
                remedy=f"windows of whole multiples of the cadence, {domain.cadence:g} min, up to "
                f"{domain.cadence * domain.horizon:g} min, or a longer horizon",
                parameter="products",
            )


def _fault(window: Window, domain: Domain) -> str:
    steps = [edge / domain.cadence for edge in window]
    if steps[1] > domain.horizon + _CLOSE:
        return f"ends after the forecast, which reaches {domain.cadence * domain.horizon:g} min"
    if any(abs(step - round(step)) > _CLOSE for step in steps):
        return f"does not begin and end with a frame, every {domain.cadence:g} min"
    return ""
