"""The settings of a service, as frozen dataclasses, and their reading from YAML. Times of the settings say their unit."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from framecast.checkpoints.model_folder import packaged
from framecast.checks import Range, Seed, as_path
from framecast.config.parsing import nearest, parse
from framecast.data.readers.options import DEFAULT, ReadOptions
from framecast.errors import ArgumentError, ConfigError, shown
from framecast.forecasting import baselines
from framecast.forecasting.products.settings import ProductSettings
from framecast.reading.paths import status
from framecast.reading.plain_data import parse_yaml, read_yaml
from framecast.types import config

EXAMPLE = Path(__file__).with_name("example.yaml")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
Hours = Annotated[float, Range(0.01, 1e6)]
Minutes = Annotated[float, Range(1 / 60, 1e5)]


@config
class Retention:
    """Hours after which forecasts and frames that the service wrote are deleted, counted from the time in their names. Nothing
    else is ever deleted."""

    forecasts: Hours = 48.0
    frames: Hours = 48.0


@config
class Logs:
    """Messages below `level` are left out; as lines of `text`, or of JSON. With `files` they are also written to files, one a
    process, that rotate: `count` earlier ones of `megabytes` each are kept."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"
    files: bool = True
    megabytes: Annotated[float, Range(0.01, 1e4)] = 10.0
    count: Annotated[int, Range(1, 1000)] = 5


@config
class Serve:
    """The HTTP server of the output (`framecast serve`), in a process of its own. Beyond the loopback address it needs a token,
    in `token_file` or in the environment."""

    host: str = "127.0.0.1"
    port: Annotated[int, Range(0, 65535)] = 8765
    token_file: str | None = None
    uploads: bool = False


@config
class Domain:
    """One domain: its frames, its model and what is written.

    A frame is expected every `cadence` minutes, at `offset` minutes after midnight and so on, all UTC. One that has not come
    `wait` minutes after its time is declared missing; a file that cannot be read is tried again for `patience` seconds, then
    declared damaged. A forecast is to be on disk `deadline` seconds after its frame could be read; what would be late is cut
    down. With it come its `products`, as far as it can give them; with `archive` it is also appended to a Zarr store, and with
    `scores` it is scored when its frames have come, beside the rungs of `ladder`. `max_age` minutes after its newest frame a
    forecast is no longer current. The rungs of `ladder` are used in their order where the model cannot be."""

    name: str
    source: str
    options: ReadOptions = DEFAULT
    model: str = "radar"
    ladder: tuple[str, ...] = ("extrapolation_probability", "extrapolation", "persistence")
    cadence: Annotated[float, Range(1 / 60, 1440)] = 5.0
    offset: Annotated[float, Range(0, 1440)] = 0.0
    wait: Minutes | None = None
    patience: Annotated[float, Range(0, 1e5)] = 60.0
    poll: Annotated[float, Range(0.01, 3600)] = 2.0
    deadline: Annotated[float, Range(0.01, 1e5)] | None = None
    max_age: Minutes = 20.0
    horizon: Annotated[int, Range(1, 1000)] = 12
    members: Annotated[int, Range(2, 1000)] | None = None
    seed: Seed = 0
    tile: Annotated[int, Range(16, 1_000_000)] | None = None
    device: str | None = None
    products: ProductSettings | None = None
    archive: bool = False
    scores: bool = True
    retention: Retention = Retention()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ArgumentError(
                f"{shown(self.name)} is no name of a folder", parameter="name", remedy="use letters, digits, - and _"
            )
        if not self.source:
            raise ArgumentError(
                "is empty", parameter="source", remedy="name a folder, a pattern, or the address of a store"
            )
        _check_rung(self.model, "model")
        for name in self.ladder:
            _check_rung(name, "ladder")

    @property
    def rungs(self) -> tuple[str, ...]:
        """The model, and the rungs of the ladder below it."""
        return tuple(dict.fromkeys((self.model, *self.ladder)))

    @property
    def wait_seconds(self) -> float:
        """Seconds after its time at which a frame is missing: by default two cadences."""
        return 60 * (2 * self.cadence if self.wait is None else self.wait)

    @property
    def deadline_seconds(self) -> float:
        """Seconds that a cycle may take: by default four fifths of the cadence."""
        return 48 * self.cadence if self.deadline is None else self.deadline


def _check_rung(name: str, parameter: str) -> None:
    """Raise `ArgumentError` for a name that is neither a baseline's nor that of a model of the package. A path may lead to one
    later."""
    known = [*packaged(), *baselines.names()]
    if name not in known and os.sep not in name and status(name) is None:
        raise ArgumentError(
            f"{shown(name)} is no forecaster{nearest(name, known)}",
            parameter=parameter,
            remedy=f"the path of a model, or one of: {', '.join(known)}",
        )


@config
class Service:
    """A service: its `domains`, and the folder `out` of all that it writes, whose layout is that of `layout`, and whether
    it is served."""

    out: str
    domains: tuple[Domain, ...]
    log: Logs = Logs()
    serve: Serve | None = None

    def __post_init__(self) -> None:
        names = [domain.name for domain in self.domains]
        if not names:
            raise ArgumentError(
                "has no domain", parameter="domains", remedy="add one: domains: [{name: NAME, source: FOLDER}]"
            )
        for name in names:
            if names.count(name) > 1:
                raise ArgumentError(
                    f"the name {name!r} is repeated", parameter="domains", remedy="give each domain its own"
                )

    def only(self, names: Sequence[str] | None) -> Service:
        """The service of the domains of these `names` alone; of None all. Raises `ConfigError`."""
        return self if names is None else replace(self, domains=tuple(map(self.domain, names)))

    def domain(self, name: str) -> Domain:
        """The domain `name`. Raises `ConfigError`."""
        for domain in self.domains:
            if domain.name == name:
                return domain
        known = ", ".join(domain.name for domain in self.domains)
        raise ConfigError(f"no domain {shown(name)}", where="domains", remedy=f"domains: {known}")


def read_settings(path: str | Path) -> Service:
    """The settings in a YAML file. Raises `DataError` if it cannot be read, and `ConfigError` for its content."""
    file = as_path(path, "the path of the settings of a service", "config")
    return _parse(read_yaml(file), str(file))


def example() -> str:
    """A commented example of the settings, in YAML."""
    return EXAMPLE.read_text(encoding="utf-8")


def example_settings() -> Service:
    """The settings of the example. Raises `ConfigError`."""
    return _parse(parse_yaml(example(), EXAMPLE.name), EXAMPLE.name)


def _parse(content: object, where: str) -> Service:
    settings: Service = parse(Service, content, where=where)
    return settings
