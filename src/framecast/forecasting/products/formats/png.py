"""A product as PNG pictures: one file a map, north up, in the colours of the quantity; no data is transparent.

The pixels are those of the grid, in its projection: beside each picture lies a world file (.pgw), and `bounds.json` has the
projection, the bounds in its units and the corners in degrees, if the place is known.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np

from framecast.data.orientation import orientation_of
from framecast.data.place import Place
from framecast.data.quantities import RAIN_RATE
from framecast.forecasting.products import Format, Output
from framecast.forecasting.products.fields import PROBABILITY, Field

PROBABILITY_STEPS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
BOUNDS = "bounds.json"


def write(field: Field, output: Output) -> list[Path]:
    """Write a picture for each map, world files and the bounds."""
    from PIL import Image

    upright, place = orientation_of(output.source.values).upright, output.source.place
    files = []
    for layer in field.layers():
        picture = io.BytesIO()
        Image.fromarray(paint(upright(layer.values), field, output.settings.palette)).save(picture, format="PNG")
        files.append(output.write(f"{layer.stem}.png", picture.getbuffer()))
        if isinstance(place, Place):
            files.append(output.write(f"{layer.stem}.pgw", world_file(place).encode()))
    if isinstance(place, Place):
        files.append(output.write(BOUNDS, json.dumps(bounds(place), indent=1).encode()))
    return files


def paint(values: np.ndarray, field: Field, palette: str | None = None) -> np.ndarray:
    """`values (H, W)` as colours `(H, W, 4)` uint8; no data is transparent. A sum in mm has the steps of a rate in mm/h."""
    from framecast.colours import scale_of

    if field.kind is PROBABILITY:
        colours = _probability_colours(values)
    else:
        colours = scale_of(RAIN_RATE, palette).paint(values[None])
    alpha = np.where(np.isnan(values), 0, 255).astype(np.uint8)
    return np.dstack([colours, alpha])


def _probability_colours(values: np.ndarray) -> np.ndarray:
    from matplotlib import colormaps

    shades = colormaps["BuPu"](np.linspace(0.15, 1, len(PROBABILITY_STEPS) - 1))[:, :3]
    table = np.vstack([np.ones((1, 3)), shades, shades[-1:]])
    steps = np.digitize(np.where(np.isnan(values), 0, values), PROBABILITY_STEPS)
    return np.asarray((table[steps] * 255).astype(np.uint8))


def world_file(place: Place) -> str:
    """Size of a pixel and the centre of the pixel at the top left, in the units of the projection."""
    numbers = (place.dx, 0.0, 0.0, -place.dy, place.left + place.dx / 2, place.top - place.dy / 2)
    return "".join(f"{number!r}\n" for number in map(float, numbers))


def bounds(place: Place) -> dict[str, object]:
    """The place of the pictures as plain data."""
    left, bottom, right, top = map(float, place.bounds)
    return {
        "crs_wkt": place.crs.to_wkt(),
        "left": left,
        "bottom": bottom,
        "right": right,
        "top": top,
        "corners_longitude_latitude": place.corners(),
    }


PNG = Format("png", "Pictures, one a map, with world files.", lambda source: None, write, ("matplotlib",), "report")
