"""Convolutions by Winograd's filtering against the direct form in float64, and what the rollout shares."""

import gc

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from framecast.models import PredRNN
from framecast.models.parts.layers import GateConv, SameConv, gates
from framecast.ops import winograd
from framecast.ops.choice import Algorithm, use_algorithm
from framecast.ops.convolution import (
    Transforms,
    convolve,
    convolve_each,
    next_step,
    share_transforms,
    sums,
    uses_winograd,
)
from framecast.ops.native.library import available
from framecast.ops.tiles import matrices, tile_of
from framecast.ops.winograd import Run
from framecast.types import FrameShape

TOLERANCE = 1e-5
needs_loops = pytest.mark.skipif(
    not available(), reason="the loops in C were not load_function here: no C compiler with OpenMP"
)


def relative(found: Tensor, exact: Tensor) -> float:
    found, exact = found.detach().double(), exact.detach().double()
    return float((found - exact).norm() / exact.norm().clamp_min(1e-30))


def maps(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), requires_grad=True)


def exact(*tensors: Tensor) -> list[Tensor]:
    return [tensor.detach().double().requires_grad_() for tensor in tensors]


Sizes = tuple[int, int, int, int, int, int]


def sizes(
    *, kernels: list[int], inputs: tuple[int, int], outputs: tuple[int, int], least: int
) -> st.SearchStrategy[Sizes]:
    """Kernel, batch, inputs, outputs, height and width."""
    side = st.integers(least, 23)
    channels = (st.integers(*inputs), st.integers(*outputs))
    return st.tuples(st.sampled_from(kernels), st.integers(1, 3), *channels, side, side)


@given(sizes(kernels=[3, 5, 7], inputs=(1, 5), outputs=(1, 6), least=1), st.booleans())
def test_any_size_equals_the_direct_form(drawn: Sizes, last: bool) -> None:
    equals_the_direct_form(*drawn, last=last)


@needs_loops
@given(sizes(kernels=[7], inputs=(8, 20), outputs=(8, 20), least=7), st.booleans())
def test_kernels_of_7_x_7_equal_the_direct_form(drawn: Sizes, last: bool) -> None:
    kernel, batch, inputs, outputs, height, width = drawn
    with use_algorithm("winograd"):
        assert uses_winograd(maps(batch, inputs, height, width), maps(outputs, inputs, kernel, kernel))
    equals_the_direct_form(*drawn, last=last)


def equals_the_direct_form(
    kernel: int, batch: int, inputs: int, outputs: int, height: int, width: int, *, last: bool
) -> None:
    x, weight, bias = (
        maps(batch, inputs, height, width),
        maps(outputs, inputs, kernel, kernel, seed=1),
        maps(outputs, seed=2),
    )
    shown = x.contiguous(memory_format=torch.channels_last) if last else x
    with use_algorithm("winograd"):
        y = convolve(shown, weight, bias)
    gradient = maps(*y.shape, seed=3).detach()
    y.backward(gradient)
    x2, weight2, bias2 = exact(x, weight, bias)
    y2 = functional.conv2d(x2, weight2, bias2, padding=kernel // 2)
    y2.backward(gradient.double())
    pairs = {
        "y": (y, y2, x, weight),
        "x": (x.grad, x2.grad, gradient, weight),
        "w": (weight.grad, weight2.grad, gradient, x),
    }
    for found, true, *factors in pairs.values():
        assert found is not None
        assert true is not None
        assert found.shape == true.shape
        size = float(factors[0].detach().norm() * factors[1].detach().norm())
        assert float((found - true).detach().norm()) < TOLERANCE * size
    assert bias.grad is not None
    torch.testing.assert_close(bias.grad.double(), bias2.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("batch", "inputs", "outputs", "height", "width"),
    [(1, 20, 300, 15, 16), (5, 17, 70, 30, 27), (1, 16, 16, 90, 41), (2, 3, 130, 52, 9)],
    ids=["one block of tiles", "blocks and chunks", "pieces of one map", "odd"],
)
def test_how_the_work_is_shared_out_changes_nothing(
    batch: int, inputs: int, outputs: int, height: int, width: int
) -> None:
    x, weight = maps(batch, inputs, height, width), maps(outputs, inputs, 5, 5, seed=1)
    threads = torch.get_num_threads()
    try:
        for number in (1, 3):
            torch.set_num_threads(number)
            with use_algorithm("winograd"):
                y = convolve(x, weight)
            found = torch.autograd.grad(y.square().sum(), (x, weight))
            x2, weight2 = exact(x, weight)
            y2 = functional.conv2d(x2, weight2, padding=2)
            wanted = torch.autograd.grad(y2.square().sum(), (x2, weight2))
            for ours, true in zip((y, *found), (y2, *wanted), strict=True):
                assert relative(ours, true) < TOLERANCE
    finally:
        torch.set_num_threads(threads)


def test_sums_take_their_part_of_each_weight() -> None:
    x, h = maps(2, 3, 9, 10), maps(2, 5, 9, 10, seed=1)
    u, w = maps(12, 3, 5, 5, seed=2), maps(8, 5, 5, 5, seed=3)
    with share_transforms():
        one, other, third = sums([(x, u), (h, w)], (Run(2, ((0, 4, 12), (1, 0, 8))), Run(1, ((0, 0, 4),))))
    (one.sum() + (2 * other).sum() + third.square().sum()).backward()
    x2, h2, u2, w2 = exact(x, h, u, w)
    both = functional.conv2d(x2, u2[4:], padding=2) + functional.conv2d(h2, w2, padding=2)
    only = functional.conv2d(x2, u2[:4], padding=2)
    (both[:, :4].sum() + (2 * both[:, 4:]).sum() + only.square().sum()).backward()
    assert relative(torch.cat([one, other], dim=1), both) < TOLERANCE
    for found, true in ((x, x2), (h, h2), (u, u2), (w, w2)):
        assert relative(found.grad, true.grad) < TOLERANCE  # type: ignore[arg-type]


@pytest.mark.parametrize("algorithm", ["direct", "winograd"])
@pytest.mark.parametrize("learned", [True, False], ids=["learned", "fixed"])
def test_one_map_is_convolved_with_several_weights(algorithm: Algorithm, learned: bool) -> None:
    x, u, w = maps(2, 5, 9, 10), maps(7, 5, 3, 3, seed=1), maps(7, 5, 3, 3, seed=2)
    w.requires_grad_(learned)
    with use_algorithm(algorithm):
        one, other = convolve_each([(x, u), (x, w)])
        (one.sum() + other.square().sum()).backward()
    x2, u2, w2 = exact(x, u, w)
    one2, other2 = functional.conv2d(x2, u2, padding=1), functional.conv2d(x2, w2, padding=1)
    (one2.sum() + other2.square().sum()).backward()
    pairs = [(one, one2), (other, other2), (x.grad, x2.grad), (u.grad, u2.grad), (w.grad, w2.grad if learned else None)]
    for found, true in pairs:
        assert (found is None) == (true is None)
        if found is not None and true is not None:
            assert relative(found, true) < TOLERANCE


@pytest.mark.parametrize("algorithm", ["direct", "winograd"])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_several_maps_are_read_as_one(algorithm: Algorithm, kernel: int) -> None:
    widths = (9, 20, 8)
    parts = [
        maps(2, width, 9, 10, seed=seed).detach().contiguous(memory_format=torch.channels_last).requires_grad_()
        for seed, width in enumerate(widths)
    ]
    weight, bias = maps(12, sum(widths), kernel, kernel, seed=3), maps(12, seed=4)
    with use_algorithm(algorithm):
        found = convolve(tuple(parts), weight, bias)
        found.square().sum().backward()
    *parts2, weight2, bias2 = exact(*parts, weight, bias)
    wanted = functional.conv2d(torch.cat(parts2, dim=1), weight2, bias2, padding=kernel // 2)
    wanted.square().sum().backward()
    for ours, true in ((found, wanted), *((a.grad, b.grad) for a, b in zip(parts, parts2, strict=True))):
        assert relative(ours, true) < TOLERANCE  # type: ignore[arg-type]
    for ours, true in ((weight.grad, weight2.grad), (bias.grad, bias2.grad)):
        assert relative(ours, true) < TOLERANCE  # type: ignore[arg-type]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_single_map_is_not_copied(layout: torch.memory_format) -> None:
    x, layer = maps(2, 3, 9, 10).detach().contiguous(memory_format=layout).requires_grad_(), SameConv(3, 4, 3)
    with use_algorithm("direct"):
        before = layer(x).grad_fn.next_functions[0][0]
    assert type(before).__name__ == "AccumulateGrad", "x itself is what is convolved"


@needs_loops
def test_a_part_of_the_inputs_is_shared_with_another_convolution() -> None:
    """M is read by the output gate beside C, and alone by the layer above."""
    c, m = maps(2, 16, 9, 10), maps(2, 16, 9, 10, seed=1)
    u, w = maps(12, 32, 5, 5, seed=2), maps(8, 16, 5, 5, seed=3)
    with use_algorithm("winograd"), share_transforms():
        (convolve((c, m), u).square().sum() + convolve(m, w).sum()).backward()
    c2, m2, u2, w2 = exact(c, m, u, w)
    both = functional.conv2d(torch.cat([c2, m2], dim=1), u2, padding=2)
    (both.square().sum() + functional.conv2d(m2, w2, padding=2).sum()).backward()
    for found, true in ((c, c2), (m, m2), (u, u2), (w, w2)):
        assert relative(found.grad, true.grad) < TOLERANCE  # type: ignore[arg-type]


@needs_loops
def test_a_map_and_a_part_of_it_that_begins_where_it_does_are_two() -> None:
    x, u, w = maps(2, 8, 9, 10), maps(6, 8, 5, 5, seed=1), maps(6, 4, 5, 5, seed=2)
    with use_algorithm("winograd"):
        made = sums([(x, u), (x[:, :4], w)], (Run(1, ((0, 0, 6), (1, 0, 6))),))
    made[0].square().sum().backward()
    x2, u2, w2 = exact(x, u, w)
    true = functional.conv2d(x2, u2, padding=2) + functional.conv2d(x2[:, :4], w2, padding=2)
    true.square().sum().backward()
    for found, wanted in ((made[0], true), (x.grad, x2.grad), (u.grad, u2.grad), (w.grad, w2.grad)):
        assert found is not None
        assert wanted is not None
        assert relative(found, wanted) < TOLERANCE


@needs_loops
def test_no_gradient_flows_through_what_was_detached() -> None:
    x, u, w = maps(2, 8, 9, 10), maps(6, 8, 5, 5, seed=1), maps(6, 8, 5, 5, seed=2)
    x2, u2, w2 = exact(x, u, w)
    with use_algorithm("winograd"):
        made = sums([(x.detach(), u), (x, w)], (Run(1, ((0, 0, 6), (1, 0, 6))),))
    made[0].square().sum().backward()
    true = functional.conv2d(x2.detach(), u2, padding=2) + functional.conv2d(x2, w2, padding=2)
    true.square().sum().backward()
    for found, wanted in ((x.grad, x2.grad), (u.grad, u2.grad), (w.grad, w2.grad)):
        assert found is not None
        assert wanted is not None
        assert relative(found, wanted) < TOLERANCE


def test_a_1_x_1_convolution_is_a_linear_layer_on_the_channels() -> None:
    x, weight, bias = maps(2, 5, 6, 7), maps(3, 5, 1, 1, seed=1), torch.randn(3)
    x, weight, bias = x.double(), weight.double(), bias.double()
    found = convolve(x.contiguous(memory_format=torch.channels_last), weight, bias)
    assert type(found.grad_fn).__name__ in ("PermuteBackward0", "MovedimBackward0")
    torch.testing.assert_close(found, functional.conv2d(x, weight, bias))
    torch.testing.assert_close(convolve(x, weight, bias), functional.conv2d(x, weight, bias))


@pytest.mark.parametrize("norm", [None, (9, 10)])
def test_gates_are_sums_of_convolutions(norm: tuple[int, int] | None) -> None:
    torch.manual_seed(0)
    of_x, of_h, of_m = GateConv(3, 8, 3, norm), GateConv(4, 6, 3, norm), GateConv(4, 4, 3, norm)
    x, h, m = maps(2, 3, 9, 10), maps(2, 4, 9, 10, seed=1), maps(2, 4, 9, 10, seed=2)
    terms = ((of_x, x, range(4)), (of_h, h, (0, 1, 3)), (of_m, m, (1, 2)))
    found = []
    for algorithm in ("direct", "winograd"):
        with use_algorithm(algorithm), share_transforms():  # type: ignore[arg-type]
            found.append(torch.cat(gates(2, *terms), dim=1))
    parts = [layer(map_).chunk(len(numbers), dim=1) for layer, map_, numbers in terms]
    a, b, c = parts
    wanted = torch.cat([a[0] + b[0], a[1] + b[1] + c[0], a[2] + c[1], a[3] + b[2]], dim=1)
    for each in found:
        torch.testing.assert_close(each, wanted, rtol=1e-4, atol=1e-4)


def test_shared_transforms_are_made_once_and_forgotten_after_two_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    transform = winograd.transform_map
    monkeypatch.setattr(
        winograd, "transform_map", lambda x, kernel, free: made.append(kernel) or transform(x, kernel, free)
    )
    x, weight = maps(1, 2, 8, 8).detach(), maps(2, 2, 3, 3, seed=1).detach()
    with use_algorithm("winograd"), share_transforms():
        first = convolve(x, weight)
        next_step()
        assert torch.equal(first, convolve(x, weight))
        assert made == [3]
        next_step()
        next_step()
        assert torch.equal(first, convolve(x, weight))
        assert made == [3, 3]
    with use_algorithm("winograd"):
        convolve(x, weight)
        convolve(x, weight)
    assert made == [3] * 4, "nothing is kept outside of a rollout"


def test_a_training_step_leaves_nothing_behind() -> None:
    model = PredRNN(hidden=(8, 8), kernel=5, patch=2).build(FrameShape(1, 16, 16, 2, 2))
    frames, teacher = torch.rand(1, 4, 1, 16, 16), torch.ones(1, 3, dtype=torch.bool)
    gc.collect()
    gc.disable()
    try:
        with use_algorithm("winograd"):
            model(frames, teacher).frames.sum().backward()
        left = [each for each in gc.get_objects() if type(each) is winograd.Kernels]
        assert left == [], "held by a cycle of references until the collector comes by"
    finally:
        gc.enable()


def test_a_weight_that_changed_is_transformed_anew() -> None:
    x, weight = maps(1, 2, 8, 8).detach(), maps(2, 2, 3, 3, seed=1).detach()
    with use_algorithm("winograd"):
        before = convolve(x, weight)
        weight.mul_(2)
        torch.testing.assert_close(convolve(x, weight), 2 * before)


def test_the_defaults_of_pytorch_do_not_matter() -> None:
    x, weight = maps(1, 16, 8, 8), maps(64, 16, 5, 5, seed=1)
    with use_algorithm("winograd"):
        wanted = torch.autograd.grad(convolve(x, weight).square().sum(), (x, weight))
        torch.set_default_dtype(torch.float64)
        try:
            with torch.device("meta"):
                found = torch.autograd.grad(convolve(x, weight).square().sum(), (x, weight))
        finally:
            torch.set_default_dtype(torch.float32)
    for ours, same in zip(found, wanted, strict=True):
        assert torch.equal(ours, same)


@needs_loops
def test_kept_transforms_follow_their_weights() -> None:
    x, weight = maps(1, 16, 8, 8).detach(), maps(64, 16, 5, 5, seed=1).detach()
    kept: Transforms = {}
    with torch.no_grad(), use_algorithm("winograd"):
        for _ in range(2):
            with share_transforms(kept):
                before = convolve(x, weight)
        (known,) = kept.values()
        with share_transforms(kept):
            convolve(x, weight)
        assert next(iter(kept.values())) is known
        weight.mul_(2)
        with share_transforms(kept):
            torch.testing.assert_close(convolve(x, weight), 2 * before)


@needs_loops
def test_gradients_are_those_of_the_weight_as_it_was() -> None:
    x, weight = maps(1, 16, 8, 8), maps(64, 16, 5, 5, seed=1)
    x2, weight2 = exact(x, weight)
    functional.conv2d(x2, weight2, padding=2).sum().backward()
    with use_algorithm("winograd"):
        loss = convolve(x, weight).sum()
    with torch.no_grad():
        weight.mul_(2)
    loss.backward()
    assert x.grad is not None
    assert x2.grad is not None
    assert relative(x.grad, x2.grad) < TOLERANCE


def test_gradients_can_be_taken_twice() -> None:
    x, weight = maps(1, 2, 8, 8), maps(2, 2, 3, 3, seed=1)
    with use_algorithm("winograd"), share_transforms():
        loss = convolve(x, weight).square().sum() + convolve(x, weight).sum()
    one = torch.autograd.grad(loss, weight, retain_graph=True)[0]
    two = torch.autograd.grad(loss, weight)[0]
    assert torch.equal(one, two)


def test_a_gradient_that_was_not_asked_for_is_not_counted_in_the_next() -> None:
    x, weight = maps(1, 2, 8, 8), maps(2, 2, 3, 3, seed=1)
    with use_algorithm("winograd"), share_transforms():
        loss = convolve(x, weight).square().sum()
    torch.autograd.grad(loss, x, retain_graph=True)
    first = torch.autograd.grad(loss, weight, retain_graph=True)[0]
    loss.backward()
    assert torch.equal(first, weight.grad)


@needs_loops
def test_the_rule() -> None:
    large, small = maps(8, 32, 16, 16), maps(8, 8, 16, 16)
    weight = maps(64, 32, 5, 5)
    assert uses_winograd(large, weight)
    assert not uses_winograd(small, maps(64, 8, 5, 5)), "few channels"
    assert uses_winograd(large, maps(16, 32, 5, 5)), "few, but multiples of 16"
    assert not uses_winograd(large, maps(24, 32, 5, 5))
    assert uses_winograd(large, maps(64, 32, 3, 3))
    assert uses_winograd(large[:1], maps(64, 32, 3, 3))
    assert not uses_winograd(large[:1, :, :12, :12], maps(64, 32, 3, 3)), "few tiles"
    assert uses_winograd(maps(8, 64, 16, 16), maps(64, 64, 7, 7))
    assert uses_winograd(large, maps(64, 32, 7, 7))
    assert not uses_winograd(small, maps(64, 8, 7, 7)), "few channels"
    assert not uses_winograd(large, maps(64, 32, 1, 1))
    assert not uses_winograd(large.double(), weight.double())
    assert not uses_winograd(large.to("meta"), weight)
    with use_algorithm("direct"):
        assert not uses_winograd(large, weight)
    with use_algorithm("winograd"):
        assert uses_winograd(small, maps(64, 8, 7, 7))
        assert not uses_winograd(small, maps(64, 8, 1, 1)), "cannot be done"
        assert not uses_winograd(small, maps(7, 8, 7, 7)), "not exact enough"
        assert not uses_winograd(small[..., :6], maps(64, 8, 7, 7)), "not exact enough"
    with torch.autocast("cpu", torch.bfloat16):
        assert not uses_winograd(large, weight), "half precision is for the library"


def test_the_matrices_are_those_of_minimal_filtering() -> None:
    for kernel, tile in ((3, 6), (3, 8), (5, 8), (7, 10)):
        back, spread, gather = matrices(kernel, tile, torch.float64)
        signal, taps = torch.randn(tile, dtype=torch.float64), torch.randn(kernel, dtype=torch.float64)
        found = gather @ ((spread @ taps) * (back @ signal))
        wanted = functional.conv1d(signal[None, None], taps[None, None])[0, 0]
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize(
    ("kernel", "height", "width", "tile"),
    [(3, 8, 8, 6), (3, 16, 16, 6), (3, 12, 12, 8), (3, 64, 64, 8), (3, 20, 20, 6), (5, 8, 8, 8), (7, 8, 8, 10)],
)
def test_tiles_are_those_of_which_a_map_needs_the_fewest_multiplications(
    kernel: int, height: int, width: int, tile: int
) -> None:
    assert tile_of(kernel, height, width) == tile


def test_maps_of_two_sizes_read_one_weight_each_by_tiles_of_its_own() -> None:
    small, large, weight = maps(2, 16, 8, 8), maps(2, 16, 12, 12, seed=1), maps(16, 16, 3, 3, seed=2)
    with use_algorithm("winograd"), share_transforms():
        found = [convolve(x, weight) for x in (small, large)]
    sum(each.square().sum() for each in found).backward()
    small2, large2, weight2 = exact(small, large, weight)
    wanted = [functional.conv2d(x, weight2, padding=1) for x in (small2, large2)]
    sum(each.square().sum() for each in wanted).backward()
    pairs = zip(
        (*found, small.grad, large.grad, weight.grad), (*wanted, small2.grad, large2.grad, weight2.grad), strict=True
    )
    for ours, true in pairs:
        assert ours is not None
        assert true is not None
        assert relative(ours, true) < TOLERANCE
