"""Exported networks: what onnxruntime and torch.export compute is what framecast computes."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from test_trained_model import frames

import framecast
from framecast.checkpoints.model_folder import ModelCard, save
from framecast.data.quantities import RAIN_RATE
from framecast.data.scaling import RainLog
from framecast.errors import ArgumentError, ConfigError, RunError
from framecast.forecasting.exporting import export as exporting
from framecast.forecasting.protocol import Context
from framecast.forecasting.trained_model import load
from framecast.models import ConvLSTM, PredRNNV2, SimVP
from framecast.models.heads import Exceedance
from framecast.types import FrameShape

SHAPE = FrameShape(1, 16, 16, 2, 2)
DOCUMENT = Path(__file__).parents[2] / "docs" / "export.md"
MODELS = {"convlstm": ConvLSTM, "predrnn_v2": PredRNNV2, "simvp": SimVP}


def saved(folder: Path, name: str, **more: object) -> Path:
    """A model folder with new weights."""
    torch.manual_seed(0)
    card = ModelCard(MODELS[name].tiny(), RainLog(), RAIN_RATE, SHAPE, 300.0, **more)  # type: ignore[attr-defined,arg-type]
    save(folder, card.build(), card)
    return folder


@pytest.mark.parametrize(
    "name", ["predrnn_v2", *(pytest.param(name, marks=pytest.mark.slow) for name in ("convlstm", "simvp"))]
)
def test_a_program_computes_the_same(name: str, tmp_path: Path) -> None:
    result = framecast.export(saved(tmp_path / "run", name), program=tmp_path / "model.pt2")
    assert [file.name for file in result.files] == ["model.pt2", "model.json", "model.npz"]
    assert result.differences["program"] < exporting.LIMIT
    cases = np.load(tmp_path / "model.npz", allow_pickle=False)
    program = torch.export.load(tmp_path / "model.pt2").module()
    with torch.no_grad():
        output = program(torch.from_numpy(cases["frames"][:1]))
    np.testing.assert_allclose(output.numpy(), cases["output"][:1], atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_onnxruntime_computes_the_same(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    result = framecast.export(saved(tmp_path / "run", name), onnx=tmp_path / "model.onnx")
    assert result.differences["onnx"] < exporting.LIMIT


@pytest.mark.slow
def test_the_packaged_radar_model_is_exported(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    sample = Path(framecast.__file__).parent / "workflows" / "sample" / "opera_20241126.nc"
    result = framecast.export(
        "radar", onnx=tmp_path / "radar.onnx", program=tmp_path / "radar.pt2", data=sample, size=(96, 128)
    )
    assert max(result.differences.values()) < exporting.LIMIT
    assert json.loads((tmp_path / "radar.json").read_text())["inputs"][0]["shape"] == [1, 4, 4, 96, 128]


def test_the_example_of_the_document_forecasts_without_framecast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    run = saved(tmp_path / "run", "convlstm")
    result = framecast.export(run, onnx=tmp_path / "model.onnx")
    assert result.differences["onnx"] < exporting.LIMIT
    (example,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    rain = frames(2).values[:, 0]
    rain[0, 3, 3] = np.nan
    np.save(tmp_path / "rain.npy", rain)
    monkeypatch.chdir(tmp_path)
    names: dict[str, np.ndarray] = {}
    exec(example, names)
    own = load(run).forecast(Context(rain[None, :, None]), 2)
    np.testing.assert_allclose(names["forecast"], np.asarray(own)[0, 0, :, 0], rtol=1e-3, atol=1e-4)


def test_neighbourhoods_of_an_exported_distribution_are_those_of_its_pixels(tmp_path: Path) -> None:
    run = saved(tmp_path / "run", "simvp", head=Exceedance(rates=(0.5, 2.0)))
    differences = framecast.export(run, program=tmp_path / "model.pt2", kilometres=2.0).differences
    assert differences["program"] < exporting.LIMIT
    about = json.loads((tmp_path / "model.json").read_text())
    assert about["output"]["rates"] == [0.5, 2.0]
    assert about["channels"][-1].startswith("km of a pixel: 2")


def test_a_model_that_cannot_be_exported_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def reads_values(self: object, context: torch.Tensor, horizon: int, actions: object = None) -> torch.Tensor:
        return context[:, -1:].repeat(1, horizon, 1, 1, 1) if context.sum() > 0 else context[:, :horizon]

    run = saved(tmp_path / "run", "convlstm")
    monkeypatch.setattr("framecast.models.parts.recurrent.Recurrent.forecast", reads_values)
    with pytest.raises(ConfigError, match=r"convlstm cannot be exported: .*data-dependent") as error:
        framecast.export(run, program=tmp_path / "model.pt2")
    assert error.value.remedy
    assert not (tmp_path / "model.pt2").exists()


def test_a_difference_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "LIMIT", -1.0)
    with pytest.raises(RunError, match=r"differs from framecast by"):
        framecast.export(saved(tmp_path / "run", "simvp"), program=tmp_path / "model.pt2")
    assert not (tmp_path / "model.pt2").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "no file to write"),
        ({"program": "model.onnx"}, r"\.onnx is not \.pt2"),
        ({"program": "model.pt2"}, r"model.npz: exists already"),
        ({"program": "run/card.pt2"}, r"card.json: exists already"),
        ({"program": "run/card.pt2", "overwrite": True}, r"card.json: is what the result is made from"),
        ({"program": "nowhere/card.pt2"}, "its folder does not exist"),
        ({"program": "other.pt2", "size": (17, 16)}, "not multiples of 2"),
        ({"program": "other.pt2", "horizon": 0}, "at least 1"),
        ({"program": "other.pt2", "kilometres": -1.0}, "above 0"),
    ],
)
def test_wrong_arguments_are_refused(
    arguments: dict[str, object], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = saved(tmp_path / "run", "convlstm")
    card = (run / "card.json").read_bytes()
    (tmp_path / "model.npz").touch()
    with pytest.raises((ConfigError, ArgumentError), match=message):
        framecast.export(run, **arguments)  # type: ignore[arg-type]
    assert (run / "card.json").read_bytes() == card
