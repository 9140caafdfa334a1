"""Sums over windows by the loops in C are those of the operations of PyTorch."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from framecast.ops.choice import use_algorithm
from framecast.ops.native.library import available
from framecast.scores.fractions import SCALES, fractions_sums, percentile_limit, threshold_limit
from framecast.scores.probability import neighbourhood_sums
from framecast.scores.ssim import gaussian_line, mean_similarity, ms_ssim

pytestmark = pytest.mark.skipif(not available(), reason="no C compiler with OpenMP")


def frames(seed: int, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 10


def with_gaps(seed: int, *shape: int) -> Tensor:
    """Frames with data everywhere, nowhere, and here and there."""
    there = frames(seed, *shape) > 2
    there[0], there[1] = True, False
    return there


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), height=st.integers(1, 70), width=st.integers(1, 70), channels=st.integers(1, 2))
def test_fractions(seed: int, height: int, width: int, channels: int) -> None:
    truth, *said = (frames(seed + k, 2, 2, channels, height, width) for k in range(3))
    said[0][0, 0, 0, 0, 0] = torch.nan
    valid = with_gaps(seed, 4, height, width).view(2, 2, 1, height, width) & said[0].isfinite().all(2, keepdim=True)
    events = [threshold_limit(8.0), percentile_limit(0.9, 0.5), threshold_limit(11.0)]
    ours = fractions_sums(said, truth, valid, events, SCALES)
    with use_algorithm("direct"):
        plain = fractions_sums(said, truth, valid, events, SCALES)
    for one, other in zip(ours, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), height=st.integers(1, 50), width=st.integers(1, 50))
def test_probabilities(seed: int, height: int, width: int) -> None:
    truth, *said = (frames(seed + k, 3, height, width) for k in range(3))
    valid = with_gaps(seed, 3, height, width)
    ours = neighbourhood_sums(said, truth, valid, (5.0, 8.0, 11.0))
    with use_algorithm("direct"):
        plain = neighbourhood_sums(said, truth, valid, (5.0, 8.0, 11.0))
    for one, other in zip(ours, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000), height=st.integers(11, 60), width=st.integers(11, 60), side=st.sampled_from([3, 7, 11])
)
def test_similarity(seed: int, height: int, width: int, side: int) -> None:
    x, y = (frames(seed + k, 3, height, width) / 10 for k in range(2))
    x[1] = torch.nan
    x[2, 0, width // 3] = torch.nan
    ours = mean_similarity(x, y, gaussian_line(side), 1.0)
    with use_algorithm("direct"):
        plain = mean_similarity(x, y, gaussian_line(side), 1.0)
    for one, other in zip(ours, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5, equal_nan=True)


def test_similarity_over_scales() -> None:
    x, y = (frames(k, 3, 190, 177) / 10 for k in range(2))
    x[1, 50:140, 40:150] = torch.nan
    ours = ms_ssim(x, y)
    with use_algorithm("direct"):
        plain = ms_ssim(x, y)
    torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-5, equal_nan=True)
    assert ours.isnan().tolist() == [False, True, False], "no window of the coarsest scale is without a gap"
