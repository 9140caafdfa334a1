"""Every block of YAML of the documents is read by the loader that it is for: a service, else a row of a recipe."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest

from framecast.config import recipes
from framecast.models import VAE, VQVAE, Model
from framecast.reading.plain_data import parse_yaml
from framecast.service.settings import read_settings

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")])
BLOCKS = [
    pytest.param(block, id=f"{document.relative_to(ROOT)}:{number}")
    for document in DOCUMENTS
    for number, block in enumerate(re.findall(r"^```ya?ml\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL))
]


def test_there_are_blocks() -> None:
    assert BLOCKS


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_is_read(block: str, tmp_path: Path) -> None:
    content = parse_yaml(block, "block")
    assert isinstance(content, dict)
    if "domains" in content:
        (tmp_path / "service.yaml").write_text(block)
        read_settings(tmp_path / "service.yaml")
        return
    base = {"data": {"name": "archive", "path": "archive/"}}
    if "base" in content:  # a recipe of its own
        (tmp_path / "recipe.yaml").write_text(block)
    else:
        row = "\n".join(f"    {line}" for line in block.splitlines())
        (tmp_path / "recipe.yaml").write_text(f"title: documented\nbase: {base}\nrows:\n  row:\n{row}\n")
    for name in recipes.rows(tmp_path / "recipe.yaml"):
        recipes.read(f"{tmp_path / 'recipe.yaml'}#{name}")


@pytest.mark.parametrize("config", get_args(Model), ids=lambda config: config.__name__)
def test_the_settings_of_a_model_are_on_its_page_or_on_one_to_which_that_refers(config: Any) -> None:
    pages = ROOT / "docs" / "models"
    text = (pages / f"{'modular' if config in (VQVAE, VAE) else config().name}.md").read_text()
    others = re.findall(r"(?:as|of) \[[^]]+\]\((\w+\.md)\)", text)
    text += "".join((pages / name).read_text() for name in others)
    missing = [field.name for field in fields(config) if field.name != "name" and f"`{field.name}`" not in text]
    assert missing == []
