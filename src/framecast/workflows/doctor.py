"""Checks an installation of framecast: versions, compiled loops, GPU, memory settings and optional packages.

It reads the metadata of installed packages and the environment, and changes nothing. `check_installation` returns the lines
that `framecast doctor` prints; an entry with a `remedy` says what is missing, its effect, and how to install it.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from typing import NamedTuple

import torch
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import framecast
from framecast.ops.native.library import Status, status

PACKAGE = "framecast"
MEMORY_VARIABLES = (
    "LD_PRELOAD",
    "GLIBC_TUNABLES",
    "MALLOC_ARENA_MAX",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TRIM_THRESHOLD_",
)
"""Environment variables that change the memory allocator of the C library."""


class Entry(NamedTuple):
    """One result of the check: what was checked, its state, and what to do."""

    name: str
    state: str
    remedy: str = ""
    """What is missing, its effect, and how to install it; empty if nothing is missing."""


def check_installation() -> list[Entry]:
    """Check the installation that runs this process."""
    return [
        Entry("framecast", framecast.__version__),
        Entry("Python", f"{platform.python_version()}, {sys.executable}"),
        Entry("PyTorch", torch.__version__),
        Entry("threads", f"{torch.get_num_threads()} of {os.cpu_count()} processors"),
        loops_entry(status()),
        Entry("GPU", _gpus()),
        Entry("memory", _memory()),
        *extras_entries(requires_of(PACKAGE)),
    ]


def loops_entry(loops: Status) -> Entry:
    """The compiled loops: the variant and the file in use, or the reason why there is none."""
    if loops.path is not None:
        return Entry("loops", f"{loops.form}, chosen by the processor: {loops.path}")
    return Entry(
        "loops",
        str(loops),
        "results on a CPU are the same, but training takes 1.5 to 3.4 times as long: install a C compiler with OpenMP (gcc), "
        "then install framecast again, from its source distribution",
    )


def _gpus() -> str:
    if not torch.cuda.is_available():
        return "none"
    return ", ".join(torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count()))


def _memory() -> str:
    """The C library, and what the environment sets of its allocation."""
    name, number = platform.libc_ver()
    library = f"GNU C library {number}" if name == "glibc" else name or "C library of the system"
    settings = [f"{variable}={os.environ[variable]}" for variable in MEMORY_VARIABLES if variable in os.environ]
    note = "; training keeps freed memory for the next step" if name == "glibc" else ""
    return f"{library}{note}" + (f"; {', '.join(settings)}" if settings else "")


def requires_of(package: str) -> list[Requirement] | None:
    """The requirements in the metadata of an installed package; None if it is not installed."""
    try:
        return [Requirement(line) for line in requires(package) or ()]
    except PackageNotFoundError:
        return None


def extras_entries(requirements: list[Requirement] | None) -> Iterator[Entry]:
    """An entry for each extra that installs packages of its own."""
    if requirements is None:
        yield Entry(
            "optional parts", "unknown", "framecast runs from a source folder and is not installed: pip install -e ."
        )
        return
    for extra, own in extras_of(requirements).items():
        missing = [reason for requirement in own if (reason := _missing(requirement))]
        if missing:
            yield Entry(f"[{extra}]", f"missing: {', '.join(missing)}", f"pip install '{PACKAGE}[{extra}]'")
        else:
            yield Entry(f"[{extra}]", ", ".join(f"{each.name} {version(each.name)}" for each in own))


def extras_of(requirements: list[Requirement]) -> dict[str, list[Requirement]]:
    """The packages that each extra installs on this system, in the order of the metadata, without extras of extras."""
    extras: dict[str, list[Requirement]] = {}
    for requirement in requirements:
        if requirement.marker is None or canonicalize_name(requirement.name) == PACKAGE:
            continue
        for extra in _names(requirement):
            if requirement.marker.evaluate({"extra": extra}) and not requirement.marker.evaluate({"extra": ""}):
                extras.setdefault(extra, []).append(requirement)
    return extras


def _names(requirement: Requirement) -> list[str]:
    """The extras that the marker of a requirement names: `platform_system == "Linux" and extra == "kernels"`."""
    words = str(requirement.marker).replace("(", " ").replace(")", " ").split()
    return [words[n + 2].strip("\"'") for n, word in enumerate(words[:-2]) if word == "extra"]


def _missing(requirement: Requirement) -> str:
    """The package that is missing or too old for a requirement; empty if it is met."""
    try:
        installed = version(requirement.name)
    except PackageNotFoundError:
        return requirement.name
    if requirement.specifier.contains(installed, prereleases=True):
        return ""
    return f"{requirement.name}{requirement.specifier} (installed: {installed})"
