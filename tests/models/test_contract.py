"""What every registered model keeps, without knowing which model it is."""

import dataclasses
import inspect
import re
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from pydantic import TypeAdapter
from safetensors.torch import load_model, save_model
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from framecast.errors import ConfigError
from framecast.losses import L1L2
from framecast.models import (
    E3DLSTM,
    MIM,
    SVG,
    TAU,
    TCTN,
    VAE,
    VQVAE,
    ActionModeRNN,
    ActionPredRNN,
    ConvLSTM,
    CrevNet,
    Model,
    MoDeRNN,
    ModeRNN,
    ModularDesign,
    MotionRNN,
    PhyDNet,
    PredRNN,
    PredRNNPlusPlus,
    PredRNNV2,
    SAConvLSTM,
    SimVP,
    UNet,
)
from framecast.models.parts.flops import multiply_accumulates, parameters
from framecast.models.parts.layers import channels_last
from framecast.ops import free_running
from framecast.ops.choice import use_algorithm
from framecast.types import FrameShape

CONFIGS = [config for config in get_args(Model) if config not in (VQVAE, VAE)]
"""All that forecast: autoencoders have tests of their own."""
SHAPE = FrameShape(channels=1, height=16, width=12, context=3, horizon=3)
STEPS = SHAPE.context + SHAPE.horizon
SHORT = SHAPE._replace(context=2, horizon=2)
"""Where only operations are looked at, one by one: a first step, one of the context, and one that follows a forecast."""
DOCS = Path(__file__).parents[2] / "docs" / "models"


SMALL: dict[str, Any] = {"hidden": (6, 6), "kernel": 3, "patch": 2}
FOURS: dict[str, Any] = {"hidden": (4, 4), "kernel": 3, "patch": 2}
VARIANTS = {
    "PredRNN, LayerNorm": PredRNN(**SMALL, layer_norm=True),
    "PredRNN, segments": PredRNN(**SMALL, segment=2),
    "MIM, decoupling": MIM(**SMALL, decoupling=0.1),
    "PredRNN++, decoupling": PredRNNPlusPlus(**SMALL, decoupling=0.1),
    "PredRNN++, LayerNorm": PredRNNPlusPlus(**SMALL, layer_norm=True),
    "E3D-LSTM, recall of pixels": E3DLSTM(**FOURS, update_memory=True, recall="pixels"),
    "SA-ConvLSTM, LayerNorm": SAConvLSTM(**SMALL, attention=3, layer_norm=True),
    "MotionRNN, ConvLSTM": MotionRNN(backbone=ConvLSTM(**FOURS)),
    "MotionRNN, PredRNN-V2": MotionRNN(backbone=PredRNNV2(**FOURS)),
    "MotionRNN, MIM": MotionRNN(backbone=MIM(**FOURS)),
    "MotionRNN, E3D-LSTM": MotionRNN(backbone=E3DLSTM(**FOURS, update_memory=True)),
    "MotionRNN, highway only": MotionRNN(backbone=PredRNN(**FOURS), motion=False),
    "MotionRNN, without highway": MotionRNN(backbone=PredRNN(**FOURS), highway=False),
    "MotionRNN, without momentum": MotionRNN(backbone=PredRNN(**FOURS), momentum=False),
    "MotionRNN, without transient variation": MotionRNN(backbone=PredRNN(**FOURS), transient=False),
    "ModeRNN, as printed": ModeRNN(hidden=(4, 4), patch=4, slots=2, form="paper"),
    "ModeRNN, learned start": ModeRNN(hidden=(4, 4), patch=4, slots=2, start="gaussian"),
    "ModeRNN, without binding": ModeRNN(hidden=(4, 4), patch=4, slots=2, binding=False),
    "ModeRNN, without attention": ModeRNN(hidden=(4, 4), patch=4, slots=2, attention=False),
    "ModeRNN, without slot FFN": ModeRNN(hidden=(4, 4), patch=4, slots=2, slot_ffn=False),
    "ModeRNN, without fusion": ModeRNN(hidden=(4, 4), patch=4, slots=2, fusion=False),
    "ModeRNN, without shortcut": ModeRNN(hidden=(4, 4), patch=4, slots=2, shortcut=False),
    "ModeRNN, paper, without shortcut": ModeRNN(hidden=(4, 4), patch=4, slots=2, form="paper", shortcut=False),
    "SimVP, IncepU": SimVP(spatial=8, hidden=16, layers=2, blocks=2, kind="incepu"),
    "U-Net, plain readout": UNet(hidden=(6, 6), residual=False),
    "U-Net, GroupNorm": UNet(hidden=(6, 6), norm="group"),
    "PhyDNet, half the reduction": PhyDNet(width=16, hidden=16, layers=(16,), kernel=3, reduction=2),
    "PhyDNet, fewer derivatives": PhyDNet(width=16, hidden=16, layers=(8, 16), kernel=3, derivatives=7),
    "PhyDNet, early decoder": PhyDNet(width=16, hidden=16, layers=(8,), kernel=3, reduction=2, decoder="early"),
    "E3D-LSTM, LayerNorm": E3DLSTM(**FOURS, update_memory=True, layer_norm=True),
    "TCTN, as printed": TCTN(hidden=8, layers=2, heads=2, patch=2, dropout=0.0, form="paper"),
    "MotionRNN, as printed": MotionRNN(backbone=PredRNN(**FOURS), form="paper"),
    "MotionRNN, as printed, E3D-LSTM": MotionRNN(backbone=E3DLSTM(**FOURS, update_memory=True), form="paper"),
    "MotionRNN, as printed, without highway": MotionRNN(backbone=MIM(**FOURS), form="paper", highway=False),
    "MotionRNN, as printed, without momentum": MotionRNN(backbone=PredRNN(**FOURS), form="paper", momentum=False),
    "MoDeRNN, as printed": MoDeRNN(hidden=(4, 4), patch=4, form="paper", half_steps=2, blocks=2, kernel=5),
    "action ModeRNN, as printed": ActionModeRNN(hidden=(4, 4), slots=2, form="paper"),
    "TCTN, odd depth": TCTN(hidden=7, layers=1, patch=2, dropout=0.0),
    "SimVP, spatial kernels": SimVP(spatial=4, hidden=7, layers=2, blocks=2, mlp_ratio=2.0, kernel=5, decoder_kernel=3),
    "TAU, stochastic depth": TAU(spatial=4, hidden=16, layers=2, blocks=3, mlp_ratio=2.0, drop_path=0.1),
    "modular, VAE and TCTN": ModularDesign(
        autoencoder=VAE.tiny(), predictor=TCTN(hidden=4, layers=1, patch=1, dropout=0.0)
    ),
    "modular, quantised": ModularDesign(
        autoencoder=VQVAE.tiny(), predictor=PredRNN(hidden=(4, 4), kernel=3, patch=1), latents="quantised"
    ),
    "action ModeRNN, wide encoders": ActionModeRNN(hidden=(4, 4), slots=2, kernel=5, residual=False),
    "SVG, VGG": SVG(encoder="vgg", width=2, levels=2, features=4, hidden=4, latent=2, skip="newest"),
    "CrevNet, groups of frames, ConvLSTM": CrevNet(blocks=(1, 1), layers=1, group=2, cell="convlstm"),
    "action PredRNN, LayerNorm": ActionPredRNN(hidden=(4, 4), kernel=3, layer_norm=True, residual=False),
}
"""The settings that change what a model is made of."""
EVERY = {config.__name__: config.tiny() for config in CONFIGS} | VARIANTS


@pytest.fixture(params=EVERY.values(), ids=EVERY)
def config(request: pytest.FixtureRequest) -> Any:
    return request.param


class Acting(torch.nn.Module):
    """A model that needs actions, with the same ones at the same time in every call, so that the tests need none."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def actions(self, batch: int, steps: int) -> torch.Tensor:
        times = torch.arange(steps)[:, None]
        return torch.cat([torch.sin(times), torch.cos(times)], dim=1).expand(batch, -1, -1)

    def forward(self, frames: torch.Tensor, teacher: torch.Tensor) -> Any:
        return self.model(frames, teacher, self.actions(*teacher.shape))

    def forecast(self, context: torch.Tensor, horizon: int) -> torch.Tensor:
        return self.model.forecast(context, horizon, self.actions(len(context), context.shape[1] + horizon))

    def start(self, like: torch.Tensor) -> Any:
        return 0, self.model.start(like)

    def step(self, frame: torch.Tensor, state: Any) -> Any:
        t, inner = state
        predicted, inner = self.model.step(frame, inner, self.actions(len(frame), t + 1)[:, t])
        return predicted, (t + 1, inner)


def refusal(config: Any, shape: FrameShape) -> str:
    """Why the config refuses a shape; nothing where it does not."""
    try:
        config.check(shape)
    except ConfigError as error:
        return str(error)
    return ""


def needs_actions(config: Any) -> bool:
    """What the config itself says of data without actions."""
    reason = refusal(config, SHAPE)
    assert not reason or "needs actions" in reason
    return bool(reason)


def shape_for(config: Any, shape: FrameShape = SHAPE) -> FrameShape:
    return shape._replace(actions=2) if needs_actions(config) else shape


def built(config: Any) -> Any:
    model = config.build(shape_for(config))
    return Acting(model) if needs_actions(config) else model


@pytest.fixture
def model(config: Any) -> Any:
    torch.manual_seed(0)
    return built(config)


def close(one: torch.Tensor, other: torch.Tensor) -> None:
    """Equal but for rounding, which norms of small maps amplify."""
    torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def windows(batch: int = 2, seed: int = 1, height: int = SHAPE.height, width: int = SHAPE.width) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, STEPS, SHAPE.channels, height, width, generator=generator)


def mixed(batch: int = 2) -> torch.Tensor:
    """A mask in which sequences differ."""
    mask = torch.rand(batch, STEPS - 1, generator=torch.Generator().manual_seed(2)) < 0.5
    mask[:, 0] = True
    assert not torch.equal(mask[0], mask[1])
    return mask


def test_predicts_the_last_frames_of_the_window(model: Any) -> None:
    prediction = model.eval()(windows(), free_running(2, SHAPE.context, SHAPE.horizon))
    batch, steps, *size = prediction.frames.shape
    assert (batch, tuple(size)) == (2, (SHAPE.channels, SHAPE.height, SHAPE.width))
    assert SHAPE.horizon <= steps <= STEPS - 1
    assert all(loss.ndim == 0 for loss in prediction.losses.values())


@pytest.mark.parametrize("horizon", [1, SHAPE.horizon, 2 * SHAPE.horizon])
def test_forecasts_any_horizon(model: Any, horizon: int) -> None:
    context = windows()[:, : SHAPE.context]
    longer = model.eval().forecast(context, horizon)
    assert longer.shape == (2, horizon, SHAPE.channels, SHAPE.height, SHAPE.width)
    assert torch.isfinite(longer).all()
    shorter = model.forecast(context, 1)
    close(longer[:, :1], shorter)


def test_a_mask_that_is_not_looked_at_changes_nothing(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a GPU records a step: all steps are then computed as mixtures."""
    looked_at = model.eval()(windows(), mixed())
    monkeypatch.setattr("framecast.models.parts.rollout._is_on_cpu", lambda teacher: False)
    close(model(windows(), mixed()).frames, looked_at.frames)


class NothingFromTheHost(TorchDispatchMode):
    """Refuses what would wait for a GPU or copy to it: neither can be recorded."""

    WAITS = frozenset(f"aten::{name}" for name in ("_local_scalar_dense", "nonzero", "bincount", "masked_select"))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = func._schema.name, kwargs or {}
        assert name not in self.WAITS, f"{name} waits for the GPU"
        made = func(*args, **kwargs)
        from_host = any(
            each.device.type == "cpu" for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor)
        )
        to_device = any(each.device.type == "meta" for each in tree_leaves(made) if isinstance(each, torch.Tensor))
        assert not (name in ("aten::_to_copy", "aten::copy_") and from_host and to_device), "copied from the host"
        return made


def test_a_training_step_can_be_recorded(config: Any) -> None:
    """Nothing in it depends on what the data hold: on the meta device, where there are none."""
    shape = shape_for(config, SHORT)
    steps = shape.context + shape.horizon
    with torch.device("meta"):
        model = config.build(shape).train()
        frames = torch.empty(2, steps, shape.channels, shape.height, shape.width)
        teacher = torch.empty(2, steps - 1, dtype=torch.bool)
        actions = torch.empty(2, steps, shape.actions) if shape.actions else None
    with NothingFromTheHost():
        prediction = model(frames, teacher, actions)
        target = frames[:, -prediction.frames.shape[1] :] if prediction.target is None else prediction.target
        (L1L2()(prediction.frames, target, target[:, :, :1] > 0) + sum(prediction.losses.values())).backward()


def test_the_layout_of_gpus_changes_nothing(model: Any) -> None:
    before = model.eval()(windows(), mixed()).frames
    channels_last(model)
    close(model(windows(), mixed()).frames, before)


def test_the_fast_convolutions_change_rounding_only(model: Any) -> None:
    """Forecasts and gradients, by Winograd's filtering wherever it can be done."""
    frames, gradients = [], []
    for algorithm in ("direct", "winograd"):
        torch.manual_seed(4)
        with use_algorithm(algorithm):  # type: ignore[arg-type]
            prediction = model.eval()(windows(), mixed())
            loss = prediction.frames.square().sum() + sum(prediction.losses.values())
            weights = [weight for weight in model.parameters() if weight.requires_grad and loss.requires_grad]
            found = torch.autograd.grad(loss, weights, allow_unused=True) if weights else ()
        frames.append(prediction.frames.detach())
        gradients.append(torch.cat([torch.zeros(1), *(each.flatten() for each in found if each is not None)]))
    close(*frames)
    assert (gradients[0] - gradients[1]).norm() <= 1e-3 * gradients[0].norm()


def has_gradient(weight: torch.nn.Parameter) -> bool:
    return weight.grad is not None and bool(weight.grad.any())


@pytest.mark.parametrize("half", [False, True], ids=["float32", "bf16"])
def test_gradients_reach_every_parameter(model: Any, half: bool) -> None:
    """Once they have left the zeros at which some begin."""
    torch.manual_seed(3)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        prediction = model(windows(), mixed())
    target = windows()[:, -prediction.frames.shape[1] :] if prediction.target is None else prediction.target
    ((prediction.frames - target) ** 2).mean().add(sum(prediction.losses.values())).backward()
    without = [name for name, weight in model.named_parameters() if weight.requires_grad and not has_gradient(weight)]
    shifts = [name for name in without if name.endswith("context.mask.bias")]  # what softmax is taken of may be shifted
    assert without == shifts


def test_nothing_is_remembered_between_calls(model: Any) -> None:
    model.eval()
    first = model(windows(), mixed()).frames
    alone = model(windows()[:1], mixed()[:1]).frames
    again = model(windows(), mixed()).frames
    assert torch.equal(first, again)
    close(alone, first[:1])


def test_each_sequence_follows_its_own_mask(model: Any) -> None:
    model.eval()
    together = model(windows(), mixed()).frames
    apart = torch.cat([model(windows()[b : b + 1], mixed()[b : b + 1]).frames for b in range(2)])
    close(together, apart)


def test_the_future_changes_nothing_in_a_forecast(model: Any) -> None:
    model.eval()
    mask = free_running(2, SHAPE.context, SHAPE.horizon)
    frames = windows()
    other = frames.clone()
    other[:, SHAPE.context :] = torch.nan
    expected = model(frames, mask).frames[:, -SHAPE.horizon :]
    assert torch.equal(model(other, mask).frames[:, -SHAPE.horizon :], expected)
    assert torch.equal(model.forecast(frames[:, : SHAPE.context], SHAPE.horizon), expected)


def test_step_by_step_equals_the_forecast(model: Any) -> None:
    if not hasattr(model.model if isinstance(model, Acting) else model, "step"):
        pytest.skip("a one-shot model has no steps")
    model.eval()
    context = windows()[:, : SHAPE.context]
    state, frame, stepped = model.start(context[:, 0]), context[:, 0], []
    for t in range(STEPS - 1):
        frame, state = model.step(context[:, t] if t < SHAPE.context else frame, state)
        stepped.append(frame)
    close(torch.stack(stepped[-SHAPE.horizon :], dim=1), model.forecast(context, SHAPE.horizon))


def test_the_seed_decides_the_weights(config: Any) -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return torch.cat([weight.detach().flatten() for weight in built(config).parameters()])

    assert torch.equal(weights(3), weights(3))
    assert not torch.equal(weights(3), weights(4))


def test_saved_weights_give_the_same_forecast(model: Any, config: Any, tmp_path: Path) -> None:
    save_model(model, str(tmp_path / "weights.safetensors"))
    torch.manual_seed(5)
    other = built(config)
    context = windows()[:, : SHAPE.context]
    assert not torch.equal(other.eval().forecast(context, 2), model.eval().forecast(context, 2))
    load_model(other, str(tmp_path / "weights.safetensors"))
    assert torch.equal(other.forecast(context, 2), model.forecast(context, 2))


def test_other_sizes_work_or_are_refused(model: Any, config: Any) -> None:
    larger = windows(height=24, width=20)[:, : SHAPE.context]
    if config.tied_to_size:
        with pytest.raises(ConfigError, match="24 x 20"):
            model.forecast(larger, 2)
    else:
        assert model.forecast(larger, 2).shape[-2:] == (24, 20)


def test_sides_that_are_no_multiple_are_refused_with_a_remedy_for_that_model(config: Any) -> None:
    if config.multiple == 1:
        config.check(shape_for(config)._replace(height=SHAPE.height + 1))
        return
    with pytest.raises(ConfigError) as caught:
        config.check(shape_for(config)._replace(height=SHAPE.height + 1))
    assert f"crop to {SHAPE.height} x {SHAPE.width}" in str(caught.value.remedy)
    if "patch" in str(caught.value):  # of the model itself, or of the one in it
        assert re.search(r"'patch'", str(dataclasses.asdict(config)))


def test_config_goes_through_plain_data_and_back(config: Any) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(Model)
    assert adapter.validate_python(dataclasses.asdict(config)) == config
    with pytest.raises(ValueError, match="surplus"):
        adapter.validate_python({**dataclasses.asdict(config), "surplus": 1})
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.name = "other"


def test_costs_are_counted(model: Any, config: Any) -> None:
    assert parameters(model) == sum(weight.numel() for weight in model.parameters() if weight.requires_grad) > 0
    shape = shape_for(config, SHORT)
    once, wider = (
        multiply_accumulates(config, shape._replace(width=width)) for width in (SHAPE.width, 2 * SHAPE.width)
    )
    assert 0 < 1.8 * once < wider


def test_frames_that_do_not_fit_are_refused_before_any_work(config: Any) -> None:
    shape = shape_for(config)
    config.check(shape)
    if config.multiple > 1:
        with pytest.raises(ConfigError):
            config.check(shape._replace(height=shape.height + 1))


def test_actions_are_asked_for_where_they_are_needed_and_refused_elsewhere(config: Any) -> None:
    with pytest.raises(ConfigError, match="actions"):
        config.check(SHAPE._replace(actions=0 if needs_actions(config) else 2))


def with_inputs(config: Any) -> Any:
    """A model for one channel and two inputs, or a skip where it is refused, as it must be said."""
    shape = shape_for(config)._replace(channels=3, inputs=2)
    if reason := refusal(config, shape):
        assert "2 inputs" in reason
        pytest.skip("the model refuses inputs")
    torch.manual_seed(0)
    model = config.build(shape)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    return (Acting(model) if needs_actions(config) else model).eval()


def test_inputs_are_seen_and_not_forecast(config: Any) -> None:
    model = with_inputs(config)
    frames = torch.cat([windows(), windows(seed=7), windows(seed=8)], dim=2)
    frames[:, SHAPE.context :, 1:] = frames[:, SHAPE.context - 1 : SHAPE.context, 1:]
    context = frames[:, : SHAPE.context]
    forecast = model.forecast(context, 2 * SHAPE.horizon)
    assert forecast.shape == (2, 2 * SHAPE.horizon, 1, SHAPE.height, SHAPE.width)
    mask = free_running(2, SHAPE.context, SHAPE.horizon)
    close(model(frames, mask).frames[:, -SHAPE.horizon :], forecast[:, : SHAPE.horizon])
    for channel in (1, 2):
        other = context.clone()
        other[:, -1, channel] += 1
        changed = (model.forecast(other, 2 * SHAPE.horizon) - forecast).abs().amax((0, 2, 3, 4))
        assert (changed > 1e-7).all(), "seen at every step"


def test_inputs_stay_as_they_were_last(config: Any) -> None:
    """Step by step, handed the last inputs again with every forecast, a model says what its forecast says."""
    model = with_inputs(config)
    if not hasattr(model.model if isinstance(model, Acting) else model, "step"):
        pytest.skip("a one-shot model has no steps")
    context = torch.cat([windows(), windows(seed=7), windows(seed=8)], dim=2)[:, : SHAPE.context]
    state, said, stepped = model.start(context[:, 0]), context[:, 0, :1], []
    for t in range(STEPS - 1):
        frame = context[:, t] if t < SHAPE.context else torch.cat([said, context[:, -1, 1:]], dim=1)
        said, state = model.step(frame, state)
        stepped.append(said)
    close(torch.stack(stepped[-SHAPE.horizon :], dim=1), model.forecast(context, SHAPE.horizon))


def test_the_file_names_its_paper_and_a_page_describes_it(config: Any) -> None:
    text = inspect.getdoc(inspect.getmodule(config)) or ""
    assert re.search(r"\b(19|20)\d\d\b", text), "no year"
    assert re.search(r"(equations?|section) \d", text), "no equation"
    assert "Deviations" in text
    assert (DOCS / f"{config.name}.md").is_file()
