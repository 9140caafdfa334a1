"""Every kind of diagnosis, on small trained models."""

from pathlib import Path
from typing import Any

import pytest

from framecast.data.config import MovingDigits
from framecast.diagnosis import KINDS, diagnose
from framecast.errors import ConfigError
from framecast.experiment import Experiment, Optimiser, Training
from framecast.models import MoDeRNN, ModeRNN, MotionRNN, PredRNN, PredRNNV2
from framecast.training import train

CELLS: Any = {"hidden": (8, 8), "kernel": 3}
MODELS: dict[str, Any] = {
    "predrnn_v2": PredRNNV2(**CELLS),
    "motionrnn": MotionRNN(backbone=PredRNN(**CELLS)),
    "modernn_dcb": MoDeRNN(**CELLS),
    "modernn_slots": ModeRNN(**CELLS, slots=2),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("diagnosis")
    data = MovingDigits(size=32, context=4, horizon=3, train=8, validation=2, test=16)
    training = Training(iterations=2, batch_size=2, validate_every=2, checkpoint_every=2, validation_windows=2)
    return {
        name: train(Experiment(data=data, model=config, optimiser=Optimiser(), training=training), out=folder / name)
        for name, config in MODELS.items()
    }


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        *(("predrnn_v2", kind) for kind in ("decoupling", "gradients", "response", "collapse", "attribution")),
        ("motionrnn", "motion"),
        ("modernn_dcb", "attention"),
        ("modernn_slots", "slots"),
        ("modernn_slots", "collapse"),
    ],
)
def test_a_page_with_figures(runs: dict[str, Path], model: str, kind: str, tmp_path: Path) -> None:
    found, page = diagnose(runs[model], kind, out=tmp_path / "page.html", limit=12)
    text = page.read_text()
    assert found.verdict
    assert found.verdict.split(";")[0][:20] in text
    assert text.count("<figure>") == len(found.figures) > 0


def test_what_a_model_does_not_have_is_said(runs: dict[str, Path]) -> None:
    with pytest.raises(ConfigError, match="no MotionGRU"):
        diagnose(runs["predrnn_v2"], "motion")
    with pytest.raises(ConfigError, match=r"unknown kind 'dreams'\n.*attention"):
        diagnose(runs["predrnn_v2"], "dreams")
    assert set(KINDS) >= {
        "decoupling",
        "gradients",
        "response",
        "collapse",
        "slots",
        "motion",
        "attention",
        "attribution",
    }
