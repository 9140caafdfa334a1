"""Every kind of diagnosis, on small trained models."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from known_models import Brightness, Decay

from framecast.config.experiment import Experiment, Optimiser, Training
from framecast.data.datasets import MixedDigits, MovingDigits
from framecast.data.windows.labels import Labels
from framecast.diagnosis import KINDS, across, diagnose, kinds, memories, pages, probes
from framecast.diagnosis.across import correlate
from framecast.diagnosis.collapse import collapse
from framecast.diagnosis.pages import Windows, describe_projection, project
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
    for reach in (-1.0, 0.0, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="expected a number above 0"):
            diagnose(runs["predrnn_v2"], "collapse", reach=reach)
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


def test_both_panels_of_the_gradients_are_divided_by_their_largest_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """A state that halves at each step: the pull on step t of 5 is 2^-(5 - t); over steps 2 and 3 the mean falls from lead to
    lead."""
    lines: list[list[np.ndarray]] = []

    def noted(draw: Any, *_: Any, **__: Any) -> str:
        figure, axes = plt.subplots()
        draw(axes)
        lines.append([np.asarray(line.get_ydata(), dtype=float) for line in axes.lines])
        plt.close(figure)
        return "drawn"

    monkeypatch.setattr(memories, "plot", noted)
    window = torch.ones(2, 6, 1, 8, 8)
    found = memories.gradients(Decay(0.5), Windows(window, 3, 3))
    by_step, by_lead, _ = lines
    np.testing.assert_allclose(by_step[0], 0.5 ** np.arange(4, -1, -1.0), rtol=1e-5)
    errors = 1 - 0.5 ** np.arange(3, 6)
    pulls = errors * [0.5**1 + 1, 0.5**2 + 0.5, 0.5**3 + 0.5**2]
    np.testing.assert_allclose(by_lead[0], pulls / pulls[0], rtol=1e-5)
    assert "hardest at H of layer 1 at step 5, at step 1 with 6.2 % of that" in found.verdict
    second = memories.gradients(Decay(0.5, 0.9), Windows(window, 3, 3), layer=2)
    assert f"with {100 * 0.9**4:.2g} % of that" in second.verdict


def test_gradients_that_are_0_leave_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a logarithmic axis they would fall out of the picture."""
    nan = float("nan")
    norms = torch.tensor([[0.0, 2.0, nan], [0.0, 1.0, 4.0]])
    monkeypatch.setattr(probes, "gradient_norms", lambda *_: norms)
    figure, axes = plt.subplots()
    memories._all_leads(axes, norms.numpy(), 2)
    np.testing.assert_array_equal([line.get_ydata() for line in axes.lines[:-1]], [[nan, 2, nan], [nan, 1, 4]])
    plt.close(figure)
    windows = Windows(torch.zeros(1, 4, 1, 8, 8), 2, 2)
    assert "with 0 % of that" in memories.gradients(None, windows).verdict
    norms[:] = 0
    nothing = memories.gradients(None, windows)
    assert nothing.figures == []
    assert "all are 0" in nothing.verdict


def test_increments_of_one_memory_and_of_another_are_apart_in_the_figure() -> None:
    """Maps of C along one direction, of M along another: the cosine is that of the two, and the silhouette near 1."""
    rng = torch.Generator().manual_seed(0)
    one, other = torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 4, 4)
    one[..., 0, 0] = other[..., 3, 3] = 1

    def increments(*_: Any) -> Any:
        return [[tuple(each + 0.01 * torch.rand(2, 8, 4, 4, generator=rng) for each in (one, other))] * 2] * 3

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probes, "increments", increments)
        found = memories.decoupling(small(), Windows(torch.zeros(2, 4, 1, 16, 16), 2, 2))
    assert float(found.facts["silhouette of C and M, mean over steps and layers"]) > 0.9
    assert "a mean absolute cosine of 0.0" in found.verdict
    assert "no W_decouple" in found.facts["increments"]


def test_groups_by_label_that_are_separable_are_2_apart_and_mixed_ones_are_not() -> None:
    """States that are the frame itself, in two groups of different brightness; frames do not change, so that forecast and truth
    have the same features."""
    rng = torch.Generator().manual_seed(0)
    frames = 0.1 * torch.rand(40, 1, 2, 8, 8, generator=rng).repeat(1, 5, 1, 1, 1)
    frames[::2] += 0.5
    digits = Labels("digits", ("2", "3") * 20)
    found = collapse(Brightness(), Windows(frames, 3, 2, labels=digits))
    assert found.facts["groups"] == "by digits: 2 (20), 3 (20)"
    assert found.facts["A-distance between groups"] == "2 / 3: 2.00"
    assert float(found.facts["silhouette by label"]) > 0.8
    assert found.verdict.startswith("A-distance 2.00 between groups by digits, 0.")
    assert found.verdict.endswith("no sign of collapse.")
    assert [figure.heading for figure in found.figures] == ["Features", "Truth and forecast", "A-distance"]
    assert "Colours by digits" in found.figures[0].caption
    frames[:, 3:] += 2.0
    mixed = collapse(Brightness(), Windows(frames, 3, 2, labels=Labels("digits", ("2", "2", "3", "3") * 10)))
    assert mixed.verdict.endswith("2.00 between truth and forecast: a sign of collapse.")
    unlabelled = collapse(Brightness(), Windows(frames, 3, 2))
    assert unlabelled.facts["groups"] == "by DBSCAN: no label differs among the windows"
    assert "A-distance between groups" not in unlabelled.facts


def test_t_sne_has_the_settings_of_the_paper_where_there_are_enough_points(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[dict[str, Any]] = []
    tsne = pages.TSNE

    def noted(*arguments: Any, **settings: Any) -> Any:
        used.append(settings)
        return tsne(*arguments, **settings)

    monkeypatch.setattr(pages, "TSNE", noted)
    features = np.random.default_rng(0).standard_normal((91, 3))
    for count, perplexity in ((91, 30), (31, 10)):
        assert project(features[:count]).shape == (count, 2)
        settings = used.pop()
        assert settings["perplexity"] == perplexity
        assert (settings["learning_rate"], settings["max_iter"]) == (200, 250)
    assert "perplexity 30, learning rate 200, 250 iterations, Euclidean" in describe_projection(91)
    assert "perplexity 10 (30 takes 91 points)" in describe_projection(31)
    assert "PCA" in describe_projection(11)
    assert project(features[:12, :1]).shape == (12, 2)


def test_motion_is_that_of_the_first_motion_gru_unless_another_is_named() -> None:
    """The first moves nothing, the second has offsets of -2 rows at every tap: motion of 2 pixels of the map down, which has a
    pixel for each 4 of the frame."""
    torch.manual_seed(0)
    model = MotionRNN(backbone=PredRNN(hidden=(8, 8, 8), kernel=3, patch=2), transient=False)
    built = model.build(FrameShape(1, 16, 16, 12, 2)).eval()
    first, second = (unit for unit in built.modules() if getattr(unit, "probe", "") == "motion")
    for unit in (first, second):
        torch.nn.init.zeros_(unit.output.bias)
    second.output.bias.data[:9] = -0.5
    windows = Windows(torch.rand(1, 14, 1, 16, 16), 12, 2)
    assert "of layer 1 moves by 0 pixels" in kinds.motion(built, windows).verdict
    found = kinds.motion(built, windows, layer=2)
    down = float(found.facts["trend"].split(" rows down")[0])
    assert down > 1
    assert ", 0 columns" in found.facts["trend"]
    south_first = kinds.motion(built, windows._replace(south_first=True), layer=2)
    assert f"{down:.2g} rows up" in south_first.facts["trend"]
    with pytest.raises(ConfigError, match="expected 1 to 2"):
        kinds.motion(built, windows, layer=3)


def test_labels_and_layers_are_refused_where_they_mean_nothing(runs: dict[str, Path]) -> None:
    with pytest.raises(ConfigError, match="collapse and slots"):
        diagnose(runs["predrnn_v2"], "gradients", group_by="digits")
    with pytest.raises(ConfigError, match="gradients and motion"):
        diagnose(runs["predrnn_v2"], "collapse", layer=1)
    with pytest.raises(ConfigError, match="one of: digits"):
        diagnose(runs["predrnn_v2"], "collapse", group_by="season")
    with pytest.raises(ConfigError, match="expected 1 to 2"):
        diagnose(runs["predrnn_v2"], "gradients", layer=9)


def test_labels_of_a_data_set_reach_the_page(tmp_path: Path) -> None:
    training = Training(iterations=1, batch_size=2, validate_every=1, checkpoint_every=1, validation_windows=2)
    data = MixedDigits(size=32, context=4, horizon=3, train=8, validation=2, test=16)
    model = ModeRNN(hidden=(8, 8), slots=2)
    run = train(Experiment(data=data, model=model, optimiser=Optimiser(), training=training), out=tmp_path / "run")
    found, page = diagnose(run, "slots", out=tmp_path / "page.html")
    assert found.facts["groups"].startswith("by digits: 2 (")
    assert found.facts["groups"] in page.read_text()


def small() -> Any:
    torch.manual_seed(0)
    return PredRNN(**CELLS).build(FrameShape(1, 16, 16, 3, 2)).eval()


def test_too_few_sequences_for_groups_are_reported_without_figures() -> None:
    found = collapse(small(), Windows(torch.rand(3, 5, 1, 16, 16), 3, 2))
    assert found.figures == []
    assert found.verdict == "Too few sequences for groups of features: 3, not 4."
    assert found.facts["silhouette of those (SC)"] == "undefined, needs two groups of several sequences"
    assert "nan" not in str(found.facts)


def test_equal_sequences_are_reported_without_figures() -> None:
    """Dry weather: t-SNE of features without any spread ends the process."""
    found = collapse(small(), Windows(torch.zeros(16, 5, 1, 16, 16), 3, 2))
    assert found.figures == []
    assert "the same features" in found.verdict
    assert "nan" not in str(found.facts)
    with pytest.raises(ValueError, match="all features are the same"):
        project(np.ones((16, 4)))
