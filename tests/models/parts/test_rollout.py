"""The one loop over time, with a core so small that every answer is known."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from framecast.models.parts.rollout import rollout
from framecast.types import Stepped


class AddOne(nn.Module):
    """Predicts its input plus 1 and remembers the sum of its inputs; the step's loss is the number of the step."""

    def start(self, like: Tensor) -> tuple[Tensor, int]:
        return torch.zeros_like(like), 0

    def step(self, x: Tensor, state: tuple[Tensor, int], action: Tensor | None = None) -> Stepped:
        total, count = state
        moved = x + 1 if action is None else x + action[:, :, None, None]
        return Stepped(moved, (total + x, count + 1), {"count": torch.tensor(float(count))})


def frames(*values: float) -> Tensor:
    return torch.tensor(values).reshape(1, -1, 1, 1, 1)


def mask(*columns: int) -> Tensor:
    return torch.tensor([columns], dtype=torch.bool)


@pytest.mark.parametrize(
    ("teacher", "expected"),
    [
        (mask(1, 1, 1), [11.0, 21.0, 31.0]),
        (mask(1, 0, 0), [11.0, 12.0, 13.0]),
        (mask(1, 0, 1), [11.0, 12.0, 31.0]),
    ],
)
def test_the_mask_decides_what_is_fed(teacher: Tensor, expected: list[float]) -> None:
    assert rollout(AddOne(), frames(10, 20, 30), teacher).frames.flatten().tolist() == expected


def test_sequences_of_a_batch_may_differ() -> None:
    both = torch.cat([frames(10, 20, 30), frames(10, 20, 30)])
    teacher = torch.cat([mask(1, 1, 0), mask(1, 0, 1)])
    assert rollout(AddOne(), both, teacher).frames.flatten(1).tolist() == [[11, 21, 22], [11, 12, 31]]


def test_loss_terms_are_averaged_over_time() -> None:
    assert rollout(AddOne(), frames(1, 2, 3), mask(1, 1, 1)).losses["count"] == 1.0


def test_actions_go_to_their_step() -> None:
    actions = torch.tensor([[[5.0], [6.0], [7.0]]])
    assert rollout(AddOne(), frames(10), mask(1, 0, 0), actions).frames.flatten().tolist() == [15, 21, 28]


def test_a_mask_that_asks_for_the_future_is_refused() -> None:
    with pytest.raises(ValueError, match="beyond the 2"):
        rollout(AddOne(), frames(1, 2), mask(1, 1, 1))
    with pytest.raises(ValueError, match="first step"):
        rollout(AddOne(), frames(1, 2), mask(0, 1))


@pytest.mark.parametrize("segment", [1, 2, 5, 9])
@pytest.mark.parametrize("norm", [False, True])
def test_checkpointing_changes_no_gradient(segment: int, norm: bool) -> None:
    """With norms whose weights are laid out anew once for all steps too."""
    from framecast.models import PredRNNV2
    from framecast.types import FrameShape

    torch.manual_seed(0)
    model = PredRNNV2(hidden=(32, 32), patch=2, layer_norm=norm).build(FrameShape(1, 16, 16, 3, 3))
    window, teacher = torch.rand(2, 6, 1, 16, 16), torch.rand(2, 5) < 0.5
    teacher[:, 0] = True

    def gradients(segment: int | None) -> list[Any]:
        model.zero_grad()
        model.segment = segment
        prediction = model(window, teacher)
        (prediction.frames.square().mean() + prediction.losses["decoupling"]).backward()
        return [weight.grad.clone() for weight in model.parameters()]

    for plain, checkpointed in zip(gradients(None), gradients(segment), strict=True):
        torch.testing.assert_close(plain, checkpointed, atol=1e-7, rtol=1e-5)


@pytest.mark.parametrize("segment", [1, 2, 3])
def test_what_is_fed_back_crosses_the_borders_of_segments(segment: int) -> None:
    """In place of the prediction of step t, 10 times it plus t."""
    scale = torch.tensor(10.0, requires_grad=True)

    def run(segment: int | None) -> tuple[list[float], Tensor]:
        predicted = rollout(
            AddOne(), frames(1, 2), mask(1, 1, 0, 0, 0), segment=segment, feedback=lambda last, t: scale * last + t
        ).frames
        return predicted.flatten().tolist(), torch.autograd.grad(predicted.sum(), scale)[0]

    assert run(segment)[0] == [2, 3, 32, 323, 3234]
    assert run(segment) == run(None)


def test_of_segments_all_but_the_last_are_computed_twice() -> None:
    seen: list[float] = []

    class Counted(AddOne):
        def step(self, x: Any, state: Any, actions: Any = None) -> Any:
            seen.append(float(x.detach().mean()))
            return super().step(x.sin(), state, actions)

    window = torch.stack([torch.full((1, 1, 2, 2), float(t)) for t in range(6)], dim=1).requires_grad_()
    rollout(Counted(), window, mask(1, 1, 1, 1, 1), segment=2).frames.sum().backward()
    assert seen[:5] == [0, 1, 2, 3, 4], "one step, two, and two"
    assert seen[5:] == [1, 2, 0]


def test_segments_count_once_in_the_statistics_of_norms() -> None:
    from framecast.models import ModeRNN
    from framecast.types import FrameShape

    window, teacher = torch.rand(2, 6, 1, 8, 8), torch.ones(2, 5, dtype=torch.bool)

    def buffers(segment: int | None) -> list[Any]:
        torch.manual_seed(0)
        model = ModeRNN.tiny().build(FrameShape(1, 8, 8, 3, 3))
        model.segment = segment
        for _ in range(2):
            model(window, teacher).frames.square().mean().backward()
        return [*model.buffers(), *(weight.grad for weight in model.parameters())]

    for plain, checkpointed in zip(buffers(None), buffers(2), strict=True):
        torch.testing.assert_close(plain, checkpointed, atol=1e-6, rtol=1e-5)
