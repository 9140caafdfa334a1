"""PredRNN and PredRNN-V2: the printed counts, the memory's way, the decoupling loss."""

import pytest
import torch

from framecast.errors import ConfigError
from framecast.models import PredRNN, PredRNNV2
from framecast.models.parts.decoupling import Decoupling
from framecast.models.parts.flops import multiply_accumulates, parameters
from framecast.models.predrnn import STLSTMCell
from framecast.types import FrameShape


@pytest.mark.parametrize(
    ("config", "shape", "weights", "work"),
    [
        (PredRNN(hidden=(64,) * 4), FrameShape(3, 128, 128, 4, 4), 6_410_240, 45.95e9),
        (PredRNN(), FrameShape(1, 64, 64, 10, 10), 23_838_720, 115.95e9),
        (PredRNNV2(), FrameShape(1, 64, 64, 10, 10), 23_855_104, 115.95e9),
        (PredRNN(hidden=(64,) * 4), FrameShape(1, 64, 64, 10, 10), 6_049_792, None),
        (PredRNN(layer_norm=True), FrameShape(1, 64, 64, 10, 10), 27_770_880, None),
    ],
)
def test_counts_are_those_of_the_papers(config: PredRNN, shape: FrameShape, weights: int, work: float | None) -> None:
    """spec/models.md, section 13."""
    assert parameters(config.build(shape)) == weights
    if work is not None:
        assert multiply_accumulates(config, shape) == pytest.approx(work, rel=1e-3)


@pytest.mark.parametrize("setting", ["patch", "segment"])
@pytest.mark.parametrize("value", [0, -1])
def test_what_cannot_be_built_is_refused_by_name(setting: str, value: int) -> None:
    with pytest.raises(ConfigError, match=f"model.{setting}: .*at least 1"):
        PredRNN(hidden=(4,), **{setting: value}).build(FrameShape(1, 8, 8, 2, 2))


def test_the_memory_zigzags() -> None:
    """Up the layers within a step, from the top layer to the bottom one between steps."""
    torch.manual_seed(0)
    model = PredRNN(hidden=(4, 4), kernel=3, patch=1).build(FrameShape(1, 4, 4, 2, 2))
    seen: list[tuple[torch.Tensor | None, torch.Tensor]] = []
    for cell in model.core.cells:
        cell.register_forward_hook(lambda _, inputs, step: seen.append((inputs[2], step.memory)))
    model.forecast(torch.rand(1, 2, 1, 4, 4), 1)
    (start, bottom), (handed_up, top), (handed_on, _), _ = seen
    assert start is None
    assert handed_up is bottom
    assert handed_on is top


def test_no_memory_is_a_memory_of_zeros() -> None:
    cell = STLSTMCell(1, 2, 3)
    x = torch.rand(1, 1, 4, 4)
    torch.testing.assert_close(
        cell(x, cell.start(x), None).hidden, cell(x, cell.start(x), torch.zeros(1, 2, 4, 4)).hidden
    )


def test_decoupling_is_1_for_equal_and_0_for_orthogonal_increments() -> None:
    loss = Decoupling(1, weight=0.5)
    one = torch.tensor([[1.0, 0.0], [0.0, 0.0]]).reshape(1, 1, 2, 2)
    other = torch.tensor([[0.0, 0.0], [3.0, 0.0]]).reshape(1, 1, 2, 2)
    assert loss(one, 2 * one).item() == pytest.approx(0.5)
    assert loss(one, -one).item() == pytest.approx(0.5)
    assert loss(one, other).item() == pytest.approx(0.0, abs=1e-7)


def test_decoupling_belongs_to_training() -> None:
    model = PredRNNV2.tiny().build(FrameShape(1, 4, 4, 2, 2))
    window, teacher = torch.rand(1, 4, 1, 4, 4), torch.ones(1, 3, dtype=torch.bool)
    assert set(model.train()(window, teacher).losses) == {"decoupling"}
    assert model.eval()(window, teacher).losses == {}


def test_a_shared_memory_needs_equal_layers() -> None:
    with pytest.raises(ConfigError, match=r"\[64, 32\] differ"):
        PredRNN(hidden=(64, 32)).check(FrameShape(1, 64, 64, 10, 10))


def test_actions_that_the_model_cannot_take_are_refused() -> None:
    with pytest.raises(ConfigError, match="4 actions"):
        PredRNN.tiny().check(FrameShape(1, 64, 64, 10, 10, actions=4))
