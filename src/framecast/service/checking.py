"""What can be known of settings before the first cycle: a service that would fail at all of them is not started."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from framecast.errors import ConfigError
from framecast.service.capability import check_forecasters
from framecast.service.layout import FORECAST, Layout, utc_now
from framecast.service.settings import Domain, Serve, Service
from framecast.verification.score_store import check_store


def check_service(settings: Service, file: str | Path | None = None) -> list[str]:
    """What is not there yet, in words: sources and models, which may come later. Raises `ConfigError` if a domain would read what
    the service writes, if its scores would be appended to another table, if its forecasters cannot do what is asked of them, or
    if the server needs a token that it does not have, and `DataError` for unreadable areas and tokens. `file` is that of the
    settings, for messages."""
    notes = []
    before = "" if file is None else f"{file}, "
    for domain in settings.domains:
        layout = Layout(Path(settings.out).resolve(), domain.name)
        _check_apart(domain, layout)
        check_store(layout.scores)
        if domain.products is not None and domain.products.areas is not None:
            from framecast.forecasting.products.areas import read_areas  # late: few settings need it

            read_areas(domain.products.areas)
        folder = _folder_of(domain)
        if folder is not None and not folder.exists():
            notes.append(f"{domain.name}: {domain.source} does not exist yet")
        notes += check_forecasters(domain, f"{before}domains.{domain.name}")
    if settings.serve is not None:
        _check_token(settings.serve, f"{before}serve")
    return notes


def _folder_of(domain: Domain) -> Path | None:
    """The folder, file or store that a domain watches; None for patterns, and for what lies elsewhere."""
    return None if "://" in domain.source or glob.has_magic(domain.source) else Path(domain.source)


def _check_apart(domain: Domain, layout: Layout) -> None:
    """Raise `ConfigError` if what is written for the domain lies in its source, whose subfolders are watched too, or is of its
    pattern."""
    source = _folder_of(domain)
    if source is not None:
        is_read = layout.folder.is_relative_to(source.resolve())
    else:
        files = (layout.frame(utc_now()), layout.forecast(utc_now()) / FORECAST)
        is_read = any(_is_of(file, os.path.realpath(domain.source)) for file in files)
    if is_read:
        raise ConfigError(
            f"the source of {domain.name}, {domain.source}, holds the output of the service, which would be read as frames",
            where="out",
            remedy="write elsewhere, or name the subfolder in which frames arrive",
            parameter="out",
            example="nowcasts",
        )


def _is_of(file: Path, pattern: str) -> bool:
    """Whether an absolute path is of a glob pattern, in which "**" stands for any folders."""
    before, *after = pattern.split("/**/")
    folders = len(Path(before).parts)
    if not after:
        return file.match(pattern)
    return Path(*file.parts[:folders]).match(before) and file.match(after[-1])


def _check_token(serve: Serve, place: str) -> None:
    """Raise `ConfigError` if the server needs another token than it has."""
    from framecast.service.http.settings import check_token, read_token

    token = read_token(None if serve.token_file is None else Path(serve.token_file))
    try:
        check_token(serve.host, token)
    except ConfigError as error:
        raise ConfigError(error.what, where=f"{place}.token_file", remedy=error.remedy) from error
