"""The command `framecast recipes`."""

from __future__ import annotations

import framecast
from framecast.cli.terminal import print_lines


def recipes() -> None:
    """List the recipes of the package: the title of each table, its source, and its rows, each with its address."""
    from rich.console import Console

    for name, recipe in framecast.recipes().items():
        source = "" if recipe.source is None else f" ({recipe.source})"
        print_lines(Console(), f"{name}: {recipe.title}{source}", *(f"  {name}#{row}" for row in recipe.rows))
