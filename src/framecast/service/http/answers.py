"""Answers with what browsers need to ask only once: ETag, Cache-Control and 304."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from fastapi import Request
from starlette.responses import Response

ALWAYS_ASK = "no-cache"
MINUTES = "max-age=600"


def answer(request: Request, content: bytes, media_type: str, caching: str = ALWAYS_ASK, tag: str = "") -> Response:
    """An answer with an ETag, of the content unless it has a `tag` of its own; 304 if the client has it already."""
    etag = f'"{tag or hashlib.sha256(content).hexdigest()[:24]}"'
    headers = {"etag": etag, "cache-control": f"private, {caching}"}
    if is_known(request, etag):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)


def is_known(request: Request, etag: str) -> bool:
    """Whether a client says that it has this version."""
    known = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    return etag in known or "*" in known


def answer_json(request: Request, content: Any, caching: str = ALWAYS_ASK) -> Response:
    """Plain data as JSON."""
    body = json.dumps(content, allow_nan=False, separators=(",", ":")).encode()
    return answer(request, body, "application/json", caching)
