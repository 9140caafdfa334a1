"""What is caught inside models, where it is known what must be there."""

from typing import Any

import pytest
import torch
from known_models import Brightness, Decay

from framecast.diagnosis import probes
from framecast.errors import ConfigError
from framecast.models import (
    FCLSTM,
    VQVAE,
    ConvLSTM,
    ModeRNN,
    ModularDesign,
    MotionRNN,
    PredRNN,
    PredRNNV2,
    SAConvLSTM,
    SimVP,
    TrajGRU,
)
from framecast.models.motionrnn import TAPS, Motion
from framecast.types import FrameShape

SHAPE = FrameShape(1, 16, 16, 3, 3)
CELLS: Any = {"hidden": (8, 8), "kernel": 3, "patch": 2}
SMALL: dict[str, Any] = {
    "convlstm": ConvLSTM(**CELLS),
    "predrnn_v2": PredRNNV2(**CELLS),
    "modernn_slots": ModeRNN(**CELLS, slots=2),
    "motionrnn": MotionRNN(backbone=PredRNN(**CELLS)),
    "fc_lstm": FCLSTM(hidden=(12, 8)),
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
    "config", [SMALL[name] for name in ("convlstm", "predrnn_v2", "modernn_slots", "motionrnn", "simvp", "fc_lstm")]
)
def test_features_of_any_model_are_one_vector_a_sequence(config: object) -> None:
    model = built(config)
    window = frames()
    features = probes.features(model, window[:, :3], 3)
    alone = probes.features(model, window[1:, :3], 3)
    true = probes.features(model, window[:, :3], 3, window[:, 3:])
    for both, one, other in zip(features, alone, true, strict=True):
        assert both.shape == other.shape
        assert both.ndim == 2
        assert len(both) == 2
        torch.testing.assert_close(both[1:], one, rtol=1e-4, atol=1e-5)


def test_latent_features_are_the_slot_bus_or_the_output_and_the_memory_is_bus_or_cell() -> None:
    window = frames()[:, :3]
    slots = probes.features(built(SMALL["modernn_slots"]), window, 2)
    assert torch.equal(slots.latent, slots.memory)
    assert not torch.equal(slots.latent, slots.output)
    lstm = probes.features(built(SMALL["convlstm"]), window, 2)
    assert torch.equal(lstm.latent, lstm.output)
    assert not torch.equal(lstm.memory, lstm.output)
    gru = probes.features(built(TrajGRU(hidden=(8, 8), kernel=3, patch=2, links=3)), window, 2)
    assert torch.equal(gru.memory, gru.output)


def test_features_are_those_of_the_predicted_steps() -> None:
    """Persistence whose states are the frame: the mean of the last frame of the context, and of its square."""
    window = frames(11, 3)
    features = probes.features(Brightness(), window, 2)
    last = window[:, -1].flatten(2)
    torch.testing.assert_close(features.output, last.mean(2))
    torch.testing.assert_close(features.memory, torch.cat([last.mean(2), last.square().mean(2)], dim=1))


def test_a_cell_inside_of_a_cell_is_part_of_its_layer() -> None:
    model = built(SAConvLSTM(hidden=(6, 4), kernel=3, patch=2, attention=4))
    teacher = torch.ones(2, 5, dtype=torch.bool)
    _, steps = probes.run_steps(model, frames(), teacher, lambda step: step.hidden.shape[1])
    assert steps == [[6, 4]] * 5


def test_gradients_reach_back_and_never_forward() -> None:
    norms = probes.gradient_norms(built(SMALL["convlstm"]), frames(), 3)
    assert norms.shape == (3, 5)
    for lead in range(3):
        last = 2 + lead  # the hidden state that the frame was made of
        assert (norms[lead, : last + 1] > 0).all()
        assert norms[lead, last + 1 :].isnan().all()


def test_gradients_of_a_hidden_state_that_decays_are_known() -> None:
    """Layer 1 keeps half of its state at each step, layer 2 nine tenths: so does the gradient on its way back."""
    window = frames(3, 7)
    for layer, factor in ((1, 0.5), (2, 0.9)):
        norms = probes.gradient_norms(Decay(0.5, 0.9), window, 4, layer)
        assert norms.shape == (3, 6)
        for row, lead in enumerate(range(4, 7)):
            predicted = (0.5**lead + 0.9**lead) * window[:, 0]
            error = 2 * (predicted - window[:, lead]).flatten(1).norm(dim=1).mean() / window[0, 0].numel()
            expected = error * factor ** torch.arange(lead - 1, -1, -1.0)
            torch.testing.assert_close(norms[row, :lead], expected)
    with pytest.raises(ConfigError, match="expected 1 to 2"):
        probes.gradient_norms(Decay(0.5, 0.9), window, 4, 3)


def test_a_pixel_depends_on_its_surroundings_in_the_past() -> None:
    found = probes.attribution(built(SMALL["convlstm"]), frames()[:, :3], 2, (8, 8), 0)
    assert found.shape == (2, 3, 16, 16)
    assert found[:, -1, 4:12, 4:12].sum() > 0


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


@pytest.mark.parametrize("form", ["code", "paper"])
def test_what_a_filter_has_beyond_its_trend_is_the_transient_variation(form: Any) -> None:
    """A transient variation that is the same everywhere, tanh(0.5), whatever the trend has become."""
    model = built(MotionRNN(backbone=PredRNN(**CELLS), form=form, transient=False))
    for unit in model.modules():
        if getattr(unit, "probe", "") == "motion":
            torch.nn.init.zeros_(unit.output.weight)  # type: ignore[union-attr, arg-type]
            torch.nn.init.constant_(unit.output.bias, 0.5)  # type: ignore[union-attr, arg-type]
    found = probes.motions(model, frames()[:, :3], 3)
    assert found[-1][0].trend.abs().min() > 0
    for (each,) in found:
        torch.testing.assert_close(each.filter - each.trend, torch.full_like(each.trend, 0.5).tanh())


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


def test_cosines_are_those_of_the_decoupling_loss() -> None:
    """In the space of the loss, behind W_decouple, their mean over steps and layers is the loss divided by its weight."""
    model, window = built(PredRNNV2(**CELLS, decoupling=0.25)), frames()
    cosine = probes.cosines(probes.increments(model, window))
    loss = model.train()(window, torch.ones(2, 5, dtype=torch.bool)).losses["decoupling"]
    torch.testing.assert_close(cosine.mean(), loss.detach() / 0.25, rtol=1e-4, atol=1e-6)
    plain = built(PredRNN(**CELLS))
    raw = probes.increments(plain, window)
    assert raw[0][0][0].shape == (2, 8, 8, 8)


def test_a_codebook_lets_no_gradient_through() -> None:
    model = built(ModularDesign(autoencoder=VQVAE(width=8, latent=4, size=8), predictor=PredRNN(hidden=(4,), patch=1)))
    with pytest.raises(ValueError, match="no gradient leads"):
        probes.gradient_norms(model, frames(), 3)
    with pytest.raises(ValueError, match="no gradient leads"):
        probes.attribution(model, frames()[:, :3], 3, (4, 4), 1)
