"""A saved model comes back as it was, or not at all."""

import json
from pathlib import Path

import pytest
import torch

from framecast.checkpoints.card_content import CHECKSUM
from framecast.checkpoints.model_folder import CARD, WEIGHTS, ModelCard, load, save
from framecast.data.quantities import REFLECTIVITY, with_dry
from framecast.data.readers.options import ReadOptions
from framecast.data.scaling import DBZ
from framecast.errors import RunError
from framecast.models import PredRNNV2
from framecast.types import FrameShape

CONFIG = PredRNNV2.tiny()
SHAPE = FrameShape(1, 16, 16, 3, 2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    card = ModelCard(CONFIG, DBZ(low=-5), with_dry(REFLECTIVITY, -10.0), SHAPE, 300.0, {"spacing": 1000}, {"loss": 0.5})
    save(tmp_path / "model", CONFIG.build(SHAPE), card)
    return tmp_path / "model"


def test_a_saved_model_comes_back(tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = CONFIG.build(SHAPE).eval()
    options = ReadOptions(units="dBZ", time_step=5.0, grey=True, size=(16, 16))
    card = ModelCard(
        CONFIG,
        DBZ(low=-5),
        with_dry(REFLECTIVITY, -10.0),
        SHAPE,
        300.0,
        {"spacing": 1},
        {"loss": 0.5},
        read_options=options,
    )
    save(tmp_path / "model", model, card)
    again, same = load(tmp_path / "model")
    assert same == card
    assert not again.training
    frames = torch.rand(1, 3, 1, 16, 16)
    assert torch.equal(again.forecast(frames, 4), model.forecast(frames, 4))  # type: ignore[operator]
    assert sorted(file.name for file in (tmp_path / "model").iterdir()) == [CARD, WEIGHTS]


def test_saving_again_replaces_and_leaves_nothing_else(folder: Path) -> None:
    before = (folder / WEIGHTS).read_bytes()
    torch.manual_seed(9)
    save(folder, CONFIG.build(SHAPE), load(folder)[1])
    assert (folder / WEIGHTS).read_bytes() != before
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.parametrize("name", [CARD, WEIGHTS])
@pytest.mark.parametrize("damage", ["missing", "empty", "half"])
def test_half_a_model_is_refused(folder: Path, name: str, damage: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).unlink()
    if damage != "missing":
        (folder / name).write_bytes(content[: len(content) // 2 if damage == "half" else 0])
    with pytest.raises(RunError, match="not a complete trained model") as error:
        load(folder)
    assert str(folder) in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 99}, "version 99"),
        ({"quantity": {"name": "smell", "units": "1", "dry": 0}}, "unknown quantity 'smell'"),
        ({"model": {"name": "oracle"}}, "cannot be read"),
        ({"model": {"name": "predrnn_v2", "hidden": [6, 6]}}, "do not fit together"),
        ({"shape": {"sides": 3}}, "unknown key .sides."),
    ],
)
def test_a_card_that_does_not_fit_is_refused(folder: Path, changes: dict[str, object], message: str) -> None:
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(
        json.dumps({name: value for name, value in (card | changes).items() if name != CHECKSUM})
    )
    with pytest.raises(RunError, match=message):
        load(folder)
