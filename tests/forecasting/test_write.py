"""Forecasts in files: the same grid and values when read back, and nothing half-written."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
from test_trained_model import frames

import framecast
from framecast.errors import ConfigError, DataError
from framecast.forecasting.baselines.persistence import Persistence
from framecast.forecasting.film import film_of
from framecast.forecasting.labels import forecast_frames
from framecast.forecasting.protocol import Context
from framecast.forecasting.write import write


def opened(path: Path) -> xr.Dataset:
    options = {"decode_coords": "all", "decode_timedelta": True}
    return xr.open_dataset(path, **options) if path.suffix == ".nc" else xr.open_zarr(path, **options)


@pytest.mark.parametrize("name", ["out.nc", "out.zarr"])
def test_read_back_with_xarray_it_is_the_same(tmp_path: Path, name: str) -> None:
    observed = frames()
    observed[dict(time=-1, y=0)] = np.nan
    forecast = forecast_frames(Persistence(), observed, 4)
    write(forecast, tmp_path / name)
    again = opened(tmp_path / name)
    np.testing.assert_array_equal(again["rain"].values, forecast.values)
    for axis in ("x", "y"):
        np.testing.assert_array_equal(again[axis], observed[axis])
    assert again["rain"].encoding["grid_mapping"] == "crs"
    assert again["crs"].attrs["grid_mapping_name"] == "polar_stereographic"
    assert again["rain"].attrs["units"] == "mm h-1"
    assert again["init_time"].values[0] == observed["time"].values[-1]
    np.testing.assert_array_equal(again["lead_time"].values / np.timedelta64(1, "m"), [5, 10, 15, 20])
    np.testing.assert_array_equal(again["time"].values[0], observed["time"].values[-1] + again["lead_time"].values)
    assert again["init_time"].attrs["standard_name"] == "forecast_reference_time"
    if name.endswith("nc"):
        with h5py.File(tmp_path / name) as file:
            assert all("_FillValue" not in file[axis].attrs for axis in ("x", "y"))


def test_frames_of_a_store_are_forecast_into_a_store(tmp_path: Path) -> None:
    """How one keeps its coordinates is no matter to the other."""
    frames().to_dataset().drop_encoding().to_zarr(tmp_path / "archive.zarr", zarr_format=3)
    forecast = forecast_frames(Persistence(), framecast.open(tmp_path / "archive.zarr"), 2)
    write(forecast, tmp_path / "out.zarr")
    np.testing.assert_array_equal(opened(tmp_path / "out.zarr")["y"], frames()["y"])


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    (tmp_path / "out.nc").write_text("precious")
    with pytest.raises(ConfigError, match="exists already"):
        write(forecast_frames(Persistence(), frames(), 1), tmp_path / "out.nc")
    assert (tmp_path / "out.nc").read_text() == "precious"
    write(forecast_frames(Persistence(), frames(), 1), tmp_path / "out.nc", overwrite=True)
    assert opened(tmp_path / "out.nc").sizes["lead_time"] == 1


def test_only_a_store_is_replaced_by_a_store(tmp_path: Path) -> None:
    out = tmp_path / "out.zarr"
    out.mkdir()
    (out / "notes.txt").write_text("precious")
    with pytest.raises(ConfigError, match="no Zarr store"):
        write(forecast_frames(Persistence(), frames(), 1), out, overwrite=True)
    assert (out / "notes.txt").read_text() == "precious"
    (out / "notes.txt").unlink()
    out.rmdir()
    for _ in range(2):
        write(forecast_frames(Persistence(), frames(), 1), out, overwrite=True)


@pytest.mark.parametrize("name", ["out.nc", "out.zarr"])
def test_nothing_is_half_written(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(xr.Dataset, "dump_to_store" if name.endswith("nc") else "to_zarr", fails)
    with pytest.raises(Exception, match="No space left"):
        write(forecast_frames(Persistence(), frames(), 1), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda forecast: forecast.values,
        lambda forecast: forecast.to_dataset(name="rain"),
        lambda forecast: frames(),
        lambda forecast: forecast.isel(init_time=0),
        lambda forecast: forecast.isel(lead_time=slice(0, 0)),
        lambda forecast: forecast.drop_attrs(),
    ],
)
@pytest.mark.parametrize("name", ["out.nc", "out.zarr", "out.gif"])
def test_what_is_no_forecast_is_refused(change: Any, name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        write(change(forecast_frames(Persistence(), frames(), 2)), tmp_path / name)
    assert error.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_arguments_that_are_swapped_or_no_frames_are_said(tmp_path: Path) -> None:
    forecast = forecast_frames(Persistence(), frames(), 2)
    with pytest.raises(ConfigError, match="DataArray given, expected the path"):
        write("out.nc", forecast)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="ndarray given, expected frames"):
        write(forecast, tmp_path / "out.gif", context=frames().values)  # type: ignore[arg-type]


def test_unknown_formats_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a format"):
        write(forecast_frames(Persistence(), frames(), 1), tmp_path / "out.bmp")
    with pytest.raises(ConfigError, match="folder does not exist"):
        write(forecast_frames(Persistence(), frames(), 1), tmp_path / "absent" / "out.nc")


def test_frames_without_clock_keep_their_numbers(tmp_path: Path) -> None:
    clip = frames().assign_coords(time=np.arange(6))
    write(forecast_frames(Persistence(), clip, 3), tmp_path / "out.nc")
    assert opened(tmp_path / "out.nc")["lead_time"].values.tolist() == [1, 2, 3]


@pytest.mark.parametrize("name", ["out.mp4", "out.gif"])
def test_a_film_has_the_context_and_then_the_forecast(tmp_path: Path, name: str) -> None:
    av = pytest.importorskip("av")
    observed = frames()
    forecast = forecast_frames(Persistence(), observed, 4)
    forecast = forecast * xr.DataArray(
        [1.0, 3, 9, 27], dims="lead_time"
    )  # frames that are alike would become one in a GIF
    forecast.attrs = observed.attrs
    write(forecast, tmp_path / name, context=observed)
    with av.open(str(tmp_path / name)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(pictures) == observed.sizes["time"] + 4
    assert min(pictures[0].shape[:2]) >= 128
    edge = np.array([picture[1, 20:100].mean(0) for picture in pictures])
    orange = np.abs(edge - [213, 94, 0]).max(1) < 30
    assert orange.tolist() == [False] * observed.sizes["time"] + [True] * 4


def test_a_film_of_a_video_looks_like_it(tmp_path: Path, videos: Path) -> None:
    import framecast

    pytest.importorskip("av")
    observed = framecast.open(videos / "bigbuckbunny_160x120.avi").isel(time=slice(0, 3))
    write(forecast_frames(Persistence(), observed, 1), str(tmp_path / "out.gif"), context=observed)
    again = framecast.open(videos / "bigbuckbunny_160x120.avi").isel(time=0).values
    from PIL import Image

    with Image.open(tmp_path / "out.gif") as picture:
        shown = np.asarray(picture.convert("RGB"))
    below, right = (shown.shape[0] - 2 * again.shape[1] - 40, shown.shape[1] - 2 * again.shape[2] - 8)
    frame = shown[40:-below, 8:-right][::2, ::2]  # two lines of text above
    assert np.abs(frame.transpose(2, 0, 1) / 255 - again).mean() < 0.05


class Members:
    """Three members, the newest frame times 1, 2 and 3."""

    name = "members"
    context_length = 1

    def forecast(self, context: Context, /, horizon: int) -> np.ndarray:
        return np.stack([k * context.frames[:, -1:].repeat(horizon, axis=1) for k in (1, 2, 3)])


@pytest.mark.parametrize("name", ["out.nc", "out.zarr"])
def test_members_are_the_same_when_read_back(tmp_path: Path, name: str) -> None:
    forecast = forecast_frames(Members(), frames(), 4)
    assert forecast.dims == ("init_time", "member", "lead_time", "channel", "y", "x")
    write(forecast, tmp_path / name)
    again = opened(tmp_path / name)
    assert again["rain"].dims == forecast.dims
    np.testing.assert_array_equal(again["rain"].values, forecast.values)
    assert again["member"].values.tolist() == [0, 1, 2]
    assert again["member"].attrs["standard_name"] == "realization"
    assert again["time"].dims == ("init_time", "lead_time")
    one = forecast.isel(member=[2])
    write(one, tmp_path / f"one-{name}")
    assert opened(tmp_path / f"one-{name}")["member"].values.tolist() == [2]


def test_a_film_of_an_ensemble_shows_its_mean() -> None:
    observed = frames()
    members = forecast_frames(Members(), observed, 2)
    images = film_of(members, observed)
    expected = film_of((2 * forecast_frames(Persistence(), observed, 2)).assign_attrs(members.attrs), observed)
    assert len(images) == observed.sizes["time"] + 2
    np.testing.assert_array_equal(images, expected)
