"""Runs of the published implementations, reproduced: their weights under our names, their arrays in their layout.

`load(meta, weights)` builds our model with the weights of a reference, `run(model, meta, arrays)` feeds it the arrays
of a parity file and returns `y` and `loss` as the file holds them. Each reference is one row of `REFERENCES`: how its
sizes are read off its weights, and how its names are translated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn

from framecast.errors import DataError
from framecast.models import (
    E3DLSTM,
    MIM,
    TCTN,
    ActionModeRNN,
    ActionPredRNN,
    ConvLSTM,
    MoDeRNN,
    ModeRNN,
    MotionRNN,
    PhyDNet,
    PredRNN,
    PredRNNPlusPlus,
    PredRNNV2,
    SimVP,
)
from framecast.models.core import ModelConfig
from framecast.models.motionrnn import Motion, MotionState
from framecast.models.predrnn import State as STLSTMState
from framecast.models.stack import StackState
from framecast.ops import free_running
from framecast.types import FrameShape

Meta = Mapping[str, Any]
Weights = Mapping[str, Tensor]
Name = str | Callable[[re.Match[str]], str]
"""Our name for a key: a template as `re.Match.expand` takes it, or a function where layers are counted differently."""


class Layout(NamedTuple):
    """How a published implementation lays out its arrays, as einops patterns."""

    frames: str = "b t h w c"
    y: str = "b t h w c"
    channels: str = "row col c"
    """The order of the channels that a patch becomes."""
    first: int = 0
    """How many of the first predictions it drops."""


class Reference(NamedTuple):
    """How one published implementation leads to ours."""

    config: Callable[[Meta, Weights], ModelConfig]
    """Our config, from the reference's settings and the shapes of its weights."""
    names: tuple[tuple[str, Name], ...]
    """Regular expressions from its state-dict keys to ours; the first that matches a whole key holds."""
    unused: tuple[str, ...] = ()
    """Keys of weights that the reference owns and never uses."""
    loss: Callable[[Tensor], Tensor] = lambda error: (error**2).mean()
    """Its frame loss, given the errors."""
    state: Callable[[Any, Mapping[str, Tensor]], Any] = lambda model, initial: None
    """The state to begin with, from the arrays `init/...` of a file; None for the usual one."""
    layout: Layout = Layout()
    forecasts: bool = False
    """Whether `y` is a forecast of what comes after `x`, on raw frames, while the loss is that of a teacher-forced pass."""
    free: bool = False
    """Whether its files also hold `y_free`, the same without teacher forcing."""
    patches: Mapping[str, int] = {}
    """Weights and the dimension in which they have the channels of patches, where `layout.channels` differs from ours."""


_ADAPTER = (r"adapter\.weight", r"core.decoupling.adapter.weight")
_HEAD = (r"conv_last\.weight", r"core.head.weight")
_CELLS: tuple[tuple[str, Name], ...] = (
    (r"cell_list\.(\d+)\.(conv_[xhmoa])\.0\.(weight|bias)", r"core.cells.\1.\2.conv.\3"),
    (r"cell_list\.(\d+)\.(conv_[xhmoa])\.1\.(weight|bias)", r"core.cells.\1.\2.norm.\3"),
    (r"cell_list\.(\d+)\.conv_last\.(weight|bias)", r"core.cells.\1.conv_last.\2"),
    _HEAD,
    _ADAPTER,
)
_ENCODERS: tuple[tuple[str, Name], ...] = (
    (r"conv_input(\d)\.weight", r"core.encode\1.weight"),
    (r"action_conv_input(\d)\.weight", r"core.action\1.weight"),
    (r"deconv_output(\d)\.weight", r"core.decode\1.weight"),
)
_PARTS = {"0": "conv", "1": "norm"}
_MIM_GATES = {"conv_t_cc": "conv_h", "conv_s_cc": "conv_m", "conv_x_cc": "conv_x"}
_MIM_MEMORY = {
    "conv_h_concat.0": "conv_h.conv",
    "conv_h_concat.1": "conv_h.norm",
    "conv_x_concat.0": "conv_x.conv",
    "conv_x_concat.1": "conv_x.norm",
}
_MIM_PEEPHOLES = {"ct_weight": "peep_if", "oc_weight": "peep_o"}
_MEMORY_KEY = r"(conv_[hx]_concat\.[01])\.(weight|bias)"


def _stack_sizes(meta: Meta, weights: Weights, cells: str = "cell_list", conv: str = "conv_h.0") -> dict[str, Any]:
    """The sizes of a stack of cells, read off the weights of the convolution on H, `cells.<layer>.conv.weight`."""
    pattern = rf"{cells}\.(\d+)\.{re.escape(conv)}\.weight"
    found = {int(match[1]): weight for key, weight in weights.items() if (match := re.fullmatch(pattern, key))}
    return {
        "hidden": tuple(found[layer].shape[1] for layer in sorted(found)),
        "kernel": found[0].shape[-1],
        "patch": meta["config"]["patch_size"],
        "layer_norm": any(re.fullmatch(rf"{cells}\.0\.conv_h\.1\.weight", key) for key in weights),
    }


def _mim_sizes(meta: Meta, weights: Weights) -> dict[str, Any]:
    """MIM: layer 0 is an ST-LSTM, the others are blocks of the same width."""
    sizes = _stack_sizes(meta, weights, "stlstm_layer")
    blocks = sum(1 for key in weights if re.fullmatch(r"stlstm_layer\.\d+\.conv_t_cc\.0\.weight", key))
    return sizes | {"hidden": sizes["hidden"] * (1 + blocks)}


def _motion_state(model: Any, initial: Mapping[str, Tensor]) -> Any:
    """MotionRNN draws H and C, F and D, and M; the draws of a file."""
    if not initial:
        return None
    cells = [initial[f"h{layer}"] for layer in range(len(model.core.cells))]
    motions = [initial[f"offset{layer}"] for layer in range(len(model.core.units))]
    return MotionState(
        StackState(tuple(STLSTMState(hidden, hidden) for hidden in cells), initial["mem"]),
        tuple(Motion(motion, motion) for motion in motions),
    )


_MOTIONRNN = Reference(
    lambda meta, weights: MotionRNN(
        backbone=PredRNN(**_stack_sizes(meta, weights)),
        alpha=meta["config"]["alpha"],
        kernel=weights["enc_list.0.weight"].shape[-1],
    ),
    (
        *_CELLS,
        (r"enc_list\.(\d+)\.(weight|bias)", r"core.units.\1.encode.\2"),
        (r"dec_list\.(\d+)\.(weight|bias)", r"core.units.\1.decode.\2"),
        (r"gate_list\.(\d+)\.(weight|bias)", r"core.units.\1.gate.\2"),
        (r"motion_list\.(\d+)\.(update|reset|output)\.(weight|bias)", r"core.units.\1.\2.\3"),
        (r"motion_list\.(\d+)\.warp\.warp_gate\.(weight|bias)", r"core.units.\1.mask.\2"),
        (r"motion_list\.(\d+)\.warp\.conv\.weight", r"core.units.\1.mix.weight"),
        (r"conv_first_v\.weight", r"core.project.weight"),
    ),
    state=_motion_state,
)

_MODECELL: tuple[tuple[str, Name], ...] = (
    (r"cell_list\.(\d+)\.to_([qkv])\.(depthwise|pointwise)\.(\w+)", r"core.cells.\1.binding.to_\2.\3.\4"),
    (r"cell_list\.(\d+)\.to_([qkv])\.bn\.(\w+)", r"core.cells.\1.binding.to_\2.norm.\3"),
    *(
        (rf"cell_list\.(\d+)\.convlstm\.conv_(og|if)\.{theirs}\.(weight|bias)", rf"core.cells.\1.gates.fuse_\2.{ours}")
        for theirs, ours in (
            (r"convs\.(\d+)\.0", r"slots.\3.\4"),
            (r"convx", r"shortcut.\3"),
            (r"fc\.conv_mask", r"context.mask.\3"),
            (r"fc\.channel_mul_conv\.(\d+)", r"context.bottleneck.\3.\4"),
            (r"fcs\.(\d+)", r"weigh.\3.\4"),
            (r"fcx", r"weigh_shortcut.\3"),
        )
    ),
    (r"cell_list\.(\d+)\.convlstm\.layer_norm_(og|if)\.(weight|bias)", r"core.cells.\1.gates.norm_\2.\3"),
)
_MODECELL_UNUSED = (
    r"cell_list\.\d+\.slots_(mu|log_sigma)",
    r"cell_list\.\d+\.(conv|layernorm|convlstm\.layer_norm|convlstm\.conv_main\.[01])\.(weight|bias)",
)
_MODERNN = Reference(
    lambda meta, weights: ModeRNN(
        hidden=tuple(meta["config"]["num_hidden"]),
        patch=meta["config"]["patch_size"],
        slots=meta["config"]["num_slots"],
    ),
    (*_MODECELL, (r"conv_first\.weight", r"core.embed.weight"), _HEAD),
    unused=_MODECELL_UNUSED,
)

_ACTION_CELLS: tuple[tuple[str, Name], ...] = tuple(
    (pattern, ours.replace(r"core.cells.\1.", r"core.cells.\1.cell."))
    for pattern, ours in _MODECELL
    if isinstance(ours, str)
)
_ACTION_PREDRNN = Reference(
    lambda meta, weights: ActionPredRNN(
        **_stack_sizes(meta, weights),
        residual=bool(meta["config"]["res_on_conv"]),
        decoupling=meta["config"]["decouple_beta"] if "adapter.weight" in weights else 0.0,
    ),
    (*_CELLS, *_ENCODERS),
)

_PHYDNET = {
    "encoder_E": "encoder",
    "encoder_Ep": "to_physical",
    "encoder_Er": "to_residual",
    "decoder_Dp": "from_physical",
    "decoder_Dr": "from_residual",
    "decoder_D": "decoder",
}
_U = {"enc": "down", "dec": "up"}
_SIMVP_BLOCK = {
    "norm1": "norm1",
    "norm2": "norm2",
    "attn.proj_1": "attention.before",
    "attn.spatial_gating_unit.conv0": "attention.inner.near",
    "attn.spatial_gating_unit.conv_spatial": "attention.inner.far",
    "attn.spatial_gating_unit.conv1": "attention.inner.split",
    "attn.proj_2": "attention.after",
    "mlp.fc1": "mlp.widen",
    "mlp.dwconv.dwconv": "mlp.depthwise",
    "mlp.fc2": "mlp.narrow",
}
_SIMVP = Reference(
    lambda meta, weights: SimVP(
        spatial=meta["config"]["hid_S"],
        hidden=meta["config"]["hid_T"],
        layers=meta["config"]["N_S"],
        blocks=meta["config"]["N_T"],
        mlp_ratio=meta["config"]["mlp_ratio"],
        kind=meta["config"]["model_type"].lower(),
    ),
    (
        (r"enc\.enc\.(\d+)\.conv\.(conv|norm)\.(weight|bias)", r"encoder.\1.\2.\3"),
        (r"dec\.dec\.(\d+)\.conv\.(conv|norm)(?:\.0)?\.(weight|bias)", r"decoder.\1.\2.\3"),
        (r"dec\.readout\.(weight|bias)", r"readout.\1"),
        (r"hid\.enc\.(\d+)\.block\.layer_scale_([12])", r"translator.\1.scale\2"),
        (r"hid\.enc\.(\d+)\.reduction\.(weight|bias)", r"translator.\1.reduce.\2"),
        (
            rf"hid\.enc\.(\d+)\.block\.({'|'.join(map(re.escape, _SIMVP_BLOCK))})\.(\w+)",
            lambda key: f"translator.{key[1]}.{_SIMVP_BLOCK[key[2]]}.{key[3]}",
        ),
        (
            r"hid\.(enc|dec)\.(\d+)\.conv1\.(weight|bias)",
            lambda key: f"translator.{_U[key[1]]}.{key[2]}.first.{key[3]}",
        ),
        (
            r"hid\.(enc|dec)\.(\d+)\.layers\.(\d+)\.(conv|norm)\.(weight|bias)",
            lambda key: f"translator.{_U[key[1]]}.{key[2]}.{key[4]}s.{key[3]}.{key[5]}",
        ),
    ),
    layout=Layout(frames="b t c h w", y="b t c h w"),
)
REFERENCES: dict[str, Reference] = {
    "convlstm": Reference(
        lambda meta, weights: ConvLSTM(**_stack_sizes(meta, weights)),
        _CELLS,
        unused=(r"cell_list\.\d+\.conv_o\..*", r"cell_list\.\d+\.conv_last\.weight"),
    ),
    "predrnn": Reference(lambda meta, weights: PredRNN(**_stack_sizes(meta, weights)), _CELLS),
    "predrnn_v2": Reference(
        lambda meta, weights: PredRNNV2(**_stack_sizes(meta, weights), decoupling=meta["config"]["decouple_beta"]),
        _CELLS,
    ),
    "phydnet": Reference(
        lambda meta, weights: PhyDNet(
            width=meta["config"]["nf"],
            hidden=meta["config"]["input_dim"],
            layers=tuple(meta["config"]["hidden_dims"]),
            kernel=meta["config"]["phycell_kernel"],
            reduction=meta["config"]["patch_size"],
            moments=1.0,
        ),
        (
            (r"phycell\.cell_list\.0\.F\.conv1\.(weight|bias)", r"core.physical.derivatives.\1"),
            (r"phycell\.cell_list\.0\.F\.bn1\.(weight|bias)", r"core.physical.norm.\1"),
            (r"phycell\.cell_list\.0\.F\.conv2\.(weight|bias)", r"core.physical.coefficients.\1"),
            (r"phycell\.cell_list\.0\.convgate\.(weight|bias)", r"core.physical.gain.\1"),
            (r"convcell\.cell_list\.(\d+)\.conv\.(weight|bias)", r"core.residual.\1.conv.\2"),
            (r"encoder\.decoder_D\.upc3\.(weight|bias)", r"core.decoder.2.\1"),
            (
                r"encoder\.(encoder_E|encoder_Ep|encoder_Er|decoder_Dp|decoder_Dr|decoder_D)\.(?:up)?c(\d)"
                r"\.main\.([01])\.(weight|bias)",
                lambda key: f"core.{_PHYDNET[key[1]]}.{int(key[2]) - 1}.{_PARTS[key[3]]}.{key[4]}",
            ),
        ),
        unused=(r"k2m\..*", r"encoder\.(phycell|convcell)\..*"),
        loss=lambda error: (error**2).mean((0, 2, 3, 4)).sum(),
        layout=Layout(frames="b t c h w", y="b t c h w"),
        forecasts=True,
    ),
    "simvp": _SIMVP,
    "simvp_incepu": _SIMVP,
    "tctn": Reference(
        lambda meta, weights: TCTN(
            hidden=weights["decoder.GN.weight"].shape[0],
            layers=_layers(weights, r"decoder\.decoder\.(\d+)\.GN1\.weight"),
            heads=meta["config"]["n_heads"],
            patch=meta["config"]["patch_size"],
            dropout=0.0,
            norm="reference",
        ),
        (
            (r"decoder_embedding\.conv([01])\.0\.(weight|bias)", r"decoder.embed\1.\2"),
            (r"decoder\.decoder\.(\d+)\.GN([12])\.(weight|bias)", r"decoder.layers.\1.norm\2.norm.\3"),
            (r"decoder\.decoder\.(\d+)\.attention\.0\.qkv\.conv0\.0\.(weight|bias)", r"decoder.layers.\1.qkv.conv.\2"),
            (r"decoder\.decoder\.(\d+)\.out\.conv0\.0\.(weight|bias)", r"decoder.layers.\1.out.conv.\2"),
            (
                r"decoder\.decoder\.(\d+)\.feedforward\.conv([01])\.0\.(weight|bias)",
                lambda key: f"decoder.layers.{key[1]}.{('wide', 'narrow')[int(key[2])]}.conv.{key[3]}",
            ),
            (r"decoder\.GN\.(weight|bias)", r"decoder.norm.norm.\1"),
            (r"conv_last\.weight", r"decoder.head.weight"),
        ),
        unused=(
            r"decoder_embedding\.conv2\..*",
            r"decoder\.decoderlayer\..*",
            r"decoder\.positionnet\..*",
        ),
        layout=Layout(y="b t c h w"),
        free=True,
    ),
    "predrnn_action": _ACTION_PREDRNN,
    "predrnn_v2_action": _ACTION_PREDRNN,
    "modernn_slots_action": Reference(
        lambda meta, weights: ActionModeRNN(
            hidden=tuple(meta["config"]["num_hidden"]),
            kernel=weights["conv_input1.weight"].shape[-1],
            patch=meta["config"]["patch_size"],
            slots=meta["config"]["num_slots"],
            residual=bool(meta["config"]["res_on_conv"]),
        ),
        (
            (r"cell_list\.(\d+)\.to_([qkv])\.conv\.(weight|bias)", r"core.cells.\1.cell.binding.to_\2.\3"),
            (r"cell_list\.(\d+)\.conv_a\.0\.(weight|bias)", r"core.cells.\1.conv_a.conv.\2"),
            (r"cell_list\.(\d+)\.conv_a\.1\.(weight|bias)", r"core.cells.\1.conv_a.norm.\2"),
            *_ACTION_CELLS,
            *_ENCODERS,
        ),
        unused=(
            *_MODECELL_UNUSED,
            r"conv_first\.weight",
            r"cell_list\.\d+\.to_[qkv]\.(depthwise|bn|pointwise)\..*",
            r"cell_list\.\d+\.convlstm\.conv_a\..*",
        ),
    ),
    "predrnnpp": Reference(
        lambda meta, weights: PredRNNPlusPlus(**_stack_sizes(meta, weights)),
        (
            # The highway is the second layer of our stack.
            (
                r"cell_list\.(\d+)\.(conv_[xhcm]|conv_c2m|conv_om)\.([01])\.(weight|bias)",
                lambda key: f"core.cells.{_above_highway(key[1])}.{key[2]}.{_PARTS[key[3]]}.{key[4]}",
            ),
            (
                r"cell_list\.(\d+)\.conv_last\.weight",
                lambda key: f"core.cells.{_above_highway(key[1])}.conv_last.weight",
            ),
            (
                r"gradient_highway\.([xz])_concat\.([01])\.(weight|bias)",
                lambda key: f"core.cells.1.conv_{key[1]}.{_PARTS[key[2]]}.{key[3]}",
            ),
            _HEAD,
        ),
        unused=(r"cell_list\.\d+\.conv_o\..*",),
    ),
    "mim": Reference(
        lambda meta, weights: MIM(**_mim_sizes(meta, weights), detach_memory=True),
        (
            (
                r"stlstm_layer\.(\d+)\.(conv_[tsx]_cc)\.([01])\.(weight|bias)",
                lambda key: f"core.cells.{key[1]}.{_MIM_GATES[key[2]]}.{_PARTS[key[3]]}.{key[4]}",
            ),
            (
                rf"stlstm_layer\.(\d+)\.{_MEMORY_KEY}",
                lambda key: f"core.cells.{key[1]}.stationary.{_MIM_MEMORY[key[2]]}.{key[3]}",
            ),
            (
                r"stlstm_layer\.(\d+)\.(ct_weight|oc_weight)",
                lambda key: f"core.cells.{key[1]}.stationary.{_MIM_PEEPHOLES[key[2]]}",
            ),
            # MIM-N number l stands before block l + 1.
            (
                rf"stlstm_layer_diff\.(\d+)\.{_MEMORY_KEY}",
                lambda key: f"core.cells.{int(key[1]) + 1}.nonstationary.{_MIM_MEMORY[key[2]]}.{key[3]}",
            ),
            (
                r"stlstm_layer_diff\.(\d+)\.(ct_weight|oc_weight)",
                lambda key: f"core.cells.{int(key[1]) + 1}.nonstationary.{_MIM_PEEPHOLES[key[2]]}",
            ),
            *((pattern.replace("cell_list", "stlstm_layer"), ours) for pattern, ours in _CELLS),
        ),
        unused=(r"stlstm_layer_diff\.\d+\.conv_last\.weight",),
    ),
    "e3dlstm": Reference(
        lambda meta, weights: E3DLSTM(**_stack_sizes(meta, weights, conv="conv_h.0.conv3d")),
        (
            (r"cell_list\.(\d+)\.(conv_[xh])\.0\.conv3d\.weight", r"core.cells.\1.\2.conv.weight"),
            (r"cell_list\.(\d+)\.conv_gm\.0\.conv3d\.weight", r"core.cells.\1.conv_m.conv.weight"),
            (r"cell_list\.(\d+)\.conv_new_cell\.0\.conv3d\.weight", r"core.cells.\1.conv_co.conv.weight"),
            (r"cell_list\.(\d+)\.conv_new_gm\.0\.conv3d\.weight", r"core.cells.\1.conv_mo.conv.weight"),
            (r"cell_list\.(\d+)\._norm_c_t\.(weight|bias)", r"core.cells.\1.norm_c.\2"),
            (r"cell_list\.(\d+)\.conv_last\.conv3d\.weight", r"core.cells.\1.conv_last.weight"),
            (r"conv_last\.weight", r"core.head.conv.weight"),
        ),
        loss=lambda error: (error**2).mean() + error.abs().mean(),
    ),
    "modernn_dcb": Reference(
        lambda meta, weights: MoDeRNN(
            hidden=(meta["config"]["hidden_size"],) * _layers(weights, r"lstm\.(\d+)\.norm_cell\.weight"),
            kernel=weights["lstm.0.conv_i2h.0.weight"].shape[-1],
            patch=meta["config"]["patch_size"],
            half_steps=meta["config"]["dcb_iterations"],
        ),
        (
            (r"embed\.(weight|bias)", r"core.embed.\1"),
            (r"output\.(weight|bias)", r"core.head.\1"),
            (r"lstm\.(\d+)\.norm_cell\.(weight|bias)", r"core.cells.\1.norm_c.\2"),
            (
                r"lstm\.(\d+)\.conv_([ih])2h\.([01])\.(weight|bias)",
                lambda key: f"core.cells.{key[1]}.conv_{'x' if key[2] == 'i' else 'h'}.{_PARTS[key[3]]}.{key[4]}",
            ),
            (
                r"lstm\.(\d+)\.conv(33|55|77)_([XH])\.([01])\.(weight|bias)",
                lambda key: (
                    f"core.cells.{key[1]}.context.of_{key[3].lower()}.{int(key[2][0]) // 2 - 1}"
                    f".{_PARTS[key[4]]}.{key[5]}"
                ),
            ),
        ),
        loss=lambda error: ((error**2).sum() + error.abs().sum()) / 4,
        layout=Layout(frames="b t c h w", y="b t c h w", channels="c col row", first=1),
        patches={"embed.weight": 1, "output.weight": 0, "output.bias": 0},
    ),
    "modernn_slots": _MODERNN,
    "modernn_slots_train": _MODERNN,
    "motionrnn_predrnn": _MOTIONRNN,
    "motionrnn_predrnn_randinit": _MOTIONRNN,
}


def _layers(weights: Weights, pattern: str) -> int:
    """How many layers have a weight whose name is of this pattern."""
    return len({match[1] for key in weights if (match := re.fullmatch(pattern, key))})


def _above_highway(layer: str) -> int:
    """PredRNN++ counts its cells without the highway, which is our layer 1."""
    return int(layer) + (int(layer) > 0)


def names(meta: Meta, weights: Weights) -> dict[str, str]:
    """Our parameter name for each key of the reference that is used.

    Raises `DataError` for a model or a key that is not known.
    """
    reference = _reference(meta)
    translated, unknown = {}, []
    for key in weights:
        if any(re.fullmatch(pattern, key) for pattern in reference.unused):
            continue
        for pattern, ours in reference.names:
            if match := re.fullmatch(pattern, key):
                translated[key] = ours(match) if callable(ours) else match.expand(ours)
                break
        else:
            unknown.append(key)
    if unknown:
        raise DataError(f"weights of {meta['model']} with unknown names: {', '.join(unknown)}")
    return translated


def load(meta: Meta, weights: Weights) -> nn.Module:
    """Our model with the weights of a reference, in the mode in which the reference was run: training, unless it says so.

    `meta` is the description in a parity file (`model`, `config`), `weights` the reference's state dict. Raises
    `DataError` where a weight is unknown, missing or of another shape.
    """
    reference = _reference(meta)
    shape = _shape(meta, weights)
    config = reference.config(meta, weights)
    model: nn.Module = config.build(shape)
    state = {ours: weights[theirs] for theirs, ours in names(meta, weights).items()}
    for theirs, dim in reference.patches.items():
        ours = names(meta, weights)[theirs]
        order = rearrange(
            torch.arange(weights[theirs].shape[dim]),
            f"({reference.layout.channels}) -> (row col c)",
            row=meta["config"]["patch_size"],
            col=meta["config"]["patch_size"],
        )
        state[ours] = weights[theirs].index_select(dim, order)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise DataError(f"weights of {meta['model']} do not fit: {error}") from error
    return model.train(meta["config"].get("train_mode", True))


def run(model: nn.Module, meta: Meta, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`y`, the predictions still in patches and laid out as the reference does, and `loss`, a scalar with gradients;
    `y_free` beside them where the reference has it.

    `arrays` are those of the file under their names there: `x (B, T, H, W, C)` (or `x_patch`) and `mask`.
    """
    reference = _reference(meta)
    patch = 1 if reference.forecasts else meta["config"].get("patch_size", 1)
    layout, sides = reference.layout, {"row": patch, "col": patch}
    theirs = layout.y.replace("c", f"({layout.channels})", 1)
    ours = "b t c (h row) (w col)"
    if "x" in arrays:
        frames = rearrange(arrays["x"], f"{layout.frames} -> b t c h w")
    else:
        given = layout.frames.replace("c", f"({layout.channels})", 1)
        frames = rearrange(arrays["x_patch"], f"{given} -> {ours}", **sides)
    if "target" in arrays:
        frames = torch.cat([frames, rearrange(arrays["target"], f"{layout.frames} -> b t c h w")], dim=1)
    initial = {key.removeprefix("init/"): array for key, array in arrays.items() if key.startswith("init/")}
    steps = frames.shape[1] - 1
    if "mask" in arrays:
        teacher = teacher_mask(arrays["mask"], steps)
    else:
        teacher = torch.ones(len(frames), steps, dtype=torch.bool)
    state = reference.state(model, initial)
    initial_state = {} if state is None else {"state": state}
    prediction = model(frames, teacher, arrays.get("actions"), **initial_state)
    predicted = prediction.frames[:, layout.first :]
    loss = reference.loss(predicted - frames[:, -predicted.shape[1] :]) + sum(prediction.losses.values())
    if reference.forecasts:
        known = arrays["x"].shape[1]
        return {"y": model.forecast(frames[:, :known], steps + 1 - known), "loss": loss}  # type: ignore[operator]
    result = {"y": rearrange(predicted, f"{ours} -> {theirs}", **sides), "loss": loss}
    if reference.free:
        context = meta["config"]["input_length"]
        free = model(frames[:, :context], free_running(len(frames), context, steps + 1 - context)).frames
        result["y_free"] = rearrange(free, f"{ours} -> {theirs}", **sides)
    return result


def teacher_mask(mask: Tensor, steps: int) -> Tensor:
    """The reference's `mask (B, fewer, ...)` as a teacher mask `(B, steps)`. It is about the last steps: those after the
    context in ordinary sampling, all but the first in reverse sampling; the others are fed the truth
    (spec/models.md, section 0)."""
    flips = mask.flatten(2)[:, :, 0] > 0.5
    return torch.cat([flips.new_ones(len(flips), steps - flips.shape[1]), flips], dim=1)


def _reference(meta: Meta) -> Reference:
    if meta["model"] not in REFERENCES:
        raise DataError(
            f"no published implementation called {meta['model']!r} is known", remedy=f"known: {', '.join(REFERENCES)}"
        )
    return REFERENCES[meta["model"]]


def _shape(meta: Meta, weights: Weights) -> FrameShape:
    """The frames a reference was built for; where LayerNorm ties it to a size, its weights tell the size."""
    settings = meta["config"]
    if "in_shape" in settings:
        context, channels, height, width = settings["in_shape"]
        return FrameShape(channels, height, width, context, settings.get("aft_seq_length", context))
    if "img" in settings:
        side, context = settings["img"], settings["pre_seq_length"]
        return FrameShape(settings["C"], side, side, context, settings["aft_seq_length"])
    if "seq_len" in settings:
        side = settings["image"]
        return FrameShape(settings["channels"], side, side, settings["seq_len"], settings["pre_len"])
    width, context = settings["img_width"], settings["input_length"]
    channels = settings.get("img_channel") or weights["conv_last.weight"].shape[0] // settings["patch_size"] ** 2
    return FrameShape(
        channels,
        settings.get("img_height", width),
        width,
        context,
        settings["total_length"] - context,
        settings.get("num_action_ch", 0) if "action_conv_input1.weight" in weights else 0,
    )
