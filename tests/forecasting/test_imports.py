"""What a forecast imports: nothing that takes long and that it does not need."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

HEAVY = (
    *("dask", "distributed", "zarr", "numcodecs", "fsspec", "rasterio", "netCDF4", "pysteps", "tornado", "jinja2"),
    *("scipy.fft", "scipy.ndimage", "scipy.special", "scipy.sparse", "scipy.stats", "sklearn"),
    *("matplotlib", "cartopy", "imageio", "fastapi", "lightning_fabric", "tensorboard", "torch._dynamo", "onnx"),
    *("framecast.training", "framecast.verification.evaluate", "framecast.report", "framecast.service"),
)
PROGRAM = f"""
import sys
from framecast.cli import app

app(sys.argv[1:], standalone_mode=False)
print(*sorted(set({HEAVY!r}) & set(sys.modules)))
"""


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    times = np.datetime64("2026-06-01T12:00", "ns") + np.arange(4) * np.timedelta64(5, "m")
    rain = np.random.default_rng(0).gamma(0.5, 2.0, (4, 64, 64)).astype(np.float32)
    coordinates = {"time": times, "y": np.arange(64) * -1000.0, "x": np.arange(64) * 1000.0}
    frames = xr.DataArray(rain, coordinates, ("time", "y", "x"), "rain", attrs={"units": "mm h-1"})
    path = tmp_path / "frames.nc"
    frames.to_netcdf(path, engine="h5netcdf")
    return path


@pytest.mark.parametrize("name", ["radar", "extrapolation"])
def test_a_forecast_imports_only_what_it_needs(archive: Path, name: str) -> None:
    command = ["forecast", name, "--data", str(archive), "--out", str(archive.with_name("nowcast.nc"))]
    done = subprocess.run([sys.executable, "-c", PROGRAM, *command], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str(archive.with_name("nowcast.nc")), ""]


def test_what_xarray_asks_of_dask_is_true_before_and_after_it_is_imported() -> None:
    program = """
import sys
import numpy as np
import xarray as xr
from xarray.namedarray.pycompat import array_type, is_chunked_array
import framecast.data.lazy

assert array_type("dask") == () and not is_chunked_array(np.zeros(2)) and "dask" not in sys.modules
import dask.array as da
assert array_type("dask") == (da.Array,) and is_chunked_array(da.zeros(2)) and not is_chunked_array(np.zeros(2))
chunked = xr.DataArray(np.arange(6.0)).chunk(2)
assert chunked.chunks == ((2, 2, 2),) and float((chunked + 1).sum()) == 21
"""
    subprocess.run([sys.executable, "-c", program], check=True)
