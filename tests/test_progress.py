"""Being told how far the opening of files is."""

from pathlib import Path

import numpy as np
import pytest
from rich.progress import Progress

import framecast
from framecast.cli.terminal import progress_bar
from framecast.progress import advance, report_progress


def test_every_file_is_told_of(tmp_path: Path) -> None:
    for number in range(3):
        np.save(tmp_path / f"rain_{number}.npy", np.zeros((4, 4), np.float32))
    told: list[tuple[int, int]] = []
    with report_progress(lambda done, of: told.append((done, of))):
        framecast.open(tmp_path, units="mm/h")
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
    advance(1, 2)
    assert len(told) == 4, "nobody is told outside"


def test_a_bar_is_shown_for_many_only(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr(Progress, "start", lambda self: shown.append("start"))
    report = progress_bar("opening files", least=100)
    report(1, 99)
    assert shown == []
    report(1, 100)
    assert shown == ["start"]
