"""Forecasts that lie in files, on the truth of an archive: the scores of an evaluation, and every omission said."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from moving_rain import write_rain

import framecast
from framecast.data.quantities import RAIN_RATE
from framecast.errors import ArgumentError, DataError
from framecast.forecasting.baselines.extrapolation import Extrapolation
from framecast.forecasting.baselines.extrapolation_probability import ExtrapolationProbability
from framecast.forecasting.labels import forecast_frames, label_forecast, values_of

CONTEXT, HORIZON, RATES = 4, 3, (0.5, 2.0)
SETTINGS = {"rates": RATES, "scales": (1, 5)}
BASELINES = ("extrapolation",)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rain(tmp_path_factory.mktemp("truth") / "rain.nc", "2026-06-01T12:00", 12, 40, 48, 2.0)


@pytest.fixture(scope="module")
def folder(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of probabilities for each initial time with a past and a future in the archive."""
    out, frames = tmp_path_factory.mktemp("forecasts"), framecast.open(archive)
    for newest in range(CONTEXT - 1, 12 - HORIZON):
        forecast = forecast_frames(
            ExtrapolationProbability(RAIN_RATE),
            frames.isel(time=slice(newest + 1)),
            HORIZON,
            context=CONTEXT,
            rates=RATES,
        )
        framecast.write(forecast, out / f"{newest:02d}.nc")
    return out


def test_files_have_the_scores_of_their_forecaster(archive: Path, folder: Path) -> None:
    result = framecast.verify_forecasts({"files": folder}, archive, baselines=BASELINES, **SETTINGS)
    expected = framecast.verify(
        {"files": ExtrapolationProbability(RAIN_RATE)},
        archive,
        context=CONTEXT,
        horizon=HORIZON,
        baselines=BASELINES,
        **SETTINGS,
    )
    assert result.forecasters == expected.forecasters
    assert (result.cases, result.blocks, result.checksum) == (expected.cases, expected.blocks, expected.checksum)
    assert result.sums.sizes == expected.sums.sizes
    np.testing.assert_array_equal(result.sums["lead_time"], expected.sums["lead_time"])
    np.testing.assert_array_equal(result.sums["init_time"], expected.sums["init_time"])
    for metric in expected.metrics():
        if metric.name != "crps":
            for name in expected.forecasters:
                one, two = (each.curve(name, metric) for each in (result, expected))
                np.testing.assert_allclose(one, two, rtol=2e-3, atol=1e-4, err_msg=metric.label)  # stored in 1/10,000
    assert np.isnan(result.frame("files", "crps").value)
    assert result.frame("extrapolation", "crps") == expected.frame("extrapolation", "crps")


def test_members_are_an_ensemble(archive: Path, tmp_path: Path) -> None:
    frames = framecast.open(archive)
    rng = np.random.default_rng(0)
    values = {}
    for newest in (4, 5, 6):
        members = Extrapolation(RAIN_RATE).forecast(_context(frames, newest), HORIZON)[:, 0]
        members = np.concatenate([members, members * rng.gamma(2, 0.5, (3, HORIZON, 1, 1, 1)).astype(np.float32)])
        forecast = label_forecast(members, frames.isel(time=slice(newest + 1)), "mine")
        framecast.write(forecast, tmp_path / f"{newest}.zarr")
        values[newest] = members
    result = framecast.verify_forecasts(tmp_path, archive, baselines=(), **SETTINGS)
    assert result.forecasters == ["mine"]
    assert (result.members("mine"), result.cases) == (4, 3)
    truth = frames.values[7:10]
    part = result.sums.sel(forecaster="mine", case=2)
    valid = np.isfinite(values[6]).all(0) & np.isfinite(truth)
    error = np.where(valid, (values[6].mean(0) - truth) ** 2, 0).sum((1, 2, 3))
    np.testing.assert_allclose(part["mse"], error, rtol=1e-4)
    assert result.sums["rank_count"].sum() == result.sums["pixels"].sum()


def _context(frames: xr.DataArray, newest: int) -> framecast.Context:
    return framecast.Context(frames.values[None, newest + 1 - CONTEXT : newest + 1])


def test_sources_are_scored_on_what_they_share(archive: Path, folder: Path, tmp_path: Path) -> None:
    """Another source lacks two initial times and a lead time, has a time twice and a file that is no forecast."""
    other = tmp_path / "other"
    other.mkdir()
    for newest in (5, 6, 7):
        forecast = values_of(framecast.open_forecast(folder / f"{newest:02d}.nc"))
        framecast.write(forecast.isel(lead_time=slice(2)), other / f"{newest}.nc")
        framecast.write(forecast.isel(lead_time=slice(2)), other / f"{newest}again.nc")
    framecast.open(archive).drop_vars("source").assign_attrs(repairs="").to_netcdf(
        other / "frames.nc", engine="h5netcdf"
    )
    sources = {"one": folder, "two": other}
    result = framecast.verify_forecasts(
        sources, archive, out=tmp_path / "out", report=True, baselines=BASELINES, **SETTINGS
    )
    assert result.forecasters == ["one", "two", "extrapolation"]
    assert result.cases == 3
    np.testing.assert_array_equal(result.sums["lead_time"] / np.timedelta64(1, "m"), [5, 10])
    text = "\n".join(result.repairs)
    assert "two: 3 forecasts have an initial time of another file and lead times" in text
    assert "two: 1 of 7 files hold no forecast that is understood" in text
    assert "one: 3 forecasts left out, whose initial times not all sources have" in text
    assert "two against" not in text
    assert (tmp_path / "out" / "comparison.html").stat().st_size > 10_000
    with xr.open_dataset(tmp_path / "out" / "cases.nc", engine="h5netcdf", decode_timedelta=True) as sums:
        assert sums.sizes["case"] == 3


def test_gaps_and_impossible_values_of_the_truth_are_counted(archive: Path, folder: Path, tmp_path: Path) -> None:
    with xr.open_dataarray(archive) as rain:
        rain = rain.isel(time=[0, 1, 2, 3, 4, 6, 7, 8]).load()
    rain[2, :1, :2], rain[3, 0, 5] = -2.0, np.inf
    rain.to_netcdf(tmp_path / "rain.nc", engine="h5netcdf")
    frames = framecast.open(tmp_path / "rain.nc")
    result = framecast.verify_forecasts({"files": folder}, frames, baselines=BASELINES, horizon=9, **SETTINGS)
    text = "\n".join(result.repairs)
    assert "1 pixel in 1 frame is infinite, which cannot be: no data" in text
    assert "2 pixels in 1 frame are below 0 mm/h, which cannot be: no data" in text
    assert "a horizon of 9 frames is asked for, but the forecasts have 3 lead times: these are scored" in text
    assert result.cases == 2  # those of frames 3 and 4, whose past has no gap
    assert "1 forecast left out, of which no frame is in the truth" in text
    assert "forecasts left out, since the truth lacks some of the 4 frames" in text
    alone = framecast.verify_forecasts({"files": folder}, frames, baselines=(), **SETTINGS)
    assert alone.cases == 5
    counts = alone.sums["pixels"].values > 0
    assert counts.tolist() == [[True, False, True], [False, True, True], [True, True, True], [True, True, False],
                               [True, False, False]]  # fmt: skip


def test_one_forecast_in_several_files(archive: Path, folder: Path, tmp_path: Path) -> None:
    whole = framecast.open_forecast(folder / "05.nc")
    for lead in range(HORIZON):
        framecast.write(whole.isel(lead_time=[lead]), tmp_path / f"{lead}.nc")
    one, two = (
        framecast.verify_forecasts({"files": path}, archive, baselines=(), **SETTINGS)
        for path in (tmp_path, folder / "05.nc")
    )
    assert one.cases == two.cases == 1
    xr.testing.assert_allclose(one.sums, two.sums)


def test_a_part_of_the_truth_is_judged_where_it_lies(tmp_path: Path) -> None:
    """A perfect forecast of a part of the grid, whose rows run the other way."""
    grid = {
        "y": ("y", 1000.0 * np.arange(40)[::-1], {"units": "m"}),
        "x": ("x", 1000.0 * np.arange(48), {"units": "m"}),
    }
    values = np.random.default_rng(0).gamma(0.5, 4, (8, 40, 48)).astype(np.float32)
    times = np.datetime64("2026-06-01T12:00", "ns") + np.arange(8) * np.timedelta64(5, "m")
    rain = xr.DataArray(values, dims=("time", "y", "x"), coords={"time": times, **grid}, attrs={"units": "mm/h"})
    rain.to_dataset(name="rain").to_netcdf(tmp_path / "truth.nc", engine="h5netcdf")
    frames = framecast.open(tmp_path / "truth.nc")
    part = frames.isel(y=slice(29, 9, -1), x=slice(8, 40))
    framecast.write(label_forecast(part.values[None, 6:], part.isel(time=slice(6)), "mine"), tmp_path / "mine.nc")
    with pytest.raises(DataError, match="regrid=True"):
        framecast.verify_forecasts(tmp_path / "mine.nc", frames, baselines=())
    result = framecast.verify_forecasts(tmp_path / "mine.nc", frames, baselines=(), rates=RATES, regrid=True)
    assert result.sums["pixels"].values.tolist() == [[20 * 32] * 2]
    assert result.frame("mine", "mse").value == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda truth: truth.isel(x=slice(20)),
            r"another grid than the truth: 40 x 48 and 40 x 20 pixels(.|\n)*regrid=True",
        ),
        (lambda truth: truth.assign_coords(time=truth["time"] + np.timedelta64(1, "D")), "is in the truth"),
        (
            lambda truth: truth.assign_coords(time=truth["time"] + np.timedelta64(2, "m")),
            r"lead time of 5 minutes after 2026-06-01T12:15:00 UTC, 2026-06-01T12:20:00 UTC, lies between its frames of "
            r"2026-06-01T12:17:00 UTC and 2026-06-01T12:22:00 UTC(.|\n)*its times, 5 minutes apart",
        ),
        (lambda truth: truth.assign_attrs(quantity="intensity", units="1"), r"a forecast of rain rate \(mm/h\), but"),
    ],
)
def test_what_does_not_fit_is_refused(archive: Path, folder: Path, change: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        framecast.verify_forecasts(folder, change(framecast.open(archive)), baselines=())  # type: ignore[operator]


def test_settings_of_other_things_are_refused(archive: Path, folder: Path) -> None:
    for stated in ({"members": 3}, {"stride": 2}, {"rates": (8.0,)}):
        with pytest.raises(ArgumentError, match=r"made already|no probability at 8"):
            framecast.verify_forecasts(folder, archive, baselines=(), **stated)
    with pytest.raises(ArgumentError, match="names forecasts and a baseline"):
        framecast.verify_forecasts({"extrapolation": folder}, archive)
    with pytest.raises(ArgumentError, match="frames of training"):
        framecast.verify_forecasts(folder, archive, baselines=("climatology",))


def test_a_model_that_may_have_seen_the_truth_is_told_of(archive: Path, folder: Path) -> None:
    """By the times of its card, where the file names a model that comes with framecast; by a digest of which no run is given."""
    frames = framecast.open(archive).load()
    days = np.datetime64("2017-01-31", "D") - np.datetime64("2026-06-01", "D")
    forecast = framecast.open_forecast(folder / "05.nc").load()
    moved = forecast.assign_coords(init_time=forecast["init_time"] + days)
    files = {name: folder.parent / f"{name}.nc" for name in ("radar", "digest")}
    for name, attributes in (("radar", {"framecast_rung": "radar"}), ("digest", {"training_data_sha256": "f00d" * 16})):
        framecast.write(moved, files[name])
        with xr.open_dataset(files[name], engine="h5netcdf", decode_timedelta=True) as stored:
            changed = stored.load().assign_attrs(attributes)
        changed.to_netcdf(files[name], engine="h5netcdf")
    truth = frames.assign_coords(time=frames["time"] + days)
    result = framecast.verify_forecasts(files["radar"], truth, baselines=(), **SETTINGS)
    assert result.forecasters == ["radar"]
    assert "which may be these" in "\n".join(result.warnings)
    warnings = framecast.verify_forecasts(files["digest"], truth, baselines=(), **SETTINGS).warnings
    assert "the digest f00df00df00d..., of which no run is given" in "\n".join(warnings)


def test_the_example_of_pysteps_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the document, on a shower that moves: its extrapolation is better than persistence."""
    pytest.importorskip("pysteps")
    pytest.importorskip("cv2")
    pytest.importorskip("netCDF4")  # with which pysteps writes
    document = (Path(__file__).parents[2] / "docs" / "verifying.md").read_text()
    code = re.search(r"```python\n(.*?)```", document, re.DOTALL)
    assert code is not None
    y, x = -3.6e6 - 1000.0 * np.arange(64), 1e5 + 1000.0 * np.arange(64)
    distance = (np.arange(64)[:, None] - 30) ** 2 + (np.arange(64) - 12 - 2 * np.arange(12)[:, None, None]) ** 2
    rain = xr.DataArray(
        (20 * np.exp(-distance / 60)).astype(np.float32),
        dims=("time", "y", "x"),
        coords={
            "time": np.datetime64("2026-06-01T12:00", "ns") + np.arange(12) * np.timedelta64(5, "m"),
            "y": ("y", y, {"units": "m", "standard_name": "projection_y_coordinate"}),
            "x": ("x", x, {"units": "m", "standard_name": "projection_x_coordinate"}),
        },
        attrs={"units": "mm/h"},
    )
    (tmp_path / "archive").mkdir()
    rain.to_dataset(name="rain").to_netcdf(tmp_path / "archive" / "rain.nc", engine="h5netcdf")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(code[1], names)
    result = names["result"]
    assert isinstance(result, framecast.Verification)
    assert result.forecasters[0] == "nowcast"
    assert result.frame("nowcast", "mse").value < 0.3 * result.frame("persistence", "mse").value
    assert result.sums["init_time"].values[0] == np.datetime64("2026-06-01T12:25", "ns")


def test_reflectivity_is_judged_as_rain(archive: Path, folder: Path) -> None:
    """Truth in dBZ, forecasts in mm/h."""
    frames = framecast.open(archive).load()
    echo = frames.copy(data=np.where(frames > 0.05, 10 * np.log10(223 * np.maximum(frames, 1e-3) ** 1.53), -32))
    echo.attrs |= {"quantity": "reflectivity", "units": "dBZ", "dry": -32.0}
    one = framecast.verify_forecasts({"files": folder}, echo.astype("float32"), baselines=(), rates=RATES)
    two = framecast.verify_forecasts({"files": folder}, frames, baselines=(), rates=RATES)
    assert one.quantity.name == "rain_rate"
    np.testing.assert_allclose(one.event("files", "csi", 1).value, two.event("files", "csi", 1).value, rtol=1e-3)


POLAR = {
    "grid_mapping_name": "polar_stereographic",
    "straight_vertical_longitude_from_pole": 0.0,
    "latitude_of_projection_origin": 90.0,
    "standard_parallel": 60.0,
}


@pytest.fixture(scope="module")
def placed(tmp_path_factory: pytest.TempPathFactory) -> xr.DataArray:
    """Ten frames of rain with their place."""
    path = tmp_path_factory.mktemp("placed") / "truth.nc"
    _placed(np.random.default_rng(0).gamma(0.5, 4, (10, 12, 14)), path, time=_times(range(10)))
    return framecast.open(path).load()


def _times(steps: Iterable[int]) -> np.ndarray:
    return np.datetime64("2026-06-01T12:00", "ns") + np.array(steps) * np.timedelta64(5, "m")


def _placed(values: np.ndarray, path: Path, mapping: dict[str, object] = POLAR, **coordinates: object) -> None:
    """Write `values (time, y, x)` in mm/h, or as `units` say, on a grid of 1 km."""
    _, height, width = values.shape
    units = coordinates.pop("units", "mm/h")
    first = "time" if "time" in coordinates else "lead_time"
    rain = xr.DataArray(
        values.astype(np.float32), dims=(first, "y", "x"), attrs={"units": units, "grid_mapping": "crs"}
    )
    dataset = rain.to_dataset(name="rain").assign_coords(
        y=("y", -1000.0 * np.arange(height), {"units": "m"}), x=("x", 1000.0 * np.arange(width), {"units": "m"})
    )
    dataset["crs"] = ((), 0, mapping)
    dataset.assign_coords(coordinates).to_netcdf(path, engine="h5netcdf")


def _forecast(path: Path, values: np.ndarray, init: int = 3, leads: Sequence[float] = (5, 10, 15), **more: Any) -> None:
    lead = ("lead_time", np.array(leads), {"units": "minutes", "standard_name": "forecast_period"})
    _placed(values, path, **{"lead_time": lead, "init_time": _times([init])[0], **more})


def test_lead_times_in_another_order_are_those_that_they_state(placed: xr.DataArray, tmp_path: Path) -> None:
    _forecast(tmp_path / "mine.nc", placed.values[[5, 6, 4], 0], leads=(10, 15, 5))
    result = framecast.verify_forecasts(tmp_path / "mine.nc", placed, baselines=())
    assert result.frame("mine", "mse").value == 0
    assert result.sums["pixels"].values.tolist() == [[12 * 14] * 3]


@pytest.mark.parametrize("files", ["of_two_times", "of_one_time"])
@pytest.mark.parametrize("first", ["mm/h", "dBZ"])
def test_files_of_several_units_are_judged_each_in_its_own(
    placed: xr.DataArray, tmp_path: Path, files: str, first: str
) -> None:
    """Some files in mm/h and some in dBZ, on truth in dBZ: all perfect."""
    echo = placed.copy(data=np.where(placed > 0.05, 10 * np.log10(223 * np.maximum(placed, 1e-3) ** 1.53), -32))
    echo.attrs |= {"quantity": "reflectivity", "units": "dBZ", "dry": -32.0}
    second = "dBZ" if first == "mm/h" else "mm/h"
    for name, units, init, leads in (
        ("a.nc", first, 3, (5, 10)),
        ("b.nc", second, *((4, (5, 10)) if files == "of_two_times" else (3, (15, 20)))),
    ):
        frames = placed if units == "mm/h" else echo
        steps = [init + lead // 5 for lead in leads]
        _forecast(tmp_path / name, frames.values[steps, 0], init, leads, units=units)
    result = framecast.verify_forecasts(tmp_path, echo.astype("float32"), baselines=(), rates=RATES)
    assert result.quantity.name == "rain_rate"
    np.testing.assert_allclose(result.frame("forecast", "mse").value, 0, atol=0.01)
    assert result.event("forecast", "csi", 0).value > 0.99


@pytest.mark.parametrize("as_dimension", [True, False])
def test_members_in_files_of_their_own_are_one_ensemble(
    placed: xr.DataArray, tmp_path: Path, as_dimension: bool
) -> None:
    factors = (0.5, 0.8, 1.3)
    for number, factor in enumerate(factors):
        path = tmp_path / f"member{number}.nc"
        _forecast(path, factor * placed.values[4:7, 0], realization=number)
        if as_dimension:
            with xr.open_dataset(path, engine="h5netcdf", decode_timedelta=False) as stored:
                changed = stored.load().expand_dims(realization=[number]).assign(crs=stored["crs"])
            changed.to_netcdf(path, engine="h5netcdf")
    result = framecast.verify_forecasts(tmp_path, placed, baselines=())
    assert (result.forecasters, result.members("forecast"), result.repairs) == (["forecast"], 3, [])
    error = ((np.mean(factors) - 1) * placed.values[4:7]) ** 2
    assert result.frame("forecast", "mse").value == pytest.approx(error.mean(), rel=1e-4)


def test_lead_times_that_overlap_are_joined(placed: xr.DataArray, tmp_path: Path) -> None:
    _forecast(tmp_path / "a.nc", placed.values[4:6, 0], leads=(5, 10))
    _forecast(tmp_path / "b.nc", 2 * placed.values[5:7, 0], leads=(10, 15))
    result = framecast.verify_forecasts(tmp_path, placed, baselines=())
    curve = result.curve("forecast", result.metric("mse"))[0]
    np.testing.assert_allclose(curve, [0, 0, (placed.values[6] ** 2).mean()], rtol=1e-4)
    assert "1 forecast has an initial time of another file and lead times that it has too" in "".join(result.repairs)


@pytest.mark.parametrize(
    ("change", "stated", "message"),
    [
        ({"leads": (5, np.nan, 15)}, {}, "a lead time is missing"),
        ({"leads": (5, 5, 15)}, {}, "a lead time is stated twice"),
        ({"leads": (-10, -5, 0)}, {}, "mine has no lead time above 0"),
        ({"mapping": {**POLAR, "straight_vertical_longitude_from_pole": 10.0}}, {}, "in another projection"),
        ({"factor": -9999}, {}, "which cannot be(.|\n)*_FillValue"),
        ({"factor": np.inf}, {}, "the value inf mm h-1, which cannot be"),
        ({"factor": np.nan}, {}, "no pixel is scored"),
        ({"mapping": {**POLAR, "false_easting": 1e6}}, {"regrid": True}, "no pixel is scored"),
        ({"units": "mm"}, {}, "forecast_units='mm per 60 min'"),
        ({"units": "mm/h"}, {"forecast_units": "dBZ"}, "forecast_units='mm/h'"),
    ],
)  # fmt: skip
def test_what_would_be_a_wrong_number_is_refused(
    placed: xr.DataArray, tmp_path: Path, change: dict[str, Any], stated: dict[str, Any], message: str
) -> None:
    change, path = dict(change), tmp_path / "mine.nc"
    values = (placed.values[4:7, 0] + 0.1) * change.pop("factor", 1)
    _forecast(path, values, **change)
    with pytest.raises(DataError, match=message):
        framecast.verify_forecasts(path, placed, baselines=(), out=tmp_path / "out", **stated)
    assert not (tmp_path / "out" / "cases.nc").exists()


def test_a_projection_in_other_words_is_the_same(placed: xr.DataArray, tmp_path: Path) -> None:
    named = {**POLAR, "semi_major_axis": 6378137.0, "inverse_flattening": 298.257223563, "long_name": "grid"}
    _forecast(tmp_path / "mine.nc", placed.values[4:7, 0], mapping=named)
    assert framecast.verify_forecasts(tmp_path / "mine.nc", placed, baselines=()).frame("mine", "mse").value == 0
