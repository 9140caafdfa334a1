"""Every kind of diagnosis, on small trained models."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from framecast.config.experiment import Experiment, Optimiser, Training
from framecast.data.datasets import MovingDigits
from framecast.diagnosis import KINDS, across, diagnose, kinds, probes
from framecast.diagnosis.collapse import collapse, correlate
from framecast.diagnosis.pages import Windows, project
from framecast.errors import ConfigError
from framecast.models import MoDeRNN, ModeRNN, MotionRNN, PredRNN, PredRNNV2
from framecast.training import train
from framecast.types import FrameShape

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
def test_each_kind_writes_a_page_with_figures(runs: dict[str, Path], model: str, kind: str, tmp_path: Path) -> None:
    found, page = diagnose(runs[model], kind, out=tmp_path / "page.html", limit=12)
    text = page.read_text()
    assert found.verdict
    assert found.verdict.split(";")[0][:20] in text
    assert text.count("<figure>") == len(found.figures) > 0


def test_a_kind_that_the_model_has_no_part_for_is_refused(runs: dict[str, Path]) -> None:
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


def test_several_models_are_compared_on_one_page(runs: dict[str, Path], tmp_path: Path) -> None:
    found, page = across(runs, out=tmp_path / "across.html", limit=16)
    assert "of 4 models" in found.verdict.lower() or "over" in found.verdict
    text = page.read_text()
    for name in runs:
        assert name in text
        assert "gradient difference" in found.facts[name]
    with pytest.raises(ConfigError, match="at least three"):
        across(dict(list(runs.items())[:2]), out=tmp_path / "two.html")


def test_models_with_other_windows_are_refused(runs: dict[str, Path], tmp_path: Path) -> None:
    other = train(
        Experiment(
            data=MovingDigits(size=32, context=5, horizon=3, train=8, validation=2, test=16),
            model=PredRNN(**CELLS),
            optimiser=Optimiser(),
            training=Training(iterations=1, batch_size=2, validate_every=1, checkpoint_every=1, validation_windows=2),
        ),
        out=tmp_path / "other",
    )
    with pytest.raises(ConfigError, match="has other windows than"):
        across({**dict(list(runs.items())[:2]), "other": other}, out=tmp_path / "page.html")


def test_a_known_correlation_is_reported() -> None:
    found = correlate({"a": (0.1, 30.0), "b": (0.3, 20.0), "c": (0.5, 10.0), "none": (float("nan"), 5.0)})
    assert "over 3 models: -1.00" in found.verdict
    assert found.facts["none"].startswith("silhouette undefined")
    few = correlate({"a": (0.1, 30.0), "b": (float("nan"), 20.0), "c": (0.5, 10.0)})
    assert "2 have a silhouette: too few" in few.verdict
    assert len(few.figures) == 1
    none = correlate(dict.fromkeys("abc", (float("nan"), 30.0)))
    assert none.figures == []
    same = correlate({"a": (0.5, 30.0), "b": (0.5, 20.0), "c": (0.5, 10.0)})
    assert "nan" not in same.verdict
    assert "all the same" in same.verdict


def test_gradients_that_are_0_leave_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a logarithmic axis they would fall out of the picture."""
    lines: list[np.ndarray] = []

    def noted(draw: Any, *_: Any) -> str:
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots()
        draw(axes)
        lines.extend(np.asarray(line.get_ydata()) for line in axes.lines[:-1])
        plt.close(figure)
        return "drawn"

    monkeypatch.setattr(kinds, "plot", noted)
    nan = float("nan")
    norms = torch.tensor([[0.0, 2.0, nan], [0.0, 1.0, 4.0]])
    monkeypatch.setattr(probes, "gradient_norms", lambda *_: norms)
    windows = Windows(torch.zeros(1, 4, 1, 8, 8), 2, 2)
    found = kinds.gradients(None, windows)
    np.testing.assert_array_equal(lines, [[nan, 2, nan], [nan, 1, 4]])
    assert "with 0 of the strength" in found.verdict
    norms[:] = 0
    nothing = kinds.gradients(None, windows)
    assert nothing.figures == []
    assert "all are 0" in nothing.verdict


def small() -> Any:
    torch.manual_seed(0)
    return PredRNN(**CELLS).build(FrameShape(1, 16, 16, 3, 2)).eval()


def test_too_few_sequences_for_groups_are_reported_without_figures() -> None:
    found = collapse(small(), Windows(torch.rand(3, 5, 1, 16, 16), 3, 2))
    assert found.figures == []
    assert found.verdict == "Too few sequences for groups of features: 3, not 4."
    assert found.facts["silhouette"] == "undefined, needs two groups of several sequences"
    assert "nan" not in str(found.facts)


def test_equal_sequences_are_reported_without_figures() -> None:
    """Dry weather: t-SNE of features without any spread ends the process."""
    found = collapse(small(), Windows(torch.zeros(16, 5, 1, 16, 16), 3, 2))
    assert found.figures == []
    assert "the same features" in found.verdict
    assert "nan" not in str(found.facts)
    with pytest.raises(ValueError, match="all features are the same"):
        project(np.ones((16, 4)))
