"""Models that installed packages add by entry points."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from framecast.checkpoints.model_folder import ModelCard, load, save
from framecast.checks import _entry_points
from framecast.config.parsing import parse, plain
from framecast.data.quantities import INTENSITY
from framecast.data.scaling import Unit
from framecast.errors import ConfigError
from framecast.models import Model, PredRNN
from framecast.types import FrameShape

MODULE = """
from typing import Literal
from framecast.models import ConvLSTM
from framecast.types import config

@config
class Mine(ConvLSTM):
    name: Literal["NAME"] = "NAME"
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Installs a package with an entry point in the group of models."""
    _entry_points.cache_clear()
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(package: str, name: str, value: str, code: str = "") -> None:
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[framecast.models]\n{name} = {value}\n")
        (tmp_path / f"{package}.py").write_text(code)

    yield install
    _entry_points.cache_clear()


def test_a_model_of_an_installed_package_is_one_of_ours(installed: Any, tmp_path: Path) -> None:
    installed("addition1", "mine", "addition1:Mine", MODULE.replace("NAME", "mine"))
    model = parse(Model, {"name": "mine", "hidden": [4], "kernel": 3, "patch": 2}, where="here")
    assert (model.name, model.hidden) == ("mine", (4,))
    assert parse(Model, plain(model), where="again") == model
    shape = FrameShape(1, 8, 8, 2, 2)
    save(tmp_path / "model", model.build(shape), ModelCard(model, Unit(), INTENSITY, shape, None))
    assert load(tmp_path / "model")[1].model == model
    with pytest.raises(ConfigError, match="mine"):
        parse(Model, {"name": "mime"}, where="here")


def test_those_of_framecast_need_no_package_of_others(installed: Any) -> None:
    installed("addition2", "mine", "addition2:Mine", "raise RuntimeError('broken')")
    assert parse(Model, {"name": "predrnn"}, where="here") == PredRNN()


@pytest.mark.parametrize(
    ("name", "value", "code", "message"),
    [
        ("mine", "addition3:Mine", "raise RuntimeError('broken')", "cannot be imported.*broken"),
        ("mine", "addition3:Absent", "", "cannot be imported"),
        ("mine", "addition3:VALUE", "VALUE = 3", "not a model's config"),
        ("mine", "addition3:Mine", MODULE.replace("NAME", "other"), "has the name 'other'"),
        (
            "predrnn",
            "addition3:Mine",
            MODULE.replace("NAME", "predrnn"),
            "addition3.*framecast has one of that name",
        ),
    ],
)
def test_a_package_that_cannot_be_used_is_named(
    name: str, value: str, code: str, message: str, installed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(__import__("sys").modules, "addition3", raising=False)
    installed("addition3", name, value, code)
    with pytest.raises(ConfigError, match=message):
        parse(Model, {"name": name}, where="here")


def test_two_packages_with_one_name_are_refused(installed: Any) -> None:
    installed("addition4", "mine", "addition4:Mine", MODULE.replace("NAME", "mine"))
    installed("addition5", "mine", "addition5:Mine", MODULE.replace("NAME", "mine"))
    with pytest.raises(ConfigError, match="addition4 adds one of that name too"):
        parse(Model, {"name": "mine"}, where="here")
