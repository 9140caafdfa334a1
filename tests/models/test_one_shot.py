"""SimVP and TAU: widths, and stochastic depth as in the released code."""

import pytest
import torch

from framecast.errors import ConfigError
from framecast.models import TAU, SimVP
from framecast.models.simvp import MetaBlock
from framecast.types import FrameShape

SHAPE = FrameShape(channels=1, height=8, width=8, context=3, horizon=3)
SMALL = {"spatial": 4, "hidden": 6, "layers": 2, "blocks": 3, "mlp_ratio": 2.0}


def rates(config: SimVP | TAU) -> list[float]:
    return [block.drop for block in config.build(SHAPE).modules() if isinstance(block, MetaBlock)]


@pytest.mark.parametrize("kind", [SimVP, TAU])
def test_stochastic_depth_goes_from_a_hundredth_to_the_last_block(kind: type[SimVP] | type[TAU]) -> None:
    assert rates(kind(**SMALL)) == [0, 0, 0]
    assert rates(kind(**SMALL, drop_path=0.2)) == pytest.approx([0.01, 0.105, 0.2])
    assert rates(kind(**SMALL, drop_path=0.0)) == pytest.approx([0.01, 0.005, 0.0])


def test_a_branch_is_left_out_of_a_sample_or_divided_by_its_probability_to_stay() -> None:
    torch.manual_seed(0)
    block = next(m for m in TAU(**SMALL, drop_path=0.4).build(SHAPE).modules() if isinstance(m, MetaBlock))
    block.drop = 0.4
    branch = torch.rand(400, 2, 3, 3) + 0.1
    scale = (block.train()._dropped(branch) / branch).flatten(1).round(decimals=4)
    assert torch.equal(scale, scale[:, :1].expand_as(scale))
    torch.testing.assert_close(scale.unique(), torch.tensor([0.0, 1.6667]))
    assert (scale[:, 0] == 0).float().mean().item() == pytest.approx(0.4, abs=0.1)
    assert torch.equal(block.eval()._dropped(branch), branch)


def test_stochastic_depth_changes_training_alone() -> None:
    torch.manual_seed(0)
    model = SimVP(**SMALL, drop_path=0.9).build(SHAPE)
    context = torch.rand(2, 3, 1, 8, 8)
    assert torch.equal(model.eval().forecast(context, 3), model.forecast(context, 3))
    assert not torch.equal(model.train().forecast(context, 3), model.forecast(context, 3))


@pytest.mark.parametrize(
    "config",
    [
        SimVP(**SMALL | {"hidden": 7}),
        TAU(**SMALL | {"hidden": 5}),
        SimVP(**SMALL | {"hidden": 12}, kind="incepu"),
        SimVP(**SMALL | {"hidden": 9}, kind="incepu"),
    ],
)
def test_any_width_is_built(config: SimVP | TAU) -> None:
    assert config.build(SHAPE).forecast(torch.rand(1, 3, 1, 8, 8), 4).shape == (1, 4, 1, 8, 8)


def test_what_cannot_be_built_is_refused_with_its_setting() -> None:
    for wrong, where in (({"drop_path": 1.0}, "drop_path"), ({"decoder_kernel": 4}, "decoder_kernel")):
        with pytest.raises(ConfigError, match=where):
            SimVP(**SMALL, **wrong)
    with pytest.raises(ConfigError, match="drop_path"):
        SimVP(**SMALL, kind="incepu", drop_path=0.1)
    with pytest.raises(ConfigError, match="spatial"):  # 12 channels in 8 groups
        SimVP(**SMALL | {"hidden": 16}, kind="incepu").check(SHAPE)
    with pytest.raises(ConfigError, match="no multiple of 8"):  # 17 channels in 8 groups
        SimVP(**SMALL | {"spatial": 8, "hidden": 17}, kind="incepu")
