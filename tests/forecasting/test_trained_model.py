"""A trained model on new Frames: no future, any horizon, any size, and honest about what it does not know."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

import framecast
from framecast.checkpoints.model_folder import ModelCard, save
from framecast.data.quantities import RAIN_RATE
from framecast.data.scaling import RainLog
from framecast.errors import ArgumentError, ConfigError, DataError, RunError
from framecast.forecasting.baselines.persistence import Persistence
from framecast.forecasting.labels import forecast_frames
from framecast.forecasting.protocol import Context, forecast_cases
from framecast.forecasting.trained_model import TrainedModel, load
from framecast.models import ConvLSTM, PredRNN
from framecast.models.heads import VALUES, Exceedance
from framecast.types import FrameShape

SHAPE = FrameShape(1, 16, 16, 3, 2)


def trained(config: PredRNN | ConvLSTM | None = None) -> TrainedModel:
    torch.manual_seed(0)
    config = config or PredRNN.tiny()
    return TrainedModel(config.build(SHAPE), ModelCard(config, RainLog(), RAIN_RATE, SHAPE, 300.0))


def save_trained(folder: Path) -> Path:
    """A folder with that model."""
    save(folder, trained().model, trained().card)
    return folder


def frames(count: int = 6, height: int = 16, width: int = 16, minutes: int = 5) -> xr.DataArray:
    values = np.random.default_rng(0).gamma(0.5, 4.0, (count, 1, height, width)).astype(np.float32)
    return xr.DataArray(
        values,
        dims=("time", "channel", "y", "x"),
        coords={
            "time": np.datetime64("2020-01-01T00:00", "ns") + np.arange(count) * np.timedelta64(minutes, "m"),
            "y": np.arange(height)[::-1] * 1000.0,
            "x": np.arange(width) * 1000.0,
            "crs": xr.Variable((), 0, {"grid_mapping_name": "polar_stereographic"}),
        },
        attrs={"units": "mm h-1", "quantity": "rain_rate", "dry": 0.0, "repairs": [], "grid_mapping": "crs"},
        name="rain",
    )


@pytest.mark.parametrize("horizon", [0, -2, 2.0, "2", None])
def test_what_is_no_horizon_is_refused(horizon: Any) -> None:
    for forecaster in (trained(), Persistence()):
        with pytest.raises(ArgumentError, match="horizon: "):
            forecast_frames(forecaster, frames(), horizon)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f.values, "ndarray given, expected frames"),
        (lambda f: torch.from_numpy(f.values), "Tensor given, expected frames"),
        (lambda f: "archive/", "'archive/' given, expected frames"),
        (lambda f: Path("archive"), "given, expected frames"),
        (lambda f: f.to_dataset(name="rain"), "Dataset given, expected frames"),
        (lambda f: f.isel(channel=0), r"dims \('time', 'y', 'x'\) are not those of frames"),
        (lambda f: f.isel(time=-1), "are not those of frames"),
        (lambda f: f.transpose("y", "x", "time", "channel"), "are not those of frames"),
        (lambda f: f.rename(y="lat", x="lon"), "are not those of frames"),
        (lambda f: f.isel(time=slice(0, 0)), "hold nothing"),
        (lambda f: f.drop_attrs(), "attributes quantity and dry"),
        (lambda f: f.assign_attrs(quantity="smell"), "attributes quantity and dry"),
        (lambda f: f.astype("int16"), "int16 values"),
        (lambda f: f.assign_coords(time=[str(time) for time in f["time"].values]), "times of type"),
        (lambda f: f.isel(time=slice(None, None, -1)), "times repeat or go back"),
        (lambda f: f.isel(time=[0, 1, 2, 2]), "times repeat or go back"),
    ],
)
def test_what_are_no_frames_is_refused_wherever_frames_are_taken(change: Any, said: str, tmp_path: Path) -> None:
    given = change(frames())
    recipe = "recipes/radar.yaml#convlstm"
    calls = [lambda: trained()(given, 2), lambda: forecast_frames(Persistence(), given, 2)]
    if not isinstance(given, str | Path):
        calls += [lambda: framecast.inspect(given), lambda: framecast.train(recipe, data=given, out=tmp_path / "run")]
    for call in calls:
        with pytest.raises(DataError, match=said) as error:
            call()
        assert error.value.remedy
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("horizon", [1, 2, 7])
def test_any_horizon_from_the_newest_frames(horizon: int) -> None:
    forecast = trained()(frames(), horizon)
    assert forecast.shape == (1, horizon, 1, 16, 16)
    assert forecast["init_time"].values[0] == frames()["time"].values[-1]
    np.testing.assert_array_equal(forecast.values, trained()(frames().isel(time=slice(-3, None)), horizon).values)


def test_values_are_physical() -> None:
    model = trained()
    context = frames().isel(time=slice(-3, None))
    scaled = torch.from_numpy(RainLog().forward(context.values, RAIN_RATE))[None]
    with torch.no_grad():
        expected = RainLog().inverse(model.model.forecast(scaled, 2), RAIN_RATE)[0].numpy()
    np.testing.assert_allclose(model(frames(), 2).values[0], expected, rtol=1e-5)


def test_no_basis_where_the_context_never_had_data() -> None:
    never, once = frames(), frames()
    never[dict(y=slice(0, 4))] = np.nan
    once[dict(y=slice(0, 4), time=-1)] = np.nan
    assert np.isnan(trained()(never, 2).values[..., :4, :]).all()
    assert np.isfinite(trained()(never, 2).values[..., 4:, :]).all()
    assert np.isfinite(trained()(once, 2).values).all()


def test_missing_pixels_are_shown_as_dry_and_nothing_is_invented() -> None:
    missing, dry = frames(), frames()
    missing[dict(y=slice(0, 4), time=-1)] = np.nan
    dry[dict(y=slice(0, 4), time=-1)] = 0.0
    np.testing.assert_array_equal(trained()(missing, 2).values, trained()(dry, 2).values)


def test_other_sizes_work_where_the_model_allows() -> None:
    assert trained()(frames(height=24, width=20), 2).shape[-2:] == (24, 20)
    odd = trained()(frames(height=17, width=19), 2)
    assert odd.shape[-2:] == (17, 19)
    assert np.isfinite(odd.values).all()
    with pytest.raises(ConfigError, match="16 x 16 only"):
        trained(PredRNN(hidden=(8, 8), kernel=3, patch=2, layer_norm=True))(frames(height=24), 2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda f: f.assign_attrs(quantity="intensity", units="1"),
            r"intensity, but the model .* rain rate \(mm/h\)",
        ),
        (lambda f: xr.concat([f, f], "channel"), r"2 channels"),
        (lambda f: f.isel(time=slice(0, 2)), "frames in memory, variable .*: 2 frames found, expected 3 or more"),
        (lambda f: f.isel(time=[0, 1, 2, 3, 5]), "a frame is missing among them"),
        (
            lambda f: f.where(f["time"] != f["time"][-1]),
            r"1 of the newest 3 frames, first at 2.*UTC\n  -> select frames before",
        ),
        (lambda f: f.where(f < 0), r"3 of the newest 3 frames(.|\n)*-> look at the variable, its units"),
    ],
)
def test_frames_that_do_not_fit_are_refused(change, said: str) -> None:
    with pytest.raises(DataError, match=said):
        trained()(change(frames()), 2)


def test_another_time_step_is_refused() -> None:
    with pytest.raises(DataError, match="10 minutes, but the model was trained on 5"):
        trained()(frames(minutes=10), 2)


@pytest.mark.parametrize(
    ("grid", "head", "note"),
    [
        ({"kilometres": [1.0, 1.05]}, VALUES, ""),
        ({"kilometres": [0.5, 2.0]}, VALUES, ""),
        ({"kilometres": [2.0, 2.0]}, VALUES, "pixels of 1 km, but the model was trained on pixels of 2 km"),
        ({"kilometres": [2.0, 4.0]}, VALUES, "pixels of 1 km, but the model was trained on pixels of 2 to 4 km"),
        ({"kilometres": [2.0, 2.0]}, Exceedance(), ""),
        ({"x_spacing": -500.0, "mapping": "stereographic"}, VALUES, "trained on pixels of 0.5 km"),
        ({"x_spacing": 0.02, "mapping": "latitude_longitude"}, VALUES, ""),
        ({"kilometres": "2"}, VALUES, ""),
        ({}, VALUES, ""),
    ],
)
def test_another_pixel_size_is_noted_unless_the_model_reads_it(grid: dict[str, Any], head: Any, note: str) -> None:
    model = trained()
    model.card = replace(model.card, grid=grid, head=head)
    unknown, known = frames(), frames()
    for axis in ("y", "x"):
        known[axis].attrs["units"] = "m"
    assert note in "".join(model.notes([known]))
    assert bool(model.notes([known])) == bool(note)
    assert model.notes([unknown]) == []
    if head == VALUES:
        assert note in model(known, 2).attrs.get("warnings", "")


def test_saved_and_loaded_it_forecasts_the_same_and_notes_where_best_weights_are_missing(tmp_path: Path) -> None:
    model = trained()
    save(tmp_path / "run" / "last", model.model, model.card)
    assert load(tmp_path / "run" / "last").notes() == []
    last = load(tmp_path / "run")
    assert "no best weights" in last(frames(), 3).attrs["warnings"]
    save(tmp_path / "run" / "best", model.model, model.card)
    again = load(tmp_path / "run")
    assert again.card == model.card
    assert "warnings" not in again(frames(), 3).attrs
    np.testing.assert_array_equal(again(frames(), 3).values, model(frames(), 3).values)


def test_no_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no trained model here"):
        load(tmp_path)
    with pytest.raises(ConfigError, match="TrainedModel given, expected the folder of a run"):
        load(trained())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"device": "cude"}, "device 'cude' cannot be used"),
        ({"tile": 0}, "tile: 0 given"),
        ({"tile": "32"}, "tile: '32' given"),
        ({"tile": (32, 32)}, "tile: tuple given"),
    ],
)
def test_a_device_or_tile_that_is_none_is_said(options: dict[str, Any], said: str, tmp_path: Path) -> None:
    model = trained()
    save(tmp_path / "model", model.model, model.card)
    with pytest.raises(ConfigError, match=said):
        load(tmp_path / "model", **options)


@pytest.mark.parametrize(
    ("context", "said"),
    [
        (np.zeros((3, 1, 16, 16), np.float32), "shape"),
        (np.zeros((1, 3, 2, 16, 16), np.float32), r"expected \(B, T, C, H, W\) with 1 channel"),
        (np.zeros((1, 3, 1, 16, 16), np.uint8), "uint8"),
        ([[1.0]], "list given"),
    ],
)
def test_an_array_that_is_no_context_is_refused(context: Any, said: str) -> None:
    with pytest.raises(DataError, match=f"context: .*{said}"):
        trained().forecast(Context(context), 2)


def test_of_a_longer_context_the_end_is_used() -> None:
    longer = frames(5).values[None]
    forecast = trained().forecast(Context(longer), 2)
    assert forecast.shape == (1, 1, 2, 1, 16, 16)
    np.testing.assert_array_equal(forecast, trained().forecast(Context(longer[:, -3:]), 2))


def test_too_short_a_context_is_the_same_error_for_a_model_and_in_a_verification() -> None:
    model = trained()
    short = Context(np.zeros((1, 2, 1, 16, 16), np.float32))
    for call in (lambda: model.forecast(short, 2), lambda: forecast_cases(model, short, 2)):
        with pytest.raises(ConfigError, match=f"{model.name} needs a context of 3 frames, 2 given"):
            call()
