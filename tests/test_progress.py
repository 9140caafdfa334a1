"""Being told how far the opening of an archive is."""

from pathlib import Path

import numpy as np
import pytest
from rich.progress import Progress

import framecast
from framecast.cli.terminal import progress_bar
from framecast.data.coverage import coverage
from framecast.progress import advance, report_progress


def test_every_file_and_every_frame_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framecast.data.coverage.PIECE_BYTES", 1)
    for number in range(3):
        np.save(tmp_path / f"rain_{number}.npy", np.zeros((4, 4), np.float32))
    told: list[tuple[str, int, int]] = []
    with report_progress(lambda what: lambda done, of: told.append((what, done, of))):
        frames = framecast.open(tmp_path, units="mm/h")
        assert told == [("opening files", done, 3) for done in range(4)]
        coverage(frames)
    assert told[4:] == [("reading frames", done, 3) for done in (1, 2, 3)]
    advance("opening files", 1, 2)
    assert len(told) == 7, "nobody is told outside"


def test_a_bar_is_shown_for_many_only(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr(Progress, "start", lambda self: shown.append("start"))
    report = progress_bar("opening files", least=100)
    report(1, 99)
    assert shown == []
    report(1, 100)
    assert shown == ["start"]


def test_the_time_left_is_that_of_the_archive_at_hand(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    times = iter([0.0, 1000.0, 2000.0, 2010.0])
    monkeypatch.setattr("framecast.cli.terminal.time.monotonic", lambda: next(times))
    caplog.set_level("INFO")
    report = progress_bar("reading frames")
    for done in (0, 200, 0, 100):
        report(done, 200)
    assert caplog.messages[-1] == "reading frames: 100 of 200, 0:00:10 left"
