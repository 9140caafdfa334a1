"""Work for the processes of a cluster, which import nothing else for it."""

import os
from pathlib import Path


def square(folder: Path, number: int) -> int:
    """Dies the first time that it is asked for 3."""
    with (folder / f"{number}-{os.getpid()}").open("a") as file:
        file.write("x")
    if number == 3 and not (folder / "died").exists():
        (folder / "died").touch()
        os._exit(1)
    return number**2


def broken(number: int) -> int:
    raise (OSError if number else ValueError)("a fault of the work")
