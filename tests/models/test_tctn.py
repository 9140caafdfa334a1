"""TCTN: what dropout drops in training, and odd depths, as in the released code."""

import numpy as np
import pytest
import torch
from torch import nn

from framecast.models import TCTN
from framecast.models.tctn import Layer, position_code
from framecast.types import FrameShape

SHAPE = FrameShape(channels=1, height=8, width=8, context=3, horizon=3)
DROPOUT = 0.3


def dropped(monkeypatch: pytest.MonkeyPatch) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The input and output of every dropout of one training pass of two layers with two heads, batch of 2."""
    torch.manual_seed(0)
    model = TCTN(hidden=6, layers=2, heads=2, patch=2, dropout=DROPOUT).build(SHAPE).train()
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    original = nn.Dropout3d.forward

    def watched(layer: nn.Dropout3d, x: torch.Tensor) -> torch.Tensor:
        y = original(layer, x)
        seen.append((x.detach(), y.detach()))
        return y

    monkeypatch.setattr(nn.Dropout3d, "forward", watched)
    model(torch.rand(2, 6, 1, 8, 8), torch.ones(2, 5, dtype=torch.bool))
    return seen


def test_every_dropout_drops_whole_maps_of_what_the_released_code_drops(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = dropped(monkeypatch)
    depth, steps, grid = 6, 5, (4, 4)
    layer = [
        (2, 2 * steps, steps, *grid),  # attention: (head, key), query
        (2, depth, steps, *grid),
        (2, 3 * depth, steps, *grid),
        (2, depth, steps, *grid),
    ]
    assert [tuple(x.shape) for x, _ in seen] == [(2, depth, steps, *grid), *layer, *layer]
    coins = []
    for x, y in seen:
        kept = (y != 0).flatten(2).any(2)
        torch.testing.assert_close(y, torch.where(kept[..., None, None, None], x / (1 - DROPOUT), 0.0))
        coins.append(kept)
    assert not all(bool(kept.all()) for kept in coins)
    assert any(bool(kept.any()) for kept in coins)


def test_a_key_that_is_dropped_is_dropped_for_all_queries_and_pixels_of_a_head() -> None:
    torch.manual_seed(1)
    layer = Layer(4, heads=2, dropout=0.5, norm="per_frame").train()
    weights = torch.rand(3, 2, 5, 4, 2, 2) + 0.1
    kept = layer._drop_keys(weights) / weights
    by_key = kept.permute(0, 1, 3, 2, 4, 5).flatten(3)
    assert torch.equal(by_key, by_key[..., :1].expand_as(by_key))
    torch.testing.assert_close(by_key.unique(), torch.tensor([0.0, 2.0]))


def test_nothing_is_dropped_in_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    model = TCTN(hidden=6, layers=1, patch=2, dropout=0.5).build(SHAPE).eval()
    context = torch.rand(2, 3, 1, 8, 8)
    assert torch.equal(model.forecast(context, 2), model.forecast(context, 2))


@pytest.mark.parametrize("depth", [6, 7, 1])
def test_the_position_code_is_the_released_one(depth: int) -> None:
    channel = np.arange(depth)
    angles = np.arange(2, 7)[:, None] / np.power(10000, 2 * (channel // 2) / np.float32(depth))
    released = 0.5 * np.concatenate([np.sin(angles[:, 0::2]), np.cos(angles[:, 1::2])], axis=1)
    np.testing.assert_allclose(position_code(2, 5, depth).T.numpy(), released, atol=1e-6)


def test_an_odd_depth_is_built_and_learns() -> None:
    torch.manual_seed(0)
    model = TCTN(hidden=7, layers=1, heads=7, patch=2).build(SHAPE).train()
    model(torch.rand(2, 6, 1, 8, 8), torch.ones(2, 5, dtype=torch.bool)).frames.square().mean().backward()
    assert all(weight.grad is not None for weight in model.parameters())
