"""The command `framecast recipes`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypedDict

import typer

import framecast
from framecast.cli.options import command
from framecast.cli.terminal import print_lines
from framecast.errors import ArgumentError


class RecipeRow(TypedDict):
    name: str
    title: str
    source: str | None
    rows: list[str]


class RecipesResult(TypedDict):
    recipes: list[RecipeRow]
    copy: str | None


@command
def recipes(
    recipe: Annotated[str | None, typer.Argument(help="List this one only: radar")] = None,
    copy: Annotated[
        Path | None, typer.Option("--copy", help="Copy it into this folder, to change it there.", metavar="FOLDER")
    ] = None,
) -> RecipesResult:
    """List the recipes of the package: the title of each table, its source, and its rows, each with its address; or copy one."""
    from rich.console import Console

    if copy is not None:
        if recipe is None:
            raise ArgumentError(
                "no recipe given", parameter="copy", remedy="name one: framecast recipes radar --copy ."
            )
        target = framecast.copy_recipe(recipe, copy)
        print(target)
        return {"recipes": [], "copy": str(target)}
    known = framecast.recipes()
    if recipe is not None and recipe not in known:
        raise ArgumentError(f"no recipe {recipe!r}", parameter="recipe", remedy=f"one of: {', '.join(known)}")
    chosen = {name: each for name, each in known.items() if recipe in (None, name)}
    for name, each in chosen.items():
        source = "" if each.source is None else f" ({each.source})"
        print_lines(Console(), f"{name}: {each.title}{source}", *(f"  {name}#{row}" for row in each.rows))
    rows: list[RecipeRow] = [
        {"name": name, "title": each.title, "source": each.source, "rows": list(each.rows)}
        for name, each in chosen.items()
    ]
    return {"recipes": rows, "copy": None}
