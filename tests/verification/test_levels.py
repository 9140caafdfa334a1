"""Thresholds in the values of frames: pixels of 8 bits, dBZ, and dBZ that pixels draw, in every name and table."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from moving_rain import write_rain
from typer.testing import CliRunner

from framecast.cli import app
from framecast.config.experiment import Experiment, Optimiser, Training
from framecast.data.datasets import ArchiveData
from framecast.data.quantities import INTENSITY, RAIN_RATE, REFLECTIVITY, ZR, level_units
from framecast.errors import ArgumentError
from framecast.models import ConvLSTM
from framecast.training import train
from framecast.verification.examples import Example
from framecast.verification.result import Verification
from framecast.verification.scoring_rules import ScoringRules
from framecast.verification.settings import EvaluationSettings
from framecast.workflows.evaluation import evaluate

CONTEXT, HORIZON = 3, 3


def train_on(path: Path, units: str | None, out: Path) -> Path:
    experiment = Experiment(
        data=ArchiveData(path=str(path), units=units, context=CONTEXT, horizon=HORIZON),
        model=ConvLSTM(hidden=(4,), kernel=3),
        optimiser=Optimiser(),
        training=Training(iterations=1, batch_size=2, validate_every=1, checkpoint_every=1, validation_windows=2),
    )
    return train(experiment, out=out)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on echoes drawn in images of 8 bits."""
    folder = tmp_path_factory.mktemp("images")
    images = np.random.default_rng(0).integers(0, 120, (60, 16, 16), dtype=np.uint8)
    images[:, 4:8] = np.arange(64).reshape(4, 16) + 60
    np.save(folder / "images.npy", images)
    return train_on(folder / "images.npy", "0-255", folder / "run")


def persistence_counts(examples: Sequence[Example], pixel: float) -> np.ndarray:
    """Hits, misses and false alarms of persistence, counted on the pixels of the examples."""
    counts = np.zeros(3, dtype=int)
    for example in examples:
        last, truth = (np.rint(part * 255).astype(np.uint8) for part in (example.context[-1], example.truth))
        forecast, observed = (last >= pixel)[None], truth >= pixel
        counts += [(forecast & observed).sum(), (~forecast & observed).sum(), (forecast & ~observed).sum()]
    return counts


def test_events_at_pixel_values_are_those_counted_on_the_pixels(run: Path) -> None:
    result = evaluate(run, baselines=("persistence",), levels=(30, 70, 100), level_units="0-255")
    cases = {example.case: example for example in result.examples}
    assert len(cases) == result.cases > 1
    assert result.rates == ()
    for k, pixel in enumerate((30, 70, 100)):
        hits, misses, false_alarms = persistence_counts(list(cases.values()), pixel)
        csi = result.event("persistence", "csi", k).value
        assert csi == pytest.approx(hits / (hits + misses + false_alarms))
        assert result.event("persistence", "pod", k).value == pytest.approx(hits / (hits + misses))
        assert result.event("persistence", "far", k).value == pytest.approx(false_alarms / (hits + false_alarms))
        assert result.metric("csi", threshold=k).label == f"CSI at {pixel} of 255"
    assert {"bias", "ets", "hss", "brier", "fss"} <= {metric.name for metric in result.metrics(threshold=0)}


def test_dbz_that_pixels_draw_are_the_same_events(run: Path) -> None:
    """(p + 30) / 2 dBZ: 30 dBZ is the pixel 30, 50 dBZ the pixel 70."""
    pixels = evaluate(run, baselines=("persistence",), levels=(30, 70), level_units="0-255")
    dbz = evaluate(run, baselines=("persistence",), levels=(30, 50), level_units="dBZ as pixels thuml")
    for name in ("hits", "misses", "false_alarms"):
        np.testing.assert_array_equal(pixels.sums[name].values, dbz.sums[name].values)
    assert [dbz.level(k) for k in range(2)] == ["30 dBZ", "50 dBZ"]
    assert "dBZ = 0.5 * pixel + 15" in dbz.definitions()["CSI"]
    rows = [row for row in dbz.rows() if row.score == "csi"]
    assert {(row.threshold, row.threshold_units) for row in rows} == {(30.0, "dBZ"), (50.0, "dBZ")}
    assert dbz.to_xarray()["csi"]["threshold"].attrs["units"] == "dBZ"


@pytest.mark.parametrize("name", [name for name in level_units(INTENSITY) if name.endswith(("0-255", "thuml"))])
def test_every_pixel_is_an_event_at_its_own_level(name: str) -> None:
    """Pixels become float32 as readers convert them; a rounding must not lose those at the threshold."""
    frames = (np.arange(256, dtype=np.float64) * (1 / 255)).astype(np.float32)
    levels = tuple(range(256)) if name == "0-255" else tuple(pixel / 2 + 15 for pixel in range(256))
    rules = ScoringRules.of(INTENSITY, EvaluationSettings(levels=levels, level_units=name))
    np.testing.assert_array_equal(np.array(rules.thresholds, dtype=np.float32), frames)


def test_levels_of_rain_have_rates() -> None:
    rules = ScoringRules.of(REFLECTIVITY, EvaluationSettings(levels=(30.0,)))
    assert rules.thresholds == (30.0,)
    assert rules.rates[0] == pytest.approx(ZR().rain_rate(30.0))
    pixel = ScoringRules.of(REFLECTIVITY, EvaluationSettings(levels=(30.0,), level_units="pixels thuml"))
    assert pixel.thresholds == (30.0,)
    assert ScoringRules.of(RAIN_RATE, EvaluationSettings(levels=(1.0,), level_units="mm min-1")).rates == (60.0,)


def test_levels_reach_the_file_the_page_and_the_terminal(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["evaluate", str(run), "--levels", "30,50", "--level-units", "dBZ as pixels thuml", "--out", str(out)]
    message = CliRunner().invoke(app, [*arguments, "--baselines", "persistence"])
    assert message.exit_code == 0, message.output
    assert "30 dBZ or more" in message.output
    page = (out / "report.html").read_text()
    assert "Events at or above 30 dBZ" in page
    assert "mm/h" not in page
    again = Verification.open(out / "cases.nc")
    assert (again.levels, again.level_units, again.rates) == ((30.0, 50.0), "dBZ", ())
    assert again.metric("csi", threshold=1).label == "CSI at 50 dBZ"


def test_levels_of_rain_are_rates(tmp_path: Path) -> None:
    rain = write_rain(tmp_path / "rain.nc", "2020-01-01T21:00", frames=40, height=16, width=20, speed=0.1)
    run = train_on(rain, None, tmp_path / "run")
    result = evaluate(run, baselines=("persistence",), levels=(2.0, 8.0))
    assert result.rates == (2.0, 8.0)
    usual = evaluate(run, baselines=("persistence",), rates=(2.0, 8.0))
    assert result.event("persistence", "csi", 0) == usual.event("persistence", "csi", 0)


def test_what_cannot_be_a_level_is_refused(run: Path) -> None:
    with pytest.raises(ArgumentError, match="rates and levels given"):
        EvaluationSettings(levels=(30,), rates=(1,))
    with pytest.raises(ArgumentError, match="no levels"):
        EvaluationSettings(level_units="dBZ")
    with pytest.raises(ArgumentError, match="expected a number"):
        EvaluationSettings(levels=("high",))  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"'dBZ' given, and the frames are intensity\n.*dBZ as pixels thuml"):
        evaluate(run, levels=(30,), level_units="dBZ")
    with pytest.raises(ArgumentError, match="or give levels"):
        evaluate(run, rates=(30,))
