"""Slots of other sequences, on a model whose slots are known."""

from typing import Any

import pytest
import torch
from known_models import Persistent, TwoSlots

from framecast.data.windows.labels import Labels
from framecast.diagnosis import slot_probes
from framecast.diagnosis.pages import Windows
from framecast.diagnosis.slots import slots
from framecast.models import ModeRNN
from framecast.types import FrameShape


def frames(count: int, length: int = 5) -> torch.Tensor:
    return torch.rand(count, length, 1, 16, 16, generator=torch.Generator().manual_seed(0))


def mode_rnn() -> Any:
    torch.manual_seed(0)
    model = ModeRNN(hidden=(8, 8), patch=2, slots=2).build(FrameShape(1, 16, 16, 3, 2)).eval()
    for weight in model.parameters():
        if weight.ndim > 1 and not weight.any():
            torch.nn.init.normal_(weight, std=0.1)
    return model


def test_a_swapped_slot_is_that_of_the_other_sequence() -> None:
    """Slot 1 is the mean of the frame, slot 2 the rest of it."""
    context, other = frames(4)[:2, :3], frames(4)[2:, :3]
    swapped = slot_probes.slot_swaps(TwoSlots(), context, other, 2)
    assert swapped.shape == (2, 2, 2, 1, 16, 16)

    def mean(each: torch.Tensor) -> torch.Tensor:
        return each.mean((-2, -1), keepdim=True)

    own, foreign = context[:, -1:], other[:, -1:]
    torch.testing.assert_close(swapped[0], (own - mean(own) + mean(foreign)).expand(-1, 2, -1, -1, -1))
    torch.testing.assert_close(swapped[1], (foreign - mean(foreign) + mean(own)).expand(-1, 2, -1, -1, -1))


def test_slots_of_the_same_sequence_change_nothing_and_others_do() -> None:
    model, context = mode_rnn(), frames(3)[:, :3]
    plain = model.forecast(context, 2)
    torch.testing.assert_close(slot_probes.slot_swaps(model, context, context, 2), plain.expand(2, -1, -1, -1, -1, -1))
    swapped = slot_probes.slot_swaps(model, context, context.flip(0), 2)
    assert all(not torch.allclose(each[0], plain[0]) for each in swapped)
    torch.testing.assert_close(swapped[:, 1], plain[1].expand(2, -1, -1, -1, -1))  # the middle one gives to itself
    torch.testing.assert_close(model.forecast(context, 2), plain)


def test_features_and_weights_of_slots_are_known() -> None:
    context = frames(9)[:, :3]
    features = slot_probes.slot_features(TwoSlots(), context, 2)
    mean = context[:, -1].mean((-2, -1))
    torch.testing.assert_close(features, torch.stack([mean, torch.zeros_like(mean)], dim=1), rtol=1e-5, atol=1e-6)
    weights = slot_probes.slot_importance(TwoSlots(), context, 2)
    torch.testing.assert_close(weights, torch.tensor([0.5, 0.25, 0.125]).expand(9, 3))
    with pytest.raises(ValueError, match="no slot weights"):
        slot_probes.slot_importance(Persistent(), context, 2)
    with pytest.raises(ValueError, match="binds no slots"):
        slot_probes.slot_features(Persistent(), context, 2)


def test_the_page_groups_by_label_and_swaps_between_groups() -> None:
    """Sequences of one group are equal: only a swap with the other group changes anything."""
    window = frames(2).repeat_interleave(6, dim=0)
    named = Windows(window, 3, 2, labels=Labels("digits", ("2",) * 6 + ("3",) * 6))
    found = slots(TwoSlots(), named)
    assert [figure.heading for figure in found.figures] == ["Importance", "Features of the slots", "Slot swap"]
    assert found.facts["groups"] == "by digits: 2 (6), 3 (6)"
    assert "perplexity 7.67 (30 takes 91 points)" in found.figures[1].caption
    change = (window[0] - window[6])[2] - (window[0] - window[6])[2].mean()
    expected = float(change.square().mean().sqrt())
    assert f"Slot 2 of another sequence changes the forecast most, by {expected:.3g}" in found.verdict
    with pytest.raises(ValueError, match="two windows"):
        slots(TwoSlots(), Windows(window[:1], 3, 2))
