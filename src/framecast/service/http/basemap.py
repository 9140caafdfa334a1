"""The map below the forecasts, as GeoJSON for the bounds of a domain: land, coast and borders, of `framecast.coastlines`."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from framecast.coastlines import lines

_MARGIN = 1.2
"""Degrees around the domain, at least."""
_DIGITS = 3
Bounds = tuple[float, float, float, float]
"""West, south, east, north."""


def basemap(bounds: Bounds, outline: np.ndarray) -> dict[str, Any]:
    """A feature collection: `land` (polygons), `coast`, `border` and the `outline` of the domain; each feature has a `kind`."""
    box = around(bounds)
    features = [_feature("land", "MultiPolygon", [[_round(ring)] for ring in land(box)])]
    for kind in ("coast", "border"):
        features.append(_feature(kind, "MultiLineString", [_round(line) for line in lines(*box, kind=kind)]))
    features.append(_feature("outline", "LineString", _round(outline[np.isfinite(outline).all(axis=1)])))
    return {"type": "FeatureCollection", "bounds": list(bounds), "box": list(box), "features": features}


def around(bounds: Bounds) -> Bounds:
    """The box that the map shows around bounds."""
    west, south, east, north = bounds
    across, along = max(_MARGIN, 1.2 * (east - west)), max(_MARGIN, 1.8 * (north - south))
    return max(west - across, -180.0), max(south - along, -85.0), min(east + across, 180.0), min(north + along, 85.0)


def land(box: Bounds) -> list[np.ndarray]:
    """The land in a box as rings `(N, 2)` of longitude and latitude; holes, if any, are rings too (even-odd rule)."""
    west, south, east, north = box
    rings = []
    for ring in _coast_rings():
        low, high = ring.min(axis=0), ring.max(axis=0)
        if low[0] > east or high[0] < west or low[1] > north or high[1] < south:
            continue
        clipped = clip(ring, box)
        if len(clipped) > 2:
            rings.append(clipped)
    return rings


def clip(ring: np.ndarray, box: Bounds) -> np.ndarray:
    """The part of a ring `(N, 2)` in a box (Sutherland and Hodgman, 1974); empty if there is none."""
    west, south, east, north = box
    for axis, limit, sign in ((0, west, 1), (0, east, -1), (1, south, 1), (1, north, -1)):
        if not len(ring):
            break
        after = np.roll(ring, -1, axis=0)
        inside, inside_after = sign * (ring[:, axis] - limit) >= 0, sign * (after[:, axis] - limit) >= 0
        crossing = inside != inside_after
        step = np.where(crossing, after[:, axis] - ring[:, axis], 1.0)
        cut = ring + ((limit - ring[:, axis]) / step)[:, None] * (after - ring)
        points = np.stack([ring, cut], axis=1)
        ring = points[np.stack([inside, crossing], axis=1)]
    return ring


@cache
def _coast_rings() -> list[np.ndarray]:
    """The coastlines of the world, joined at their ends to rings."""
    closed, pieces = [], {}
    for number, line in enumerate(lines(-180, -90, 180, 90, kind="coast")):
        if (line[0] == line[-1]).all():
            closed.append(line)
        else:
            pieces[number] = line
    ends: dict[tuple[float, float], list[int]] = {}
    for number, line in pieces.items():
        for end in (line[0], line[-1]):
            ends.setdefault(_key(end), []).append(number)
    while pieces:
        number, chain = pieces.popitem()
        while (following := next((n for n in ends.get(_key(chain[-1]), ()) if n in pieces), None)) is not None:
            piece = pieces.pop(following)
            chain = np.concatenate([chain, (piece if _key(piece[0]) == _key(chain[-1]) else piece[::-1])[1:]])
        closed.append(chain)
    return closed


def _key(point: np.ndarray) -> tuple[float, float]:
    return round(float(point[0]), 4), round(float(point[1]), 4)


def _feature(kind: str, geometry: str, coordinates: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "properties": {"kind": kind},
        "geometry": {"type": geometry, "coordinates": coordinates},
    }


def _round(line: np.ndarray) -> list[list[float]]:
    rounded: list[list[float]] = np.round(line, _DIGITS).tolist()
    return rounded
