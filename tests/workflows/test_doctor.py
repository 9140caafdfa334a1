"""The examination of an installation names what is missing, what that costs and how to add it."""

from pathlib import Path

import pytest
from packaging.requirements import Requirement
from typer.testing import CliRunner

import framecast
from framecast.cli import app
from framecast.ops.native import library
from framecast.ops.native.library import Status
from framecast.workflows.doctor import check_installation, extras_entries, extras_of, loops_entry, requires_of

NONE = Status("AVX2", None, "no C compiler with OpenMP at installation")


def test_this_installation_is_examined_without_an_error() -> None:
    entries = {entry.name: entry for entry in check_installation()}
    assert entries["framecast"].state == framecast.__version__
    assert {"Python", "PyTorch", "threads", "loops", "GPU", "memory"} <= set(entries)
    assert bool(entries["loops"].remedy) == (not library.available())


def test_loops_that_run_are_named_with_their_file() -> None:
    entry = loops_entry(Status("AVX2", Path("/lib/_loops_avx2.so")))
    assert entry.state == "AVX2, chosen by the processor: /lib/_loops_avx2.so"
    assert not entry.remedy


def test_missing_loops_name_the_cost_and_the_remedy() -> None:
    entry = loops_entry(NONE)
    assert entry.state == "none (no C compiler with OpenMP at installation)"
    assert "times as long" in entry.remedy
    assert "gcc" in entry.remedy


@pytest.mark.parametrize("arguments", [["--version"], ["doctor"]])
def test_missing_loops_are_printed_and_are_not_an_error(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_load", lambda: (None, NONE))
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert framecast.__version__ in done.output
    assert "none (no C compiler with OpenMP at installation)" in done.output


def test_a_library_that_cannot_be_loaded_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_loops", *library.FORMS.values()):
        (tmp_path / f"{name}.so").write_bytes(b"not a library")
    monkeypatch.setattr(library, "FOLDER", tmp_path)
    loaded, status = library._load.__wrapped__()
    assert loaded is None
    assert status.path is None
    assert f"{tmp_path}/_loops" in str(status)


def test_without_a_file_no_loops_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "FOLDER", tmp_path)
    loaded, status = library._load.__wrapped__()
    assert loaded is None
    assert "no C compiler" in str(status)


REQUIREMENTS = [
    Requirement(line)
    for line in (
        "numpy>=2.0",
        'pytest>=1; extra == "test"',
        'framecast[video]; extra == "test"',
        'a-package-that-nobody-has; extra == "video"',
        'pytest>=99999; extra == "future"',
        'pytest; platform_system == "Nowhere" and extra == "elsewhere"',
        'tomli; python_version < "3"',
    )
]


def test_extras_are_those_of_the_metadata() -> None:
    names = {extra: [each.name for each in own] for extra, own in extras_of(REQUIREMENTS).items()}
    assert names == {"test": ["pytest"], "video": ["a-package-that-nobody-has"], "future": ["pytest"]}


def test_a_missing_part_is_named_with_the_command_that_adds_it() -> None:
    entries = {entry.name: entry for entry in extras_entries(REQUIREMENTS)}
    assert entries["[test]"].state == f"pytest {pytest.__version__}"
    assert not entries["[test]"].remedy
    assert entries["[video]"].state == "missing: a-package-that-nobody-has"
    assert entries["[video]"].remedy == "pip install 'framecast[video]'"
    assert entries["[future]"].state == f"missing: pytest>=99999 (installed: {pytest.__version__})"


def test_framecast_that_is_not_installed_is_examined_too() -> None:
    assert requires_of("a-package-that-nobody-has") is None
    (entry,) = extras_entries(None)
    assert entry.remedy
