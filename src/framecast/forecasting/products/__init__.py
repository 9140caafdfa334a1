"""Products of a forecast: rates, accumulations, probabilities, quantiles, members and alerts, as files that others open.

`framecast.write_products(forecast, folder, ...)` writes them; `ProductSettings` chooses products and formats. To add a product,
write a file with a record `Product` and add one line to `PRODUCTS`; a format likewise, a record `Format` and a line in `FORMATS`.
A record is imported at its first use.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from framecast.errors import ArgumentError, shown
from framecast.writing import write_bytes

if TYPE_CHECKING:
    from framecast.forecasting.products.fields import Field
    from framecast.forecasting.products.settings import ProductSettings
    from framecast.forecasting.products.source import Source

_ROOM = "framecast.forecasting.products"
PRODUCTS = {
    "rate": f"{_ROOM}.rate:RATE",
    "accumulation": f"{_ROOM}.accumulation:ACCUMULATION",
    "exceedance": f"{_ROOM}.exceedance:EXCEEDANCE",
    "accumulation_exceedance": f"{_ROOM}.exceedance:ACCUMULATION_EXCEEDANCE",
    "quantile": f"{_ROOM}.quantile:QUANTILE",
    "accumulation_quantile": f"{_ROOM}.quantile:ACCUMULATION_QUANTILE",
    "member": f"{_ROOM}.member:MEMBER",
    "alerts": f"{_ROOM}.alerts:ALERTS",
    "pysteps": f"{_ROOM}.pysteps:PYSTEPS",
}
"""The record of each product, as module:attribute."""
FORMATS = {
    "netcdf": f"{_ROOM}.formats.netcdf:NETCDF",
    "geotiff": f"{_ROOM}.formats.geotiff:GEOTIFF",
    "png": f"{_ROOM}.formats.png:PNG",
}
"""The record of each format of fields, as module:attribute."""


class Document(NamedTuple):
    """A product that is one file of its own: its name and its content."""

    file: str
    content: bytes


class Request(NamedTuple):
    """What is asked for: a product of `source`, for `numbers` (windows, rates, quantiles), those of the settings if empty."""

    source: Source
    settings: ProductSettings
    numbers: tuple[Any, ...] = ()


class Output(NamedTuple):
    """Where the fields of `source` are written."""

    source: Source
    settings: ProductSettings
    folder: Path

    def write(self, name: str, content: bytes | memoryview) -> Path:
        """Write a file into the folder, never onto the forecast or its areas; returns its path."""
        path = self.folder / name
        areas = [] if self.settings.areas is None else [self.settings.areas]
        write_bytes(path, content, [*self.source.files, *areas])
        return path


class Choice(NamedTuple):
    """What a forecast can give of a product: the `numbers` (windows, rates, quantiles) that are possible, None if nothing is, and
    the reasons why the others are not."""

    numbers: tuple[Any, ...] | None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Product:
    """A record of a product: `choose` says what a forecast can give of a request, and `make` computes that. `number` parses what
    a name such as accumulation_60 or exceedance_2 adds to that of the product; None for a product without numbers."""

    name: str
    summary: str
    choose: Callable[[Request], Choice]
    make: Callable[[Request], Field | Document]
    number: Callable[[Any], Any] | None = None


@dataclass(frozen=True)
class Format:
    """A record of a format of fields. `refusal(source)` says why the forecast cannot be written in it, None if it can;
    `write(field, output)` writes a field and returns its files. `requires` are modules that the `extra` of framecast installs."""

    name: str
    summary: str
    refusal: Callable[[Source], str | None]
    write: Callable[[Field, Output], list[Path]]
    requires: tuple[str, ...] = ()
    extra: str = ""


def products() -> dict[str, str]:
    """All products: names and one-line summaries."""
    return {name: find(name).summary for name in PRODUCTS}


def find(name: str) -> Product:
    """The record of a product. Raises `ArgumentError` for an unknown name."""
    return _load(PRODUCTS, name, "product", "products")  # type: ignore[no-any-return]


def find_format(name: str) -> Format:
    """The record of a format. Raises `ArgumentError` for an unknown name."""
    return _load(FORMATS, name, "format", "formats")  # type: ignore[no-any-return]


def split(text: str) -> tuple[str, tuple[str, ...]]:
    """The name of a product and the numbers behind it: `accumulation_0_60` -> `("accumulation", ("0", "60"))`. Raises
    `ArgumentError` for an unknown name."""
    for name in sorted(PRODUCTS, key=len, reverse=True):
        if text == name:
            return name, ()
        if text.startswith(f"{name}_"):
            return name, tuple(text.removeprefix(f"{name}_").split("_"))
    raise _unknown(PRODUCTS, text, "product", "products")


def _load(registry: dict[str, str], name: str, what: str, parameter: str) -> Any:
    if name not in registry:
        raise _unknown(registry, name, what, parameter)
    module, attribute = registry[name].split(":")
    return getattr(import_module(module), attribute)


def _unknown(registry: dict[str, str], name: str, what: str, parameter: str) -> ArgumentError:
    return ArgumentError(f"unknown {what} {shown(name)}", parameter=parameter, remedy=f"one of: {', '.join(registry)}")
