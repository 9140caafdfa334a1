"""Where the tests find data too large for the repository; a test that needs it is skipped where it is absent."""

import os
import signal
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # models in tests are tiny: threads would only wait for each other
os.environ["FRAMECAST_CACHE"] = tempfile.mkdtemp(prefix="framecast-tests-")  # nothing in the folder of the user

import pytest
from hypothesis import settings

settings.register_profile("framecast", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("framecast")

# Processes of the tests import framecast again and again: it is compiled once for all of them.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A shell that starts the tests in the background has them ignore Ctrl-C, which their processes would inherit.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)

SHARED = Path(__file__).resolve().parents[2] / "shared"


def _folder(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"needs ../shared/{name}, which is not here")
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real radar, digits and broken files."""
    return _folder("data")


@pytest.fixture(scope="session")
def radar(shared_data: Path) -> Path:
    """Clean CF NetCDF radar events."""
    return shared_data / "radar_netcdf"


@pytest.fixture(scope="session")
def bad(shared_data: Path) -> Path:
    """Broken and awkward files."""
    return shared_data / "bad"


@pytest.fixture(scope="session")
def parity() -> Path:
    """Numbers of the published implementations."""
    return _folder("parity")


@pytest.fixture(scope="session")
def originals(shared_data: Path) -> Path:
    """Radar files as weather services publish them."""
    return shared_data / "radar"


@pytest.fixture(scope="session")
def videos(shared_data: Path) -> Path:
    """Short video files."""
    return shared_data / "video"
