"""The pages of models: their table of recipe rows, and no reference to a section or row that is not in the specification.

After a change that is meant: `python tests/config/test_published_pages.py` writes the tables.
"""

import re
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from framecast.config.recipes import read, recipes

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "models").glob("*.md"))
BEGIN, END = "**Recipes.**", "Time and memory of training: [models](../models.md).\n"
HEAD = "whose a setting is stands there under `origin`\n\n| recipe | rows | curriculum | learning rate | steps |\n"
SPECIFICATION = (ROOT / "docs" / "specification.md").read_text()


@cache
def every_row() -> list[tuple[str, str, Any]]:
    return [(name, row, read(f"{name}#{row}")) for name, recipe in recipes().items() for row in recipe.rows]


def rows_of(model: str) -> list[tuple[str, str, Any]]:
    return [(name, row, each) for name, row, each in every_row() if each.model.name == model]


def described(experiment: Any) -> tuple[str, str, str]:
    rate, training, curriculum = experiment.optimiser, experiment.training, experiment.curriculum.name
    twice = ", each also reversed" if training.reverse_time else ""
    schedule = "" if rate.schedule == "constant" else f", {rate.schedule}"
    return (
        curriculum,
        f"{rate.learning_rate:g}{schedule}",
        f"{training.iterations:,} of {training.batch_size} sequences{twice}",
    )


def table(model: str) -> str:
    """The part of a page on recipes; empty if no row has the model."""
    rows = rows_of(model)
    if not rows:
        return ""
    lines = []
    for (name, settings), group in groupby(rows, lambda each: (each[0], described(each[2]))):
        names = ", ".join(f"`{row}`" for _, row, _ in group)
        lines.append(f"| `{name}` | {names} | {' | '.join(settings)} |\n")
    return f"{BEGIN} {HEAD}| --- | --- | --- | --- | --- |\n{''.join(lines)}\n{END}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_names_its_recipe_rows_with_curriculum_and_rate(page: Path) -> None:
    text, expected = page.read_text(), table(page.stem)
    assert expected in text
    assert text.count(BEGIN) == bool(expected)


def test_what_is_cited_of_the_specification_is_in_it() -> None:
    rows = {match[1] for match in re.finditer(r"^\| (\w+) \|", SPECIFICATION, re.M)}
    sections = {match[1] for match in re.finditer(r"^## Sections? (\d+)", SPECIFICATION, re.M)}
    sections |= {match[1] for match in re.finditer(r"^\* ([\d.]+) \*\*", SPECIFICATION, re.M)}
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "src").rglob("*.yaml"), *PAGES]
    assert len(files) > 200
    for file in files:
        text = file.read_text()
        assert "spec/models" not in text, file
        cited = (
            set(re.findall(r"\b(?:P1?\d|MD\d|MO1?\d|DC\d|TC1|MI1|E[12])\b", text)) if "specification" in text else set()
        )
        assert cited <= rows, file
        for numbers in re.findall(r"specification(?:\]\([./\w]*\)|\.md), sections? ([\d.]+\d|\d)(?: and (\d+))?", text):
            assert {number for number in numbers if number} <= sections, (file, numbers)


if __name__ == "__main__":
    for each in PAGES:
        before = re.sub(rf"\n{re.escape(BEGIN)}.*?{re.escape(END)}", "", each.read_text(), flags=re.S)
        each.write_text(before.rstrip("\n") + "\n" + (f"\n{table(each.stem)}" if table(each.stem) else ""))
