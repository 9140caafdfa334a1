"""Coastlines and borders of the world for maps, without a network: Natural Earth 1:10m, simplified to about 1 km.

The data are in the public domain (LICENCE in this folder); tools/coastlines.py makes them. Lakes are land; borders are those
of Natural Earth, which draws them as they are held in fact.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from framecast.errors import ArgumentError

Kind = Literal["coast", "border"]
KINDS: tuple[Kind, ...] = ("coast", "border")
_FILE = Path(__file__).with_name("lines.npz")


class _Lines(NamedTuple):
    """Lines one after the other: `points (N, 2)`, where each line `starts`, and the `boxes (L, 4)`: west, south, east, north."""

    points: np.ndarray
    starts: np.ndarray
    boxes: np.ndarray


def lines(west: float, south: float, east: float, north: float, kind: Kind = "coast") -> list[np.ndarray]:
    """The coastlines or borders in a box of degrees, each `(N, 2)` of longitude and latitude, cut at its edges.

    Longitudes may run beyond 180 degrees; `west` above `east` is a box over the antimeridian, whose lines have longitudes from
    `west` to `east + 360`. Raises `ArgumentError` if a number is not finite, `south` is above `north` or `kind` is neither.
    """
    if kind not in KINDS:
        raise ArgumentError(f"{kind!r} is neither coast nor border", parameter="kind", example="coast")
    if not np.isfinite([west, south, east, north]).all() or south > north:
        raise ArgumentError(
            f"west {west:g}, south {south:g}, east {east:g}, north {north:g} is no box of degrees",
            remedy="give finite degrees, south below north",
        )
    if west > east:
        east += 360 * np.ceil((west - east) / 360)
    world = _world(kind)
    first, last = int(np.floor((west - 180) / 360)), int(np.ceil((east + 180) / 360))
    return [
        piece
        for turn in range(first, last + 1)
        for k in np.flatnonzero(_meet(world.boxes + np.array([360.0 * turn, 0.0] * 2), west, south, east, north))
        for piece in _cut(
            world.points[world.starts[k] : world.starts[k + 1]] + np.array([360.0 * turn, 0.0]),
            np.array([west, south]),
            np.array([east, north]),
        )
    ]


@cache
def _world(kind: Kind) -> _Lines:
    """All lines of a kind, decoded: the file holds the first point of each and the steps between points, as whole numbers."""
    with np.load(_FILE, allow_pickle=False) as file:
        step, begins, counts, steps = (
            file[name] for name in ("step", f"{kind}_starts", f"{kind}_counts", f"{kind}_steps")
        )
    starts = np.concatenate([[0], np.cumsum(counts + 1)])
    points = np.zeros((starts[-1], 2))
    inner = np.ones(len(points), bool)
    inner[starts[:-1]] = False
    points[inner] = steps.T
    ends = np.concatenate([[[0, 0]], np.add.reduceat(points, starts[:-1])[:-1]])
    points[starts[:-1]] = begins - np.concatenate([[[0, 0]], begins[:-1]]) - ends
    points = np.cumsum(points, axis=0) * step
    boxes = [edge.reduceat(points, starts[:-1]) for edge in (np.minimum, np.maximum)]
    return _Lines(points, starts, np.concatenate(boxes, axis=1))


def _meet(boxes: np.ndarray, west: float, south: float, east: float, north: float) -> np.ndarray:
    """Which boxes `(L, 4)` have a point in common with the box."""
    return (boxes[:, 0] <= east) & (boxes[:, 2] >= west) & (boxes[:, 1] <= north) & (boxes[:, 3] >= south)


def _cut(line: np.ndarray, low: np.ndarray, high: np.ndarray) -> list[np.ndarray]:
    """The pieces of a line `(N, 2)` between the corners `low` and `high` (Liang and Barsky, 1984)."""
    if (line >= low).all() and (line <= high).all():
        return [line]
    begin, step = line[:-1], np.diff(line, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        sides = np.stack([(low - begin) / step, (high - begin) / step])
    still = (step == 0) & (begin >= low) & (begin <= high)  # parallel to an edge, between the edges
    enter = np.where(still, 0.0, sides.min(0)).max(1).clip(min=0)
    leave = np.where(still, 1.0, sides.max(0)).min(1).clip(max=1)
    inside = np.flatnonzero(enter < leave)  # false where it is parallel and outside: both are infinite or not a number
    pieces = []
    for run in np.split(inside, np.flatnonzero((np.diff(inside) > 1) | (leave[inside[:-1]] < 1)) + 1):
        if len(run):
            ends = begin[run] + leave[run, None] * step[run]
            pieces.append(np.concatenate([begin[run[:1]] + enter[run[:1], None] * step[run[:1]], ends]))
    return pieces
