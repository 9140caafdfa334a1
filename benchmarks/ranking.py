"""Writes the tables of `framecast rank` into a page: `python benchmarks/ranking.py runs/ranking docs/ranking.md`.

Whatever follows the line that names this script is replaced by the tables of the finished runs; nothing is trained.
"""

import sys
from pathlib import Path

from framecast.workflows.ranking import rank

RECIPES = ("moving_mnist", "v_mnist", "mixed_moving_mnist")


def main(runs: Path, page: Path) -> None:
    """Rank the finished runs of each recipe, and write the page."""
    text, marker, _ = page.read_text().partition("python benchmarks/ranking.py runs/ranking docs/ranking.md -->\n")
    if not marker:
        sys.exit(f"{page}: no line that names this script")
    tables = [rank(recipe, train=False, out=runs).page.read_text() for recipe in RECIPES]
    page.write_text("\n".join([text + marker, *tables]).rstrip("\n") + "\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
