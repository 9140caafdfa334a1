"""Attention between pixels by the loops in C against the same by the library in float64."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from framecast.ops import attention
from framecast.ops.attention import attend
from framecast.ops.choice import use_algorithm
from framecast.ops.native.library import available, threads

needs_loops = pytest.mark.skipif(
    not available(), reason="the loops in C were not load_function here: no C compiler with OpenMP"
)


def drawn(
    batch: int, heads: int, channels: int, values: int, queries: tuple[int, int], keys: tuple[int, int]
) -> list[Tensor]:
    """q, k and v."""
    torch.manual_seed(batch)
    shapes = (heads * channels, *queries), (heads * channels, *keys), (heads * values, *keys)
    return [torch.randn(batch, *shape) for shape in shapes]


def with_gradients(given_: list[Tensor], heads: int, scale: float) -> list[Tensor]:
    """What is found, and the gradients of q, k and v."""
    leaves = [each.detach().clone(memory_format=torch.preserve_format).requires_grad_() for each in given_]
    found = attend(*leaves, heads=heads, scale=scale)
    after = [torch.linspace(n - 1, n + 1, each.numel(), dtype=each.dtype).view_as(each) for n, each in enumerate(found)]
    return [*(each.detach() for each in found), *torch.autograd.grad(found, leaves, after)]


def took_the_loops(found: list[Tensor]) -> bool:
    """Whether it was the loops that made this."""
    return type(found[0].grad_fn).__name__ == "_AttendBackward"


sizes = st.tuples(st.integers(1, 9), st.integers(1, 9))


@needs_loops
@given(
    batch=st.integers(1, 3),
    heads=st.integers(1, 4),
    channels=st.integers(1, 70),
    values=st.integers(1, 70),
    queries=sizes,
    keys=sizes,
    last=st.booleans(),
)
def test_the_loops_compute_the_same(
    batch: int, heads: int, channels: int, values: int, queries: tuple[int, int], keys: tuple[int, int], last: bool
) -> None:
    given_ = drawn(batch, heads, channels, values, queries, keys)
    if last:
        given_ = [each.contiguous(memory_format=torch.channels_last) for each in given_]
    found = with_gradients(given_, heads, channels**-0.5)
    true = with_gradients([each.double() for each in given_], heads, channels**-0.5)
    with use_algorithm("direct"):
        direct = with_gradients(given_, heads, channels**-0.5)
    assert [each.shape for each in found] == [each.shape for each in true]
    for ours, other, exact in zip(found, direct, true, strict=True):
        torch.testing.assert_close(ours.double(), exact, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(other.double(), exact, rtol=1e-4, atol=1e-4)


@needs_loops
def test_no_score_is_too_large() -> None:
    given_ = [300 * each for each in drawn(2, 2, 8, 8, (5, 5), (5, 5))]
    found, true = with_gradients(given_, 2, 1.0), with_gradients([each.double() for each in given_], 2, 1.0)
    for ours, exact in zip(found[:2], true[:2], strict=True):
        torch.testing.assert_close(ours.double(), exact, rtol=1e-3, atol=1e-3)
    assert all(each.isfinite().all() for each in found)


@needs_loops
def test_what_is_no_number_stays_so_in_its_own_queries() -> None:
    q, k, v = drawn(2, 1, 8, 8, (4, 4), (4, 4))
    q[0, 3, 1, 2] = torch.nan
    (found,) = attend(q, k, v, heads=1, scale=1.0)
    assert found[0, :, 1, 2].isnan().all()
    assert found.isnan().sum() == 8


@needs_loops
def test_where_the_loops_do_it(monkeypatch: pytest.MonkeyPatch) -> None:
    given_ = [each.requires_grad_() for each in drawn(threads(), 1, 4, 4, (3, 3), (5, 5))]
    assert took_the_loops(attend(*given_, heads=1, scale=1.0))
    assert not took_the_loops(attend(*(each.double() for each in given_), heads=1, scale=1.0))
    with use_algorithm("direct"):
        assert not took_the_loops(attend(*given_, heads=1, scale=1.0))
    with torch.autocast("cpu", torch.bfloat16):
        assert not took_the_loops(attend(*given_, heads=1, scale=1.0))
    monkeypatch.setattr(attention, "threads", lambda: threads() + 1)
    assert not took_the_loops(attend(*given_, heads=1, scale=1.0))
    monkeypatch.undo()
    monkeypatch.setattr(attention, "MANY", 24)
    assert not took_the_loops(attend(*given_, heads=1, scale=1.0))


@needs_loops
def test_only_gradients_that_are_wanted_are_returned() -> None:
    q, k, v = drawn(2, 2, 4, 4, (3, 3), (3, 3))
    k.requires_grad_()
    sum(each.sum() for each in attend(q, k, v, heads=2, scale=1.0)).backward()  # type: ignore[union-attr]
    assert k.grad is not None
    assert q.grad is None
    assert v.grad is None


@needs_loops
def test_a_head_that_is_not_used_has_no_part_in_the_gradient() -> None:
    given_ = [each.requires_grad_() for each in drawn(2, 2, 4, 4, (3, 3), (3, 3))]
    attend(*given_, heads=2, scale=1.0)[0].square().sum().backward()
    for each in given_:
        assert each.grad is not None
        first, second = each.grad.chunk(2, dim=1)
        assert first.any()
        assert not second.any()
