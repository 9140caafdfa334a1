"""Every kind of diagnosis, on small trained models."""

from pathlib import Path
from typing import Any

import pytest

from framecast.data.config import MovingDigits
from framecast.diagnosis import KINDS, across, diagnose
from framecast.diagnosis.collapse import correlated
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


def test_models_beside_each_other(runs: dict[str, Path], tmp_path: Path) -> None:
    found, page = across(runs, out=tmp_path / "across.html", limit=16)
    assert "of 4 models" in found.verdict.lower() or "over" in found.verdict
    text = page.read_text()
    for name in runs:
        assert name in text
        assert "gradient difference" in found.facts[name]
    with pytest.raises(ConfigError, match="at least three"):
        across(dict(list(runs.items())[:2]), out=tmp_path / "two.html")


def test_models_that_look_at_other_windows_are_refused(runs: dict[str, Path], tmp_path: Path) -> None:
    other = train(
        Experiment(
            data=MovingDigits(size=32, context=5, horizon=3, train=8, validation=2, test=16),
            model=PredRNN(**CELLS),
            optimiser=Optimiser(),
            training=Training(iterations=1, batch_size=2, validate_every=1, checkpoint_every=1, validation_windows=2),
        ),
        out=tmp_path / "other",
    )
    with pytest.raises(ConfigError, match="would not look at the windows"):
        across({**dict(list(runs.items())[:2]), "other": other}, out=tmp_path / "page.html")


def test_a_correlation_that_is_known() -> None:
    found = correlated({"a": (0.1, 30.0), "b": (0.3, 20.0), "c": (0.5, 10.0), "none": (float("nan"), 5.0)})
    assert "over 3 models: -1.00" in found.verdict
    assert found.facts["none"].startswith("silhouette undefined")
    few = correlated({"a": (0.1, 30.0), "b": (float("nan"), 20.0), "c": (0.5, 10.0)})
    assert "2 have a silhouette: too few" in few.verdict
