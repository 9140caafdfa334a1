"""Lines of a log: records of the standard library as text for people, or as JSON for a machine. Times are UTC."""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime
from typing import Literal

LogFormat = Literal["text", "json"]
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "printed"}


class TextLines(logging.Formatter):
    """2026-11-29T12:00:00.123Z INFO framecast.training: message; the third word is the `origin`, an attribute of records."""

    def __init__(self, origin: str = "name") -> None:
        super().__init__(f"%(asctime)s.%(msecs)03dZ %(levelname)s %({origin})s: %(message)s", "%Y-%m-%dT%H:%M:%S")
        self.converter = time.gmtime


class JsonLines(logging.Formatter):
    """One object a line: time, level, logger, message, the exception if there is one, and whatever `extra` the record has."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **{name: value for name, value in vars(record).items() if name not in _STANDARD},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
