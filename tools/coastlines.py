"""Make the lines of `framecast.coastlines` from Natural Earth 1:10m, as the npm package world-atlas 2.0.2 holds it.

    tar xzf world-atlas-2.0.2.tgz package/countries-10m.json
    python tools/coastlines.py package/countries-10m.json src/framecast/coastlines/lines.npz

The file is TopoJSON: arcs that countries share. An arc of one country is coast, an arc of two is a border. Each is simplified
to 0.01 degrees (about 1 km; Douglas and Peucker, 1973) and rounded to 0.005.
"""

import json
import sys
from pathlib import Path

import numpy as np

TOLERANCE, STEP = 0.01, 0.005


def main(source: Path, out: Path) -> None:
    topology = json.loads(source.read_text())
    scale, shift = (np.array(topology["transform"][name]) for name in ("scale", "translate"))
    arcs = [np.cumsum(arc, axis=0) * scale + shift for arc in topology["arcs"]]
    countries = np.zeros(len(arcs), int)
    for country in topology["objects"]["countries"]["geometries"]:
        used = list(flat(country.get("arcs", [])))
        np.add.at(countries, [arc if arc >= 0 else ~arc for arc in used], 1)
    arrays = {}
    for kind, chosen in (("coast", countries == 1), ("border", countries > 1)):
        pieces = [piece for k in np.flatnonzero(chosen) for piece in without_seams(arcs[k], south=shift[1])]
        lines = [np.round(simplified(piece) / STEP).astype(int) for piece in pieces]
        lines = [line[np.append(True, (np.diff(line, axis=0) != 0).any(1))] for line in lines]
        lines = [line for line in lines if len(line) > 1]
        steps = np.concatenate([np.diff(line, axis=0) for line in lines])
        assert np.abs(steps).max() < 2**15
        arrays[f"{kind}_starts"] = np.array([line[0] for line in lines], "<i4")
        arrays[f"{kind}_counts"] = np.array([len(line) - 1 for line in lines], "<i4")
        arrays[f"{kind}_steps"] = steps.T.astype("<i2")
        print(kind, len(lines), "lines", len(steps) + len(lines), "points")
    np.savez_compressed(out, allow_pickle=False, step=np.float64(STEP), **arrays)


def flat(arcs):
    """The numbers in nested lists."""
    for arc in arcs:
        yield from [arc] if isinstance(arc, int) else flat(arc)


def without_seams(line: np.ndarray, south: float) -> list[np.ndarray]:
    """The line without what only closes an area: pieces along the antimeridian and the southern edge."""
    line = np.stack([np.unwrap(line[:, 0], period=360), line[:, 1]], axis=1)  # some points at 180 are written as -180
    seam = (np.abs(np.abs(line[:, 0]) - 180) < 0.01) | (line[:, 1] < south + 0.01)
    cuts = np.flatnonzero(seam[:-1] & seam[1:]) + 1
    return [piece for piece in np.split(line, cuts) if len(piece) > 1]


def simplified(line: np.ndarray) -> np.ndarray:
    """The fewest points of a line, of those in it, that leave no other further away than the tolerance."""
    points = np.zeros(len(line), bool)
    points[[0, -1]] = True
    spans = [(0, len(line) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        shrink = np.array([np.cos(np.radians(line[first, 1])), 1])
        between, chord = (line[first + 1 : last] - line[first]) * shrink, (line[last] - line[first]) * shrink
        length = np.hypot(*chord)
        across = np.abs(between[:, 0] * chord[1] - between[:, 1] * chord[0]) / max(length, 1e-12)
        distances = across if length > 1e-9 else np.hypot(*between.T)
        if distances.max() > TOLERANCE:
            middle = first + 1 + int(distances.argmax())
            points[middle] = True
            spans += [(first, middle), (middle, last)]
    return line[points]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
