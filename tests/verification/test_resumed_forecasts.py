"""A verification of forecast files is continued, and distributed, with the result of an undisturbed one to the last bit."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from moving_rain import write_rain

import framecast
from framecast.errors import ArgumentError
from framecast.verification import stored_parts
from framecast.verification.result import Verification
from framecast.verification.stored_parts import FOLDER


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("archive") / "rain.nc"
    return write_rain(path, "2021-01-01T21:00", frames=30, height=16, width=20, speed=0.4)


@pytest.fixture(scope="module")
def folder(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, frames = tmp_path_factory.mktemp("forecasts"), framecast.open(archive)
    forecaster = framecast.load("extrapolation")
    for newest in range(4, 24):
        framecast.write(
            forecaster.forecast(frames.isel(time=slice(newest - 3, newest + 1)), 3), folder / f"{newest}.nc"
        )
    return folder


def verify(folder: Path, archive: Path, out: Path, **others: object) -> Verification:
    return framecast.verify_forecasts(str(folder), str(archive), out=out, baselines=("persistence",), **others)


def interrupt_after(cases: int) -> Callable[[int, int], None]:
    def progress(done: int, total: int) -> None:
        if done >= cases:
            raise KeyboardInterrupt

    return progress


def test_an_interrupted_verification_of_forecasts_continues(
    archive: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_parts, "_EVERY", -1.0)
    verify(folder, archive, tmp_path / "undisturbed")
    with pytest.raises(KeyboardInterrupt):
        verify(folder, archive, tmp_path / "out", progress=interrupt_after(12))
    assert (tmp_path / "out" / FOLDER).is_dir()
    counts: list[int] = []
    verify(folder, archive, tmp_path / "out", progress=lambda done, total: counts.append(done))
    assert counts[0] > 0
    assert (tmp_path / "out" / "cases.nc").read_bytes() == (tmp_path / "undisturbed" / "cases.nc").read_bytes()
    assert not (tmp_path / "out" / FOLDER).exists()


def test_forecasts_that_have_changed_are_scored_anew(
    archive: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_parts, "_EVERY", -1.0)
    copies = tmp_path / "copies"
    copies.mkdir()
    for file in folder.iterdir():
        (copies / file.name).write_bytes(file.read_bytes())
    with pytest.raises(KeyboardInterrupt):
        verify(copies, archive, tmp_path / "out", progress=interrupt_after(12))
    (copies / "9.nc").write_bytes((folder / "9.nc").read_bytes())
    counts: list[int] = []
    verify(copies, archive, tmp_path / "out", progress=lambda done, total: counts.append(done))
    assert counts[0] == 0


def test_on_a_cluster_forecasts_have_the_same_scores(archive: Path, folder: Path, cluster: str, tmp_path: Path) -> None:
    one = verify(folder, archive, tmp_path / "one")
    two = verify(folder, archive, tmp_path / "two", cluster=cluster)
    for name, values in one.sums.data_vars.items():
        np.testing.assert_array_equal(values, two.sums[name], err_msg=str(name))
    with pytest.raises(ArgumentError, match="frames in memory"):
        framecast.verify_forecasts(str(folder), framecast.open(archive), cluster=cluster)
