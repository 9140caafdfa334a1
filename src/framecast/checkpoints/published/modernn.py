"""The rows of MoDeRNN and ModeRNN for `reference.REFERENCES`: their configs and the translation of their parameter names."""

from __future__ import annotations

from typing import Any

from framecast.checkpoints.published.rows import (
    ENCODERS,
    HEAD,
    PARTS,
    Layout,
    Meta,
    Name,
    Reference,
    Weights,
    layers,
    widths,
)
from framecast.models import ActionModeRNN, MoDeRNN, ModeRNN

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
_ACTION_CELLS: tuple[tuple[str, Name], ...] = tuple(
    (pattern, ours.replace(r"core.cells.\1.", r"core.cells.\1.cell."))
    for pattern, ours in _MODECELL
    if isinstance(ours, str)
)


def _mode_sizes(meta: Meta, weights: Weights) -> dict[str, Any]:
    """The sizes of ModeCells, read off their weights."""
    return {
        "hidden": widths(weights, r"cell_list\.(\d+)\.to_q\.depthwise\.weight"),
        "patch": meta["config"]["patch_size"],
        "slots": layers(weights, r"cell_list\.0\.convlstm\.conv_og\.fcs\.(\d+)\.weight"),
    }


_MODERNN = Reference(
    lambda meta, weights: ModeRNN(**_mode_sizes(meta, weights)),
    (*_MODECELL, (r"conv_first\.weight", r"core.embed.weight"), HEAD),
    unused=_MODECELL_UNUSED,
)
MODERNN: dict[str, Reference] = {
    "modernn_dcb": Reference(
        lambda meta, weights: MoDeRNN(
            hidden=widths(weights, r"lstm\.(\d+)\.norm_cell\.weight"),
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
                lambda key: f"core.cells.{key[1]}.conv_{'x' if key[2] == 'i' else 'h'}.{PARTS[key[3]]}.{key[4]}",
            ),
            (
                r"lstm\.(\d+)\.conv(33|55|77)_([XH])\.([01])\.(weight|bias)",
                lambda key: (
                    f"core.cells.{key[1]}.context.of_{key[3].lower()}.{int(key[2][0]) // 2 - 1}"
                    f".{PARTS[key[4]]}.{key[5]}"
                ),
            ),
        ),
        loss=lambda error: ((error**2).sum() + error.abs().sum()) / 4,
        layout=Layout(frames="b t c h w", y="b t c h w", channels="c col row", first=1),
        patches={"embed.weight": 1, "output.weight": 0, "output.bias": 0},
    ),
    "modernn_slots": _MODERNN,
    "modernn_slots_train": _MODERNN,
    "modernn_slots_action": Reference(
        lambda meta, weights: ActionModeRNN(
            **_mode_sizes(meta, weights),
            kernel=weights["conv_input1.weight"].shape[-1],
            residual=bool(meta["config"]["res_on_conv"]),
        ),
        (
            (r"cell_list\.(\d+)\.to_([qkv])\.conv\.(weight|bias)", r"core.cells.\1.cell.binding.to_\2.\3"),
            (r"cell_list\.(\d+)\.conv_a\.0\.(weight|bias)", r"core.cells.\1.conv_a.conv.\2"),
            (r"cell_list\.(\d+)\.conv_a\.1\.(weight|bias)", r"core.cells.\1.conv_a.norm.\2"),
            *_ACTION_CELLS,
            *ENCODERS,
        ),
        unused=(
            *_MODECELL_UNUSED,
            r"conv_first\.weight",
            r"cell_list\.\d+\.to_[qkv]\.(depthwise|bn|pointwise)\..*",
            r"cell_list\.\d+\.convlstm\.conv_a\..*",
        ),
    ),
}
