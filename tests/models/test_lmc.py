"""LMC-Memory: two phases of training that share a batch, and what each of them teaches."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from framecast.errors import ConfigError
from framecast.models import LMC
from framecast.models.lmc import MotionEncoder
from framecast.models.parts.flops import parameters
from framecast.ops import free_running
from framecast.types import FrameShape

SHAPE = FrameShape(channels=1, height=16, width=16, context=3, horizon=3)
TEACHER = free_running(2, 3, 3)


def model(**settings: Any) -> Any:
    torch.manual_seed(0)
    return replace(LMC.tiny(), **settings).build(SHAPE)


def windows() -> torch.Tensor:
    return torch.rand(2, 6, 1, 16, 16, generator=torch.Generator().manual_seed(1))


def test_the_first_phase_recalls_by_the_future_too_and_the_second_by_the_context() -> None:
    lmc, frames, other = model(), windows(), windows()
    other[:, 4] += 1
    change = (lmc(other, TEACHER).frames - lmc(frames, TEACHER).frames).abs().amax((1, 2, 3, 4))
    assert change[0] > 1e-6
    assert change[1] == 0


@pytest.mark.parametrize(("sequence", "learns", "stays"), [(0, "of_long", "of_short"), (1, "of_short", "of_long")])
def test_the_slots_learn_in_the_first_phase_only(sequence: int, learns: str, stays: str) -> None:
    lmc = model()
    lmc(windows(), TEACHER).frames[sequence].square().sum().backward()
    memory = lmc.recurrent.core.memory
    assert any(weight.grad is not None and weight.grad.any() for weight in getattr(memory, learns).parameters())
    assert not any(weight.grad is not None and weight.grad.any() for weight in getattr(memory, stays).parameters())
    slots = memory.slots.grad
    assert (slots is not None and bool(slots.any())) == (learns == "of_long")


def test_what_is_recalled_lies_among_the_slots() -> None:
    """A mean of them, by weights that favour the one that a query points to."""
    lmc = model()
    memory = lmc.recurrent.core.memory
    query = memory.slots[3].detach().view(1, -1, 1, 1)
    recalled: list[torch.Tensor] = []
    memory.embed.register_forward_pre_hook(lambda _, inputs: recalled.append(inputs[0]))
    memory._recall(5 * query, memory.slots)
    slots = torch.nn.functional.normalize(memory.slots)
    weights = (slots @ slots[3]).softmax(0)
    assert weights.argmax() == 3
    torch.testing.assert_close(recalled[0].flatten(), weights @ memory.slots)


def test_a_forecast_depends_on_what_is_recalled() -> None:
    lmc, context = model().eval(), windows()[:, :3]
    before = lmc.forecast(context, 2)
    with torch.no_grad():
        lmc.recurrent.core.memory.of_short.levels[-1][0].bias += 5 * torch.randn(8)
    assert (lmc.forecast(context, 2) - before).abs().max() > 1e-6


@pytest.mark.parametrize("steps", [2, 3, 10, 40])
def test_motion_of_any_length_becomes_one_map(steps: int) -> None:
    assert MotionEncoder(1, 4, 2)(torch.rand(2, steps, 1, 16, 32)).shape == (2, 32, 1, 2)


def test_one_sequence_has_no_two_phases_and_one_frame_no_motion() -> None:
    lmc = model()
    with pytest.raises(ConfigError, match=r"training\.batch_size"):
        lmc(windows()[:1], TEACHER[:1])
    lmc.eval()(windows()[:1], TEACHER[:1])
    with pytest.raises(ConfigError, match="no motion"):
        LMC.tiny().build(SHAPE._replace(context=1))


def test_weights_are_as_many_as_the_published_layers_have() -> None:
    """But for the second bias of each ConvLSTM."""
    with torch.device("meta"):
        lmc: Any = LMC().build(FrameShape(1, 64, 64, 10, 30))
    core = lmc.recurrent.core
    pairs = [(1, 64), (64, 128), (128, 256), (256, 256), (256, 512), (512, 512)]
    assert parameters(core.memory.of_short) == sum(27 * a * b + b for a, b in pairs)
    assert parameters(core.memory.embed) == 9 * (512 * 256 + 256 * 128) + 256 + 128
    assert core.memory.slots.shape == (100, 512)
    assert parameters(core.encoder) == 9 * (64 + 64 * 64 + 64 * 128 + 128 * 128) + 64 + 64 + 128 + 128
    assert parameters(core.decoder) == 9 * (256 * 128 + 128 * 64 + 64 * 64 + 64) + 128 + 64 + 64 + 1
    assert parameters(core.layers) == 4 * (9 * 256 * 512 + 512)
    assert parameters(core.weigh) == 256 * 16 + 16 + 16 * 128 + 128
