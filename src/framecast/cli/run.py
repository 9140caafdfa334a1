"""The command `framecast run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import framecast
from framecast.cli.options import command
from framecast.cli.terminal import warn
from framecast.errors import ArgumentError


@command
def run(
    config: Annotated[Path | None, typer.Argument(help="The settings of the service, a YAML file.")] = None,
    example: Annotated[bool, typer.Option("--example", help="Print an example of the settings, and end.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Check the settings, and end.")] = False,
    domains: Annotated[
        list[str] | None, typer.Option("--domain", help="Run this domain only; repeat for several.")
    ] = None,
) -> None:
    """Forecast each new frame, unattended, until stopped: watches for frames and writes forecasts, products and their status."""
    from rich.console import Console

    from framecast.service.checking import check_service
    from framecast.service.settings import example as example_text
    from framecast.service.settings import read_settings

    if example:
        print(example_text(), end="")
        return
    if config is None:
        raise ArgumentError(
            "no settings given", where="config", remedy="an example to start from", parameter="example", example=True
        )
    if check:
        settings = read_settings(config)
        chosen = settings.only(domains)
        console = Console(stderr=True)
        for note in check_service(chosen, config):
            warn(console, note)
        print(f"{config}: {', '.join(domain.name for domain in chosen.domains)}; output in {settings.out}")
        return
    framecast.run_service(config, domains=domains)
