from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.codecs import BloscCodec, TransposeCodec, ZstdCodec

import framecast
from framecast.data.readers.zarr_shards import Shards
from framecast.errors import UnreadableFile


def written(store: Path, values: np.ndarray, chunk: tuple[int, ...], shard: tuple[int, ...], **changed: Any) -> Path:
    """An array as `layout.create` makes it, but for what is `changed`; returns its folder."""
    settings = {"fill_value": float("nan"), "compressors": ZstdCodec(level=1, checksum=True), "dtype": "float32"}
    group = zarr.open_group(store, mode="w")
    array = group.create_array("rain", shape=values.shape, chunks=chunk, shards=shard, **(settings | changed))
    array[...] = values
    return store / "rain"


@st.composite
def stored(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[Any, ...], int]:
    """Shape, chunk, shard, what to read, and a seed."""
    axes = []
    for _ in range(draw(st.integers(1, 4))):
        size, chunk = draw(st.integers(1, 12)), draw(st.integers(1, 5))
        low, high = sorted(draw(st.tuples(st.integers(0, size), st.integers(0, size))))
        place = draw(
            st.one_of(st.integers(-size, size - 1), st.builds(slice, *map(st.just, (low, high)), st.integers(1, 3)))
        )
        axes.append((size, chunk, chunk * draw(st.integers(1, 3)), place))
    return *(tuple(each) for each in zip(*axes, strict=True)), draw(st.integers(0, 99))  # type: ignore[return-value]


@settings(deadline=None, max_examples=60)
@given(stored())
def test_slices_are_those_of_zarr(
    tmp_path_factory: pytest.TempPathFactory,
    case: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[Any, ...], int],
) -> None:
    shape, chunk, shard, place, seed = case
    values = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    values[tuple(slice(k, None) for k in np.array(shape) // 2)] = (
        np.nan
    )  # so that some chunks, or shards, are not there
    folder = written(tmp_path_factory.mktemp("store") / "a.zarr", values, chunk, shard)
    shards = Shards.of(folder)
    assert shards is not None
    read = shards.read(place)
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, values[place])


_OTHERWISE: dict[str, dict[str, Any]] = {
    "float64": {"dtype": "float64"},
    "integers": {"dtype": "int16", "fill_value": 0},
    "filled with 0": {"fill_value": 0.0},
    "lz4": {"compressors": BloscCodec(cname="lz4")},
    "not compressed": {"compressors": None},
    "scaled": {"attributes": {"scale_factor": 0.5}},
    "named otherwise": {"chunk_key_encoding": {"name": "v2", "separator": "."}},
    "no shards": {"shards": None},
    "index first": {"shards": {"shape": (6, 8, 8), "index_location": "start"}},
    "transposed": {"filters": TransposeCodec(order=(2, 0, 1))},
}


@pytest.mark.parametrize("changed", _OTHERWISE.values(), ids=_OTHERWISE)
def test_what_is_stored_in_another_way_is_left_to_zarr(tmp_path: Path, changed: dict[str, Any]) -> None:
    values = np.arange(6 * 8 * 8, dtype=np.float32).reshape(6, 8, 8)
    stated = {"shards": (6, 8, 8)} | changed
    folder = written(tmp_path / "a.zarr", values, (3, 4, 4), stated.pop("shards"), **stated)
    assert Shards.of(folder) is None


def test_the_second_version_of_zarr_is_left_to_it(tmp_path: Path) -> None:
    xr.Dataset({"rain": (("y", "x"), np.ones((4, 4), np.float32))}).to_zarr(tmp_path / "a.zarr", zarr_format=2)
    assert Shards.of(tmp_path / "a.zarr" / "rain") is None


@pytest.fixture
def store(tmp_path: Path) -> Path:
    frames = xr.DataArray(
        np.random.default_rng(0).gamma(0.3, 3.0, (20, 70, 80)).astype(np.float32),
        dims=("time", "y", "x"),
        coords={"time": np.datetime64("2020-01-01", "ns") + np.arange(20) * np.timedelta64(5, "m")},
        attrs={"units": "mm/h"},
        name="rain",
    )
    frames.to_netcdf(tmp_path / "rain.nc", engine="h5netcdf")
    framecast.convert(tmp_path / "rain.nc", tmp_path / "rain.zarr", chunks=(4, 16, 16))
    return tmp_path / "rain.zarr"


def test_a_converted_archive_is_read_by_it(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = framecast.open(store.with_suffix(".nc")).values
    frames = framecast.open(store)
    monkeypatch.setattr(zarr.Array, "__getitem__", None)
    np.testing.assert_array_equal(frames.values, expected)


@pytest.mark.parametrize("place", [200, -200, -2, None], ids=["chunk", "index", "checksum", "cut off"])
def test_damage_is_found_and_names_the_store(store: Path, place: int | None) -> None:
    shard = next(file for file in sorted((store / "rain" / "c").rglob("*")) if file.is_file())
    content = bytearray(shard.read_bytes())
    if place is None:
        content = content[: len(content) // 2]
    else:
        content[place] ^= 255
    shard.write_bytes(content)
    with pytest.raises(UnreadableFile, match=r"rain\.zarr"):
        framecast.open(store).values  # noqa: B018


def test_damaged_metadata_of_an_array_change_nothing_where_those_of_the_store_are_whole(store: Path) -> None:
    before = framecast.open(store).values
    (store / "rain" / "zarr.json").write_text("{")
    np.testing.assert_array_equal(framecast.open(store).values, before)
    (store / "zarr.json").write_text("{")
    with pytest.raises(UnreadableFile, match=r"rain\.zarr"):
        framecast.open(store)
