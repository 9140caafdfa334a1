"""The published implementations' numbers, reproduced (tolerances of the parity files' README)."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from framecast.checkpoints.published import reference
from framecast.checkpoints.published.weights import read_weights
from framecast.errors import DataError

FILES = [
    "convlstm",
    "predrnn",
    "predrnn_v2",
    "predrnnpp",
    "mim",
    "e3dlstm",
    "e3dlstm_norm",
    "modernn_dcb",
    "modernn_slots",
    "modernn_slots_action",
    "phydnet",
    "phydnet_patch2",
    "phydnet_sizes",
    "simvp",
    "simvp_widths",
    "simvp_incepu",
    "simvp_incepu_widths",
    "tau",
    "tctn",
    "predrnn_action",
    "predrnn_v2_action",
    "modernn_slots_train",
    "motionrnn_predrnn",
    "motionrnn_predrnn_randinit",
]


def read(path: Path) -> tuple[dict, dict, dict]:
    with np.load(path) as file:
        meta = json.loads(str(file["meta"]))
        arrays = {key: torch.tensor(file[key]) for key in file.files if key != "meta"}
    weights = {key[2:]: arrays.pop(key) for key in list(arrays) if key.startswith("w/")}
    return meta, weights, arrays


@pytest.mark.parametrize("name", FILES)
def test_outputs_loss_and_gradients_are_those_of_the_published_code(parity: Path, name: str) -> None:
    meta, weights, arrays = read(parity / f"{name}.npz")
    y, loss = arrays.pop("y"), arrays.pop("loss")
    model = reference.load(meta, weights)
    ours = reference.run(model, meta, arrays)

    in_training = name == "modernn_slots_train"  # batch statistics amplify rounding
    torch.testing.assert_close(ours["y"], y, atol=1e-4 if in_training else 1e-5, rtol=1e-4)
    torch.testing.assert_close(ours["loss"].double(), loss, atol=0, rtol=1e-5)
    if in_training:  # one ReLU gets a number so near 0 that its sign, and 1 % of the gradients, is the rounding's
        model = reference.load(meta, weights).double()
        ours = reference.run(model, meta, {key: array.double() for key, array in arrays.items()})
    ours["loss"].backward()
    parameters = dict(model.named_parameters())
    translated = reference.names(meta, weights)
    assert set(translated.values()) == set(model.state_dict())
    gradients = {
        theirs: parameters[mine].grad.norm().item() for theirs, mine in translated.items() if mine in parameters
    }
    rounding = 2e-5 if in_training else 1e-5  # some are 0
    assert gradients == pytest.approx(meta["grad_norms"], rel=1e-3, abs=rounding)


@pytest.mark.parametrize("name", [name for name in FILES if not re.search("action|simvp|phydnet|tau", name)])
def test_patches_given_instead_of_frames_change_nothing(parity: Path, name: str) -> None:
    meta, weights, arrays = read(parity / f"{name}.npz")
    model = reference.load(meta, weights)
    without_frames = {key: value for key, value in arrays.items() if key != "x"}
    torch.testing.assert_close(
        reference.run(model, meta, without_frames)["y"], reference.run(model, meta, arrays)["y"], atol=0, rtol=0
    )


def test_tctn_runs_freely_as_published(parity: Path) -> None:
    """The frames that are reported are those of the last pass over all positions."""
    meta, weights, arrays = read(parity / "tctn.npz")
    ours = reference.run(reference.load(meta, weights), meta, arrays)
    torch.testing.assert_close(ours["y_free"], arrays["y_free"], atol=1e-5, rtol=1e-4)


def test_decoupling_is_the_second_term_of_the_loss(parity: Path) -> None:
    meta, weights, arrays = read(parity / "predrnn_v2.npz")
    with_term = reference.run(reference.load(meta, weights), meta, arrays)["loss"].item()
    frames_only = reference.run(reference.load(meta, weights).eval(), meta, arrays)["loss"].item()
    assert frames_only == pytest.approx(meta["mse"], rel=1e-5)
    assert with_term - frames_only == pytest.approx(meta["config"]["decouple_beta"] * meta["decouple"], rel=1e-4)


def test_unknown_names_are_refused(parity: Path) -> None:
    meta, weights, _ = read(parity / "predrnn.npz")
    with pytest.raises(DataError, match="surplus"):
        reference.load(meta, {**weights, "surplus": torch.zeros(1)})
    with pytest.raises(DataError, match="do not fit"):
        reference.load(meta, {key: value for key, value in weights.items() if "conv_m.0" not in key})
    with pytest.raises(DataError, match="'lstm'"):
        reference.load({"model": "lstm", "config": {}}, {})


@pytest.mark.parametrize(
    "content",
    [b"this is not an HDF5 file.\n", b"\x89HDF\r\n\x1a\n" + bytes(64), b"\x89PNG\r\n\x1a\n", b"GRIB" + bytes(64), b""],
)
def test_what_is_no_checkpoint_is_said_to_be_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "rain.pth").write_bytes(content)
    with pytest.raises(DataError, match=r"rain\.pth: not a checkpoint"):
        read_weights(tmp_path / "rain.pth")
