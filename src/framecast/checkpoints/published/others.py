"""The rows of PhyDNet, SimVP and TCTN for `reference.REFERENCES`: their configs and the translation of their parameter names."""

from __future__ import annotations

import math
import re
from functools import partial
from typing import Any

from torch import Tensor

from framecast.checkpoints.published.rows import PARTS, Layout, Meta, Reference, Weights, layers, widths
from framecast.models import TAU, TCTN, PhyDNet, SimVP

_PHYDNET = {
    "encoder_E": "encoder",
    "encoder_Ep": "to_physical",
    "encoder_Er": "to_residual",
    "decoder_Dp": "from_physical",
    "decoder_Dr": "from_residual",
    "decoder_D": "decoder",
}
_U = {"enc": "down", "dec": "up"}
_PHYSICAL = "phycell.cell_list.0.F.conv1.weight"
_MIX = r"translator.\1.attention.inner.mix.\2"
_SIMVP_BLOCK = {
    "norm1": "norm1",
    "norm2": "norm2",
    "attn.proj_1": "attention.before",
    "attn.spatial_gating_unit.conv0": "attention.inner.near",
    "attn.spatial_gating_unit.conv_spatial": "attention.inner.far",
    "attn.spatial_gating_unit.conv1": "attention.inner.split",
    "attn.spatial_gating_unit.fc.0": "attention.inner.squeeze.0",
    "attn.spatial_gating_unit.fc.2": "attention.inner.squeeze.2",
    "attn.proj_2": "attention.after",
    "mlp.fc1": "mlp.widen",
    "mlp.dwconv.dwconv": "mlp.depthwise",
    "mlp.fc2": "mlp.narrow",
}


def _sizes(weights: Weights) -> dict[str, Any]:
    """The sizes of SimVP and TAU but for the kind of the translator. Only the inception one has decoder blocks (`hid.dec`)."""
    first, last = weights["enc.enc.0.conv.conv.weight"], _last_convolution(weights)
    sizes = {
        "spatial": first.shape[0],
        "layers": layers(weights, r"enc\.enc\.(\d+)\.conv\.conv\.weight"),
        "kernel": first.shape[-1],
        "decoder_kernel": last.shape[-1],
    }
    if any(key.startswith("hid.dec.") for key in weights):
        return sizes | {
            "blocks": layers(weights, r"hid\.enc\.(\d+)\.conv1\.weight"),
            "hidden": weights["hid.enc.0.layers.0.conv.weight"].shape[0],
        }
    return sizes | {
        "blocks": layers(weights, r"hid\.enc\.(\d+)\.block\.norm1\.weight"),
        "hidden": weights["hid.enc.1.block.mlp.fc1.weight"].shape[1],
        "mlp_ratio": _mlp_ratio(weights),
    }


def _mlp_ratio(weights: Weights) -> float:
    """The least ratio by which the published code, which rounds down, widens every block as it is."""
    fullmatch = partial(re.fullmatch, r"hid\.enc\.\d+\.block\.mlp\.fc1\.weight")
    sides = [weight.shape[:2] for key, weight in weights.items() if fullmatch(key)]
    ratio = max(wide / width for wide, width in sides)
    return ratio if all(int(width * ratio) == wide for wide, width in sides) else math.nextafter(ratio, math.inf)


def _last_convolution(weights: Weights) -> Tensor:
    """That of the last layer of the decoder of SimVP, which does not enlarge the frame."""
    return weights[max(key for key in weights if re.fullmatch(r"dec\.dec\.\d+\.conv\.conv\.weight", key))]


def _simvp(weights: Weights) -> SimVP:
    kind = "incepu" if any(key.startswith("hid.dec.") for key in weights) else "gsta"
    return SimVP(kind=kind, **_sizes(weights))  # type: ignore[arg-type]


def _phydnet(meta: Meta, weights: Weights) -> PhyDNet:
    derivatives, hidden, kernel, _ = weights[_PHYSICAL].shape
    return PhyDNet(
        width=weights["encoder.encoder_E.c1.main.0.weight"].shape[0],
        hidden=hidden,
        layers=widths(weights, r"convcell\.cell_list\.(\d+)\.conv\.bias", 4),
        kernel=kernel,
        derivatives=None if derivatives == kernel**2 else derivatives,
        # The published code takes every patch but 2 for 4.
        reduction=2 if meta["config"]["patch_size"] == 2 else 4,
        moments=1.0 if "F_hidden" in meta["config"] else None,
    )


_SIMVP = Reference(
    lambda meta, weights: _simvp(weights),
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
OTHERS: dict[str, Reference] = {
    "phydnet": Reference(
        _phydnet,
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
                lambda key: f"core.{_PHYDNET[key[1]]}.{int(key[2]) - 1}.{PARTS[key[3]]}.{key[4]}",
            ),
        ),
        unused=(r"k2m\..*", r"encoder\.(phycell|convcell)\..*"),
        loss=lambda error: (error**2).mean((0, 2, 3, 4)).sum(),
        layout=Layout(frames="b t c h w", y="b t c h w"),
        forecasts=True,
    ),
    "simvp": _SIMVP,
    "simvp_incepu": _SIMVP,
    "tau": _SIMVP._replace(
        config=lambda meta, weights: TAU(divergence=meta["config"]["alpha"], **_sizes(weights)),
        names=((r"hid\.enc\.(\d+)\.block\.attn\.spatial_gating_unit\.conv1\.(\w+)", _MIX), *_SIMVP.names),
        terms=True,
    ),
    "tctn": Reference(
        lambda meta, weights: TCTN(
            hidden=weights["decoder.GN.weight"].shape[0],
            layers=layers(weights, r"decoder\.decoder\.(\d+)\.GN1\.weight"),
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
}
