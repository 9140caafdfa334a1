"""Writes the tables of `framecast rank` into a page: what follows the line of the page that names this script is replaced by the
tables of the finished runs; nothing is trained.

    python benchmarks/ranking.py runs/ranking docs/ranking.md
    python benchmarks/ranking.py runs/longer PAGE moving_mnist#models training.iterations=4000
"""

import sys
from pathlib import Path

from framecast.workflows.ranking import rank

RECIPES = ("moving_mnist", "v_mnist", "mixed_moving_mnist")
MARK = "<!-- Written by: python benchmarks/ranking.py "


def main(runs: Path, page: Path, *arguments: str) -> None:
    """Write the page of the recipes or tables that `arguments` name, all recipes by default, with the settings among them."""
    text, mark, rest = page.read_text().partition(MARK)
    if not mark:
        sys.exit(f"{page}: no line that names this script")
    settings = [each for each in arguments if "=" in each]
    recipes = [each for each in arguments if "=" not in each] or RECIPES
    tables = [rank(recipe, settings, train=False, out=runs).text for recipe in recipes]
    page.write_text("\n".join([text + mark + rest.partition("\n")[0] + "\n", *tables]).rstrip("\n") + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
