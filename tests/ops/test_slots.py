"""The weighted sum of slots in one loop against the same operation by operation in float64."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from framecast.ops.choice import use_algorithm
from framecast.ops.native.library import available
from framecast.ops.slots import fuse

needs_loops = pytest.mark.skipif(
    not available(), reason="the loops in C were not load_function here: no C compiler with OpenMP"
)


def with_gradients(maps: list[Tensor], biases: list[Tensor | None], weights: Tensor, rectified: int) -> list[Tensor]:
    """The sum, and the gradients of all that it is made of."""
    leaves = [
        each.detach().clone().requires_grad_() for each in (*maps, weights, *(b for b in biases if b is not None))
    ]
    given_ = iter(leaves[len(maps) + 1 :])
    made = fuse(
        leaves[: len(maps)], [None if b is None else next(given_) for b in biases], leaves[len(maps)], rectified
    )
    after = torch.linspace(-1, 1, made.numel(), dtype=made.dtype).reshape(made.shape)
    return [made.detach(), *torch.autograd.grad(made, leaves, after)]


@needs_loops
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(1, 9), st.integers(1, 9)),
    slots=st.integers(1, 5),
    rest=st.integers(0, 2),
    last=st.booleans(),
    biased=st.booleans(),
    seed=st.integers(0, 99),
)
def test_one_loop_computes_the_same(
    shape: tuple[int, ...], slots: int, rest: int, last: bool, biased: bool, seed: int
) -> None:
    chance = torch.Generator().manual_seed(seed)
    maps = list(torch.randn(slots + rest, *shape, generator=chance))
    if last:
        maps = [each.contiguous(memory_format=torch.channels_last) for each in maps]
    biases = [torch.randn(shape[1], generator=chance) if biased or n == 0 else None for n in range(slots + rest)]
    weights = torch.rand(slots + rest, *shape[:2], generator=chance)
    found = with_gradients(maps, biases, weights, slots)
    exact = with_gradients(
        [each.double() for each in maps],
        [None if each is None else each.double() for each in biases],
        weights.double(),
        slots,
    )
    with use_algorithm("direct"):
        direct = with_gradients(maps, biases, weights, slots)
    for ours, other, true in zip(found, direct, exact, strict=True):
        torch.testing.assert_close(ours.double(), true, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(other.double(), true, rtol=1e-5, atol=1e-5)


@needs_loops
def test_weights_may_be_one_for_all_channels() -> None:
    maps, weight = list(torch.randn(2, 3, 20, 4, 4)), torch.rand(2, 3, 1)
    found = fuse(maps, [None, None], weight.expand(-1, -1, 20), 1)
    expected = weight[0][..., None, None] * maps[0].relu() + weight[1][..., None, None] * maps[1]
    torch.testing.assert_close(found, expected)


@needs_loops
def test_only_gradients_that_are_wanted_are_computed() -> None:
    learned, fixed = torch.randn(1, 4, 3, 3, requires_grad=True), torch.randn(1, 4, 3, 3)
    fuse([fixed, learned], [None, None], torch.ones(2, 1, 4), 2).sum().backward()
    assert fixed.grad is None
    assert learned.grad is not None
    assert torch.equal(learned.grad, (learned > 0).float())
