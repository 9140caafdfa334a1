"""Checkpoints of published implementations, rebuilt from the parity files in their usual containers."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

import framecast
from framecast.checkpoints.importing import SOURCES, import_checkpoint, read_weights
from framecast.checkpoints.published.reference import config_of
from framecast.cli import app
from framecast.errors import ConfigError, DataError
from framecast.models import SimVP
from framecast.types import FrameShape

CONTAINERS = {
    "thuml-predrnn": lambda weights: {"net_param": weights},
    "thuml-motionrnn": lambda weights: {"net_param": {f"module.{key}": value for key, value in weights.items()}},
    "thuml-modernn": lambda weights: {"net_param": weights},
    "czh98-modernn": lambda weights: {"epoch": 3, "state_dict": weights},
    "tctn": lambda weights: weights,
    "openstl": lambda weights: {"state_dict": {f"model.{key}": value for key, value in weights.items()}, "epoch": 1},
}
FILES = [(source, name) for source, names in SOURCES.items() for name in names]
VARIANTS = {
    "predrnn_v2_action": "predrnn_action",
    "simvp_incepu": "simvp",
    "simvp_widths": "simvp",
    "simvp_incepu_widths": "simvp",
    "e3dlstm_norm": "e3dlstm",
    "phydnet_patch2": "phydnet",
    "phydnet_sizes": "phydnet",
}
"""Files whose reference is that of another: their settings are in their weights."""
FILES += [("thuml-predrnn" if "action" in name else "openstl", name) for name in VARIANTS]


def published(parity: Path, name: str) -> tuple[dict[str, torch.Tensor], FrameShape, int, dict[str, Any]]:
    """Weights, frames, patch and the settings that are in no weight."""
    with np.load(parity / f"{name}.npz") as file:
        meta = json.loads(str(file["meta"]))["config"]
        weights = {key[2:]: torch.tensor(file[key]) for key in file.files if key.startswith("w/")}
        x = file["x"].shape
        horizon = file["target"].shape[1] if "target" in file.files else 0
        actions = file["actions"].shape[-1] if "actions" in file.files else 0
    channels_first = name == "modernn_dcb" or name.startswith(("phydnet", "simvp", "tau"))
    channels, height, width = (x[2], x[3], x[4]) if channels_first else (x[4], x[2], x[3])
    context = (
        x[1] if horizon else next(meta[key] for key in ("input_length", "pre_seq_length", "seq_len") if key in meta)
    )
    shape = FrameShape(channels, height, width, context, horizon or x[1] - context, actions)
    own = {key: meta[key] for key in ("n_heads", "res_on_conv", "dcb_iterations") if key in meta}
    return weights, shape, meta.get("patch_size", 1), own


@pytest.mark.parametrize(("source", "name"), FILES)
def test_a_published_checkpoint_becomes_a_model(parity: Path, tmp_path: Path, source: str, name: str) -> None:
    weights, shape, patch, own = published(parity, name)
    torch.save(CONTAINERS[source](weights), tmp_path / "published.ckpt")
    out = tmp_path / "model"
    imported = import_checkpoint(tmp_path / "published.ckpt", source, shape, patch=patch, settings=own, out=out)
    assert imported.reference == VARIANTS.get(name, name)
    assert set(imported.unused) <= set(weights)
    assert not imported.assumed.keys() & own.keys()
    again = framecast.load(out)
    assert again.card == imported.card
    frames = torch.rand(1, shape.context, shape.channels, shape.height, shape.width)
    actions = torch.rand(1, shape.context + shape.horizon, shape.actions) if shape.actions else None
    with torch.no_grad():
        expected = imported.model.forecast(frames, shape.horizon, actions)  # type: ignore[operator]
        assert torch.equal(again.model.forecast(frames, shape.horizon, actions), expected)
    with pytest.raises(ConfigError, match="exists already"):
        import_checkpoint(tmp_path / "published.ckpt", source, shape, patch=patch, settings=own, out=out)


def test_the_command_says_what_it_did(parity: Path, tmp_path: Path) -> None:
    weights, shape, patch, _ = published(parity, "convlstm")
    save_file(weights, tmp_path / "published.safetensors")
    given = ["import", str(tmp_path / "published.safetensors"), "--from", "openstl", "--out", str(tmp_path / "model")]
    sizes = ["--size", f"{shape.height}x{shape.width}", "--patch", str(patch), "--context", "4", "--horizon", "3"]
    said = CliRunner().invoke(app, given + sizes)
    assert said.exit_code == 0, said.exception
    assert "convlstm" in said.output
    assert "missing: none; unused: cell_list." in said.output
    assert (tmp_path / "model" / "card.json").is_file()


def test_what_does_not_fit_is_told_by_key(parity: Path, tmp_path: Path) -> None:
    weights, shape, patch, _ = published(parity, "predrnn")
    torch.save({key: value for key, value in weights.items() if "conv_m" not in key}, tmp_path / "less.pt")
    with pytest.raises(DataError, match="conv_m") as error:
        import_checkpoint(tmp_path / "less.pt", "thuml-predrnn", shape, patch=patch)
    assert "less.pt" in str(error.value)
    torch.save({**weights, "surplus": torch.zeros(1)}, tmp_path / "more.pt")
    with pytest.raises(DataError, match="surplus"):
        import_checkpoint(tmp_path / "more.pt", "thuml-predrnn", shape, patch=patch)
    with pytest.raises(ConfigError, match="one of: thuml-predrnn"):
        import_checkpoint(tmp_path / "more.pt", "huml", shape)


class Mischief:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path("mischief").touch, ())


def test_nothing_but_weights_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {"a": torch.zeros(1)}, "hook": Mischief()}, tmp_path / "trap.pt")
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(Mischief()))
    for name in ("trap.pt", "plain.pkl"):
        with pytest.raises(DataError):
            read_weights(tmp_path / name)
    assert not (tmp_path / "mischief").exists()
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(DataError, match=r"text\.pt"):
        read_weights(tmp_path / "text.pt")
    torch.save({"epoch": 3}, tmp_path / "empty.pt")
    with pytest.raises(DataError, match="no state dict"):
        read_weights(tmp_path / "empty.pt")


def outputs(parity: Path, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The input of a forecast, and the published output."""
    with np.load(parity / f"{name}.npz") as file:
        return torch.tensor(file["x"]), torch.tensor(file["y"])


@pytest.mark.parametrize("name", ["phydnet", "phydnet_patch2", "phydnet_sizes"])
def test_the_patch_of_phydnet_must_be_given(parity: Path, tmp_path: Path, name: str) -> None:
    """Its weights have the same shapes for both, and another result."""
    weights, shape, patch, _ = published(parity, name)
    torch.save(weights, tmp_path / "published.pt")
    with pytest.raises(ConfigError, match="patch"):
        import_checkpoint(tmp_path / "published.pt", "openstl", shape)
    x, y = outputs(parity, name)
    imported = import_checkpoint(tmp_path / "published.pt", "openstl", shape, patch=patch)
    torch.testing.assert_close(imported.model.forecast(x, shape.horizon), y, atol=1e-5, rtol=1e-4)  # type: ignore[operator]


@pytest.mark.parametrize(("encoder", "decoder"), [(5, 5), (3, 7), (7, 3)])
@pytest.mark.parametrize("name", ["simvp", "simvp_incepu", "tau"])
def test_spatial_kernels_are_those_of_the_weights(
    parity: Path, tmp_path: Path, name: str, encoder: int, decoder: int
) -> None:
    """A kernel with zeros around it is the same function."""
    weights, shape, patch, _ = published(parity, name)
    wider = {"enc.enc": encoder // 2 - 1, "dec.dec": decoder // 2 - 1}
    for key in [key for key in weights if ".conv.conv" in key and weights[key].ndim == 4]:
        weights[key] = torch.nn.functional.pad(weights[key], [wider[key[:7]]] * 4)
    torch.save(weights, tmp_path / "published.pt")
    x, y = outputs(parity, name)
    imported = import_checkpoint(tmp_path / "published.pt", "openstl", shape, patch=patch)
    assert (imported.card.model.kernel, imported.card.model.decoder_kernel) == (encoder, decoder)  # type: ignore[attr-defined]
    torch.testing.assert_close(imported.model.forecast(x, shape.horizon), y, atol=1e-5, rtol=1e-4)  # type: ignore[operator]


@pytest.mark.parametrize("ratio", [8.0, 2.6, 1.4, 8.85])
@pytest.mark.parametrize(("spatial", "hidden"), [(4, 20), (6, 7), (8, 11)])
def test_a_ratio_that_is_rounded_in_each_block_is_known_from_all(ratio: float, spatial: int, hidden: int) -> None:
    config = SimVP(spatial=spatial, hidden=hidden, layers=2, blocks=3, mlp_ratio=ratio)
    shape = FrameShape(1, 16, 16, 3, 3)
    state = config.build(shape).state_dict()
    theirs = {
        f"{part[:3]}.{part[:3]}.{layer}.conv.conv.weight": state[f"{part}.{layer}.conv.weight"]
        for part in ("encoder", "decoder")
        for layer in range(2)
    }
    for block in range(3):
        for part, name in {"norm1": "norm1", "mlp.fc1": "mlp.widen"}.items():
            theirs[f"hid.enc.{block}.block.{part}.weight"] = state[f"translator.{block}.{name}.weight"]
    derived = config_of({"model": "simvp", "config": {}}, theirs).build(shape).state_dict()
    widths = [[each[f"translator.{block}.mlp.widen.weight"].shape for block in range(3)] for each in (state, derived)]
    assert widths[0] == widths[1]


def test_settings_that_no_weight_holds_are_reported_and_misspelt_ones_refused(parity: Path, tmp_path: Path) -> None:
    weights, shape, patch, own = published(parity, "tctn")
    torch.save(weights, tmp_path / "published.pt")
    assert own == {"n_heads": 2}
    assumed = import_checkpoint(tmp_path / "published.pt", "tctn", shape, patch=patch)
    assert assumed.assumed == {"n_heads": 1}
    assert import_checkpoint(tmp_path / "published.pt", "tctn", shape, patch=patch, settings=own).assumed == {}
    with pytest.raises(ConfigError, match="no setting 'heads'") as error:
        import_checkpoint(tmp_path / "published.pt", "tctn", shape, patch=patch, settings={"heads": 2})
    assert "n_heads" in str(error.value.remedy)
