"""Calibration: probabilities that are twice too sure become right on other events, and rates without events are said."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from rich.console import Console

import framecast
from framecast.checkpoints.model_folder import ModelCard, load, save
from framecast.config.experiment import Experiment, Training
from framecast.data.datasets import ArchiveData
from framecast.data.motion.coordinates import Lagrangian
from framecast.data.quantities import RAIN_RATE
from framecast.data.scaling import RainLog
from framecast.data.windows.splits import ByBlocks
from framecast.errors import ArgumentError, DataError
from framecast.forecasting.calibration import Sample, apply_calibration, uncalibrated
from framecast.losses import CrossEntropy
from framecast.models import UNet
from framecast.models.heads import Exceedance, Values
from framecast.types import FrameShape
from framecast.verification import stored_parts

RATES = np.array([0.5, 2.0, 8.0])


def sample_of(trust: float) -> Sample:
    """Forecasts that should trust what they have learnt `trust` times; the highest rate is never reached."""
    rng = np.random.default_rng(0)
    sample = Sample(RATES)
    for _ in range(8):
        start, learnt = np.sort(rng.normal(0, 1.5, (2, 3, 2, 60, 60)), axis=1)[:, ::-1]
        truth = 1 / (1 + np.exp(-(start + trust * learnt)))
        truth[2] = 0
        level = rng.random((2, 60, 60))
        sample.add(start, learnt, np.where(level < truth[1], 3.0, np.where(level < truth[0], 1.0, 0.0)))
    return sample


@pytest.mark.parametrize("trust", [0.3, 1.0, 1.5])
def test_trust_is_learnt_where_there_are_events_and_kept_where_there_are_none(trust: float) -> None:
    calibration = sample_of(trust).fit()
    np.testing.assert_allclose(calibration["trust"][:2], trust, atol=0.05)
    assert calibration["trust"][2] == 1
    assert calibration["calibrated"] == [True, True, False]
    assert uncalibrated(calibration, RATES) == [8.0]
    assert uncalibrated(calibration, np.array([1.0, 4.0])) == [4.0]
    assert uncalibrated({}, RATES) == [0.5, 2.0, 8.0]


def test_trust_in_what_is_wrong_is_not_below_nothing() -> None:
    assert sample_of(-1.0).fit()["trust"] == [0.0, 0.0, 1.0]


def test_a_model_that_is_not_trusted_says_what_extrapolation_says() -> None:
    torch.manual_seed(0)
    network, untouched, start = CARD.build(), CARD.build(), CARD.build()
    for model in (network, untouched):
        torch.manual_seed(1)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
    context = torch.rand(1, 4, 4, 32, 32)
    apply_calibration(network, {"trust": [1.0] * len(CARD.head.rates)})
    torch.testing.assert_close(network.forecast(context, 3), untouched.forecast(context, 3), rtol=0, atol=0)
    apply_calibration(network, {"trust": [0.0] * len(CARD.head.rates)})
    torch.testing.assert_close(network.forecast(context, 3), start.forecast(context, 3))


def rain(seed: int, hours: int = 0) -> xr.DataArray:
    rng = np.random.default_rng(seed)
    noise = torch.from_numpy(rng.normal(size=(12, 1, 40, 40)).astype(np.float32))
    smooth = torch.nn.functional.avg_pool2d(noise, 7, 1, 3).numpy() * 7
    return xr.DataArray(
        np.where(smooth > 0.4, np.exp(1.2 * smooth), 0).astype(np.float32),
        dims=("time", "channel", "y", "x"),
        coords={"time": np.datetime64("2020-01-01", "ns") + (np.arange(12) * 5 + 60 * hours) * np.timedelta64(1, "m")},
        attrs={"units": "mm h-1", "quantity": "rain_rate", "dry": 0.0, "repairs": []},
        name="rain",
    )


CARD = ModelCard(
    UNet.tiny(), RainLog(), RAIN_RATE, FrameShape(1, 32, 32, 4, 3), 300.0, coordinates=Lagrangian(), head=Exceedance()
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save(tmp_path / "model", CARD.build(), CARD)
    return tmp_path / "model"


def test_a_calibrated_model_has_a_better_brier_score_on_another_event(model: Path, tmp_path: Path) -> None:
    """It has learnt to be far surer than it may be."""
    network, card = load(model)
    torch.nn.init.constant_(network.prior.weight, 0.1)
    save(model, network, card)
    calibration = framecast.calibrate(model, [rain(0), rain(1, 12)], out=tmp_path / "calibrated")
    assert calibration["calibrated"][2]
    assert len(calibration["times"]) == 2
    other = rain(2, 24)
    scores = [
        framecast.evaluate(folder, other, baselines=()).event("unet", "brier", 0).value
        for folder in (model, tmp_path / "calibrated")
    ]
    assert scores[1] < 0.8 * scores[0]
    assert load(tmp_path / "calibrated")[1].calibration == calibration


def test_an_interrupted_calibration_continues_to_the_same_bits(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    events = [rain(0), rain(1, 12)]
    expected = framecast.calibrate(model, events, out=tmp_path / "undisturbed")
    monkeypatch.setattr(stored_parts, "_EVERY", -1.0)
    seen: list[tuple[int, int]] = []

    def stop_at(last: int) -> Callable[[int, int], None]:
        def progress(done: int, count: int) -> None:
            seen.append((done, count))
            if done == last:
                raise KeyboardInterrupt

        return progress

    for last in (3, 7):
        with pytest.raises(KeyboardInterrupt):
            framecast.calibrate(model, events, out=tmp_path / "out", progress=stop_at(last))
    assert "windows are stored: the same command continues" in caplog.text
    assert not (tmp_path / "out").exists()
    assert framecast.calibrate(model, events, out=tmp_path / "out", progress=stop_at(0)) == expected
    assert [done for done, _ in seen] == list(range(1, seen[0][1] + 1))  # none was forecast twice
    for name in ("card.json", "weights.safetensors"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes()
    assert not list(tmp_path.glob(".out.*partial"))
    # of other events nothing is used
    with pytest.raises(KeyboardInterrupt):
        framecast.calibrate(model, events, out=tmp_path / "other", progress=stop_at(2))
    seen.clear()
    framecast.calibrate(model, [rain(0), rain(2, 12)], out=tmp_path / "other", progress=stop_at(0))
    assert seen[0][0] == 1


def test_what_cannot_be_calibrated_is_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="exists already"):
        framecast.calibrate(model, rain(0), out=model)
    dry = rain(0).copy(data=np.zeros((12, 1, 40, 40), dtype=np.float32))
    with pytest.raises(DataError, match="no rate of the ladder"):
        framecast.calibrate(model, dry, out=tmp_path / "new")
    card = ModelCard(UNet.tiny(), RainLog(), RAIN_RATE, CARD.shape, 300.0, head=Values())
    save(tmp_path / "values", card.build(), card)
    with pytest.raises(ArgumentError, match="predicts values"):
        framecast.calibrate(tmp_path / "values", rain(0), out=tmp_path / "new")
    for name in ("events", "again"):
        (tmp_path / name).mkdir()
    np.save(tmp_path / "events" / "one.npy", rain(0).values[:, 0])
    (tmp_path / "again" / "two.npy").symlink_to(tmp_path / "events" / "one.npy")
    options = framecast.ReadOptions(units="mm/h", time_step=5)
    with pytest.raises(ArgumentError, match=r"one\.npy is given twice"):
        framecast.calibrate(
            model, [tmp_path / "events", tmp_path / "again" / "two.npy"], out=tmp_path / "new", options=options
        )
    assert not (tmp_path / "new").exists()


def test_scores_on_the_events_of_the_calibration_carry_a_warning(model: Path, tmp_path: Path) -> None:
    framecast.calibrate(model, rain(0), out=tmp_path / "calibrated")
    same, other = (
        framecast.evaluate(tmp_path / "calibrated", rain(seed, hours), baselines=()).warnings
        for seed, hours in ((0, 0), (1, 24))
    )
    assert len(same) == 1
    assert "calibrated on frames of 2020-01-01T00:00:00 UTC to 2020-01-01T00:55:00 UTC" in same[0]
    assert not other


def test_the_folds_of_a_cross_validation_calibrate_the_model_of_all(tmp_path: Path) -> None:
    paths = []
    for number in range(3):
        frames = rain(number, 12 * number).rename("rainfall_rate")
        frames.attrs = {"units": "mm h-1"}
        frames.isel(channel=0).to_netcdf(tmp_path / f"{number}.nc", engine="h5netcdf")
        paths.append(str(tmp_path / f"{number}.nc"))
    experiment = Experiment(
        data=ArchiveData(path=tuple(paths[:2]), context=4, horizon=3, crop=32, split=ByBlocks(validation=0)),
        model=UNet.tiny(),
        coordinates=Lagrangian(),
        head=Exceedance(),
        loss=CrossEntropy(),
        training=Training(iterations=1, batch_size=1, workers=0, accelerator="cpu"),
    )
    folds = tmp_path / "folds"
    quiet = Console(quiet=True)
    framecast.crossvalidate(experiment, out=folds, judge=[paths[2]], console=quiet, limit=1, baselines=())
    calibration = framecast.calibrate(folds / "all", folds=folds, out=tmp_path / "calibrated")
    assert calibration["files"] == ["0.nc", "1.nc"]
    with pytest.raises(ArgumentError, match="nothing to calibrate on"):
        framecast.calibrate(folds / "all", out=tmp_path / "new")
    with pytest.raises(ArgumentError, match="no finished fold"):
        framecast.calibrate(folds / "all", folds=tmp_path, out=tmp_path / "new")
    with pytest.raises(DataError, match="was trained on 12 of these frames"):
        framecast.calibrate(folds / "all", paths[0], out=tmp_path / "new")
