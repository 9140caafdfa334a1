"""Checks of arguments, optional packages and plugins, and options that are defined once, as the fields of a dataclass.

A check raises an `ArgumentError` or a `ConfigError` at the public function, where an invalid value would otherwise fail deep
inside or be misread. This module imports nothing of framecast but the errors.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache, wraps
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from numbers import Integral, Real
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from framecast.errors import ArgumentError, ConfigError, RunError, shown
from framecast.reading.paths import status

Settings = TypeVar("Settings")
Function = TypeVar("Function", bound=Callable[..., Any])


LARGEST_COUNT = 2**31 - 1
"""The largest whole number of a setting or an argument, seeds apart."""
LARGEST, SMALLEST = 1e30, 1e-30
"""The largest size of a number, and the smallest of one that must be above 0: frames and weights are float32."""


class Range(NamedTuple):
    """The lowest and the highest value of a number in a config, in its annotation: `Annotated[int, Range(0, 5)]`."""

    low: float
    high: float


Seed = Annotated[int, Range(0, 2**63 - 1)]
"""The seed of random numbers."""


def describe(value: object) -> str:
    """A value for an error message: the value itself if it is a number or a text, else its type."""
    return shown(value) if value is None or isinstance(value, str | int | float) else type(value).__name__


def as_path(value: object, expected: str, parameter: str) -> Path:
    """`value` of a parameter as a path. Raises `ArgumentError`, with the text `expected`, if it is not a path that the file
    system can have."""
    if not isinstance(value, str | os.PathLike) or not str(value):
        raise ArgumentError(f"{describe(value)} given, expected {expected}", parameter=parameter)
    status(Path(value), parameter)
    return Path(value)


def as_html_path(value: object, parameter: str = "path") -> Path:
    """`value` as the path of an HTML page to write. Raises `ArgumentError` if it is a folder or does not end in .html, behind a
    link as well."""
    path = as_path(value, "the path of a page to write", parameter)
    if path.suffix != ".html" or path.is_dir():
        what = "is a folder" if path.is_dir() else f"{path.suffix or 'no suffix'} is not the suffix of a page"
        raise ArgumentError(what, where=path, remedy="name a file that ends in .html")
    if path.is_symlink() and (target := Path(os.path.realpath(path))).suffix != ".html":
        raise ArgumentError(f"is a link to {target}, which is no page", where=path, remedy="remove the link")
    return path


def ensure_folder(value: object, parameter: str = "out") -> Path:
    """The folder `value`, created if it does not exist. Raises `ArgumentError` if `value` is not a path, and `RunError` if the
    folder cannot be created."""
    folder = as_path(value, "a folder", parameter)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"the folder cannot be created ({error.strerror or error})",
            where=folder,
            remedy="name another folder, or look at the file of that name, the permissions and the disk",
        ) from error
    return folder


def check_counts(**counts: object) -> None:
    """Raise `ArgumentError`, with its name, for a count that is not a whole number from 1 to `LARGEST_COUNT`; true and false
    are none. None is allowed."""
    for name, count in counts.items():
        if count is not None and (isinstance(count, bool) or not isinstance(count, Integral) or count < 1):
            raise ArgumentError(f"{describe(count)} given, expected a whole number of at least 1", parameter=name)
        if count is not None and count > LARGEST_COUNT:  # type: ignore[operator]
            raise ArgumentError(f"{describe(count)} given, expected at most {LARGEST_COUNT:,}", parameter=name)


def check_seed(seed: Any, parameter: str = "seed") -> None:
    """Raise `ArgumentError` unless `seed` is a whole number from 0 to 2^63 - 1."""
    if isinstance(seed, bool) or not isinstance(seed, Integral) or not 0 <= int(seed) < 2**63:
        raise ArgumentError(f"{describe(seed)} given, expected a whole number from 0 to 2^63 - 1", parameter=parameter)


def check_values(settings: Any) -> None:
    """Raise `ArgumentError`, with the name of the field, for a number in a dataclass, or in its tuples, that is true or false,
    not finite, out of the `Range` of its annotation, or beyond what float32 or a count can be."""
    check_fields(settings)
    for name, (kinds, allowed) in _number_fields(settings.__class__).items():
        value = getattr(settings, name)
        for number in _flat(value):
            if isinstance(number, bool | Real) and not (isinstance(number, bool) and bool in kinds):
                _check_number(number, kinds, allowed, name)


def _flat(value: Any) -> Iterable[Any]:
    if isinstance(value, tuple):
        for part in value:
            yield from _flat(part)
    else:
        yield value


def _check_number(number: Any, kinds: frozenset[Any], allowed: Range | None, name: str) -> None:
    integral = float not in kinds
    expected = "a whole number" if integral else "a number"
    if isinstance(number, bool) or (integral and not isinstance(number, Integral)):
        raise ArgumentError(f"{describe(number)} given, expected {expected}", parameter=name)
    low, high = allowed or ((-LARGEST_COUNT, LARGEST_COUNT) if integral else (-LARGEST, LARGEST))
    if not low <= number <= high:
        if isinstance(number, float) and not math.isfinite(number):
            raise ArgumentError(f"{number} given, expected a finite number", parameter=name)
        most, bound = ("at most", high) if number > high else ("at least", low)
        limit = f"{bound:,}" if integral else f"{bound:g}"
        raise ArgumentError(f"{describe(number)} given, expected {expected} of {most} {limit}", parameter=name)


@cache
def _number_fields(kind: Any) -> dict[str, tuple[frozenset[Any], Range | None]]:
    """The fields of a dataclass that hold numbers, with the types in their annotations, and their ranges."""
    hints = get_type_hints(kind, include_extras=True)
    parts = {each.name: frozenset(_parts(hints[each.name])) for each in fields(kind)}
    ranges = {name: next((each for each in kinds if isinstance(each, Range)), None) for name, kinds in parts.items()}
    return {name: (kinds, ranges[name]) for name, kinds in parts.items() if kinds & {int, float}}


def _parts(kind: Any) -> Iterable[Any]:
    """The types in an annotation, and its ranges."""
    if get_origin(kind) is Literal:
        return
    if get_origin(kind) is None:
        yield kind
    for part in get_args(kind):
        if isinstance(part, Range):
            yield part
        elif not isinstance(part, str):
            yield from _parts(part)


def check_memory(size: int, parameter: str, purpose: str) -> None:
    """Raise `ArgumentError` if `size` bytes, for `purpose`, are more than the memory of this machine."""
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if size > available:
        raise ArgumentError(
            f"{purpose} would take {size / 2**30:,.0f} GiB, more than the {available / 2**30:,.0f} GiB of this machine",
            parameter=parameter,
            remedy="ask for less, or use a machine with more memory",
        )


def check_kind(kind: type[Any], **values: object) -> None:
    """Raise `ArgumentError`, with its name, for a value that is no `kind`."""
    for name, value in values.items():
        if not isinstance(value, kind):
            raise ArgumentError(f"{describe(value)} given, expected {kind.__name__}(...)", parameter=name)


_SINGLE = re.compile(
    r"(?:(?:str|int|float|bool|None|Console|Convention|Duration|Split|ZR|Literal\[[^\]]*\])(?: \| |$))+"
)
"""The annotation of a parameter that is a single value; paths are checked by `as_path`."""


def check_single(annotations: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Raise `ArgumentError`, with its name, for an array of one dimension or more as a value that by its annotation is a single
    one: NumPy would refuse to tell whether it is true, without its name."""
    for name, value in values.items():
        if not isinstance(dimensions := getattr(value, "ndim", None), int) or not dimensions:
            continue
        if _SINGLE.fullmatch(parse_annotation(annotations.get(name, "Any"))[0]):
            shape = tuple(getattr(value, "shape", ()))
            raise ArgumentError(f"an array of shape {shape} given, expected a single value", parameter=name)


def check_fields(settings: Any) -> None:
    """The same for the fields of a dataclass."""
    check_single({each.name: each.type for each in fields(settings)}, vars(settings))


def refuses_arrays(function: Function) -> Function:
    """Decorate a public function: arrays as arguments that are single values are refused by `check_single`."""
    names = [*inspect.signature(function).parameters]

    @wraps(function)
    def checked(*arguments: Any, **keywords: Any) -> Any:
        check_single(function.__annotations__, {**dict(zip(names, arguments, strict=False)), **keywords})
        return function(*arguments, **keywords)

    return checked  # type: ignore[return-value]


def is_positive(value: Any) -> bool:
    """Whether `value` is a number above 0 that float32 can hold. (Booleans and numpy.timedelta64 are
    registered as numbers, and are refused.)"""
    return not isinstance(value, bool | np.timedelta64) and isinstance(value, Real) and SMALLEST <= value <= LARGEST  # type: ignore[operator]


_PROJECTS = {
    "sklearn": "scikit-learn",
    "av": "PyAV",
    "lightning_fabric": "lightning-fabric",
    "mlflow": "MLflow",
    "prometheus_client": "prometheus-client",
}
"""The names of packages whose modules have another name."""


def require(*modules: str, extra: str, purpose: str, where: str | Path | None = None) -> None:
    """Import optional modules before the work that needs them begins. Raises `ConfigError` if one is not installed: the message
    is "`purpose` needs scikit-learn", and the remedy names the `extra` that installs it."""
    for module in modules:
        try:
            import_module(module)
        except ImportError as error:
            raise ConfigError(
                f"{purpose} needs {_PROJECTS.get(module, module)}, which is not installed",
                where=where,
                remedy=f'pip install "framecast[{extra}]"',
            ) from error


def check_fraction(value: Any, parameter: str) -> None:
    """Raise `ArgumentError` if `value` is not a number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= value <= 1:  # type: ignore[operator]
        raise ArgumentError(f"{describe(value)} is not a fraction between 0 and 1", parameter=parameter)


def as_tuple(values: Any, parameter: str) -> tuple[Any, ...]:
    """`values` as a tuple. Raises `ArgumentError` if `values` is not iterable, or is a single text, whose letters would be the
    values."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        example = [values] if isinstance(values, str) else None
        raise ArgumentError(f"{describe(values)} given, expected a list", parameter=parameter, example=example)
    return tuple(values)


def as_numbers(values: Any, parameter: str) -> tuple[float, ...]:
    """`values` as a tuple of numbers. Raises `ArgumentError` for anything else; true and false are no numbers."""
    numbers = as_tuple(values, parameter)
    for number in numbers:
        if isinstance(number, bool | np.bool_) or not isinstance(number, Real):
            raise ArgumentError(f"{describe(number)} given, expected a number", parameter=parameter)
    return tuple(map(float, numbers))


@dataclass(frozen=True)
class Plugin:
    """An object that an installed package adds by an entry point; `kind` is "model", "reader" or "baseline"."""

    kind: str
    entry: EntryPoint

    @property
    def package(self) -> str:
        """The name of the package that adds it."""
        return "an unknown package" if self.entry.dist is None else str(self.entry.dist.name)

    def load(self) -> Any:
        """Import the object. Raises `ConfigError`, which names the package, for any exception of its code."""
        try:
            return self.entry.load()
        except Exception as error:
            raise self.refusal(f"cannot be imported ({type(error).__name__}: {error})") from error

    def refusal(self, what: str) -> ConfigError:
        """A `ConfigError` with the message `what` that names the package."""
        where = f"{self.kind} {self.entry.name!r} of {self.package} ({self.entry.value})"
        return ConfigError(what, where=where, remedy=f"update or uninstall {self.package}")


def plugins(kind: str, own: Iterable[str] = ()) -> dict[str, Plugin]:
    """The plugins of a kind by name, sorted: the entry points of the group `framecast.models`, `.readers` or `.baselines`.

    Nothing is imported. Raises `ConfigError` for a name that two packages add, or that is in `own`, framecast's own names.
    """
    added: dict[str, Plugin] = {}
    for entry in sorted(_entry_points(f"framecast.{kind}s"), key=lambda entry: entry.name):
        plugin = Plugin(kind, entry)
        if entry.name in own:
            raise plugin.refusal("framecast has one of that name")
        if entry.name in added and added[entry.name].entry.value != entry.value:
            raise plugin.refusal(f"{added[entry.name].package} adds one of that name too")
        added[entry.name] = plugin
    return added


@cache
def _entry_points(group: str) -> tuple[EntryPoint, ...]:
    """The entry points of a group, cached: a search of all installed packages takes some hundredths of a second."""
    return tuple(entry_points(group=group))


def replace_fields(settings: Settings, stated: Mapping[str, Any]) -> Settings:
    """A copy of a dataclass with the `stated` fields replaced. Raises `ArgumentError` for a name that is not a field."""
    known = [each.name for each in fields(settings)]  # type: ignore[arg-type]
    for name in stated:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f", did you mean {close[0]!r}?" if close else ""
            raise ArgumentError(f"no such argument{hint}", parameter=name, remedy=f"one of: {', '.join(known)}")
    return replace(settings, **stated) if stated else settings  # type: ignore[type-var]


def takes_fields_of(kind: type[Any]) -> Callable[[Function], Function]:
    """Decorate a function with `**stated`: list the fields of the dataclass `kind` in its signature and, with their texts, in its
    docstring. So the options are defined once, in the dataclass."""

    def decorate(function: Function) -> Function:
        # Signature: the fields replace `**stated`.
        signature = inspect.signature(function)
        own = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
        # A function whose own default is an instance of the dataclass takes the defaults of that instance.
        defaults = next((each.default for each in own if isinstance(each.default, kind)), None)
        more, lines = [], []
        for each in fields(kind):
            annotation, text = parse_annotation(each.type)
            parameter = inspect.Parameter(
                each.name, inspect.Parameter.KEYWORD_ONLY, default=getattr(defaults, each.name, each.default)
            )
            more.append(parameter.replace(annotation=annotation))
            lines.append(f"        {each.name}: {text}" if text else f"        {each.name}")
        function.__signature__ = signature.replace(parameters=[*own, *more])  # type: ignore[attr-defined]
        # Docstring: the text of each field follows the function's own.
        doc = inspect.cleandoc(function.__doc__ or "").replace("\n", "\n    ")
        function.__doc__ = "\n".join([doc, "", f"    The fields of `{kind.__name__}` are keywords too:", "", *lines])
        return function

    return decorate


def parse_annotation(annotation: Any) -> tuple[str, str]:
    """The type and the text of an annotation `Annotated[type, "text"]`, without evaluating it; the text is empty if there is
    none."""
    tree = ast.parse(str(annotation), mode="eval").body
    if isinstance(tree, ast.Subscript) and ast.unparse(tree.value) == "Annotated" and isinstance(tree.slice, ast.Tuple):
        kind, text = tree.slice.elts[0], ast.literal_eval(tree.slice.elts[1])
        return ast.unparse(kind), str(text)
    return str(annotation), ""
