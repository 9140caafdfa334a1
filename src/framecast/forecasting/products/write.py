"""Writes the products of a forecast: the public function `framecast.write_products`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from framecast.checks import check_kind, ensure_folder, refuses_arrays, replace_fields, require, takes_fields_of
from framecast.errors import ArgumentError, DataError
from framecast.forecasting.labels import Forecast
from framecast.forecasting.products import Document, Output, Request, find, find_format
from framecast.forecasting.products.settings import ProductSettings
from framecast.forecasting.products.source import Source

DEFAULT = ProductSettings()


@takes_fields_of(ProductSettings)
@refuses_arrays
def write_products(
    forecast: Forecast, folder: str | Path, *, settings: ProductSettings = DEFAULT, **stated: Any
) -> list[Path]:
    """Write products of a forecast of rain with one initial time to `folder`, which is created; returns the files. Each appears
    whole; a file of the same name is replaced.

    Raises `DataError`, before anything is written, if the forecast cannot give one of the products (`possible` leaves them out)
    or is no such forecast, `ConfigError` if a package is missing or a file would replace the forecast or its areas, and
    `RunError` if a file cannot be written.
    """
    check_kind(ProductSettings, settings=settings)
    settings = replace_fields(settings, stated)
    source = Source.of(forecast)
    formats = [find_format(name) for name in dict.fromkeys(settings.formats)]
    for form in formats:
        if form.requires:
            require(*form.requires, extra=form.extra, purpose=f"the format {form.name}")
        if reason := form.refusal(source):
            raise DataError(
                f"no {form.name} can be written: {reason}", remedy="choose other formats", parameter="formats"
            )
    chosen = {}
    for name, numbers in settings.requests().items():
        choice = find(name).choose(Request(source, settings, numbers))
        if choice.reasons or choice.numbers is None:
            raise DataError(f"no {name}: {'; '.join(choice.reasons)}", remedy="leave it out", parameter="products")
        chosen[name] = _with_names(name, choice.numbers)
    output = Output(source, settings, ensure_folder(folder, "folder"))
    files: list[Path] = []
    for name, numbers in chosen.items():
        product = find(name).make(Request(source, settings, numbers))
        if isinstance(product, Document):
            files.append(output.write(product.file, product.content))
            continue
        for form in formats:
            files += form.write(product, output)
    return files


def possible(forecast: Forecast, settings: ProductSettings) -> tuple[ProductSettings | None, tuple[str, ...]]:
    """The part of `settings` that this forecast can give, None if nothing is left, and why the rest cannot be given: for a
    service whose forecasts differ. Raises `DataError` for what is no forecast of rain with one initial time."""
    source = Source.of(forecast)
    names, reasons = [], []
    for text in settings.products:
        one = replace(settings, products=(text,))
        ((name, numbers),) = one.requests().items()
        choice = find(name).choose(Request(source, settings, numbers))
        reasons += [f"{text}: {reason}" for reason in choice.reasons]
        if not choice.reasons:
            names.append(text)
        elif choice.numbers is not None:
            names += [_with_number(name, number) for number in choice.numbers]
    formats = {name: find_format(name).refusal(source) for name in settings.formats}
    reasons += [f"{name}: {reason}" for name, reason in formats.items() if reason]
    left = tuple(name for name, reason in formats.items() if not reason)
    if not names or (settings.formats and not left):
        return None, tuple(reasons)
    return replace(settings, products=tuple(names), formats=left), tuple(reasons)


def _with_names(name: str, numbers: tuple[Any, ...]) -> tuple[Any, ...]:
    """The different numbers of a product. Raises `ArgumentError` for two that files would have the same name for."""
    names: dict[str, Any] = {}
    for number in numbers:
        text = _with_number(name, number)
        if names.setdefault(text, number) != number:
            raise ArgumentError(
                f"{names[text]} and {number} have the same names of files, {text}",
                parameter="products",
                remedy="write them into two folders",
            )
    return tuple(names.values())


def _with_number(name: str, number: Any) -> str:
    parts = number if isinstance(number, tuple) else (number,)
    return "_".join([name, *(f"{part:g}" for part in parts)])
