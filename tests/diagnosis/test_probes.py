"""What is caught inside models, where it is known what must be there."""

from typing import Any

import pytest
import torch

from framecast.diagnosis import probes
from framecast.models import VQVAE, ConvLSTM, ModeRNN, ModularDesign, MotionRNN, PredRNN, PredRNNV2, SimVP
from framecast.models.motionrnn import TAPS, Motion
from framecast.types import FrameShape

SHAPE = FrameShape(1, 16, 16, 3, 3)
CELLS: Any = {"hidden": (8, 8), "kernel": 3, "patch": 2}
SMALL: dict[str, Any] = {
    "convlstm": ConvLSTM(**CELLS),
    "predrnn_v2": PredRNNV2(**CELLS),
    "modernn_slots": ModeRNN(**CELLS, slots=2),
    "motionrnn": MotionRNN(backbone=PredRNN(**CELLS)),
    "simvp": SimVP(spatial=8, hidden=16, layers=2, blocks=2),
}


def frames(count: int = 2, length: int = 6) -> torch.Tensor:
    return torch.rand(count, length, 1, 16, 16, generator=torch.Generator().manual_seed(0))


def built(config: object) -> torch.nn.Module:
    torch.manual_seed(0)
    model = config.build(SHAPE).eval()  # type: ignore[attr-defined]
    for weight in model.parameters():
        if weight.ndim > 1 and not weight.any():
            torch.nn.init.normal_(weight, std=0.1)
    return model  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "config", [SMALL["convlstm"], SMALL["predrnn_v2"], SMALL["modernn_slots"], SMALL["motionrnn"], SMALL["simvp"]]
)
def test_features_of_any_model_are_one_vector_a_sequence(config: object) -> None:
    model = built(config)
    window = frames()
    message = probes.features(model, window[:, :3], 3)
    assert message.ndim == 2
    assert len(message) == 2
    alone = probes.features(model, window[1:, :3], 3)
    torch.testing.assert_close(message[1:], alone, rtol=1e-4, atol=1e-5)
    true = probes.features(model, window[:, :3], 3, window[:, 3:])
    assert true.shape == message.shape


def test_gradients_reach_back_and_never_forward() -> None:
    norms = probes.gradient_norms(built(SMALL["convlstm"]), frames(), 3)
    assert norms.shape == (3, 5)
    for lead in range(3):
        last = 2 + lead  # the hidden state that the frame was made of
        assert (norms[lead, : last + 1] > 0).all()
        assert norms[lead, last + 1 :].isnan().all()


def test_a_pixel_depends_on_its_surroundings_in_the_past() -> None:
    found = probes.attribution(built(SMALL["convlstm"]), frames()[:, :3], 2, (8, 8), 0)
    assert found.shape == (2, 3, 16, 16)
    assert found[:, -1, 4:12, 4:12].sum() > 0


def test_after_a_sudden_change_the_error_is_that_of_another_past() -> None:
    model, window = built(SMALL["convlstm"]), frames()
    changed, alone = probes.response(model, window.flip(0), window)
    assert changed.shape == alone.shape == (5,)
    assert not torch.equal(changed, alone)
    still = torch.zeros_like(window)
    same, other = probes.response(model, still[:, :0], still)
    torch.testing.assert_close(same, other)


def test_a_field_of_constant_velocity_gives_arrows_of_that_velocity() -> None:
    """Taps that look two places up and one to the right: what comes from there moves down and to the left."""
    trend = torch.zeros(1, 2 * TAPS, 4, 4)
    trend[:, :TAPS], trend[:, TAPS:] = -2.0, 1.0
    flow = probes.arrows(Motion(trend, trend), factor=4)
    assert flow.shape == (1, 2, 4, 4)
    assert (flow[:, 0] == 8).all()
    assert (flow[:, 1] == -4).all()


def test_motions_are_caught_at_every_step_and_layer() -> None:
    model = built(SMALL["motionrnn"])
    found = probes.motions(model, frames()[:, :3], 3)
    assert len(found) == 5
    assert all(len(row) == len(found[0]) > 0 for row in found)
    with pytest.raises(ValueError, match="no MotionGRU"):
        probes.motions(built(SMALL["convlstm"]), frames()[:, :3], 3)


def test_swapped_slots_change_what_they_must() -> None:
    model = built(SMALL["modernn_slots"])
    context = frames()[:, :3]
    changes = probes.slot_swap(model, context, 2)
    assert (changes.diagonal() == 0).all()
    assert changes[0, 1] == changes[1, 0] > 0
    plain = model(context, torch.ones(2, 2, dtype=torch.bool)).frames
    torch.testing.assert_close(
        model(context, torch.ones(2, 2, dtype=torch.bool)).frames, plain
    )  # nothing is left behind
    weights = probes.slot_importance(model, context, 2)
    assert weights.shape[0] == 2
    assert ((weights >= 0) & (weights <= 1)).all()


def test_increments_that_are_the_same_have_cosine_1_and_orthogonal_ones_0() -> None:
    one = torch.rand(2, 3, 4, 4) + 0.1
    other = torch.zeros_like(one)
    other[..., 0, 0] = 1
    away = one.clone()
    away[..., 0, 0] = 0
    cosine = probes.cosines([[(one, 2 * one), (away, other)]])
    torch.testing.assert_close(cosine, torch.tensor([[1.0, 0.0]]))
    found = probes.increments(built(SMALL["predrnn_v2"]), frames())
    assert len(found) == 5
    with pytest.raises(ValueError, match="no two memories"):
        probes.increments(built(SMALL["convlstm"]), frames())


def test_a_codebook_lets_no_gradient_through() -> None:
    model = built(ModularDesign(autoencoder=VQVAE(width=8, latent=4, size=8), predictor=PredRNN(hidden=(4,), patch=1)))
    with pytest.raises(ValueError, match="no gradient leads"):
        probes.gradient_norms(model, frames(), 3)
    with pytest.raises(ValueError, match="no gradient leads"):
        probes.attribution(model, frames()[:, :3], 3, (4, 4), 1)
