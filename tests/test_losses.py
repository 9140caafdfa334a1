"""Losses on hand-made cases, with and without missing pixels."""

from typing import Any

import pytest
import torch

from framecast.losses import L1, L1L2, L2

TRUTH = torch.tensor([0.0, 1.0, 2.0, 3.0]).reshape(1, 1, 1, 2, 2)
PREDICTION = torch.tensor([0.0, 3.0, 1.0, 3.0]).reshape(1, 1, 1, 2, 2)
EVERYWHERE = torch.ones(1, 1, 1, 2, 2, dtype=torch.bool)


@pytest.mark.parametrize(("loss", "expected"), [(L2(), 5 / 4), (L1(), 3 / 4), (L1L2(), 2.0), (L1L2(alpha=0.5), 1.625)])
def test_known_values(loss: Any, expected: float) -> None:
    assert loss(PREDICTION, TRUTH, EVERYWHERE).item() == pytest.approx(expected)


@pytest.mark.parametrize("loss", [L2(), L1(), L1L2()], ids=repr)
def test_missing_pixels_count_neither_in_the_value_nor_in_the_gradient(loss: Any) -> None:
    valid = EVERYWHERE.clone()
    valid[..., 0, 1] = False
    prediction = PREDICTION.clone().requires_grad_()
    truth = TRUTH.clone()
    truth[..., 0, 1] = torch.nan
    value = loss(prediction, truth, valid)
    value.backward()
    assert value.item() == pytest.approx({"l2": 1 / 3, "l1": 1 / 3, "l1l2": 2 / 3}[loss.name])
    assert torch.isfinite(prediction.grad).all()
    assert prediction.grad[..., 0, 1] == 0


def test_all_channels_of_a_missing_pixel_are_missing() -> None:
    valid = EVERYWHERE.clone()
    valid[..., 1, :] = False
    both = torch.cat([PREDICTION, PREDICTION], dim=2), torch.cat([TRUTH, TRUTH], dim=2)
    assert L2()(*both, valid) == L2()(PREDICTION, TRUTH, valid) == 2.0


def test_nothing_valid_is_a_loss_of_nothing() -> None:
    prediction = PREDICTION.clone().requires_grad_()
    value = L2()(prediction, TRUTH, ~EVERYWHERE)
    value.backward()
    assert value.item() == 0
    assert not prediction.grad.any()
