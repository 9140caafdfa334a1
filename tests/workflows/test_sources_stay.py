"""What a result is made from is never overwritten by it, whatever the name, and nothing is written among the frames."""

from pathlib import Path

import pytest
import xarray as xr
from test_trained_model import frames, save_trained

import framecast
from framecast.errors import ConfigError, FramecastError
from framecast.forecasting.baselines.persistence import Persistence
from framecast.verification.score_store import COLUMNS
from framecast.workflows.demo import MARK, demo


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_trained(tmp_path / "model")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with a file and, apart from it, a store of the same frames, with links to both."""
    folder = tmp_path / "data"
    folder.mkdir()
    frames(12).drop_attrs().assign_attrs(units="mm h-1").drop_vars("crs").to_netcdf(
        folder / "own.nc", engine="h5netcdf"
    )
    framecast.convert(folder / "own.nc", tmp_path / "stores" / "own.zarr")
    (tmp_path / "link.nc").symlink_to("data/own.nc")
    (tmp_path / "link.zarr").symlink_to("stores/own.zarr")
    (tmp_path / "linked").symlink_to("data")
    (tmp_path / "cases.nc").symlink_to("data/own.nc")
    (tmp_path / "page.html").symlink_to("data/own.nc")
    (tmp_path / "report.html").symlink_to("data/own.nc")
    (tmp_path / "comparison.html").symlink_to("data/own.nc")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    ("given", "out"),
    [
        ("data/own.nc", "data/own.nc"),
        ("data/own.nc", "link.nc"),
        ("data/own.nc", "linked/own.nc"),
        ("link.nc", "data/own.nc"),
        ("data", "data/own.nc"),
        ("data", "data/next.nc"),
        ("linked", "data/next.zarr"),
        ("data/*.nc", "data/next.nc"),
        ("stores/own.zarr", "stores/own.zarr"),
        ("stores/own.zarr", "link.zarr"),
        ("link.zarr", "stores/own.zarr"),
        ("stores/own.zarr", "stores/own.zarr/next.nc"),
        ("stores", "stores/next.gif"),
    ],
)
def test_a_forecast_and_a_store(given: str, out: str, model: Path, data: Path, tmp_path: Path) -> None:
    before = contents(tmp_path)
    path = str(tmp_path / given)
    with pytest.raises(FramecastError):
        framecast.forecast(model, path, 2, out=tmp_path / out, overwrite=True)
    if out.endswith(".zarr"):
        with pytest.raises(FramecastError):
            framecast.convert(path, tmp_path / out)
    opened = framecast.open(path)
    forecast = framecast.load(model).forecast(opened, 2)
    if "next" not in out or "own.zarr/" in out:
        with pytest.raises(FramecastError):
            framecast.write(forecast, tmp_path / out, overwrite=True)
    assert contents(tmp_path) == before


def test_what_is_elsewhere_is_written(model: Path, data: Path, tmp_path: Path) -> None:
    for name in ("next.nc", "data/results/next.nc", "stores/next.zarr"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        for _ in range(2):
            framecast.forecast(model, data, 2, out=tmp_path / name, overwrite=True)
    forecast = framecast.load(model).forecast(framecast.open(data / "own.nc"), 2)
    framecast.write(forecast, tmp_path / "again.nc")
    with xr.open_dataset(tmp_path / "again.nc") as written:
        assert "sources" not in written.attrs | written["rain"].encoding


def test_scores_and_pages(model: Path, data: Path, tmp_path: Path) -> None:
    before = contents(tmp_path)
    own = data / "own.nc"
    with pytest.raises(ConfigError, match="made from"):
        framecast.evaluate(model, own, out=tmp_path, horizon=2, baselines=("persistence",))
    with pytest.raises(ConfigError, match="would be read"):
        framecast.evaluate(model, data, out=data, horizon=2, baselines=("persistence",))
    verification = framecast.verify([Persistence()], str(own), horizon=2, context=2)
    for name in ("data/own.nc", "link.nc"):
        with pytest.raises(ConfigError, match="made from"):
            verification.save(tmp_path / name)
    (tmp_path / "cases.nc").unlink()
    service = tmp_path / "service"
    service.mkdir()
    (service / "scores.csv").write_text(f"{','.join(COLUMNS)}\n")
    before |= contents(service)
    for call in (
        lambda: framecast.evaluate(model, own, out=service, report=True, horizon=2),
        lambda: framecast.compare([model], own, out=service, horizon=2),
        lambda: framecast.verify_forecasts(own, own, out=service, report=True),
        lambda: framecast.write_report(verification, service / "page.html"),
    ):
        with pytest.raises(ConfigError, match="scores of a service"):
            call()
    for call in (
        lambda: framecast.evaluate(model, own, out=tmp_path, report=True, horizon=2),
        lambda: framecast.compare([model], own, out=tmp_path, horizon=2),
        lambda: framecast.inspect(own, page=tmp_path / "page.html"),
        lambda: framecast.write_report(verification, tmp_path / "page.html"),
    ):
        with pytest.raises(ConfigError, match="is no page"):
            call()
    del before[str(tmp_path / "cases.nc")]
    assert contents(tmp_path) == before


def test_a_demonstration(data: Path, tmp_path: Path) -> None:
    """Its folder is replaced as a whole."""
    (data / MARK).touch()
    before = contents(data)
    for out in (data, tmp_path / "linked"):
        with pytest.raises(ConfigError, match="is made"):
            demo(str(data / "own.nc"), out=out, iterations=1)
    assert contents(data) == before
