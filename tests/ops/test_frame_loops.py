"""Sums over frames, filters and interpolation by the loops in C are those of the operations of PyTorch and SciPy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch import Tensor

from framecast.data.motion.advection import interpolate
from framecast.ops.choice import use_algorithm
from framecast.ops.frames import filter_fields
from framecast.ops.native.library import available
from framecast.scores import CONVENTIONS
from framecast.scores.events import contingency
from framecast.scores.structure import spectrum

pytestmark = pytest.mark.skipif(not available(), reason="no C compiler with OpenMP")

sizes = {
    "seed": st.integers(0, 1000),
    "height": st.integers(2, 40),
    "width": st.integers(2, 40),
    "channels": st.integers(1, 2),
}


def fields(seed: int, *shape: int, gaps: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """Forecast, truth with pixels that are not a number, and where both have data; one frame has none."""
    generator = torch.Generator().manual_seed(seed)
    forecast, truth = (torch.rand(*shape, generator=generator) * 1.5 - 0.2 for _ in range(2))
    valid = torch.rand(*shape[:2], 1, *shape[3:], generator=generator) > (0.2 if gaps else -1)
    valid[0, 0] = not gaps
    return forecast, truth.masked_fill(~valid, torch.nan), valid


@settings(max_examples=25, deadline=None)
@given(**sizes)
def test_frame_scores(seed: int, height: int, width: int, channels: int) -> None:
    forecast, truth, valid = fields(seed, 2, 2, channels, height, width)
    compute = CONVENTIONS["default"].compute_sums
    ours = compute(forecast, truth, forecast, truth, valid)
    with use_algorithm("direct"):
        plain = compute(forecast, truth, forecast, truth, valid)
    assert ours.keys() == plain.keys()
    for name in ("mse", "mae", "psnr", "gdl"):
        torch.testing.assert_close(ours[name], plain[name], rtol=1e-12, atol=1e-12)
        assert torch.equal(ours[f"{name}_weight"], plain[f"{name}_weight"])


@settings(max_examples=25, deadline=None)
@given(**sizes)
def test_contingency(seed: int, height: int, width: int, channels: int) -> None:
    forecast, truth, valid = fields(seed, 2, 2, channels, height, width)
    limits = (0.1, 0.5, float(forecast[0, 0, 0, 0, 0]), 2.0)
    ours = contingency(forecast, truth, valid, limits)
    with use_algorithm("direct"):
        plain = contingency(forecast, truth, valid, limits)
    assert all(map(torch.equal, ours, plain))


@settings(max_examples=25, deadline=None)
@given(**sizes)
def test_spectrum(seed: int, height: int, width: int, channels: int) -> None:
    forecast, _, valid = fields(seed, 2, 2, channels, height, width)
    ours = spectrum(forecast, valid)
    with use_algorithm("direct"):
        plain = spectrum(forecast, valid)
    torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-7, equal_nan=True)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), height=st.integers(1, 60), width=st.integers(1, 60), extend=st.booleans())
def test_filter(seed: int, height: int, width: int, extend: bool) -> None:
    values = np.random.default_rng(seed).normal(size=(2, height, width)).astype(np.float32)
    line = np.exp(-0.5 / 9 * np.arange(-12, 13) ** 2)
    ours = filter_fields(values, line / line.sum(), extend=extend)
    for one, field in zip(ours, values, strict=True):
        plain = ndimage.gaussian_filter(field, 3, mode="nearest" if extend else "constant")
        np.testing.assert_allclose(one, plain, rtol=0, atol=2e-6)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), height=st.integers(1, 40), width=st.integers(1, 40))
def test_interpolation(seed: int, height: int, width: int) -> None:
    """Inside, at the border and outside of the field."""
    generator = torch.Generator().manual_seed(seed)
    field = torch.rand(2, height, width, generator=generator)
    size = torch.tensor([height, width]).reshape(2, 1, 1)
    positions = (torch.rand(2, 19, 17, generator=generator) * 1.6 - 0.3) * size
    positions[:, 0, 0] = size[:, 0, 0] - 1
    ours = interpolate(field, positions)
    with use_algorithm("direct"):
        plain = interpolate(field, positions)
    torch.testing.assert_close(ours, plain, rtol=0, atol=2e-5)
