"""Opens forecasts in ODIM HDF5: one nominal time, and fields of one quantity for later times.

The initial time is the nominal one; a field is valid at its end; several fields of one time are the members, in their order.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import xarray as xr

from framecast.data.lazy import Selection, lazy_variable
from framecast.data.readers import odim
from framecast.data.readers.grids import Grid
from framecast.data.readers.hdf5 import check_dataset, open_hdf5, text
from framecast.data.readers.limits import check_size
from framecast.data.readers.odim_times import period_of, time_of
from framecast.data.readers.single import utc
from framecast.errors import DataError


class _Layout(NamedTuple):
    """The fields of a forecast by lead time and member, their size and grid."""

    fields: list[list[odim.Field]]
    shape: tuple[int, int]
    grid: Grid


def open_odim_forecast(path: Path, variable: str | None = None) -> tuple[xr.Dataset, str]:
    """The fields `(lead_time, [member,] y, x)` of a quantity in physical units, lazy, with `init_time`; and its name.

    Raises `DataError` where no field is after the nominal time, and where times, members or grids differ within the file."""
    with open_hdf5(path, odim.FORM) as file:
        odim.check_object(file, path)
        name, fields = _of_one_quantity(odim.fields_of(file), path, variable)
        init = time_of(file["what"].attrs, "date", "time")
        leads, members, minutes = _by_lead(fields, init, path)
        layout = _layout(file, members, path)
        source = text(file["what"].attrs.get("source", ""))
    quantity = odim.quantity_of(name)
    assert quantity is not None
    count, (height, width) = len(members[0]), layout.shape

    def read(selection: Selection) -> np.ndarray:
        frames = [
            [odim.decode(path, field, odim.coding_of(field, path), quantity) for field in row] for row in layout.fields
        ]
        return np.asarray(frames, dtype=np.float32)[selection]

    array = xr.DataArray(
        lazy_variable(("lead_time", "member", "y", "x"), (len(leads), count, height, width), read),
        name=name,
        coords=layout.grid.coordinates()
        | {"init_time": utc(init), "lead_time": np.array(leads, dtype="timedelta64[ns]")},
        attrs={"units": f"mm per {minutes:g} min" if minutes else quantity.units, "grid_mapping": "crs"},
    )
    if count == 1:
        array = array.isel(member=0)
    return xr.Dataset({name: array}, attrs={"source": source} if source else {}), name


def _of_one_quantity(fields: list[odim.Field], path: Path, variable: str | None) -> tuple[str, list[odim.Field]]:
    """The name of the quantity and its fields. Raises `DataError`."""
    names = list(dict.fromkeys(field.quantity for field in fields if field.quantity != odim.QUALITY))
    if variable is None and len(names) == 1:
        variable = names[0]
    chosen = [field for field in fields if field.quantity == variable]
    if not chosen:
        what = f"no field {variable!r}" if variable is not None else f"{'several' if names else 'no'} quantities"
        raise DataError(
            f"{what}; it has {', '.join(names) or 'none that is read'}",
            where=path,
            remedy="name a quantity",
            parameter="variable",
            example=(names or ["DBZH"])[0],
        )
    return chosen[0].quantity, chosen


def _by_lead(
    fields: list[odim.Field], init: datetime.datetime, path: Path
) -> tuple[list[datetime.timedelta], list[list[odim.Field]], float | None]:
    """The lead times after the nominal one, the fields of each, and the minutes over which they accumulate."""
    by_end: dict[datetime.datetime, list[odim.Field]] = {}
    lengths = set()
    for field in fields:
        if (period := period_of(field.what)) is None:
            raise DataError(f"{field.path_in_file} does not state the time for which it is valid", where=path)
        if period[1] > init:
            by_end.setdefault(period[1], []).append(field)
            lengths.add((period[1] - period[0]).total_seconds() / 60)
    if not by_end:
        raise DataError(
            "no forecast: no field ends after the nominal time", where=path, remedy="observations: framecast.open"
        )
    ends = sorted(by_end)
    counts = sorted({len(by_end[end]) for end in ends})
    if len(counts) > 1:
        raise DataError(f"{counts[0]} to {counts[-1]} fields for a time, and not as many for each", where=path)
    if fields[0].quantity != odim.AMOUNT:
        return [end - init for end in ends], [by_end[end] for end in ends], None
    if len(lengths) > 1 or min(lengths) <= 0:
        raise DataError(
            f"amounts over {', '.join(f'{each:g}' for each in sorted(lengths))} minutes, expected one time for all",
            where=path,
        )
    return [end - init for end in ends], [by_end[end] for end in ends], lengths.pop()


def _layout(file: h5py.File, rows: list[list[odim.Field]], path: Path) -> _Layout:
    """Check that all fields can be read and lie on one grid. Raises `DataError`."""
    first = _stated(file, rows[0][0])
    height, width = file[f"{rows[0][0].path_in_file}/data"].shape
    check_size(path, height, width, itemsize=8)
    for field in (field for row in rows for field in row):
        data = file[f"{field.path_in_file}/data"]
        check_dataset(data, path)
        if data.shape != (height, width) or _stated(file, field) != first:
            raise DataError(f"{field.path_in_file} lies on another grid than the first field", where=path)
    where = odim.where_of(file, rows[0][0].path_in_file)
    return _Layout(rows, (height, width), odim.grid_of(where, path, height, width))


def _stated(file: h5py.File, field: odim.Field) -> dict[str, str]:
    """The grid of a field, as it is stated."""
    return {name: text(value) for name, value in odim.where_of(file, field.path_in_file).items()}
