"""The demonstration, in miniature: every step of it runs and leaves what it says it leaves."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from rich.console import Console

from framecast.errors import DataError, RunError
from framecast.training.run_folder import read_experiment
from framecast.workflows.demo import demo

QUIET = Console(quiet=True)


def test_on_moving_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framecast.workflows.demo.TEST_SEQUENCES", 4)
    monkeypatch.setattr("framecast.workflows.radar_demo.MEMBERS", 2)
    monkeypatch.setattr("framecast.workflows.radar_demo.HORIZON", 9)  # one case
    verification, report = demo(out=tmp_path / "demo", iterations=1, console=QUIET)
    assert verification.cases == 4
    assert list(verification.forecasters) == ["predrnn_v2", "persistence", "extrapolation"]
    assert report.is_file()
    assert (tmp_path / "demo" / "cases.nc").is_file()
    with xr.open_dataset(tmp_path / "demo" / "forecast.nc", decode_timedelta=True) as forecast:
        assert forecast.sizes["lead_time"] == 20


def test_on_own_frames(tmp_path: Path) -> None:
    y, x = np.mgrid[:16, :20]
    values = [200 * np.exp(-((y - 8) ** 2 + (x - 3 - 0.2 * t) ** 2) / 9) for t in range(80)]
    np.save(tmp_path / "own.npy", np.array(values).astype(np.uint8))
    for iterations in (2, 1):  # the second replaces the first
        verification, _ = demo(str(tmp_path / "own.npy"), out=tmp_path / "demo", iterations=iterations, console=QUIET)
        assert verification.cases > 0
    assert read_experiment(tmp_path / "demo" / "run").training.iterations == 1


def test_data_that_are_not_there_leave_everything_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    for name in (".framecast-demo", "report.html"):
        (tmp_path / "demo" / name).touch()
    with pytest.raises(DataError, match="no such file"):
        demo(str(tmp_path / "absent.nc"), out=tmp_path / "demo", iterations=1, console=QUIET)
    assert (tmp_path / "demo" / "report.html").exists()
    with pytest.raises(RunError, match="cannot be written"):
        demo(out=tmp_path / "demo" / "report.html" / "below", iterations=1, console=QUIET)


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(RunError, match="not from an earlier demonstration"):
        demo(out=tmp_path, iterations=1, console=QUIET)
    assert (tmp_path / "thesis.tex").exists()
