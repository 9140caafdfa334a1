"""The log of a service by the standard library: levels, time stamps in UTC, lines of text or of JSON, files that rotate."""

from __future__ import annotations

import logging
import logging.handlers
from pathlib import Path

from framecast.config.log_lines import JsonLines, TextLines
from framecast.service.settings import Logs

ROOT = "framecast"


class _Named(logging.Filter):
    """Adds the name of the domain, or of the service, to each record."""

    def __init__(self, domain: str) -> None:
        super().__init__()
        self._domain = domain

    def filter(self, record: logging.LogRecord) -> bool:
        record.domain = self._domain
        return True


def set_up(logs: Logs, domain: str, file: Path | None) -> None:
    """Send the messages of framecast to standard error, and to a `file` that rotates; called once a process."""
    logger = logging.getLogger(ROOT)
    logger.setLevel(logs.level.upper())
    logger.propagate = False
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    if file is not None and logs.files:
        size = max(int(logs.megabytes * 2**20), 1)
        rotating = logging.handlers.RotatingFileHandler(
            file, maxBytes=size, backupCount=logs.count, encoding="utf-8", errors="backslashreplace", delay=True
        )
        handlers.append(rotating)
    for earlier in list(logger.handlers):
        logger.removeHandler(earlier)
        earlier.close()
    for handler in handlers:
        handler.setFormatter(JsonLines() if logs.format == "json" else TextLines("domain"))
        handler.addFilter(_Named(domain))
        logger.addHandler(handler)
