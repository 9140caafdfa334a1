"""What an installation without extras can do, and how it names what it lacks: modules are hidden in a process of their own."""

import os
import re
import subprocess
import sys
import textwrap
import tomllib
from importlib.metadata import requires
from pathlib import Path

import numpy as np
import pytest

import framecast
from framecast.checks import require
from framecast.errors import ConfigError

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

HIDE = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if hidden(name.partition(".")[0]):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hidden())
"""
OF_EXTRAS = (
    *("lightning_fabric", "tensorboard", "psutil", "matplotlib", "jinja2", "sklearn", "av", "rasterio"),
    *("distributed", "obstore", "mlflow", "pysteps", "cv2", "scores", "skimage", "torchmetrics", "hypothesis"),
)
WITHOUT_EXTRAS = f"def hidden(name):\n    return name in {OF_EXTRAS}\n" + HIDE


def run(code: str, folder: Path) -> str:
    """What a process prints that has no modules but those that `code` leaves it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_models_and_scores_need_torch_numpy_and_einops_alone(tmp_path: Path) -> None:
    """Each of their modules is imported; a model makes a forecast, a loss and gradients; the forecast is scored."""
    of_torch = {re.split(r"[^\w.-]", each)[0].replace("-", "_") for each in requires("torch") or ()}
    allowed = {"torch", "torchgen", "functorch", "numpy", "einops", "framecast", *of_torch}
    code = f"""
    import torch
    def hidden(name):
        return name not in {allowed} and name not in sys.stdlib_module_names
    {{HIDE}}
    import pkgutil
    from importlib import import_module
    import framecast.models, framecast.ops, framecast.scores
    for package in (framecast.models, framecast.ops, framecast.scores):
        for module in pkgutil.walk_packages(package.__path__, f"{{package.__name__}}."):
            if module.name != "framecast.ops.gpu.kernels" and "_loops" not in module.name:   # Triton, and libraries in C
                import_module(module.name)
    from framecast.losses import L2
    from framecast.models import PredRNNV2
    from framecast.ops import free_running
    from framecast.scores.events import contingency, csi
    from framecast.types import FrameShape
    model = PredRNNV2.tiny().build(FrameShape(1, 16, 16, 3, 3))
    frames = torch.rand(2, 6, 1, 16, 16)
    model(frames, free_running(2, 3, 3)).frames.square().mean().backward()
    forecast = model.forecast(frames[:, :3], 3)
    table = contingency(forecast, frames[:, 3:], torch.ones_like(forecast, dtype=torch.bool), (0.5,))
    print(tuple(forecast.shape), csi(table).shape[-1])
    """
    code = textwrap.dedent(code).replace("{HIDE}", HIDE)
    assert run(code, tmp_path) == "(2, 3, 1, 16, 16) 1\n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with frames in rain.nc and the run of a model that was trained on them."""
    import xarray as xr

    folder = tmp_path_factory.mktemp("core")
    rain = np.random.default_rng(0).gamma(0.5, 4.0, (40, 32, 32)).astype(np.float32)
    time = np.datetime64("2020-01-01", "ns") + np.arange(40) * np.timedelta64(5, "m")
    frames = xr.DataArray(rain, dims=("time", "y", "x"), coords={"time": time}, attrs={"units": "mm/h"}, name="rain")
    frames.to_netcdf(folder / "rain.nc", engine="h5netcdf")
    small = ["data.context=3", "data.horizon=3", "data.crop=16", "model.hidden=[4,4]", "model.kernel=3"]
    short = ["training.iterations=1", "training.batch_size=1", "training.validation_windows=1", "training.workers=0"]
    framecast.train("radar#predrnn_v2", [*small, *short], data=folder / "rain.nc", out=folder / "run")
    return folder


def test_reading_forecasting_verifying_and_writing_need_no_extra(trained: Path) -> None:
    code = """
    import framecast
    frames = framecast.open("rain.nc")
    forecast = framecast.load("run").forecast(frames, horizon=4)
    framecast.write(forecast, "nowcast.nc")
    scores = framecast.evaluate("run", limit=2)
    facts = framecast.inspect(frames).facts
    import xarray as xr
    with xr.open_dataset("nowcast.nc", engine="h5netcdf") as written:
        print(written.sizes["lead_time"], scores.cases > 0, end=" ")
    print("frames" in str(facts), len(framecast.recipes()) > 5)
    """
    assert run(WITHOUT_EXTRAS + textwrap.dedent(code), trained) == "4 True True True\n"


def test_help_and_the_names_of_missing_parts_work_without_extras(trained: Path) -> None:
    code = """
    import pydoc
    import framecast
    text = pydoc.plain(pydoc.render_doc(framecast))
    print("write_report" in text, "a report needs matplotlib" in str(framecast.write_report.__doc__))
    """
    assert run(WITHOUT_EXTRAS + textwrap.dedent(code), trained) == "True True\n"


CALLS = [
    ("framecast.train('radar#predrnn_v2', data='rain.nc', out='new')", "training needs lightning-fabric", "train"),
    ("framecast.resume('run')", "training needs lightning-fabric", "train"),
    ("estimate(read('radar#predrnn_v2'))", "measuring a training step needs psutil", "train"),
    ("framecast.write_report(None, 'page.html')", "a report needs matplotlib", "report"),
    ("import_module('framecast.diagnosis')", "a diagnosis needs scikit-learn", "diagnose"),
    ("framecast.write(forecast(), 'nowcast.gif')", "an animation needs matplotlib", "report"),
    ("framecast.write(forecast(), 'nowcast.mp4')", "an animation as MP4 needs PyAV", "video,report"),
    ("framecast.open('film.mp4')", "video needs PyAV", "video"),
    ("framecast.open('field.tif')", "a GeoTIFF or GRIB file needs rasterio", "raster"),
    ("framecast.evaluate('run', baselines=['steps'], limit=1)", "steps needs pysteps", "oracles"),
    ("framecast.evaluate('run', cluster='local:2', limit=2)", "work on a cluster needs distributed", "cluster"),
    ("MLflow('http://127.0.0.1:1')", "sending curves to MLflow needs MLflow", "mlflow"),
    ("demo()", "the demonstration needs lightning-fabric", "demo"),
    ("MovingDigits().open()", """the handwriting of images="bundled" needs scikit-learn""", "demo"),
]


def test_each_error_for_a_missing_part_names_its_extra(trained: Path) -> None:
    (trained / "film.mp4").write_bytes(b"\0\0\0\x18ftypisom" + b"\0" * 64)
    (trained / "field.tif").write_bytes(b"II*\0" + b"\0" * 64)
    code = f"""
    from importlib import import_module
    import framecast
    from framecast.config.recipes import read
    from framecast.data.datasets import MovingDigits
    from framecast.training.cost import estimate
    from framecast.training.logs import MLflow
    from framecast.workflows.demo import demo
    def forecast():
        return framecast.load("run").forecast(framecast.open("rain.nc"), horizon=1)
    for call in {[call for call, _, _ in CALLS]}:
        try:
            eval(call)
        except framecast.ConfigError as error:
            print(error.what, "|", error.remedy)
        else:
            print("no error:", call)
    """
    lines = run(WITHOUT_EXTRAS + textwrap.dedent(code), trained).splitlines()
    assert lines == [f'{what}, which is not installed | pip install "framecast[{extra}]"' for _, what, extra in CALLS]
    extras = {name for _, _, extra in CALLS for name in extra.split(",")}
    assert extras <= set(PROJECT["optional-dependencies"])


def test_a_part_that_is_installed_is_no_error() -> None:
    require("torch", "numpy", extra="train", purpose="training")
    with pytest.raises(ConfigError, match="moon needs no_such_module, which is not installed"):
        require("torch", "no_such_module", extra="train", purpose="moon", where="here")


def test_all_is_every_extra_that_users_need() -> None:
    extras = PROJECT["optional-dependencies"]
    (everything,) = extras["all"]
    assert set(everything.removeprefix("framecast[").removesuffix("]").split(",")) == set(extras) - {"all", "test"}
