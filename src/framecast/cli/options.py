"""Options that several commands have: those of a dataclass are made from its fields, so that they stand in one place.

A command is a function with the decorator `command`. Each parameter whose type is a dataclass (`ReadOptions`,
`EvaluationSettings`, `Changes`) becomes one option a field, with the text of the field as help. An error names a parameter by its
name in Python; here, where the options are known, it is spelt as an option.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from functools import wraps
from shlex import quote
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

import typer

from framecast.errors import ArgumentError, FramecastError, Spell, in_python

DataPath = Annotated[str, typer.Option("--data", help="A file, folder or glob pattern of frames.")]
OptionalData = Annotated[str | None, typer.Option("--data", help="A file, folder or glob pattern of frames.")]
Inputs = Annotated[
    list[str] | None,
    typer.Option("--input", help="Where an extra input of the model lies now, as ordered in training."),
]
Cluster = Annotated[
    str | None, typer.Option("--dask", help="Share the cases out: a Dask scheduler's address, or local:N.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what exists.")]


class Form(NamedTuple):
    """How a field is given as text where its type does not say: the option and what stands for its text in the help, what reads
    the text, and what writes a value."""

    option: str
    metavar: str
    read: Callable[[str], Any]
    write: Callable[[Any], str]


def command(function: Callable[..., None]) -> Callable[..., None]:
    """A command whose parameters of a dataclass are one option for each field, and whose errors name options."""
    kinds = get_type_hints(function, include_extras=True)
    own = inspect.signature(function).parameters
    groups = {name: kinds[name] for name in own if is_dataclass(kinds[name])}
    parameters = [
        each.replace(annotation=kinds[name], kind=inspect.Parameter.KEYWORD_ONLY)
        for name, each in own.items()
        if name not in groups
    ]
    for kind in groups.values():
        parameters += _parameters(kind)

    @wraps(function)
    def run(invoked: typer.Context, **given: Any) -> None:
        try:
            for name, kind in groups.items():
                given[name] = _made(kind, given)
            function(**given)
        except FramecastError as error:
            spell = spelling(invoked.command.params)
            print(f"framecast: {error.spelt(spell)}", file=sys.stderr)
            raise typer.Exit(error.exit_code) from error

    context = inspect.Parameter("invoked", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    parameters.append(context)
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run


def _parameters(kind: Any) -> list[inspect.Parameter]:
    """The fields of a dataclass as typer reads them."""
    hints = get_type_hints(
        kind, localns={"ZR": object}, include_extras=True
    )  # ZR comes with torch, and is read from text
    parameters = []
    for each in fields(kind):
        accepted, text = get_args(hints[each.name])
        default: Any = each.default
        names: tuple[str, ...] = ()
        metavar = None
        if form := FORMS.get(each.name):
            accepted, default, names, metavar = str | None, None, (form.option,), form.metavar
        elif get_origin(accepted) is tuple:
            accepted, default, names = list[str] | None, None, (_REPEATED.get(each.name, f"--{each.name}"),)
        elif accepted is bool:
            names = (f"--{each.name}",)
        annotation = Annotated[accepted, typer.Option(*names, help=text, metavar=metavar)]  # type: ignore[valid-type]
        parameters.append(
            inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        )
    return parameters


def _made(kind: Any, given: dict[str, Any]) -> Any:
    """The dataclass of the options `given`, which are taken out. Raises `ArgumentError`."""
    values = {}
    for each in fields(kind):
        value = given.pop(each.name)
        if each.name in FORMS:
            value = each.default if value is None else FORMS[each.name].read(value)
        elif isinstance(each.default, tuple):
            value = each.default if value is None else tuple(value)
        values[each.name] = value
    return kind(**values)


def spelling(parameters: Sequence[Any]) -> Spell:
    """How parameters are written on the command line: --units 'mm h-1'. Commands that take KEY=VALUE have what concerns data
    there: data.units='mm h-1'. What is neither is written as in Python."""
    options = {each.name: each for each in parameters}

    def spell(name: str, value: object) -> str:
        option = options.get(name)
        if option is not None and option.param_type_name == "option":
            if isinstance(value, bool):
                return str((option.opts if value else option.secondary_opts or option.opts)[0])
            return option.opts[0] if value is None else f"{option.opts[0]} {quote(_text(name, value))}"
        if "settings" in options and value is not None and name in _data_settings():
            return f"data.{name}={quote(value if isinstance(value, str) else json.dumps(value))}"
        return in_python(name, value)

    return spell


def _data_settings() -> set[str]:
    from framecast.data.datasets import ArchiveData  # late: an error is seldom

    return {each.name for each in fields(ArchiveData)}


def _text(name: str, value: object) -> str:
    return FORMS[name].write(value) if name in FORMS else str(value)


def numbers(text: str, parameter: str) -> tuple[float, ...]:
    """0.5,2,8 as numbers. Raises `ArgumentError`."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ArgumentError(f"{text!r} are not numbers separated by commas", parameter=parameter) from error


def whole_numbers(text: str, parameter: str, count: int | None = None) -> tuple[int, ...]:
    """8,64,64 as whole numbers, so many as `count`. Raises `ArgumentError`."""
    values = numbers(text, parameter)
    if (count is not None and len(values) != count) or not all(value.is_integer() for value in values):
        many = "" if count is None else f"{count} "
        raise ArgumentError(f"{text!r} are not {many}whole numbers separated by commas", parameter=parameter)
    return tuple(int(value) for value in values)


def height_width(text: str) -> tuple[int, int]:
    """64x64 as numbers. Raises `ArgumentError`."""
    height, cross, width = text.partition("x")
    if not (cross and height.isdecimal() and width.isdecimal()):
        raise ArgumentError(f"{text!r} is not HEIGHTxWIDTH", parameter="size", remedy="such as 64x64")
    return int(height), int(width)


def relation(text: str) -> Any:
    """a,b as the Z-R relation Z = a R^b. Raises `ArgumentError`."""
    from framecast.data.quantities import ZR

    values = numbers(text, "zr")
    if len(values) != 2:
        raise ArgumentError(f"{text!r} are not two numbers a,b", parameter="zr")
    return ZR(a=values[0], b=values[1])


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _joined(values: Any) -> str:
    return ",".join(map(str, values))


FORMS = {
    "size": Form("--size", "HEIGHTxWIDTH", height_width, lambda value: "x".join(map(str, value))),
    "rates": Form("--thresholds", "RATE,RATE,...", lambda text: numbers(text, "rates"), _joined),
    "zr": Form("--zr", "A,B", relation, lambda value: f"{value.a:g},{value.b:g}"),
    "scales": Form("--scales", "SIDE,SIDE,...", lambda text: whole_numbers(text, "scales"), _joined),
    "baselines": Form("--baselines", "NAME,NAME,...", lambda text: tuple(_names(text)), _joined),
    "crop": Form("--crop", "TOP,LEFT,HEIGHT,WIDTH", lambda text: whole_numbers(text, "crop", 4), _joined),
}
"""Fields that are given as one text."""
_REPEATED = {"inputs": "--input"}
"""Fields that are lists, given by one option that is repeated, if it is not called after the field."""
