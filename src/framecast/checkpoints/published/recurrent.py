"""The rows of ConvLSTM and the PredRNN family for `reference.REFERENCES`: their configs and the translation of their parameter
names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from framecast.checkpoints.published.rows import CELLS, ENCODERS, HEAD, PARTS, Meta, Reference, Weights, stack_sizes
from framecast.models import E3DLSTM, MIM, ActionPredRNN, ConvLSTM, MotionRNN, PredRNN, PredRNNPlusPlus, PredRNNV2
from framecast.models.motionrnn import Motion, MotionState
from framecast.models.parts.stack import StackState
from framecast.models.predrnn import State as STLSTMState

_MIM_GATES = {"conv_t_cc": "conv_h", "conv_s_cc": "conv_m", "conv_x_cc": "conv_x"}
_MIM_MEMORY = {
    "conv_h_concat.0": "conv_h.conv",
    "conv_h_concat.1": "conv_h.norm",
    "conv_x_concat.0": "conv_x.conv",
    "conv_x_concat.1": "conv_x.norm",
}
_MIM_PEEPHOLES = {"ct_weight": "peep_if", "oc_weight": "peep_o"}
_E3D_CONVOLUTIONS = {
    "conv_x": "conv_x",
    "conv_h": "conv_h",
    "conv_gm": "conv_m",
    "conv_new_cell": "conv_co",
    "conv_new_gm": "conv_mo",
}
_MEMORY_KEY = r"(conv_[hx]_concat\.[01])\.(weight|bias)"


def _mim_sizes(meta: Meta, weights: Weights) -> dict[str, Any]:
    """MIM: layer 0 is an ST-LSTM, the others are blocks of the same width."""
    sizes = stack_sizes(meta, weights, "stlstm_layer")
    blocks = sum(1 for key in weights if re.fullmatch(r"stlstm_layer\.\d+\.conv_t_cc\.0\.weight", key))
    return sizes | {"hidden": sizes["hidden"] * (1 + blocks)}


def _motion_state(model: Any, initial: Mapping[str, Tensor]) -> Any:
    """The random initial states of MotionRNN (H and C, F and D, M) that a parity file contains; None without them."""
    if not initial:
        return None
    cells = [initial[f"h{layer}"] for layer in range(len(model.core.cells))]
    motions = [initial[f"offset{layer}"] for layer in range(len(model.core.units))]
    return MotionState(
        StackState(tuple(STLSTMState(hidden, hidden) for hidden in cells), initial["mem"]),
        tuple(Motion(motion, motion) for motion in motions),
    )


def _above_highway(layer: str) -> int:
    """PredRNN++ counts its cells without the highway, which is our layer 1."""
    return int(layer) + (int(layer) > 0)


_MOTIONRNN = Reference(
    lambda meta, weights: MotionRNN(
        backbone=PredRNN(**stack_sizes(meta, weights)),
        alpha=meta["config"]["alpha"],
        kernel=weights["enc_list.0.weight"].shape[-1],
    ),
    (
        *CELLS,
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
_ACTION_PREDRNN = Reference(
    lambda meta, weights: ActionPredRNN(
        **stack_sizes(meta, weights),
        residual=bool(meta["config"]["res_on_conv"]),
        decoupling=meta["config"]["decouple_beta"] if "adapter.weight" in weights else 0.0,
    ),
    (*CELLS, *ENCODERS),
)
RECURRENT: dict[str, Reference] = {
    "convlstm": Reference(
        lambda meta, weights: ConvLSTM(**stack_sizes(meta, weights)),
        CELLS,
        unused=(r"cell_list\.\d+\.conv_o\..*", r"cell_list\.\d+\.conv_last\.weight"),
    ),
    "predrnn": Reference(lambda meta, weights: PredRNN(**stack_sizes(meta, weights)), CELLS),
    "predrnn_v2": Reference(
        lambda meta, weights: PredRNNV2(**stack_sizes(meta, weights), decoupling=meta["config"]["decouple_beta"]),
        CELLS,
    ),
    "predrnn_action": _ACTION_PREDRNN,
    "predrnn_v2_action": _ACTION_PREDRNN,
    "predrnnpp": Reference(
        lambda meta, weights: PredRNNPlusPlus(**stack_sizes(meta, weights)),
        (
            # The highway is the second layer of our stack.
            (
                r"cell_list\.(\d+)\.(conv_[xhcm]|conv_c2m|conv_om)\.([01])\.(weight|bias)",
                lambda key: f"core.cells.{_above_highway(key[1])}.{key[2]}.{PARTS[key[3]]}.{key[4]}",
            ),
            (
                r"cell_list\.(\d+)\.conv_last\.weight",
                lambda key: f"core.cells.{_above_highway(key[1])}.conv_last.weight",
            ),
            (
                r"gradient_highway\.([xz])_concat\.([01])\.(weight|bias)",
                lambda key: f"core.cells.1.conv_{key[1]}.{PARTS[key[2]]}.{key[3]}",
            ),
            HEAD,
        ),
        unused=(r"cell_list\.\d+\.conv_o\..*",),
    ),
    "mim": Reference(
        lambda meta, weights: MIM(**_mim_sizes(meta, weights), detach_memory=True),
        (
            (
                r"stlstm_layer\.(\d+)\.(conv_[tsx]_cc)\.([01])\.(weight|bias)",
                lambda key: f"core.cells.{key[1]}.{_MIM_GATES[key[2]]}.{PARTS[key[3]]}.{key[4]}",
            ),
            (
                rf"stlstm_layer\.(\d+)\.{_MEMORY_KEY}",
                lambda key: f"core.cells.{key[1]}.stationary.{_MIM_MEMORY[key[2]]}.{key[3]}",
            ),
            (
                r"stlstm_layer\.(\d+)\.(ct_weight|oc_weight)",
                lambda key: f"core.cells.{key[1]}.stationary.{_MIM_PEEPHOLES[key[2]]}",
            ),
            # MIM-N number l precedes block l + 1.
            (
                rf"stlstm_layer_diff\.(\d+)\.{_MEMORY_KEY}",
                lambda key: f"core.cells.{int(key[1]) + 1}.nonstationary.{_MIM_MEMORY[key[2]]}.{key[3]}",
            ),
            (
                r"stlstm_layer_diff\.(\d+)\.(ct_weight|oc_weight)",
                lambda key: f"core.cells.{int(key[1]) + 1}.nonstationary.{_MIM_PEEPHOLES[key[2]]}",
            ),
            *((pattern.replace("cell_list", "stlstm_layer"), ours) for pattern, ours in CELLS),
        ),
        unused=(r"stlstm_layer_diff\.\d+\.conv_last\.weight",),
    ),
    "e3dlstm": Reference(
        lambda meta, weights: E3DLSTM(**stack_sizes(meta, weights, conv="conv_h.0.conv3d")),
        (
            (
                rf"cell_list\.(\d+)\.({'|'.join(_E3D_CONVOLUTIONS)})\.0\.conv3d\.weight",
                lambda key: f"core.cells.{key[1]}.{_E3D_CONVOLUTIONS[key[2]]}.conv.weight",
            ),
            (
                rf"cell_list\.(\d+)\.({'|'.join(_E3D_CONVOLUTIONS)})\.1\.(weight|bias)",
                lambda key: f"core.cells.{key[1]}.{_E3D_CONVOLUTIONS[key[2]]}.norm.{key[3]}",
            ),
            (r"cell_list\.(\d+)\._norm_c_t\.(weight|bias)", r"core.cells.\1.norm_c.\2"),
            (r"cell_list\.(\d+)\.conv_last\.conv3d\.weight", r"core.cells.\1.conv_last.weight"),
            (r"conv_last\.weight", r"core.head.conv.weight"),
        ),
        loss=lambda error: (error**2).mean() + error.abs().mean(),
    ),
    "motionrnn_predrnn": _MOTIONRNN,
    "motionrnn_predrnn_randinit": _MOTIONRNN,
}
