"""A product as cloud optimised GeoTIFF: one file a map, north up, for GIS and tile servers (extra `raster`).

Values are whole numbers of 16 bits with a scale (0.01 mm/h or mm, 0.0001 of a probability), which GDAL applies; 0 is dry, 65535
no data. What is above 655.34 is stored as that.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from framecast.data.place import Place
from framecast.forecasting.products import Format, Output
from framecast.forecasting.products.fields import Field, Layer
from framecast.forecasting.products.source import Source, origin_of

NO_DATA = 2**16 - 1


def refusal(source: Source) -> str | None:
    """Why the pixels have no place."""
    return source.place if isinstance(source.place, str) else None


def write(field: Field, output: Output) -> list[Path]:
    """Write a file for each map."""
    return [output.write(f"{layer.stem}.tif", encode(layer, field, output.source)) for layer in field.layers()]


def encode(layer: Layer, field: Field, source: Source) -> bytes:
    """The content of the file of a map."""
    import rasterio
    from rasterio.crs import CRS
    from rasterio.io import MemoryFile
    from rasterio.shutil import copy
    from rasterio.transform import Affine

    place = source.place
    assert isinstance(place, Place)
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "height": place.height,
        "width": place.width,
        "count": 1,
        "dtype": "uint16",
        "nodata": NO_DATA,
        "crs": CRS.from_wkt(place.crs.to_wkt()),
        "transform": Affine(place.dx, 0, place.left, 0, -place.dy, place.top),
    }
    with rasterio.Env(), MemoryFile() as plain, MemoryFile(ext=".tif") as optimised:
        with plain.open(**profile) as file:
            file.write(packed(place.orientation.upright(layer.values), field.kind.step), 1)
            file.scales, file.offsets, file.units = (field.kind.step,), (0.0,), (field.kind.units,)
            file.set_band_description(1, layer.description)
            file.update_tags(**tags(layer, field, source))
        with plain.open() as file:
            copy(file, optimised.name, driver="COG", COMPRESS="DEFLATE", PREDICTOR="YES", OVERVIEW_RESAMPLING="AVERAGE")
        return bytes(optimised.getbuffer())


def packed(values: np.ndarray, step: float) -> np.ndarray:
    """Values as whole numbers of steps, uint16; NaN as `NO_DATA`."""
    missing = np.isnan(values)
    numbers = np.rint(np.where(missing, 0, values).astype(np.float64) / step)
    return np.where(missing, NO_DATA, np.clip(numbers, 0, NO_DATA - 1)).astype(np.uint16)


def tags(layer: Layer, field: Field, source: Source) -> dict[str, str]:
    """The times of a map, and how it was made."""
    init = source.init_time
    begin, end = (init + np.timedelta64(round(60 * minutes), "s") for minutes in (layer.begin, layer.end))
    return {
        "init_time": f"{init}Z",
        "begin_time": f"{begin}Z",
        "valid_time": f"{end}Z",
        "lead_minutes": f"{layer.end:g}",
        "product": field.name,
        "method": field.method,
        "source": f"framecast, {source.name}",
        **origin_of(source.forecast),
    }


GEOTIFF = Format("geotiff", "Cloud optimised GeoTIFF, one file a map.", refusal, write, ("rasterio",), "raster")
