"""Models that earlier versions saved in another form go on to be the functions that they were."""

import json
from pathlib import Path

import pytest
import torch
import yaml

from framecast.checkpoints.model_folder import CARD, ModelCard, load, save
from framecast.config.recipes import read
from framecast.data.quantities import INTENSITY
from framecast.data.scaling import Unit
from framecast.errors import ConfigError
from framecast.models import E3DLSTM, PhyDNet
from framecast.training.run_folder import read_experiment
from framecast.types import FrameShape

SHAPE = FrameShape(channels=1, height=8, width=8, context=3, horizon=3)


def test_the_one_plane_of_an_old_norm_of_e3d_is_that_of_both() -> None:
    torch.manual_seed(0)
    config = E3DLSTM(hidden=(4,), kernel=3, patch=4, layer_norm=True)
    model = config.build(SHAPE)
    now = {name: torch.randn_like(weight) for name, weight in model.state_dict().items()}
    old = {name: w[:, :1] if ".norm." in name else w for name, w in now.items()}
    assert any(old[name].shape != now[name].shape for name in now)
    model.load_state_dict(old)
    for name, weight in model.state_dict().items():
        if ".norm." in name:
            assert torch.equal(weight, old[name].expand_as(weight))


EARLY = [
    {"reduction": 2, "layers": (16,)},
    {"reduction": 4, "layers": (8,)},
]


@pytest.mark.parametrize("sizes", EARLY)
def test_a_phydnet_that_an_earlier_version_saved_keeps_its_decoder(sizes: dict, tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = PhyDNet(width=16, hidden=16, kernel=3, decoder="early", **sizes)
    model = config.build(SHAPE).eval()
    save(tmp_path / "model", model, ModelCard(config, Unit(), INTENSITY, SHAPE, None))
    card = json.loads((tmp_path / "model" / CARD).read_text())
    del card["model"]["decoder"], card["model"]["derivatives"], card["sha256"]
    (tmp_path / "model" / CARD).write_text(json.dumps(card))
    again, read_card = load(tmp_path / "model")
    assert read_card.model == config
    context = torch.rand(1, 3, 1, 8, 8)
    assert torch.equal(again.forecast(context, 2), model.forecast(context, 2))  # type: ignore[operator]


def test_a_run_of_an_earlier_version_keeps_its_decoder_and_a_recipe_does_not(tmp_path: Path) -> None:
    settings = {"data": {"name": "moving_digits"}, "model": {"name": "phydnet", "reduction": 2}}
    (tmp_path / "experiment.yaml").write_text(yaml.safe_dump(settings))
    assert read_experiment(tmp_path).model.decoder == "early"
    assert read(tmp_path / "experiment.yaml").model.decoder == "published"


def test_sizes_of_phydnet_that_cannot_be_built_are_refused() -> None:
    sizes = {"width": 16, "hidden": 16, "layers": (16,)}
    for wrong, where in (
        ({"layers": (16, 8)}, "layers"),
        ({"reduction": 3}, "reduction"),
        ({"derivatives": 50}, "deriv"),
    ):
        with pytest.raises(ConfigError, match=where):
            PhyDNet(**sizes | wrong)
    with pytest.raises(ConfigError, match="no multiple of 7"):
        PhyDNet(**sizes, derivatives=20)
    with pytest.raises(ConfigError, match="5 derivatives are no multiple of 3 or 7 up to 9"):
        PhyDNet(**sizes, kernel=3, derivatives=5)
    assert PhyDNet(**sizes, kernel=3, derivatives=6).derivatives == 6


def test_the_moment_loss_weighs_one_over_the_steps() -> None:
    config = PhyDNet(width=16, hidden=16, layers=(16,), kernel=3)
    core = config.build(SHAPE).core
    assert core.moments == pytest.approx(1 / 5)
    assert PhyDNet(width=16, hidden=16, layers=(16,), kernel=3, moments=0.0).build(SHAPE).core.moments == 0
