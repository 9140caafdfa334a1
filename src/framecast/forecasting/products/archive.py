"""A Zarr store that grows by one forecast at a time: the public function `framecast.append_forecast`.

The files of a forecast are new chunks, which no reader sees before the consolidated metadata, one file, is replaced: that is the
last step. Whatever ends an append before it, the store is what it was, and the next append writes the same chunks again.

Forecasts may differ: shorter ones and those of a fallback, without members or probabilities, are no data where the others have
more. What says how a forecast came about, its attributes `framecast_...`, is a text along `init_time`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from zarr.abc.buffer import Buffer
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import MemoryStore

from framecast.checks import as_path, refuses_arrays
from framecast.errors import ConfigError, DataError, RunError
from framecast.forecasting.labels import Forecast, values_of
from framecast.forecasting.products.source import origin_of
from framecast.forecasting.write import check_forecast, to_dataset
from framecast.reading.paths import read_bytes
from framecast.reading.plain_data import parse_json
from framecast.writing import claim, put_bytes, replacing, write_bytes

_METADATA = ".zmetadata"
_SIDE = 256
"""Rows and columns of a chunk of maps."""
_TIMES = 4096
"""Forecasts in a chunk of times and texts."""
_AXES = ("lead_time", "member", "threshold", "quantile")
"""The axes along which a forecast may have less than the store."""
_OF_ONE = ("repairs", "warnings")
"""Attributes of the file of one forecast that are texts along `init_time` here, besides its origin."""
_FORMAT: dict[str, Any] = {"zarr_format": 2, "consolidated": True}


@refuses_arrays
def append_forecast(forecast: Forecast, store: str | Path) -> bool:
    """Append a forecast to the Zarr `store`, which is created if it does not exist; false if it holds one of the same initial
    time already. A killed append leaves the store as it was.

    Raises `DataError` for a forecast of several initial times, of another grid or unit than the store has, with lead times or
    members beyond its own, or before its last one; `ConfigError` for another suffix than .zarr, and `RunError` if it
    cannot be written or another process appends.
    """
    path = as_path(store, "the path of a store, ....zarr", "store")
    if path.suffix != ".zarr":
        raise ConfigError(f"{path.suffix or 'no suffix'} is no format", where=path, remedy="name it ....zarr")
    if check_forecast(forecast).sizes["init_time"] != 1:
        raise DataError("several initial times, expected one", remedy="append one by one: forecast.isel(init_time=[0])")
    dataset = _as_record(forecast)
    with claim(path, sibling=True):
        if not path.exists():
            files = _encode(dataset)
            with replacing(path, overwrite=False) as folder:
                for name, content in files.items():
                    put_bytes(folder / name, content)
            return True
        return _append(dataset, path)


def _append(dataset: xr.Dataset, path: Path) -> bool:
    before = _read(path)
    memory = _memory(before)
    own = xr.open_zarr(MemoryStore(memory), decode_times=False, decode_timedelta=False, mask_and_scale=False)
    length, newest = own.sizes["init_time"], int(own["init_time"].values[-1])
    now = int(dataset["init_time"].values[0].astype("datetime64[s]").astype(np.int64))
    if (own["init_time"].values == now).any():
        return False
    if now < newest:
        raise DataError(
            f"the forecast of {dataset['init_time'].values[0]} is older than the last of the archive",
            where=path,
            remedy="append forecasts in the order of their initial times",
        )
    new = _new_arrays(_encode(dataset), before, length)
    metadata = json_of(before[_METADATA])
    metadata["metadata"] |= {
        name: json_of(content) for name, content in new.items() if Path(name).name.startswith(".z")
    }
    memory |= _memory(new | {_METADATA: json.dumps(metadata).encode()})
    fitted = _fit(dataset, xr.open_zarr(MemoryStore(memory), decode_timedelta=True), path)
    fitted.to_zarr(MemoryStore(memory), append_dim="init_time", **_FORMAT)
    after = {name: content.to_bytes() for name, content in memory.items()}
    changed = [name for name, content in after.items() if not _is_same(name, before.get(name), content)]
    for name in sorted(changed, key=_step):
        write_bytes(path / name, after[name])
    return True


def _is_same(name: str, old: bytes | None, new: bytes) -> bool:
    """Whether a file need not be written: metadata are compared by their content."""
    return old == new or (old is not None and Path(name).name.startswith(".z") and json_of(old) == json_of(new))


def _step(name: str) -> int:
    """When a file is written: chunks, then the metadata of arrays, then those of the store, which all readers use."""
    return 2 if name == _METADATA else int(Path(name).name.startswith(".z"))


def _as_record(forecast: Forecast) -> xr.Dataset:
    """The forecast as the store has it: what changes from one to the next is a variable along `init_time`."""
    dataset = to_dataset(forecast)
    origin = origin_of(forecast)
    origin |= {name: str(dataset.attrs[name]) for name in _OF_ONE if name in dataset.attrs}
    for part in (dataset, *dataset.data_vars.values()):
        part.attrs = {name: value for name, value in part.attrs.items() if name not in (*origin, "history")}
    dataset.attrs |= {"title": "forecasts by initial time", "source": "framecast"}
    for name, text in {"forecaster": str(values_of(forecast).attrs.get("forecaster", "")), **origin}.items():
        dataset[name] = xr.Variable(("init_time",), np.array([text], dtype=object))
    for name in map(str, dataset.variables):
        variable = dataset[name].variable
        if "init_time" in variable.dims:
            sizes = {"init_time": 1 if "y" in variable.dims else _TIMES, "y": _SIDE, "x": _SIDE}
            chunks = tuple(
                size if dim == "init_time" else min(size, length)
                for dim, length in variable.sizes.items()
                for size in (sizes.get(str(dim), length),)
            )
            encoding = dataset[name].encoding
            for key in ("zlib", "complevel"):
                encoding.pop(key, None)
            encoding["chunks"] = chunks
    return dataset


def _encode(dataset: xr.Dataset) -> dict[str, bytes]:
    """The files of a store with this dataset."""
    memory: dict[str, Buffer] = {}
    dataset.to_zarr(MemoryStore(memory), **_FORMAT)
    return {name: content.to_bytes() for name, content in memory.items()}


def _read(path: Path) -> dict[str, bytes]:
    """The files of a store as its consolidated metadata have them, without the chunks of maps. Raises `RunError` without."""
    if not (path / _METADATA).is_file():
        raise RunError("is no archive of forecasts", where=path, remedy="choose another path")
    content = read_bytes(path / _METADATA)
    metadata = json_of(content)["metadata"]
    files = {_METADATA: content}
    files |= {name: json.dumps(part).encode() for name, part in metadata.items()}
    for name in (name.removesuffix("/.zarray") for name in metadata if name.endswith("/.zarray")):
        if not {"init_time", "y"} <= set(metadata[f"{name}/.zattrs"]["_ARRAY_DIMENSIONS"]):
            chunks = [file for file in (path / name).iterdir() if not file.name.startswith(".")]
            files |= {f"{name}/{file.name}": read_bytes(file) for file in chunks}
    return files


def _memory(files: dict[str, bytes]) -> dict[str, Buffer]:
    return {name: default_buffer_prototype().buffer.from_bytes(content) for name, content in files.items()}


def _new_arrays(fresh: dict[str, bytes], before: dict[str, bytes], length: int) -> dict[str, bytes]:
    """The metadata of arrays that the store has not yet, as long as its others, and the content of those without `init_time`."""
    new: dict[str, bytes] = {}
    for key, content in fresh.items():
        name, _, file = key.rpartition("/")
        if not name or f"{name}/.zarray" in before:
            continue
        along = "init_time" in json_of(fresh[f"{name}/.zattrs"])["_ARRAY_DIMENSIONS"]
        if file == ".zarray" and along:
            metadata = json_of(content)
            new[key] = json.dumps(metadata | {"shape": [length, *metadata["shape"][1:]]}).encode()
        elif file.startswith(".z") or not along:
            new[key] = content
    return new


def json_of(content: bytes) -> dict[str, Any]:
    """The metadata in a file of a store."""
    metadata: dict[str, Any] = parse_json(content.decode(), _METADATA)
    return metadata


def _fit(dataset: xr.Dataset, own: xr.Dataset, path: Path) -> xr.Dataset:
    """The dataset with the variables, lead times and members of the store. Raises `DataError` where it does not fit."""
    for axis in ("y", "x", *_AXES):
        mine, theirs = (each[axis].values if axis in each.coords else None for each in (dataset, own))
        fixed = axis in ("y", "x")
        if mine is None and (theirs is None or not fixed):
            continue
        if (
            mine is None
            or theirs is None
            or (not np.array_equal(mine, theirs) if fixed else not np.isin(mine, theirs).all())
        ):
            raise DataError(
                f"{axis} of the forecast differs from that of the archive", where=path, remedy="begin another archive"
            )
    if "member" in own.dims and "member" not in dataset.dims:
        with_member = {name for name, each in own.data_vars.items() if "member" in each.dims} & set(dataset.data_vars)
        first = own["member"].values[:1]
        dataset = dataset.assign({name: dataset[name].expand_dims(member=first) for name in with_member})
    axes = {axis: own[axis] for axis in _AXES if axis in dataset.dims}
    dataset = dataset.drop_vars(["time", "time_bounds"], errors="ignore").reindex(axes)
    valid = (dataset["init_time"] + own["lead_time"]).transpose("init_time", "lead_time").variable
    dataset["time"] = valid
    if "time_bounds" in own:
        length = np.diff(own["time_bounds"].values[0, 0])
        bounds = np.stack([valid.values - length, valid.values], axis=-1)
        dataset["time_bounds"] = (own["time_bounds"].dims, bounds)
    fitted = xr.Dataset(coords={"init_time": dataset["init_time"]}, attrs=own.attrs)
    for name in map(str, own.variables):
        stored = own[name].variable
        if "init_time" not in stored.dims or name == "init_time":
            continue
        if name in dataset.variables:
            part: Any = dataset[name].variable.transpose(*stored.dims)
            if str(part.attrs.get("units", "")) != str(stored.attrs.get("units", "")):
                raise DataError(
                    f"{name} is in {part.attrs.get('units')}, that of the archive in {stored.attrs.get('units')}",
                    where=path,
                    remedy="begin another archive",
                )
        else:
            shape = tuple(1 if dim == "init_time" else stored.sizes[dim] for dim in stored.dims)
            empty = "" if stored.dtype.kind in "OUT" else np.nan
            part = xr.Variable(stored.dims, np.full(shape, empty, dtype=object if empty == "" else np.float32))
        part.attrs, part.encoding = {}, {}
        fitted[name] = part
    return fitted
