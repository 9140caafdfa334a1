"""Folders with entries that cannot be looked at."""

from pathlib import Path

import numpy as np

import framecast
from framecast.verification.forecast_files import list_files


def test_links_to_themselves_hide_no_file(tmp_path: Path) -> None:
    """Before and after the files in the listing, and named like one."""
    for number in range(2):
        np.save(tmp_path / f"rain_20260501_12{number:02}.npy", np.zeros((8, 8), np.float32))
    for name in ("a", "rain_20260501_1205.npy", "z.nc"):
        (tmp_path / name).symlink_to(name)
    for path in (tmp_path, tmp_path / "*"):
        frames = framecast.open(str(path), units="mm/h")
        assert frames.sizes["time"] == 2
        assert any("passed over" in repair for repair in frames.attrs["repairs"])
    (tmp_path / "forecast.nc").write_bytes(b"")
    assert [file.name for file in list_files(tmp_path)] == ["forecast.nc"]
