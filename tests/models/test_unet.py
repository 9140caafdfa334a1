"""The U-Net: its convolutions, its persistence, and horizons it was not built for."""

from typing import Any

import pytest
import torch
from torch.nn import functional

from framecast.models import UNet
from framecast.models.unet import EdgeConv
from framecast.ops.choice import use_algorithm
from framecast.types import FrameShape

SHAPE = FrameShape(channels=2, height=16, width=12, context=3, horizon=2)


@pytest.mark.parametrize("algorithm", ["direct", "winograd"])
def test_a_convolution_continues_the_map_by_its_edge(algorithm: Any) -> None:
    torch.manual_seed(0)
    conv, x = EdgeConv(4, 6), torch.randn(2, 4, 9, 13)
    padded = functional.pad(x, (1, 1, 1, 1), mode="replicate")
    with use_algorithm(algorithm):
        torch.testing.assert_close(
            conv(x), functional.conv2d(padded, conv.weight, conv.bias), atol=1e-4, rtol=1e-4
        )  # rounding of tiles


@pytest.mark.parametrize(("residual", "expected"), [(True, 1.0), (False, 0.0)])
def test_a_readout_of_zero_is_persistence_or_nothing(residual: bool, expected: float) -> None:
    model = UNet(hidden=(4, 8), residual=residual).build(SHAPE).eval()
    torch.nn.init.zeros_(model.readout.weight)
    assert model.readout.bias is not None
    torch.nn.init.zeros_(model.readout.bias)
    context = torch.rand(2, 3, 2, 16, 12)
    torch.testing.assert_close(model.forecast(context, 5), expected * context[:, -1:].expand(-1, 5, -1, -1, -1))


def test_beyond_its_horizon_it_reads_its_own_forecasts() -> None:
    torch.manual_seed(0)
    model = UNet.tiny().build(SHAPE).eval()
    context = torch.rand(1, 4, 2, 16, 12)  # one frame more than it needs
    first = model.forecast(context, 2)
    second = model.forecast(torch.cat([context, first], dim=1), 2)
    torch.testing.assert_close(model.forecast(context, 4), torch.cat([first, second], dim=1))


def test_a_forecast_does_not_depend_on_what_is_far_away() -> None:
    torch.manual_seed(0)
    model = UNet(hidden=(4, 8)).build(SHAPE._replace(height=64)).eval()
    context = torch.rand(1, 3, 2, 64, 12)
    other = context.clone()
    other[..., 40:, :] = 0
    changed = (model.forecast(other, 2) - model.forecast(context, 2)).abs().amax((0, 1, 2, 4))
    assert (changed[:24] == 0).all()
    assert (changed[40:] > 0).all()


def test_dry_frames_have_a_gradient() -> None:
    torch.manual_seed(0)
    model = UNet().build(SHAPE._replace(width=8))
    (model.forecast(torch.zeros(1, 3, 2, 16, 8), 2) - 0.1).square().mean().backward()
    assert all(weight.grad is not None and weight.grad.abs().max() < 1 for weight in model.parameters())
