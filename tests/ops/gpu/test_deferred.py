"""Weight gradients of several steps as one product, as GPUs are given them, on the CPU."""

import pytest
import torch
from torch import Tensor

from framecast.models import ModeRNN, PredRNNV2
from framecast.ops.choice import use_algorithm
from framecast.ops.convolution import convolve, share_transforms
from framecast.ops.gpu import deferred
from framecast.types import FrameShape


@pytest.fixture(autouse=True)
def also_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of how many maps each product was made."""
    monkeypatch.setattr(deferred, "DEVICES", ("cpu",))
    made: list[int] = []
    product = deferred.conv2d_weight
    monkeypatch.setattr(deferred, "conv2d_weight", lambda x, *a, **k: made.append(len(x)) or product(x, *a, **k))
    return made


def maps(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), requires_grad=True)


def test_the_gradients_of_steps_are_one_product(also_on_the_cpu: list[int]) -> None:
    xs = [maps(2, 3, 8, 9, seed=n) for n in range(4)]
    weight, bias = maps(5, 3, 3, 3, seed=5), maps(5, seed=6)
    found = []
    for algorithm in ("auto", "direct"):
        with use_algorithm(algorithm), share_transforms():
            loss = sum(convolve(x, weight, bias).square().sum() for x in xs)
        found.append((loss, *torch.autograd.grad(loss, (*xs, weight, bias))))
    for ours, plain in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-4)
    assert also_on_the_cpu == [8], "four steps of two"


def test_a_gradient_that_was_not_asked_for_is_not_counted_in_the_next() -> None:
    x, weight = maps(2, 3, 8, 8), maps(4, 3, 3, 3, seed=1)
    with share_transforms():
        loss = convolve(x, weight).square().sum()
    torch.autograd.grad(loss, x, retain_graph=True)
    first = torch.autograd.grad(loss, weight, retain_graph=True)[0]
    loss.backward()
    assert torch.equal(first, weight.grad)


def test_outside_of_a_rollout_and_without_gradients_nothing_is_kept(also_on_the_cpu: list[int]) -> None:
    x, weight = maps(2, 3, 8, 8), maps(4, 3, 3, 3, seed=1)
    convolve(x, weight).sum().backward()
    with share_transforms(), torch.no_grad():
        assert not convolve(x, weight).requires_grad
    with share_transforms():
        assert not convolve(x.detach(), weight.detach()).requires_grad
    assert also_on_the_cpu == []


def test_a_weight_that_has_changed_is_read_anew() -> None:
    x, weight = maps(2, 3, 8, 8), maps(4, 3, 3, 3, seed=1)
    with share_transforms(), torch.autocast("cpu", torch.bfloat16):
        before = convolve(x, weight)
        with torch.no_grad():
            weight.mul_(2)
        assert torch.equal(convolve(x, weight), 2 * before)


def gradients(config: PredRNNV2 | ModeRNN, precision: torch.dtype) -> list[Tensor]:
    torch.manual_seed(0)
    model = config.build(FrameShape(1, 16, 16, 3, 2)).train()
    frames, teacher = torch.rand(2, 5, 1, 16, 16), torch.ones(2, 4, dtype=torch.bool)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
        predicted, losses, _ = model(frames, teacher)
    (predicted.float().square().mean() + sum(losses.values())).backward()
    return [weight.grad for weight in model.parameters() if weight.grad is not None]


@pytest.mark.parametrize(
    ("config", "most"),
    [(PredRNNV2.tiny(), 8), (PredRNNV2(hidden=(8, 8), segment=2), 4), (ModeRNN.tiny(), 8)],
    ids=["four steps", "segments of two", "convolutions of several maps"],
)
def test_a_model_has_the_gradients_of_the_direct_form(
    config: PredRNNV2 | ModeRNN, most: int, also_on_the_cpu: list[int]
) -> None:
    """Two sequences: a product is made of those of all steps, or of the steps of a segment."""
    ours = gradients(config, torch.float32)
    assert max(also_on_the_cpu) == most
    with use_algorithm("direct"):
        plain = gradients(config, torch.float32)
    for one, other in zip(ours, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_in_half_precision_it_is_as_near_to_float32_as_the_sum_over_steps(also_on_the_cpu: list[int]) -> None:
    config = PredRNNV2.tiny()
    ours = gradients(config, torch.bfloat16)
    assert also_on_the_cpu, "the library computes in half precision"
    with use_algorithm("direct"):
        plain, exact = gradients(config, torch.bfloat16), gradients(config, torch.float32)

    def error(found: list[Tensor]) -> float:
        return float(sum((a - b).square().sum() for a, b in zip(found, exact, strict=True)))

    assert error(ours) < 1.1 * error(plain)
