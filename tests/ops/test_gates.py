"""The gates in one loop against the same operation by operation in float64, on the CPU."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from framecast.ops.choice import use_algorithm
from framecast.ops.gates import cell_update, hidden_output, is_fused
from framecast.ops.native.library import available

Function = Callable[..., tuple[Tensor, Tensor]]
FUNCTIONS: dict[str, tuple[Function, int]] = {
    "cell_update": (lambda *gates: cell_update(*gates, 1.0), 4),  # type: ignore[call-arg]
    "hidden_output": (hidden_output, 2),
    "hidden_output a sum": (lambda o, x, more: hidden_output(o, x, more=more), 3),  # type: ignore[misc]
}
needs_loops = pytest.mark.skipif(
    not available(), reason="the loops in C were not load_function here: no C compiler with OpenMP"
)


def drawn(count: int, shape: tuple[int, ...], seed: int, last: bool) -> list[Tensor]:
    values = torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed)) * 4
    return [each.contiguous(memory_format=torch.channels_last) if last else each for each in values]


def with_gradients(function: Function, given_: list[Tensor], after: list[Tensor], uses: list[bool]) -> list[Tensor]:
    """What the function makes, and the gradients of what it was given; `uses` says which of its results matter."""
    leaves = [each.detach().clone().requires_grad_() for each in given_]
    made = function(*leaves)
    wanted = [(each, gradient) for each, gradient, used in zip(made, after, uses, strict=True) if used]
    found = torch.autograd.grad(
        [each for each, _ in wanted], leaves, [gradient for _, gradient in wanted], allow_unused=True
    )
    zeros = [torch.zeros_like(leaf) for leaf in leaves]
    gradients = [zero if each is None else each for each, zero in zip(found, zeros, strict=True)]
    return [each.detach() for each in (*made, *gradients)]


@needs_loops
@given(
    name=st.sampled_from([*FUNCTIONS]),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(1, 9), st.integers(1, 9)),
    last=st.booleans(),
    uses=st.sampled_from([[True, True], [True, False], [False, True]]),
    seed=st.integers(0, 99),
)
def test_one_loop_computes_the_same(name: str, shape: tuple[int, ...], last: bool, uses: list[bool], seed: int) -> None:
    function, count = FUNCTIONS[name]
    *given_, one, other = drawn(count + 2, shape, seed, last)
    assert is_fused(*given_)
    found = with_gradients(function, given_, [one, other], uses)
    exact = with_gradients(function, [each.double() for each in given_], [one.double(), other.double()], uses)
    for ours, true in zip(found, exact, strict=True):
        torch.testing.assert_close(ours.double(), true, rtol=2e-6, atol=1e-5)


@needs_loops
def test_many_threads_and_mixed_layouts_change_nothing() -> None:
    i, f, g, c = drawn(4, (4, 32, 24, 24), 0, last=True)
    mixed = cell_update(i, f.contiguous(), g[:, torch.arange(32)], c.contiguous())
    for ours, true in zip(mixed, cell_update(*(each.double() for each in (i, f, g, c))), strict=True):
        torch.testing.assert_close(ours.double(), true, rtol=2e-6, atol=1e-5)


@needs_loops
def test_what_is_not_a_number_stays_so_and_infinity_has_its_limit() -> None:
    o = torch.tensor([float("nan"), float("inf"), -float("inf"), 1e30, -1e30, 0.0])
    hidden, gate = hidden_output(o, torch.full((6,), 100.0))
    assert gate[0].isnan()
    assert hidden[0].isnan()
    torch.testing.assert_close(gate[1:], torch.tensor([1.0, 0.0, 1.0, 0.0, 0.5]))
    torch.testing.assert_close(hidden[1:], gate[1:])


def test_where_it_is_not_one_loop() -> None:
    o, x = drawn(2, (1, 2, 3, 4), 0, last=False)
    assert is_fused(o, x) == available()
    assert not is_fused(o.double(), x.double())
    assert not is_fused(o, x.bfloat16())
    assert not is_fused(o.to("meta"), x.to("meta"))
    with use_algorithm("direct"):
        assert not is_fused(o, x)
