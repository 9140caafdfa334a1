"""The reduced form of a recipe: the tables of a paper at one small size, so that two processor cores can train their rows.

The block `reduced` of a recipe holds `settings`, which all rows share (a row may say under `reduced` what differs in its model),
the `seeds`, and `tables`, each with the rows of a published table and what the paper claims of them. Curricula are shortened in
proportion to the iterations. This module reads recipes only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from framecast.checks import Seed
from framecast.config.experiment import Experiment
from framecast.config.parsing import check_keys, nearest, parse
from framecast.config.recipes import read, reduction, rows
from framecast.errors import ConfigError, shown
from framecast.types import config


@config
class PaperClaim:
    """What a paper claims: the row `better` has the better `score` than the row `than`. `where` it says so: a table or a
    section."""

    better: str
    than: str
    score: str = "mse"
    where: str = ""


@config
class ReducedTable:
    """A published table: its `source`, its `rows`, ranked by `score`, and the `claims` of the paper about them."""

    source: str
    rows: tuple[str, ...]
    score: str = "mse"
    claims: tuple[PaperClaim, ...] = ()


@config
class Seeds:
    """The seeds of the trainings."""

    seeds: tuple[Seed, ...] = (1, 2, 3)


def reduced_seeds(recipe: str | Path) -> tuple[int, ...]:
    """The seeds of the reduced form of a recipe. Raises `ConfigError`."""
    content = reduction(recipe)
    parsed: Seeds = parse(
        Seeds, {key: content[key] for key in ("seeds",) if key in content}, where=f"{recipe}, reduced"
    )
    return parsed.seeds


def reduced_tables(recipe: str | Path) -> dict[str, ReducedTable]:
    """The tables of the reduced form of a recipe by name. Raises `ConfigError`, also if one names a row that does not exist."""
    content = reduction(recipe)
    check_keys(content, ("settings", "seeds", "tables"), f"{recipe}, reduced")
    tables: dict[str, ReducedTable] = {
        name: parse(ReducedTable, table, where=f"{recipe}, reduced.tables.{name}")
        for name, table in (content.get("tables") or {}).items()
    }
    known = rows(recipe)
    for name, table in tables.items():
        where = f"{recipe}, reduced.tables.{name}"
        for row in table.rows:
            if row not in known:
                raise ConfigError(f"no row {shown(row)}{nearest(row, known)}", where=where)
        for claim in table.claims:
            for row in (claim.better, claim.than):
                if row not in table.rows:
                    raise ConfigError(
                        f"a claim about {shown(row)}{nearest(row, table.rows)}",
                        where=where,
                        remedy=f"rows of this table: {', '.join(table.rows)}",
                    )
    return tables


def reduced_experiment(recipe: str | Path, row: str, overrides: Sequence[str] = ()) -> Experiment:
    """The experiment of a row in the reduced form, with `overrides` "key=value". Its curriculum is that of the row, shortened in
    proportion to the iterations. Raises `ConfigError`."""
    published = read(f"{recipe}#{row}")
    reduced = read(f"{recipe}#{row}", overrides, reduced=True)
    scale = reduced.training.iterations / published.training.iterations
    return replace(reduced, curriculum=reduced.curriculum.scaled(scale))
