"""1 x 1 convolutions of several maps against the library's in float64, with gradients and without."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from framecast.ops.convolution import Transforms, convolve, share_transforms
from framecast.ops.native.library import available
from framecast.ops.pointwise import can_mix, mix, transpose_weight

needs_loops = pytest.mark.skipif(
    not available(), reason="the loops in C were not load_function here: no C compiler with OpenMP"
)


def drawn(channels: list[int], outputs: int, batch: int, height: int, width: int) -> tuple[list[Tensor], Tensor]:
    """Maps, channels-last, and a weight."""
    generator = torch.Generator().manual_seed(batch)
    maps = [torch.randn(batch, each, height, width, generator=generator) for each in channels]
    weight = torch.randn(outputs, sum(channels), 1, 1, generator=generator)
    return [each.contiguous(memory_format=torch.channels_last) for each in maps], weight


@given(
    channels=st.lists(st.integers(1, 40), min_size=1, max_size=3),
    outputs=st.integers(1, 80),
    batch=st.integers(1, 3),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    biased=st.booleans(),
)
def test_any_size_equals_the_library(
    channels: list[int], outputs: int, batch: int, height: int, width: int, biased: bool
) -> None:
    maps, weight = drawn(channels, outputs, batch, height, width)
    bias = torch.linspace(-1, 1, outputs) if biased else None
    with torch.no_grad():
        found = convolve(tuple(maps), weight, bias)
    leaves = [each.requires_grad_() for each in (weight, *maps, *([] if bias is None else [bias]))]
    learned = convolve(tuple(maps), weight, bias)
    exact = [each.detach().double().requires_grad_() for each in leaves]
    true = functional.conv2d(torch.cat(exact[1 : 1 + len(maps)], dim=1), exact[0], exact[-1] if biased else None)
    for ours in (found, learned):
        torch.testing.assert_close(ours.double(), true, rtol=1e-5, atol=1e-5)
    gradients = torch.autograd.grad(learned.square().sum(), leaves)
    for ours, wanted in zip(gradients, torch.autograd.grad(true.square().sum(), exact), strict=True):
        torch.testing.assert_close(ours.double(), wanted, rtol=1e-4, atol=1e-3)


@needs_loops
def test_where_it_is_one_loop() -> None:
    maps, weight = drawn([3, 4], 5, 2, 6, 7)
    assert can_mix(maps, weight, None)
    assert can_mix(maps, weight, torch.zeros(5))
    assert not can_mix(maps, weight, torch.zeros(5).double())
    assert not can_mix(maps, weight.double(), None)
    assert not can_mix([each.double() for each in maps], weight, None)
    assert not can_mix([maps[0], maps[1][:, :, ::2]], weight, None)
    with torch.autocast("cpu", torch.bfloat16):
        assert not can_mix(maps, weight, None)


@needs_loops
def test_a_weight_is_turned_once_and_again_when_it_has_changed() -> None:
    maps, weight = drawn([3, 4], 5, 2, 6, 7)
    kept: Transforms = {}
    with torch.no_grad(), share_transforms(kept):
        first = convolve(tuple(maps), weight)
        ((_, _, known),) = kept.values()
        convolve(tuple(maps), weight)
        assert next(iter(kept.values()))[2] is known
        weight.mul_(2)
        torch.testing.assert_close(convolve(tuple(maps), weight), 2 * first)


@needs_loops
def test_maps_that_are_not_those_of_the_weight() -> None:
    maps, weight = drawn([3, 4], 5, 2, 6, 7)
    with pytest.raises(ValueError, match="channels"):
        mix(maps[:1], weight, None, transpose_weight(weight))


@pytest.mark.parametrize("learned", [True, False], ids=["learned", "fixed"])
def test_in_half_precision_it_is_computed_in_that(learned: bool) -> None:
    maps, weight = drawn([3, 4], 5, 2, 6, 7)
    weight.requires_grad_(learned)
    wanted = functional.conv2d(torch.cat(maps, dim=1), weight)
    with torch.autocast("cpu", torch.bfloat16):
        found = convolve((maps[0].bfloat16(), maps[1]), weight)
    assert found.dtype == torch.bfloat16
    assert found.requires_grad == learned
    torch.testing.assert_close(found.float(), wanted, rtol=2e-2, atol=4e-2)
