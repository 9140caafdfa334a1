"""Tiles of maps: a field of a forecast or an observed frame, drawn in a palette, as a small PNG.

Fields are whole numbers (`stored`), the pixels of a tile are looked up in them by the index map of its place (`grids`), and a
table turns them into the colours of a palette. Fields, index maps and tiles are each stored in a cache of bounded size.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from framecast.maps.mesh import Mesh
from framecast.service.http.caching import Cache
from framecast.service.http.grids import Grid, index_map
from framecast.service.http.names import Product
from framecast.service.http.palettes import Table, table_of
from framecast.service.http.stored import NO_DATA, Contents, Field, accumulate, read_contents, read_fields

RATE = Product("rate")
_STRIPE = 8
"""Every so many pixels a stripe marks where no data are."""
_MIB = 2**20


class Place(NamedTuple):
    """A tile of a web map, and its side in pixels."""

    zoom: int
    x: int
    y: int
    size: int = 256


class Source(NamedTuple):
    """A file, and the time of change and size that tell its version."""

    path: Path
    version: tuple[int, int]


class Tiles:
    """Makes tiles, with caches of `memory` bytes: half for fields, three eighths for index maps, an eighth for tiles."""

    def __init__(self, memory: int = 512 * _MIB) -> None:
        self.contents: Cache[Contents] = Cache(256, lambda _: 1)
        self.fields: Cache[Field] = Cache(memory // 2, lambda field: field.codes.nbytes)
        self.maps: Cache[np.ndarray] = Cache(memory * 3 // 8, lambda pixels: pixels.nbytes)
        self.tiles: Cache[bytes] = Cache(memory // 8, lambda png: len(png) + 200)

    def contents_of(self, source: Source) -> Contents:
        """What a file holds. Raises `DataError` if it cannot be read."""
        return self.contents.get(source, lambda: read_contents(source.path))

    def field(self, source: Source, product: Product, lead: int) -> Field:
        """A field of a file. Raises `DataError`."""
        contents = self.contents_of(source)
        if product.kind == "accumulation":
            rates = [self.field(source, RATE, number) for number in range(lead + 1)]
            leads = contents.leads[: lead + 1]
            return self.fields.get((source, product, lead), lambda: accumulate(rates, leads))

        def make() -> Field:
            fields = read_fields(source.path, contents, product, lead)
            for number, field in fields.items():
                self.fields.put((source, product, number), field)
            return fields[lead]

        return self.fields.get((source, product, lead), make)

    def find(self, source: Source, product: Product, lead: int, place: Place, palette: str) -> bytes | None:
        """A tile as PNG that has been made before; None if it has not, or not lately."""
        return self.tiles.find((source, product, lead, place, palette))

    def tile(self, source: Source, product: Product, lead: int, place: Place, palette: str) -> bytes:
        """A tile as PNG. Raises `DataError` if its file cannot be read."""

        def make() -> bytes:
            grid = self.contents_of(source).grid
            field = self.field(source, product, lead)
            pixels = self.pixels(grid, place)
            return draw(field, pixels, table_of(field.quantity, palette))

        return self.tiles.get((source, product, lead, place, palette), make)

    def pixels(self, grid: Grid | Mesh, place: Place) -> np.ndarray:
        """The index map of a tile; of one outside of the grid a single number."""

        def make() -> np.ndarray:
            pixels = index_map(grid, *place)
            outside = grid.rows * grid.columns
            return pixels if (pixels != outside).any() else np.full((1, 1), outside, np.int32)

        return self.maps.get((grid, place), make)


def draw(field: Field, pixels: np.ndarray, table: Table) -> bytes:
    """A PNG of the `pixels (S, S)` of a field in the colours of a table; of one pixel that is transparent, where all are."""
    codes = field.codes[pixels]
    colours = table.steps[codes]
    missing = codes == NO_DATA
    if missing.any():
        rows, columns = np.indices(codes.shape, sparse=True)
        colours[missing & ((rows + columns) % _STRIPE == 0)] = table.stripe
    if not colours.any():
        colours = colours[:1, :1]
    image = Image.fromarray(colours, mode="P")
    image.putpalette(table.rgb)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=1, transparency=table.alpha)
    return buffer.getvalue()
