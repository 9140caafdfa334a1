"""Reader of GeoTIFF and GRIB of editions 1 and 2 through rasterio (`pip install "framecast[raster]"`): bands on a grid.

GeoTIFF: bands are channels; scale, offset, no data, mask, alpha and units are those of the file, or those that the Finnish
Meteorological Institute writes into its metadata (Gain, Offset, Nodata, Undetect, Observation time); the indices of a colour
table are refused. GRIB: messages of one element are frames in time, an accumulation is a rate over its time; forecasts are
refused. Of NOAA's MRMS, -3 (rates) and -999 (reflectivity) are no coverage, -99 is no echo.
"""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from framecast.checks import require
from framecast.data.quantities import RAIN_RATE, REFLECTIVITY
from framecast.data.readers.colours import check_units_of_colours, colour_error
from framecast.data.readers.fmi_items import Items
from framecast.data.readers.forecast_files import forecast_error
from framecast.data.readers.grib1 import intervals as intervals_of_edition_1
from framecast.data.readers.grib_grids import GribGrid, check_one_grid, grids_of
from framecast.data.readers.grib_times import check_alike, check_sums, interval_of, lead_seconds
from framecast.data.readers.grids import Grid, projection
from framecast.data.readers.limits import check_size
from framecast.data.readers.options import ReadOptions
from framecast.data.readers.single import first_line, is_code, same_code, single_frame
from framecast.data.units import amount_in_mm, dry_in
from framecast.errors import DataError, UnreadableFile

RECOGNISES = ["GeoTIFF and GRIB (.tif, .grib, .grib2)"]

_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_RADAR_CATEGORIES = ("15", "16")
"""Of meteorological products: radar, forecast radar imagery."""
_MRMS_DISCIPLINE = "209"
_MRMS = {"mm/hr": ((-3.0, -1.0), ()), "dBZ": ((-999.0,), (-99.0,))}
"""By units: the values that mean no data, and those that mean observed and dry."""


def recognises(path: Path) -> bool:
    """True for the signature of TIFF or of GRIB edition 1 or 2."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(8)
    return start[:4] in _TIFF or (start[:4] == b"GRIB" and start[7:8] in (b"\x01", b"\x02"))


class _Coding(NamedTuple):
    """Decoding of stored numbers: `factor * stored + offset`, with the codes for no data and for dry."""

    factor: float
    offset: float
    missing: tuple[float, ...]
    dry: tuple[float, ...]
    dry_value: float = REFLECTIVITY.dry
    """The dry value, in the units of the file."""
    masked: bool = False
    """Whether the file has a mask of the band, or an alpha band, of which 0 is no data."""

    def decode(self, stored: np.ndarray) -> np.ndarray:
        values = stored.astype(np.float32) * np.float32(self.factor) + np.float32(self.offset)
        values[is_code(stored, self.dry)] = self.dry_value
        values[is_code(stored, self.missing)] = np.nan
        return np.asarray(values)


def read(path: Path, options: ReadOptions) -> xr.DataArray:
    """The bands. Raises `DataError` and `UnreadableFile`."""
    grib_grids = grids_of(path) if _is_grib(path) else []
    with _open_raster(path) as file:
        height, width = file.height, file.width
        check_size(path, height, width, itemsize=np.dtype(file.dtypes[0]).itemsize)
        grid = _grid(file, path)
        if file.driver == "GRIB":
            grid = grib_grids[0].placed(grid) if grid is not None and grib_grids else grid
            return _messages(path, file, options, grid, grib_grids)
        _check_pages(file, path)
        items = Items.of(file.tags().get("GDAL_METADATA", ""), path)
        chosen = _choose(file, path, options)
        units = items.units or _units_of_bands(file, chosen, path) or file.tags().get("units")
        time, undetect = items.time(), items.codes("undetect")
        codings = {
            band + 1: _Coding(
                factor=items.factor("gain", file.scales[band]),
                offset=items.factor("offset", file.offsets[band]),
                missing=items.codes("nodata") or _numbers(file.nodatavals[band]),
                dry=undetect,
                dry_value=dry_in(units, stated=options.units, variable="frames", where=path) if undetect else 0.0,
                masked=_is_masked(file, band),
            )
            for band in _bands_of_values(file, path, units, options)
            if band in chosen
        }
        notes = [note for coding in codings.values() for note in same_code(coding.missing, coding.dry)]
        repairs = (*_repairs(file, chosen), *dict.fromkeys(notes))
    bands = [
        single_frame(
            path,
            lambda band=band, coding=coding: _decode(path, band, coding),  # type: ignore[misc]
            name="frames",
            units=units,
            shape=(height, width),
            time=time,
            grid=grid,
            repairs=repairs,
        )
        for band, coding in codings.items()
    ]
    return _along("channel", bands)


def _check_pages(file: Any, path: Path) -> None:
    """Raise `DataError` for a file of several pages, of which GDAL opens the first, and for complex numbers."""
    if len(file.subdatasets) > 1:
        raise DataError(
            f"a TIFF of {len(file.subdatasets)} pages, of which only the first would be read",
            where=path,
            remedy="save each page as a file of its own, named by its time or number (gdal_translate GTIFF_DIR:2:IN OUT)",
        )
    if any(dtype.startswith("complex") for dtype in file.dtypes):
        raise DataError("complex numbers", where=path, remedy="save the quantity itself, as real numbers")


def _choose(file: Any, path: Path, options: ReadOptions) -> list[int]:
    """The bands to read, counted from 0: all, or that which `options.variable` names by its description or its number. Raises
    `DataError`."""
    if options.variable is None:
        return list(range(file.count))
    chosen = [
        band
        for band in range(file.count)
        if options.variable in (file.descriptions[band], str(band + 1), f"band {band + 1}")
    ]
    if len(chosen) != 1:
        names = ", ".join(file.descriptions[band] or str(band + 1) for band in range(file.count))
        raise DataError(
            f"{'several bands are' if chosen else 'no band is'} named {options.variable!r}",
            where=path,
            remedy=f"bands: {names}; a band can be named by its number",
        )
    return chosen


def _units_of_bands(file: Any, bands: list[int], path: Path) -> str | None:
    """The units that the bands state, if any. Raises `DataError` where they differ."""
    units = list(dict.fromkeys(file.units[band] for band in bands if file.colorinterp[band].name != "alpha"))
    if len(units) > 1:
        stated = ", ".join(f"{file.descriptions[band] or band + 1} in {file.units[band] or 'none'}" for band in bands)
        raise DataError(
            f"bands of several units: {stated}",
            where=path,
            remedy="name one",
            parameter="variable",
            example=str(file.descriptions[bands[0]] or bands[0] + 1),
        )
    return units[0] if units else None


def _repairs(file: Any, bands: list[int]) -> tuple[str, ...]:
    """What is to be reported of a file: bands of several names, and rows that do not run along x."""
    names = [file.descriptions[band] for band in bands]
    messages = [f"the bands {', '.join(map(str, names))} are read as channels"] if len(set(names)) > 1 else []
    if file.transform.b or file.transform.d:
        messages.append("its rows do not run along x (a rotated grid): read without coordinates")
    return tuple(messages)


def _messages(path: Path, file: Any, options: ReadOptions, grid: Grid | None, grids: list[GribGrid]) -> xr.DataArray:
    """The messages of one element of a GRIB file, in the order of their times."""
    tags = {band: file.tags(band) for band in range(1, file.count + 1)}
    elements = list(dict.fromkeys(each["GRIB_ELEMENT"] for each in tags.values()))
    name = options.variable or elements[0]
    if name not in elements or (options.variable is None and len(elements) > 1):
        raise DataError(
            f"no element {name!r}" if name not in elements else f"several elements: {', '.join(elements)}",
            where=path,
            remedy="name one",
            parameter="variable",
            example=elements[0],
        )
    frames, intervals, spans = [], [], dict(enumerate(intervals_of_edition_1(path), 1))
    bands = [band for band, each in tags.items() if each["GRIB_ELEMENT"] == name]
    check_one_grid(grids, bands, file.count, path)
    check_alike({band: tags[band] for band in bands}, name, path)
    for band in bands:
        units = tags[band].get("GRIB_UNIT", "").strip("[]")
        units = "dBZ" if units == "dB" and _is_of_radar(tags[band]) else units
        mrms = tags[band].get("GRIB_DISCIPLINE", "").startswith(_MRMS_DISCIPLINE) and units in _MRMS
        missing, dry = _MRMS[units] if mrms else (_numbers(file.nodatavals[band - 1]), ())
        coding = _Coding(1.0, 0.0, missing, dry)
        seconds = float(tags[band]["GRIB_VALID_TIME"].split()[0])
        minutes = spans.get(band) or interval_of(tags[band], name, path)
        if (lead := lead_seconds(tags[band], minutes)) > 0:
            raise forecast_error(f"{name} {lead / 60:g} minutes after the time of its run", path, readable=False)
        repairs: tuple[str, ...] = ()
        time = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
        intervals.append((time, minutes))
        if minutes is not None and (millimetres := amount_in_mm(units)) is not None:
            repairs = (f"amounts in {units} were converted to rates by the time over which they fell",)
            coding, units = coding._replace(factor=60 * millimetres / minutes), RAIN_RATE.units
        frames.append(
            single_frame(
                path,
                lambda band=band, coding=coding: _decode(path, band, coding),  # type: ignore[misc]
                name=name,
                units=units,
                shape=(file.height, file.width),
                time=time,
                grid=grid,
                repairs=repairs,
            )
        )
    check_sums(intervals, name, path)
    return _along("time", frames)


def _is_of_radar(tags: dict[str, str]) -> bool:
    """Whether a message of edition 2 is of a category of radar or radar imagery, whose decibels are those of reflectivity."""
    return tags.get("GRIB_PDS_TEMPLATE_NUMBERS", "").split(" ")[0] in _RADAR_CATEGORIES


def _is_grib(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"GRIB"


def _bands_of_values(file: Any, path: Path, units: str | None, options: ReadOptions) -> list[int]:
    """The bands that hold values, counted from 0: all but alpha. Raises `DataError` for the indices of a colour table, unless it
    is grey or the file states the units of the numbers, and for colours where `options.units` are those of a quantity."""
    kinds = [kind.name for kind in file.colorinterp]
    if (
        "palette" in kinds
        and units is None
        and any(colour[:3] != (index,) * 3 for index, colour in file.colormap(kinds.index("palette") + 1).items())
    ):
        raise colour_error("the pixels are indices of a colour table: colours or classes, not values", path)
    if {"red", "green", "blue"} <= set(kinds):
        check_units_of_colours(options.units, "the bands are colours", path)
    return [band for band, kind in enumerate(kinds) if kind != "alpha"]


def _is_masked(file: Any, band: int) -> bool:
    flags = {flag.name for flag in file.mask_flag_enums[band]}
    return bool(flags & {"per_dataset", "alpha"}) or not flags & {"all_valid", "nodata"}


def _along(dim: str, frames: list[xr.DataArray]) -> xr.DataArray:
    """Several frames as one array that is still lazy; a single one as it is."""
    if len(frames) == 1:
        return frames[0]
    return xr.concat([frame.chunk() for frame in frames], dim, combine_attrs="override")


@contextmanager
def _open_raster(path: Path) -> Iterator[Any]:
    """The file as rasterio opens it, by the driver of its signature only. Raises `ConfigError` without rasterio, and
    `UnreadableFile`."""
    require("rasterio", extra="raster", purpose="a GeoTIFF or GRIB file", where=path)
    import rasterio

    try:
        driver = "GRIB" if _is_grib(path) else "GTiff"
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", rasterio.errors.NotGeoreferencedWarning
            )  # an image without a grid is still frames
            file = rasterio.open(path, driver=driver)
        with file:
            yield file
    except DataError:
        raise
    except (rasterio.errors.RasterioError, OSError, ValueError, KeyError, TypeError) as error:
        raise UnreadableFile(
            f"the file is incomplete or unreadable ({first_line(error)})", where=path, remedy="fetch the file again"
        ) from error


def _decode(path: Path, band: int, coding: _Coding) -> np.ndarray:
    with _open_raster(path) as file:
        values = coding.decode(file.read(band))
        if coding.masked:
            values[file.read_masks(band) == 0] = np.nan
        return values


def _grid(file: Any, path: Path) -> Grid | None:
    """None for an image without georeference, and for rows that do not run along x."""
    transform = file.transform
    if file.crs is None or transform.b or transform.d:
        return None
    crs = projection(file.crs.to_wkt(), path)
    metres = file.crs.linear_units_factor[1] if file.crs.is_projected else 1.0
    left, top, dx, dy = (each * metres for each in (transform.c, transform.f, transform.a, transform.e))
    return Grid.from_corner(crs, left, top, dx, dy, file.height, file.width)


def _numbers(value: object) -> tuple[float, ...]:
    return () if value is None else (float(str(value)),)
