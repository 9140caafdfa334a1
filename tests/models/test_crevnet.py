"""CrevNet: its encoder loses nothing, for any weights and any frames."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from framecast.models import CrevNet
from framecast.models.crevnet import ReversibleAutoencoder, grow, shrink
from framecast.models.parts.flops import parameters
from framecast.types import FrameShape


@settings(max_examples=12)
@given(
    channels=st.integers(1, 3),
    blocks=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    group=st.sampled_from([1, 2, 3]),
    rows=st.integers(1, 2),
    columns=st.integers(1, 3),
    seed=st.integers(0, 1000),
)
def test_what_is_encoded_is_decoded(
    channels: int, blocks: list[int], group: int, rows: int, columns: int, seed: int
) -> None:
    torch.manual_seed(seed)
    deep, side = group > 1, 2 ** len(blocks)
    autoencoder = ReversibleAutoencoder(channels, tuple(blocks), 2, deep=deep)
    depth = (group,) if deep else ()
    frames = torch.rand(2, channels, *depth, rows * side, columns * side)
    with torch.no_grad():
        halves = autoencoder.encode(frames)
        assert sum(half.numel() for half in halves) == frames.numel()
        assert halves[0].shape == (2, autoencoder.width, *depth, rows, columns)
        # in single precision each coupling rounds once, of sums that are a few times larger than the frames
        torch.testing.assert_close(autoencoder.decode(halves), frames, rtol=0, atol=1e-5)


def test_pixels_become_channels_row_by_row() -> None:
    frame = torch.arange(16.0).view(1, 1, 4, 4)
    assert shrink(frame)[0, :, 0, 0].tolist() == [0, 1, 4, 5]
    assert torch.equal(grow(shrink(frame)), frame)


def model(**settings: Any) -> Any:
    torch.manual_seed(0)
    return CrevNet(**{"blocks": (1, 1), "layers": 2, "group": 1} | settings).build(FrameShape(1, 8, 8, 3, 2)).eval()


def test_a_predictor_that_changes_nothing_is_persistence() -> None:
    """With the weights of the new half at 0 and an even number of layers, what was encoded is decoded."""
    crevnet = model()
    with torch.no_grad():
        for layer in crevnet.core.attention:
            layer[-1].weight.zero_()
            layer[-1].bias.fill_(-math.inf)
    context = torch.rand(2, 3, 1, 8, 8)
    torch.testing.assert_close(
        crevnet.forecast(context, 2), context[:, -1:].expand(-1, 2, -1, -1, -1), rtol=0, atol=1e-5
    )


def test_a_group_sees_the_frames_before() -> None:
    """By its convolutions over time, where the cells of the layers know nothing yet."""
    crevnet = model(group=2)
    state = crevnet.start(torch.zeros(1, 1, 8, 8))
    frame, other = torch.rand(2, 1, 1, 8, 8)
    one, _ = crevnet.step(frame, state)
    two, _ = crevnet.step(frame, state._replace(frames=other[:, None]))
    assert (one - two).abs().max() > 1e-4


@pytest.mark.parametrize("cell", ["st_lstm", "convlstm"])
def test_weights_are_as_many_as_the_layers_of_the_published_code_have(cell: Any) -> None:
    """Of the network for Traffic4Cast: [2, 2, 2, 2] blocks with bottlenecks of 4, 6 layers, frames of 4 channels. Its halves of
    8 channels, four times as many a stage, end with 512."""
    with torch.device("meta"):
        shape = FrameShape(4, 64, 64, 5, 3)
        crevnet: Any = CrevNet(blocks=(2, 2, 2, 2), bottleneck=4, layers=6, cell=cell, group=1).build(shape)
    width = 512
    assert crevnet.core.autoencoder.width == width
    gates = 7 if cell == "st_lstm" else 4
    inputs = {"st_lstm": 6 * 3 * 3 + 4 * 3, "convlstm": 4 * 2 * 3}[cell] * 3 * width**2
    one_by_one = 2 * width**2 + width if cell == "st_lstm" else 0
    attention = (1 + 9 + 1) * width**2 + 3 * width + 4 * width
    assert parameters(crevnet.core.cells) == 6 * (inputs + gates * width + one_by_one)
    assert parameters(crevnet.core.attention) == 6 * attention
    assert parameters(crevnet.core.autoencoder) == sum(
        block(half, out, first=first)
        for half, out, first in [
            (8, 8, True),
            (8, 8, False),
            (8, 32, False),
            (32, 32, False),
            (32, 128, False),
            (128, 128, False),
            (128, 512, False),
            (512, 512, False),
        ]
    )


def block(half: int, out: int, *, first: bool) -> int:
    middle = out // 4
    return 9 * (half * middle + middle**2 + middle * out) + 4 * middle + (0 if first else 2 * half)
