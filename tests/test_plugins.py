"""A package of others adds a model, a reader and a baseline by entry points: the example is installed, and used."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
NAME = "framecast_example_plugin"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the installed package, and rain in `archive/` in the format that only its reader knows."""
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copytree(ROOT / "examples" / NAME, folder / "source")  # building writes into the source
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", *offline, "--target", folder / "site", folder / "source"]
    subprocess.run(command, check=True)
    (folder / "archive").mkdir()
    rain = np.random.default_rng(0).gamma(0.5, 4.0, (60, 16, 16)).round(2)
    rain[:, 0, 0] = -9
    for number, field in enumerate(rain):
        header = "ncols 16\nnrows 16\nxllcorner 0\nyllcorner 0\ncellsize 1000\nNODATA_value -9\n"
        rows = "\n".join(" ".join(map(str, row)) for row in field)
        time = f"20200101{number // 12:02}{number % 12 * 5:02}"
        (folder / "archive" / f"rain_{time}.asc").write_text(f"{header}{rows}\n")
    return folder


def run(folder: Path, code: str) -> str:
    """What a process prints that finds the installed package."""
    paths = os.pathsep.join([str(folder / "site"), str(ROOT / "src")])
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_its_reader_opens_its_files(installed: Path) -> None:
    code = """
import framecast
frames = framecast.open("archive")
print(dict(frames.sizes), frames.attrs["units"], bool(frames[:, 0, 0, 0].isnull().all()))
print(framecast.open("archive/rain_202001010005.asc").time.values[0])
"""
    sizes = "{'time': 60, 'channel': 1, 'y': 16, 'x': 16}"
    assert run(installed, code) == f"{sizes} mm h-1 True\n2020-01-01T00:05:00.000000000\n"


SMALL = [
    *("data.context=3", "data.horizon=2", "data.crop=16", "model.hidden=[4]", "model.kernel=3", "model.patch=4"),
    *("training.iterations=1", "training.batch_size=1", "training.validation_windows=1", "training.workers=0"),
]


def test_its_model_is_trained_by_name_and_judged_beside_its_baseline(installed: Path) -> None:
    code = f"""
import framecast, numpy, xarray
rain = numpy.random.default_rng(0).gamma(0.5, 4.0, (60, 16, 16)).astype("float32")
time = numpy.datetime64("2020-01-01", "ns") + numpy.arange(60) * numpy.timedelta64(5, "m")
array = xarray.DataArray(rain, dims=("time", "y", "x"), coords={{"time": time}}, attrs={{"units": "mm/h"}}, name="rain")
array.to_netcdf("rain.nc", engine="h5netcdf")
run = framecast.train("radar#convlstm", ["model.name=example_convgru", *{SMALL}], data="rain.nc", out="run")
model = framecast.load(run)
print(type(model.card.model).__name__, model.forecast(framecast.open("rain.nc"), horizon=2).sizes["lead_time"])
print(*framecast.evaluate(run, baselines=["recent_mean"], limit=2).forecasters[1:])
"""
    assert run(installed, code) == "ConvGRU 2\nrecent_mean\n"


def test_its_baseline_is_forecast_by_name(installed: Path) -> None:
    code = """
import framecast
forecast = framecast.forecast("recent_mean", "archive", 2, fallback=["persistence"])
print(forecast.attrs["framecast_rung"], forecast.sizes["lead_time"])
"""
    assert run(installed, code) == "recent_mean 2\n"
