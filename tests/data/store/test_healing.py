"""A conversion that was torn, killed, damaged or planned badly is never a dead end: the same command heals it or says why not."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import zarr
from test_conversion import CHUNKS, SMALL, archive, content, manifest_of, small, write_frame  # noqa: F401

import framecast
from framecast.data.store import layout
from framecast.data.store.conversion import convert
from framecast.errors import ConfigError, DataError, RunError


def interrupted(source: Path, store: Path, at: int = 8) -> Path:
    """The folder of a conversion that was interrupted after so many frames."""

    def interrupt(done: int, of: int) -> None:
        if done == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(source, store, chunks=CHUNKS, progress=interrupt)
    return store.with_name(f".{store.name}.partial")


def damage_shard(partial: Path) -> None:
    shard = partial / "rain/c/1/0/0/0"
    shard.write_bytes(shard.read_bytes()[:-40])


def tear_next_shard(partial: Path) -> None:
    (partial / "rain/c/2/0/0").mkdir(parents=True)
    (partial / "rain/c/2/0/0/0").write_bytes(b"torn")


def lose_shard(partial: Path) -> None:
    (partial / "rain/c/0/0/0/0").unlink()


def damage_metadata(partial: Path) -> None:
    (partial / "rain/zarr.json").write_text('{"shape": [')


def damage_manifest(partial: Path) -> None:
    (partial / "manifest.json").write_text('{"plan": {}, "frames": 8')


def plan_badly(partial: Path) -> None:
    """As an earlier version did, which then ended in every later run."""
    manifest = json.loads((partial / "manifest.json").read_text())
    manifest["plan"] |= {"chunks": [99999999999, 64, 64], "shard": 99999999999}
    (partial / "manifest.json").write_text(json.dumps(manifest))


def leave_nothing(partial: Path) -> None:
    shutil.rmtree(partial)
    partial.mkdir()


def claim_more(partial: Path) -> None:
    manifest = json.loads((partial / "manifest.json").read_text())
    (partial / "manifest.json").write_text(json.dumps(manifest | {"frames": 10}))


DAMAGES = (
    damage_shard,
    tear_next_shard,
    lose_shard,
    damage_metadata,
    damage_manifest,
    plan_badly,
    leave_nothing,
    claim_more,
)


class Torn(NamedTuple):
    """An archive, a conversion of it that was interrupted, and what it ends as if it is not."""

    source: Path
    partial: Path
    undisturbed: Path


@pytest.fixture(scope="module")
def torn(tmp_path_factory: pytest.TempPathFactory) -> Torn:
    folder = tmp_path_factory.mktemp("torn")
    source = archive(folder / "source", range(10))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "SHARD", SMALL)
        convert(source, folder / "undisturbed.zarr", chunks=CHUNKS)
        return Torn(source, interrupted(source, folder / "a.zarr"), folder / "undisturbed.zarr")


@pytest.mark.parametrize("chunks", [CHUNKS, None])
@pytest.mark.parametrize("damage", DAMAGES)
def test_the_same_command_heals_it(damage: Any, chunks: Any, torn: Torn, tmp_path: Path, small: None) -> None:  # noqa: F811
    damage(Path(shutil.copytree(torn.partial, tmp_path / ".a.zarr.partial")))
    convert(torn.source, tmp_path / "a.zarr", chunks=chunks)
    stored, expected = framecast.open(tmp_path / "a.zarr"), framecast.open(torn.undisturbed)
    np.testing.assert_array_equal(stored.values, expected.values)
    if chunks:
        assert content(tmp_path / "a.zarr") == content(torn.undisturbed)
        assert manifest_of(tmp_path / "a.zarr") == manifest_of(torn.undisturbed)
    assert not list(tmp_path.glob(".a.zarr.*"))


def test_an_earlier_state_that_was_not_removed_is_not_gone_on_with(tmp_path: Path, small: None) -> None:  # noqa: F811
    """The files of its later frames may be gone."""
    source = archive(tmp_path / "source", range(6))
    convert(source, tmp_path / "a.zarr", chunks=CHUNKS)
    shutil.copytree(tmp_path / "a.zarr", tmp_path / ".a.zarr.partial")
    archive(source, range(6, 10))
    convert(source, tmp_path / "b.zarr", chunks=CHUNKS)
    shutil.rmtree(tmp_path / "a.zarr")
    (tmp_path / "b.zarr").rename(tmp_path / "a.zarr")
    for number in range(10):
        (source / f"rain_{number:03d}.nc").unlink()
    archive(source, range(10, 12))
    assert convert(source, tmp_path / "a.zarr").frames == 12


def test_other_chunks_begin_anew(tmp_path: Path, small: None) -> None:  # noqa: F811
    source = archive(tmp_path / "source", range(10))
    interrupted(source, tmp_path / "a.zarr")
    sizes: list[Any] = []
    convert(source, tmp_path / "a.zarr", chunks=(1, 8, 8), begun=sizes.append)
    assert sizes[0].already == 0
    assert zarr.open_group(tmp_path / "a.zarr")["rain"].chunks == (1, 1, 8, 8)  # type: ignore[union-attr]


@pytest.mark.parametrize("chunks", [(99999999999, 64, 64), (2**63 - 1, 1, 1), (10**23,) * 3, (10**6,) * 3])
def test_chunks_of_too_many_frames_are_refused(chunks: Any, tmp_path: Path) -> None:
    source = archive(tmp_path / "source", range(2))
    with pytest.raises(ConfigError, match=r"frames in a chunk|expected at most 2,147,483,647"):
        convert(source, tmp_path / "a.zarr", chunks=chunks)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize("chunks", [(1, 1, 1), (1, 4, 4), (63, 1, 1)])
def test_chunks_of_too_few_pixels_are_refused(chunks: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least 64 pixels"):
        convert(archive(tmp_path / "source", range(2)), tmp_path / "a.zarr", chunks=chunks)


def test_chunks_beyond_the_frame_are_clipped(tmp_path: Path) -> None:
    source = archive(tmp_path / "source", range(2))
    for _ in range(2):  # the same command again
        convert(source, tmp_path / "a.zarr", chunks=(8, 10**9, 10**9))
    assert zarr.open_group(tmp_path / "a.zarr")["rain"].chunks == (8, 1, 12, 16)  # type: ignore[union-attr]


def test_small_frames_have_small_chunks(tmp_path: Path) -> None:
    np.save(tmp_path / "point.npy", np.arange(20, dtype=np.uint8).reshape(20, 1, 1, 1))
    convert(tmp_path / "point.npy", tmp_path / "a.zarr", chunks=(8, 1, 1))
    frames = framecast.open(tmp_path / "point.npy")
    np.testing.assert_array_equal(framecast.open(tmp_path / "a.zarr").values, frames.values)


EDITS: list[dict[str, Any]] = [
    {"frames": 3},
    {"frames": 60},
    {"frames": -1},
    {"frames": "6"},
    {"frames": 6.0},
    {"last": None},
    {"last": "2020-01-01"},
    {"last": "text"},
    {"last": 5},
    {"files": []},
    {"files": {"a.nc": 5}},
    {"stored": {"rain/c/7/0/0/0": ""}},
    {"repairs": {}},
    {"plan": {}},
    {"plan": None},
]


@pytest.fixture(scope="module")
def growing(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An archive with two frames more than the store of it."""
    folder = tmp_path_factory.mktemp("growing")
    source = archive(folder / "source", range(6))
    convert(source, folder / "a.zarr", chunks=CHUNKS)
    return archive(source, range(6, 8)), folder / "a.zarr"


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_manifest_is_refused_and_the_store_stays(
    edit: dict[str, Any], growing: tuple[Path, Path], tmp_path: Path
) -> None:
    source, store = growing
    shutil.copytree(store, tmp_path / "a.zarr")
    manifest = json.loads((store / "manifest.json").read_text())
    (tmp_path / "a.zarr/manifest.json").write_text(json.dumps(manifest | edit))
    before = content(tmp_path / "a.zarr")
    with pytest.raises(ConfigError, match="exists already and"):
        convert(source, tmp_path / "a.zarr", chunks=CHUNKS)
    assert content(tmp_path / "a.zarr") == before


def test_a_damaged_store_does_not_grow(tmp_path: Path, small: None) -> None:  # noqa: F811
    source = archive(tmp_path / "source", range(6))
    convert(source, tmp_path / "a.zarr", chunks=CHUNKS)
    damage_shard(tmp_path / "a.zarr")
    archive(source, range(6, 8))
    with pytest.raises(ConfigError, match="is damaged"):
        convert(source, tmp_path / "a.zarr", chunks=CHUNKS)


HOLD = """
import sys
from framecast.data.store.conversion import convert
def wait(*_):
    print("begun", flush=True)
    sys.stdin.readline()
convert(sys.argv[1], sys.argv[2], begun=wait)
"""


def test_of_two_at_once_one_is_refused(tmp_path: Path) -> None:
    source = archive(tmp_path / "source", range(6))
    store = tmp_path / "a.zarr"
    command = [sys.executable, "-c", HOLD, source, store]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdin is not None
        assert first.stdout is not None
        assert first.stdout.readline() == "begun\n"
        (tmp_path / "link.zarr").symlink_to("a.zarr")
        for out in (store, tmp_path / "link.zarr"):
            with pytest.raises(RunError, match=f"another process: process {first.pid} on"):
                convert(source, out)
        first.stdin.write("\n")
    assert first.returncode == 0
    assert convert(source, tmp_path / "link.zarr").added == 0
    assert (tmp_path / "link.zarr").is_symlink()


def test_a_source_that_is_gone_when_it_is_summed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(file: Path) -> str:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr("framecast.data.store.manifest.sha256", gone)
    with pytest.raises(DataError, match=r"rain_000\.nc: cannot be read"):
        convert(archive(tmp_path / "source", range(2)), tmp_path / "a.zarr")


def test_frames_without_data_replace_nothing(tmp_path: Path, small: None) -> None:  # noqa: F811
    """A shard of missing values is no file; one that was begun with values keeps them."""
    source = archive(tmp_path / "source", range(6))
    convert(source, tmp_path / "a.zarr", chunks=CHUNKS)
    for number in range(6, 16):
        write_frame(source, number, value=np.nan)
    convert(source, tmp_path / "a.zarr", chunks=CHUNKS)
    np.testing.assert_array_equal(framecast.open(tmp_path / "a.zarr").values, framecast.open(source).values)
    assert not (tmp_path / "a.zarr/rain/c/3").exists()
