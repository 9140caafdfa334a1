"""The forms of models: those of the released codes, and the equations as they are printed, recomputed here step by step."""

import pytest
import torch
from torch.nn import functional

from framecast.errors import ConfigError
from framecast.models import TCTN, ActionModeRNN, ConvLSTM, MoDeRNN, MotionRNN, PredRNN
from framecast.models.motionrnn import Motion, MotionGRU, deformed_taps
from framecast.models.tctn import PrintedLayer, printed_position_code
from framecast.ops import free_running
from framecast.types import FrameShape

SHAPE = FrameShape(channels=1, height=8, width=8, context=3, horizon=2)


def randomised(module: torch.nn.Module) -> torch.nn.Module:
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in module.parameters():
            weight.normal_(std=0.3)
    return module


def test_motiongru_as_printed() -> None:
    """Equations 2 to 4: gates of 1x1, the trend of the transient filter, the sum for the warp alone, X of H_{t-1}."""
    unit = MotionGRU(8, 3, alpha=0.3, transient=True, momentum=True, form="paper")
    randomised(unit)
    hidden, previous = torch.randn(2, 2, 8, 8, 8)
    f, d = torch.randn(2, 2, 18, 4, 4)
    x, after = unit(hidden, Motion(f, d), previous)
    assert unit.update.kernel_size == unit.gate.weight.shape[-2:] == (1, 1)
    encoded = unit.encode(hidden)
    u, r = (torch.sigmoid(gate(torch.cat([encoded, f], 1))) for gate in (unit.update, unit.reset))
    z = torch.tanh(unit.output(torch.cat([encoded, r * f], 1)))
    transient, trend = u * z + (1 - u) * f, d + 0.3 * (f - d)
    torch.testing.assert_close((after.filter, after.trend), (transient, trend))
    mask = torch.sigmoid(unit.mask(encoded))
    moved = (mask[:, None] * deformed_taps(encoded, transient + trend)).mean(2)
    decoded = unit.decode(moved)
    g = torch.sigmoid(unit.gate(torch.cat([decoded, hidden], 1)))
    torch.testing.assert_close(x, g * previous + (1 - g) * decoded)


def test_motionrnn_as_printed_keeps_the_recurrence_of_its_blocks() -> None:
    """Equation 1: what MotionGRU makes goes up and not on; the highway begins above the first layer, without the frame."""
    model = MotionRNN(backbone=ConvLSTM(hidden=(4, 4), kernel=3, patch=1), form="paper").build(SHAPE)
    core = randomised(model).core  # type: ignore[union-attr]
    assert core.project is None
    state = core.start(torch.zeros(2, 1, 8, 8))
    for frame in torch.rand(2, 2, 1, 8, 8):
        first = core.cells[0](frame, state.stack.cells[0], None)
        motion = state.motions[0] or core.units[0].start(first.hidden)
        up, _ = core.units[0](first.hidden, motion, state.stack.cells[0].hidden)
        second = core.cells[1](up, state.stack.cells[1], None)
        top = second.hidden + (1 - second.output_gate) * first.hidden
        stepped = core.step(frame, state)
        torch.testing.assert_close(stepped.output, core.head(top))
        state = stepped.state
        torch.testing.assert_close(state.stack.cells[0].hidden, first.hidden)
        torch.testing.assert_close(state.stack.cells[1].hidden, top)


def test_modernn_as_printed() -> None:
    """Equation 3: biases, no LayerNorm, no forget bias, gates of 5x5, two half-steps in each of the stacked blocks."""
    model = MoDeRNN(hidden=(4,), patch=2, form="paper", half_steps=2, blocks=2, kernel=5).build(SHAPE)
    randomised(model)
    cell = model.core.cells[0]
    x, hidden, memory = torch.randn(3, 2, 4, 4, 4)
    step = cell(x, cell.start(x)._replace(hidden=hidden, cell=memory), None)
    h = hidden
    for block in (cell.context, *cell.more):
        x = 2 * torch.sigmoid(sum(each.conv(h) for each in block.of_h) / 3) * x
        h = 2 * torch.sigmoid(sum(each.conv(x) for each in block.of_x) / 3) * h
    i, f, g, o = torch.chunk(cell.conv_x.conv(x) + cell.conv_h.conv(h), 4, dim=1)
    c = torch.sigmoid(f) * memory + torch.sigmoid(i) * torch.tanh(g)
    torch.testing.assert_close(step.state.cell, c)
    torch.testing.assert_close(step.hidden, torch.sigmoid(o) * torch.tanh(c))
    assert cell.conv_x.conv.bias is not None


def test_a_layer_of_tctn_as_printed() -> None:
    """Equations 9 and 10, with one head: attention to the frames so far, apart for each pixel."""
    torch.manual_seed(0)
    layer = PrintedLayer(4, heads=1, dropout=0.0, norm="per_frame")
    randomised(layer)
    e = torch.randn(2, 4, 3, 5, 5)

    def norm(module: torch.nn.Module, maps: torch.Tensor) -> torch.Tensor:
        return torch.stack([module.norm(maps[:, :, t]) for t in range(maps.shape[2])], dim=2)  # type: ignore[operator]

    def convolved(module: torch.nn.Module, maps: torch.Tensor) -> torch.Tensor:
        return module.conv(functional.pad(maps, (0, 0, 0, 0, 2, 0)))  # type: ignore[operator]

    q, k, v = torch.chunk(convolved(layer.qkv, norm(layer.norm0, e)), 3, dim=1)
    scores = torch.einsum("bdshw,bdthw->bsthw", q, k) / 2
    scores = scores.masked_fill(torch.ones(3, 3).triu(1).bool()[:, :, None, None], -torch.inf)
    s = e + norm(layer.norm1, torch.einsum("bsthw,bdthw->bdshw", scores.softmax(2), v))
    expected = convolved(layer.narrow, functional.leaky_relu(convolved(layer.wide, norm(layer.norm2, s)), 0.2))
    torch.testing.assert_close(layer(e, None, layer.start(e[:, :, 0]))[0], expected, atol=1e-5, rtol=1e-4)


def test_the_printed_position_code_has_sines_and_cosines_in_turn() -> None:
    code = printed_position_code(1, 2, 4)
    angles = torch.tensor([1.0, 1.0, 0.01, 0.01])
    expected = torch.stack([angles[0].sin(), angles[1].cos(), angles[2].sin(), angles[3].cos()])
    torch.testing.assert_close(code[:, 0], expected)


@pytest.mark.parametrize("model", [MotionRNN, MoDeRNN, TCTN])
def test_forms_have_weights_of_their_own_and_the_code_is_the_default(model: type) -> None:
    weights = {
        form: {name: each.shape for name, each in model(form=form).build(SHAPE_64).state_dict().items()}
        for form in ("code", "paper")
    }
    assert weights["code"] != weights["paper"]
    assert model() == model(form="code")


SHAPE_64 = SHAPE._replace(height=32, width=32)


@pytest.mark.parametrize(
    ("config", "tied"),
    [
        (MotionRNN(backbone=PredRNN(hidden=(4, 4), patch=2), form="paper"), False),
        (MoDeRNN(hidden=(4,), patch=2, form="paper"), False),
        (MoDeRNN(hidden=(4,), patch=2), True),
        (TCTN(hidden=4, layers=1, patch=2, form="paper"), False),
        (ActionModeRNN(hidden=(4, 4), slots=2, form="paper"), True),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_form_that_is_tied_to_a_size_says_so(config: object, tied: bool) -> None:
    shape = SHAPE._replace(actions=2) if isinstance(config, ActionModeRNN) else SHAPE
    model = config.build(shape)  # type: ignore[attr-defined]
    assert config.tied_to_size is tied  # type: ignore[attr-defined]
    frames, actions = torch.rand(1, 3, 1, 16, 16), torch.rand(1, 5, 2) if shape.actions else None
    if tied:
        with pytest.raises(ConfigError, match="8 x 8"):
            model(frames, free_running(1, 3, 2), actions)
    else:
        assert model(frames, free_running(1, 3, 2), actions).frames.shape[-2:] == (16, 16)
