"""The command `framecast rank`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TypedDict

import typer

import framecast
from framecast.cli.options import command
from framecast.cli.results import Ended


class RankResult(TypedDict):
    rows: list[dict[str, Any]]
    claims: list[dict[str, Any]]
    failures: list[str]
    page: str


@command
def rank(
    recipe: Annotated[str, typer.Argument(help="A recipe, moving_mnist, or one of its tables: moving_mnist#sampling")],
    settings: Annotated[list[str] | None, typer.Argument(help="Changes of the reduced form: data.test=100 ...")] = None,
    seeds: Annotated[list[int] | None, typer.Option("--seed", help="Train with this seed only; repeat.")] = None,
    finished: Annotated[bool, typer.Option("--finished", help="Train nothing: rank the finished runs.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for the runs; finished runs are not trained again.")] = Path(
        "runs/ranking"
    ),
) -> RankResult:
    """Train the rows of published tables at one small size with several seeds, and rank them beside the paper."""
    ranking = framecast.rank(recipe, settings or [], seeds=seeds or None, train=not finished, out=out)
    print(ranking.text, end="")
    for failure in ranking.failures:
        print(f"failed: {failure}", file=sys.stderr)
    answer: RankResult = {
        "rows": [
            {"table": table.name, **asdict(row), "mean": row.mean and row.mean.value}
            for table in ranking.tables
            for row in table.rows
        ],
        "claims": [
            {
                **asdict(result.claim),
                "table": table.name,
                "seeds": result.seeds,
                "difference": result.difference and result.difference.value,
                "interval": result.difference and result.difference.interval,
                "windows": result.windows,
                "verdict": result.verdict,
            }
            for table in ranking.tables
            for result in table.claims
        ],
        "failures": list(ranking.failures),
        "page": str(ranking.page),
    }
    if ranking.failures:
        raise Ended(2, answer)
    return answer
