"""The area of rain: that of extrapolation at first, the network's own later, and no rain where none is near."""

import pytest
import torch
from torch import Tensor

from framecast.models.parts.exceedance import LADDER, ExtrapolationPrior, descending, probabilities
from framecast.models.parts.rain_area import counting_stride, hold_area

MINUTES = torch.tensor([[2.0, 30.0, 300.0]])


def forecast(side: int, more: float) -> tuple[Tensor, Tensor, Tensor]:
    """Logits of extrapolation of a few showers on `side` x `side` pixels, everywhere and where areas are counted, and those of
    a network that expects `more` of every rate wherever rain is near."""
    noise = torch.randn(1, 1, side, side, generator=torch.Generator().manual_seed(0))
    rain = torch.nn.functional.avg_pool2d(noise, 15, 1, 7)[:, 0] * 20
    rain[:, : side // 3] = -9.0
    prior, known = ExtrapolationPrior(), torch.ones(1, side, side, dtype=torch.bool)
    with torch.no_grad():
        extrapolated = descending(prior(prior.features(rain, known, [1.0]), MINUTES))
    stride = counting_stride(side, side)
    logits = torch.where(probabilities(extrapolated) > 0, extrapolated + more, extrapolated)
    return extrapolated, extrapolated[..., ::stride, ::stride], descending(logits)


def areas(logits: Tensor) -> Tensor:
    return probabilities(logits)[0, :, LADDER.index(1.0)].sum((-2, -1))


@pytest.mark.parametrize(("side", "more"), [(192, 0.7), (192, -0.7), (384, 0.7)])
def test_it_is_that_of_extrapolation_at_first_and_the_networks_own_later(side: int, more: float) -> None:
    extrapolated, counted, logits = forecast(side, more)
    known = torch.ones(1, side, side, dtype=torch.bool)
    excess, left = (
        (areas(each) / areas(extrapolated)).log()
        for each in (logits, hold_area(logits, counted, known, MINUTES, [1.0]))
    )
    remaining = left / excess
    assert remaining[0] < 0.2
    assert 0.5 < remaining[1] < 0.8
    assert remaining[2] == pytest.approx(1, abs=1e-3)


def test_what_equals_extrapolation_stays_as_it_is() -> None:
    extrapolated, counted, _ = forecast(96, 0.0)
    held = hold_area(extrapolated, counted, torch.ones(1, 96, 96, dtype=torch.bool), MINUTES, [1.0])
    torch.testing.assert_close(held, extrapolated, rtol=0, atol=0)


def test_where_no_rain_is_near_hardly_any_comes_and_unknown_pixels_do_not_count() -> None:
    extrapolated, counted, logits = forecast(96, -2.0)
    known = torch.ones(1, 96, 96, dtype=torch.bool)
    dry = probabilities(extrapolated) == 0
    assert dry.any()
    held = hold_area(logits, counted, known, MINUTES, [1.0])
    assert (probabilities(held)[dry] < 1e-4).all()
    known[..., 48:] = False
    other = logits.clone()
    other[..., 48:] = 3.0
    torch.testing.assert_close(
        hold_area(other, counted, known, MINUTES, [1.0])[..., :48],
        hold_area(logits, counted, known, MINUTES, [1.0])[..., :48],
        rtol=0,
        atol=0,
    )
