"""Retention deletes what the service wrote and is old, and nothing else."""

from pathlib import Path

from rain_frames import at

from framecast.service.layout import Layout, write_json
from framecast.service.ledger import RECORD
from framecast.service.retention import delete_old
from framecast.service.settings import Retention


def test_only_own_and_old_entries_are_deleted(tmp_path: Path) -> None:
    layout = Layout(tmp_path, "small")
    for number in (0, 30):
        write_json(layout.forecast(at(number)) / RECORD, {})
        layout.frames.mkdir(exist_ok=True)
        layout.frame(at(number)).write_bytes(b"frame")
    others = [
        layout.forecasts / "20200101T000000Z" / "of_another.txt",
        layout.forecasts / "notes.txt",
        layout.frames / "20200101T000000Z.txt",
        layout.frames / "map_20200101T000000Z.nc",
    ]
    for other in others:
        other.parent.mkdir(exist_ok=True)
        other.write_text("mine")
    (layout.forecasts / "20200102T000000Z").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert delete_old(layout, Retention(forecasts=1, frames=2), at(31)) == 2
    assert [other.read_text() for other in others] == ["mine"] * 4
    assert (layout.forecasts / "20200102T000000Z").is_symlink()
    assert not layout.forecast(at(0)).exists()
    assert not layout.frame(at(0)).exists()
    assert (layout.forecast(at(30)) / RECORD).exists()
    assert layout.frame(at(30)).exists()
    assert not list(tmp_path.rglob(".writing-*"))
