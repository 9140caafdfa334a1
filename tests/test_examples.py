"""The examples run as they stand, and the documents name what exists."""

import importlib
import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])


def test_a_forecaster_of_ones_own(
    radar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = tmp_path / "few.nc"
    import xarray as xr

    source = (ROOT / "examples" / "own_forecaster.py").read_text()
    assert re.findall(r"^(?:from|import) framecast.*", source, re.MULTILINE) == ["import framecast"]
    with xr.open_dataset(radar / "mch_20150515.nc", engine="h5netcdf") as event:
        event.isel(time=slice(0, 20), y=slice(200, 300), x=slice(200, 300)).to_netcdf(frames, engine="h5netcdf")
    monkeypatch.setattr("sys.argv", ["own_forecaster.py", str(frames), str(tmp_path / "report.html")])
    runpy.run_path(str(ROOT / "examples" / "own_forecaster.py"), run_name="__main__")
    printed, progress = capsys.readouterr()
    assert re.search(r"(\d+) of \1 windows", progress)
    assert all(name in printed for name in ("mean of the context", "persistence", "extrapolation"))
    assert (tmp_path / "report.html").is_file()


def test_a_model_of_ones_own(
    radar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Trained, loaded and verified as a module that Python finds, by public names only."""
    import xarray as xr

    source = (ROOT / "examples" / "own_model.py").read_text()
    assert re.findall(r"^(?:from|import) framecast.*", source, re.MULTILINE) == ["import framecast"]
    with xr.open_dataset(radar / "mch_20150515.nc", engine="h5netcdf") as event:
        event.isel(y=slice(200, 232), x=slice(200, 232)).to_netcdf(tmp_path / "few.nc", engine="h5netcdf")
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    own_model = importlib.import_module("own_model")
    small = ("data.context=3", "data.horizon=2", "data.crop=16", "training.iterations=2", "training.batch_size=2")
    quick = ("training.validation_windows=1", "training.workers=0", "model.kernel=3")
    own_model.main(str(tmp_path / "few.nc"), str(tmp_path / "run"), *small, *quick)
    assert "own_model:Linear" in capsys.readouterr().out
    with pytest.raises(ValueError, match="unknown key 'kernle'"):
        own_model.main(str(tmp_path / "few.nc"), str(tmp_path / "other"), *small, "model.kernle=3")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_paths_that_documents_name_exist(document: Path) -> None:
    """Files of the tree, named from its root or from a package: `tests/test_api.py`, `verification/result.py`."""
    named = re.findall(r"(?:`|python |pytest )([a-z_0-9]+/[a-z_0-9/]+\.(?:py|c))\b", document.read_text())
    roots = [ROOT, ROOT / "src" / "framecast", ROOT / "src" / "framecast" / "data"]
    assert [path for path in named if not any((root / path).exists() for root in roots)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text())
    broken = [link for link in links if not link.startswith("http") and not (document.parent / link).exists()]
    assert broken == []
