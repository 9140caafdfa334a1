"""Command-line options that several commands share, and the conversion between options and Python arguments.

A command is a function with the decorator `command`. A parameter whose type is a dataclass (`ReadOptions`,
`EvaluationSettings`, `Changes`) becomes one option for each field, with the field's text as help, so that an option is defined
in one place. Library errors name a parameter as in Python; only this module knows the option's name. It reads no file.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import fields, is_dataclass
from functools import wraps
from pathlib import Path
from shlex import quote
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

import typer

from framecast.cli.completion import with_completion
from framecast.cli.results import ANNOTATIONS, DEFAULTS, AnswerOptions, Result, answer
from framecast.errors import ArgumentError, FramecastError, ParameterFormat, format_keyword, input_error

DataPath = Annotated[str, typer.Option("--data", help="A file, folder or glob pattern of frames.")]
OptionalData = Annotated[str | None, typer.Option("--data", help="A file, folder or glob pattern of frames.")]
Inputs = Annotated[
    list[str] | None,
    typer.Option("--input", help="Path of an extra input of the model; repeat in the order of training."),
]
Cluster = Annotated[
    str | None,
    typer.Option("--cluster", help="Distribute the cases: address of a Dask scheduler, or local:N for N processes."),
]
Palette = Annotated[
    str | None, typer.Option(help="Colours of rain in pictures: services, or uniform, which is lightness alone.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")]


FORMER = {"--thresholds": "--rates", "--dask": "--cluster"}
"""Options of earlier versions, which go on working, and their present names."""


def present_names(words: Sequence[str], options: Collection[str]) -> list[str]:
    """The words of a command with the present name of each former option, where the command has `options` of that name."""
    result = []
    for word in words:
        name, equals, value = word.partition("=")
        present = FORMER.get(name, name)
        result.append(f"{present}{equals}{value}" if name not in options and present in options else word)
    return result


class TextFormat(NamedTuple):
    """The text form of a field whose type typer cannot parse: the name of the option, the placeholder in the help, the parser of
    the text, and the formatter of a value."""

    option: str
    metavar: str
    read: Callable[[str], Any]
    write: Callable[[Any], str]


def command(function: Callable[..., Result | None]) -> Callable[..., None]:
    """Decorate a command: expand dataclass parameters into one option for each field, add the options of answers and logs and
    completion by the names of parameters, print the result as JSON if asked, and errors with option names."""
    # The signature that typer reads: dataclass parameters are replaced by their fields.
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
    for name, annotation in ANNOTATIONS.items():
        default = getattr(DEFAULTS, name)
        parameters.append(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        )
    parameters = [each.replace(annotation=with_completion(each.name, each.annotation)) for each in parameters]

    @wraps(function)
    def run(invocation: typer.Context, **arguments: Any) -> None:
        options = AnswerOptions(*(arguments.pop(name) for name in AnswerOptions._fields))
        format_parameter = parameter_format(invocation.command.params)
        named = [part for value in arguments.values() for part in (value if isinstance(value, list) else [value])]

        def call() -> Result | None:
            for name, kind in groups.items():
                arguments[name] = _build_settings(kind, arguments)
            return function(**arguments)

        answer(str(invocation.info_name), options, call, lambda error: error.message(format_parameter), _known, named)

    context = inspect.Parameter("invocation", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    parameters.append(context)
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run


def _known(error: Exception) -> FramecastError | None:
    """The error in the input that an exception of others stands for; None if it is internal, or is looked for."""
    return None if os.environ.get("FRAMECAST_DEBUG") else input_error(error)


def _parameters(kind: Any) -> list[inspect.Parameter]:
    """The fields of a dataclass as parameters with typer options."""
    hints = get_type_hints(
        kind, localns={"ZR": object}, include_extras=True
    )  # importing ZR would import torch; its option is parsed from text
    parameters = []
    for each in fields(kind):
        accepted, text = get_args(hints[each.name])
        default: Any = each.default
        names: tuple[str, ...] = ()
        metavar = None
        if form := TEXT_FORMATS.get(each.name):
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


def _build_settings(kind: Any, arguments: dict[str, Any]) -> Any:
    """Build a dataclass from its options, and remove these from `arguments`. Raises `ArgumentError`."""
    values = {}
    for each in fields(kind):
        value = arguments.pop(each.name)
        if each.name in TEXT_FORMATS:
            value = each.default if value is None else TEXT_FORMATS[each.name].read(value)
        elif isinstance(each.default, tuple):
            value = each.default if value is None else tuple(value)
        values[each.name] = value
    return kind(**values)


def parameter_format(parameters: Sequence[Any]) -> ParameterFormat:
    """A function that formats a parameter for the command line: --units 'mm h-1'.

    For commands with KEY=VALUE arguments, a setting of the data is formatted so: data.units='mm h-1'. Other parameters are
    formatted as in Python.
    """
    options = {each.name: each for each in parameters}

    def format_parameter(name: str, value: object) -> str:
        option = options.get(name)
        if option is not None and option.param_type_name == "option":
            if isinstance(value, bool):
                return str((option.opts if value else option.secondary_opts or option.opts)[0])
            return option.opts[0] if value is None else f"{option.opts[0]} {quote(_text(name, value))}"
        if "settings" in options and value is not None and name in _data_settings():
            return f"data.{name}={quote(value if isinstance(value, str) else json.dumps(value))}"
        return format_keyword(name, value)

    return format_parameter


def parameter_text(name: str, value: object) -> str:
    """A field of `ReadOptions` as an option: --units 'mm h-1', --size 64x64, --grey, --no-by-name."""
    option = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{option}" if value else f"--no-{option}"
    return f"--{option} {quote(_text(name, value))}"


def _data_settings() -> set[str]:
    from framecast.data.datasets import ArchiveData  # late: needed for error messages only, and slow to import

    return {each.name for each in fields(ArchiveData)}


def _text(name: str, value: object) -> str:
    return TEXT_FORMATS[name].write(value) if name in TEXT_FORMATS else str(value)


def numbers(text: str, parameter: str) -> tuple[float, ...]:
    """Parse numbers separated by commas: "0.5,2,8". Raises `ArgumentError`."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ArgumentError(f"{text!r} are not numbers separated by commas", parameter=parameter) from error


def whole_numbers(text: str, parameter: str, count: int | None = None) -> tuple[int, ...]:
    """Parse whole numbers separated by commas: "8,64,64"; exactly `count` of them, if stated. Raises `ArgumentError`."""
    values = numbers(text, parameter)
    if (count is not None and len(values) != count) or not all(value.is_integer() for value in values):
        many = "" if count is None else f"{count} "
        raise ArgumentError(f"{text!r} are not {many}whole numbers separated by commas", parameter=parameter)
    return tuple(int(value) for value in values)


def height_width(text: str) -> tuple[int, int]:
    """Parse a height and a width: "64x64". Raises `ArgumentError`."""
    height, cross, width = text.partition("x")
    if not (cross and height.isdecimal() and width.isdecimal()):
        raise ArgumentError(f"{text!r} is not HEIGHTxWIDTH", parameter="size", remedy="write it as 64x64")
    return int(height), int(width)


def named_paths(texts: Sequence[str]) -> dict[str, str]:
    """Parse "NAME=PATH" or "PATH" as paths by name: several without a name have that of their last part, a single one none.
    Raises `ArgumentError` for two of one name."""
    by_name: dict[str, str] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not equals or "/" in name or os.path.lexists(text):
            name, path = Path(text).stem if len(texts) > 1 else "", text
        if name in by_name:
            raise ArgumentError(f"two of the name {name!r}", parameter="forecasts", remedy="name them: NAME=PATH")
        by_name[name] = path
    return by_name


def zr_relation(text: str) -> Any:
    """Parse "a,b" as the Z-R relation Z = a R^b. Raises `ArgumentError`."""
    from framecast.data.quantities import ZR

    values = numbers(text, "zr")
    if len(values) != 2:
        raise ArgumentError(f"{text!r} are not two numbers a,b", parameter="zr")
    return ZR(a=values[0], b=values[1])


def names(text: str) -> tuple[str, ...]:
    """Parse names separated by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _join(values: Any) -> str:
    return ",".join(map(str, values))


TEXT_FORMATS = {
    "size": TextFormat("--size", "HEIGHTxWIDTH", height_width, lambda value: "x".join(map(str, value))),
    "rates": TextFormat("--rates", "RATE,RATE,...", lambda text: numbers(text, "rates"), _join),
    "levels": TextFormat("--levels", "LEVEL,LEVEL,...", lambda text: numbers(text, "levels"), _join),
    "zr": TextFormat("--zr", "A,B", zr_relation, lambda value: f"{value.a:g},{value.b:g}"),
    "scales": TextFormat("--scales", "SIDE,SIDE,...", lambda text: whole_numbers(text, "scales"), _join),
    "products": TextFormat("--products", "NAME,NAME,...", names, _join),
    "formats": TextFormat("--formats", "NAME,NAME,...", names, _join),
    "windows": TextFormat("--windows", "BEGIN-END,...", names, _join),
    "sums": TextFormat("--sums", "MM,MM,...", lambda text: numbers(text, "sums"), _join),
    "quantiles": TextFormat("--quantiles", "Q,Q,...", lambda text: numbers(text, "quantiles"), _join),
    "baselines": TextFormat("--baselines", "NAME,NAME,...", names, _join),
    "crop": TextFormat("--crop", "TOP,LEFT,HEIGHT,WIDTH", lambda text: whole_numbers(text, "crop", 4), _join),
}
"""The fields that are written as one text."""
_REPEATED = {"inputs": "--input"}
"""The options of list fields that are repeated under another name than the field's."""
