"""Inner products of maps, in loops and operation by operation."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from framecast.ops.choice import Algorithm, use_algorithm
from framecast.ops.products import products


@given(
    batch=st.integers(1, 3),
    channels=st.integers(1, 70),
    height=st.integers(1, 17),
    width=st.integers(1, 17),
    last=st.booleans(),
)
def test_products_and_their_gradients(batch: int, channels: int, height: int, width: int, last: bool) -> None:
    a, b = maps(batch, channels, height, width, last=last)
    given = torch.randn(3, batch, channels, generator=torch.Generator().manual_seed(2))
    found = products(a, b)
    changes = torch.autograd.grad(found, (a, b), given)
    one, other = a.detach().double().requires_grad_(), b.detach().double().requires_grad_()
    exact = torch.stack([(x * y).sum((2, 3)) for x, y in ((one, other), (one, one), (other, other))])
    wanted = torch.autograd.grad(exact, (one, other), given.double())
    for ours, true in zip((found, *changes), (exact, *wanted), strict=True):
        torch.testing.assert_close(ours.double(), true.detach(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("algorithm", ["auto", "direct"])
def test_a_map_with_itself(algorithm: Algorithm) -> None:
    a, _ = maps(2, 5, 6, 7, last=True)
    with use_algorithm(algorithm):
        found = products(a, a)
        (change,) = torch.autograd.grad(found.sum(), a)
    torch.testing.assert_close(found[0], a.detach().square().sum((2, 3)))
    torch.testing.assert_close(change, 6 * a.detach())


def test_large_maps_are_summed_exactly_enough() -> None:
    a = torch.full((1, 3, 300, 300), 0.1)
    assert float((products(a, a) / 900 - 1).abs().max()) < 2e-6


def maps(*shape: int, last: bool) -> tuple[Tensor, Tensor]:
    layout = torch.channels_last if last else torch.contiguous_format
    one, other = (torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    return tuple(each.contiguous(memory_format=layout).requires_grad_() for each in (one, other))  # type: ignore[return-value]
