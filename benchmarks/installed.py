"""Prints what installing framecast takes on disk: the core, and what each extra adds to it.

    python benchmarks/installed.py            # of the environment that runs it; needs everything installed that is to be measured

Sizes are the sums of the files that each distribution has recorded, without what Python compiles at first use. The packages of an
extra are those that its requirements lead to and that the core does not need. An extra with a package that is not installed is
named, and not measured.
"""

from __future__ import annotations

from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PACKAGE = "framecast"
LARGEST = 5
"""Packages of an extra that are named."""


def required(name: str, extras: frozenset[str]) -> list[Requirement]:
    """The requirements of an installed distribution with some of its extras, on this system."""
    lines = [Requirement(line) for line in distribution(name).requires or ()]
    return [
        each
        for each in lines
        if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in ("", *extras))
    ]


def closure(name: str, extras: frozenset[str]) -> tuple[set[str], set[str]]:
    """All distributions that one with some of its extras leads to, itself included: those installed, and those missing."""
    installed: set[str] = set()
    missing: set[str] = set()
    done: set[tuple[str, frozenset[str]]] = set()
    waiting = [(canonicalize_name(name), extras)]
    while waiting:
        each = waiting.pop()
        if each in done:
            continue
        done.add(each)
        try:
            waiting += [(canonicalize_name(r.name), frozenset(r.extras)) for r in required(*each)]
            installed.add(each[0])
        except PackageNotFoundError:
            missing.add(each[0])
    return installed, missing


def size(package: Distribution) -> int:
    """Bytes of the recorded files, except compiled Python."""
    files = [Path(str(file.locate())) for file in package.files or () if file.suffix != ".pyc"]
    return sum(file.stat().st_size for file in files if file.is_file())


def describe(names: set[str]) -> str:
    """The number of distributions, their size, and the largest."""
    sizes = {name: size(distribution(name)) / 1e6 for name in names}
    largest = sorted(sizes, key=lambda name: -sizes[name])[:LARGEST]
    named = ", ".join(f"{name} {sizes[name]:.0f}" for name in largest if sizes[name] >= 1)
    return f"{len(names):>3} distributions, {sum(sizes.values()):>6.0f} MB" + (f": {named}" if named else "")


def main() -> None:
    core, _ = closure(PACKAGE, frozenset())
    print(f"core        {describe(core)}")
    for extra in distribution(PACKAGE).metadata.get_all("Provides-Extra") or ():
        installed, missing = closure(PACKAGE, frozenset({extra}))
        note = f"not measured, not installed: {', '.join(sorted(missing))}" if missing else describe(installed - core)
        print(f"+ {extra:<9} {note}")


if __name__ == "__main__":
    main()
