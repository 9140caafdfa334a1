"""The areas of alerts: polygons and points of a GeoJSON file, or stations of a table, and the pixels that belong to them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from framecast.errors import ConfigError, DataError, shown
from framecast.reading.paths import read_text
from framecast.reading.plain_data import read_json

_COLUMNS = {"latitude": ("latitude", "lat"), "longitude": ("longitude", "lon", "lng")}
_NAMES = ("name", "id", "station", "title")
_EARTH = 6371.0


@dataclass(frozen=True)
class Area:
    """A name and rings of longitudes and latitudes `(N, 2)`; inside is what an odd number of rings encloses, so that holes are
    out. A station is a `point` without rings."""

    name: str
    rings: tuple[np.ndarray, ...] = ()
    point: tuple[float, float] | None = None


def read_areas(path: str | Path) -> list[Area]:
    """The areas of a file, .csv or GeoJSON. Raises `DataError` if it holds none, or cannot be read."""
    try:
        areas = [*(_of_table if Path(path).suffix.lower() == ".csv" else _of_geojson)(Path(path))]
    except ConfigError as error:
        raise DataError(error.what, where=path, remedy="give GeoJSON (RFC 7946), or a table .csv") from error
    if not areas:
        raise DataError("holds no area", where=path, remedy="expected polygons, or points of stations")
    return areas


def pixels_of(area: Area, longitude: np.ndarray, latitude: np.ndarray) -> np.ndarray:
    """The numbers of the pixels, in the flat order of `longitude (H, W)` and `latitude`, whose centres lie in an area; of a
    station, and of a polygon between the centres, the nearest one, if it is no further than its neighbours are; else none."""
    if area.rings:
        box = np.vstack(area.rings)
        (west, south), (east, north) = box.min(axis=0), box.max(axis=0)
        near = np.flatnonzero((longitude >= west) & (longitude <= east) & (latitude >= south) & (latitude <= north))
        inside = near[_encloses(area.rings, longitude.flat[near], latitude.flat[near])]
        if len(inside):
            return np.asarray(inside)
    point = area.point or tuple(np.vstack(area.rings).mean(axis=0))
    away = _kilometres(longitude, latitude, *point)
    nearest = int(np.nanargmin(away))
    row, column = np.unravel_index(nearest, longitude.shape)
    near_rows, near_columns = (slice(max(k - 1, 0), k + 2) for k in (int(row), int(column)))
    spacing = np.nanmax(
        _kilometres(
            longitude[near_rows, near_columns],
            latitude[near_rows, near_columns],
            longitude.flat[nearest],
            latitude.flat[nearest],
        )
    )
    return np.array([nearest] if away.flat[nearest] <= spacing else [], dtype=int)


def _encloses(rings: tuple[np.ndarray, ...], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which points lie within an odd number of rings: how many edges a ray to the east crosses."""
    inside = np.zeros(x.shape, dtype=bool)
    for ring in rings:
        for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            crosses = (y0 > y) != (y1 > y)
            if crosses.any():
                inside[crosses] ^= x[crosses] < x0 + (y[crosses] - y0) * (x1 - x0) / (y1 - y0)
    return inside


def _kilometres(longitude: np.ndarray, latitude: np.ndarray, east: float, north: float) -> np.ndarray:
    """The distance of points on the sphere from one."""
    a, b, c, d = (np.radians(each) for each in (longitude, latitude, east, north))
    chord = np.sin((b - d) / 2) ** 2 + np.cos(b) * np.cos(d) * np.sin((a - c) / 2) ** 2
    return np.asarray(2 * _EARTH * np.arcsin(np.sqrt(np.minimum(chord, 1))))


def _of_table(path: Path) -> Iterator[Area]:
    """The stations of a table with a header."""
    rows = csv.DictReader(io.StringIO(read_text(path)))
    header = {str(name).strip().lower(): name for name in rows.fieldnames or ()}
    columns = {}
    for axis, names in _COLUMNS.items():
        match = next((header[name] for name in names if name in header), None)
        if match is None:
            raise DataError(f"no column {axis}", where=path, remedy="expected the header name,latitude,longitude")
        columns[axis] = match
    label = next((header[name] for name in _NAMES if name in header), None)
    for number, row in enumerate(rows, 1):
        name = str(row[label]) if label else f"station {number}"
        yield Area(name, point=_position(row[columns["longitude"]], row[columns["latitude"]], path, name))


def _of_geojson(path: Path) -> Iterator[Area]:
    """The polygons and points of a GeoJSON file."""
    content = read_json(path)
    features = content.get("features", [content]) if isinstance(content, dict) else []
    for number, feature in enumerate(features, 1):
        if not isinstance(feature, dict):
            raise DataError(f"feature {number} is no object", where=path, remedy="give GeoJSON (RFC 7946)")
        geometry = feature["geometry"] if isinstance(feature.get("geometry"), dict) else feature
        properties = feature.get("properties") or {}
        name = next((str(properties[key]) for key in _NAMES if properties.get(key) is not None), None)
        name = name or str(feature.get("id") or f"area {number}")
        kind, coordinates = geometry.get("type"), geometry.get("coordinates")
        if kind == "Point" and isinstance(coordinates, list) and len(coordinates) >= 2:
            yield Area(name, point=_position(coordinates[0], coordinates[1], path, name))
        elif kind in ("Polygon", "MultiPolygon"):
            polygons = [coordinates] if kind == "Polygon" else coordinates
            yield Area(name, rings=tuple(_rings(polygons, path, name)))
        else:
            raise DataError(
                f"{name!r} is a {shown(kind)}", where=path, remedy="expected Polygon, MultiPolygon or Point"
            )


def _rings(polygons: Any, path: Path, name: str) -> Iterator[np.ndarray]:
    try:
        for polygon in polygons:
            for ring in polygon:
                points = np.array([[float(point[0]), float(point[1])] for point in ring])
                if points.ndim != 2 or len(points) < 3 or not np.isfinite(points).all():
                    raise ValueError("a ring of fewer than three points")
                if (np.abs(points) > (360, 90)).any():
                    raise ValueError("no degrees of longitude and latitude")
                yield points
    except (TypeError, ValueError, IndexError) as error:
        raise DataError(f"{name!r} has coordinates that are no polygon ({error})", where=path) from error


def _position(longitude: Any, latitude: Any, path: Path, name: str) -> tuple[float, float]:
    try:
        position = float(longitude), float(latitude)
    except (TypeError, ValueError):
        position = (np.nan, np.nan)
    if not (-360 <= position[0] <= 360 and -90 <= position[1] <= 90):
        raise DataError(
            f"{name!r} has longitude {shown(longitude)} and latitude {shown(latitude)}",
            where=path,
            remedy="give degrees",
        )
    return position
