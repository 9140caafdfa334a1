"""What stands before every request: method, host, token, sizes, rate and concurrency; and the headers of every answer.

An ASGI application around another. A refusal is plain JSON with the reason; one for too many requests (429) says when to try
again. A client is its address: behind a proxy all clients are one, and the proxy limits them.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from framecast.service.http.metrics import Metrics
from framecast.service.http.settings import ServeSettings, is_loopback

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
LONGEST_TARGET = 2048
"""Bytes of path and query."""
LARGEST_BODY = 4096
"""Bytes of a body that nothing reads."""
UPLOAD = "/api/forecast"
_OPEN = ("/healthz",)
"""Paths that need no token."""
_CLIENTS = 10_000
_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"geolocation=(), camera=(), microphone=()"),
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        b"manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
]


class Guard:
    """Wraps an application; see the module."""

    def __init__(self, application: Application, settings: ServeSettings, metrics: Metrics) -> None:
        self.application, self.settings, self.metrics = application, settings, metrics
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._active = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.application(scope, receive, send)
            return
        bodiless = scope["method"] == "HEAD"
        answer = self._answering(send, bodiless=bodiless)
        refusal = self._refusal(scope)
        if refusal is not None:
            status, reason, headers = refusal
            self.metrics.refused.labels(reason).inc()
            await _refuse(answer, status, reason, headers)
            return
        if bodiless:
            scope = {**scope, "method": "GET"}
        self._active += 1
        try:
            await self.application(scope, receive, answer)
        finally:
            self._active -= 1

    def _answering(self, send: Send, *, bodiless: bool) -> Send:
        """`send` with the headers of every answer, counted; without the body of an answer to HEAD."""

        async def answer(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self.metrics.requests.labels(f"{message['status'] // 100}xx").inc()
                message = {**message, "headers": [*message.get("headers", ()), *_HEADERS]}
            elif bodiless and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        return answer

    def _refusal(self, scope: Scope) -> tuple[int, str, list[tuple[bytes, bytes]]] | None:
        """Status, reason and headers for a request that is refused; None for one that is not."""
        headers = dict(scope["headers"])
        path, method = scope["path"], scope["method"]
        if len(scope.get("raw_path") or path) + len(scope.get("query_string", b"")) > LONGEST_TARGET:
            return 414, "the address is too long", []
        wait = self._wait((scope.get("client") or ("",))[0])
        if wait > 0:
            return 429, "too many requests of this client", [(b"retry-after", str(int(wait) + 1).encode())]
        uploading = self.settings.uploads and path == UPLOAD
        if method not in (("POST",) if uploading else ("GET", "HEAD")):
            return 405, "this method is not allowed", [(b"allow", b"POST" if uploading else b"GET, HEAD")]
        if not uploading and _body_size(headers) > LARGEST_BODY:
            return 413, "the body is too large", [(b"connection", b"close")]
        if self.settings.token is None:
            if not is_loopback(_hostname(headers.get(b"host", b"localhost"))):
                return 421, "the name of this host is not one of the loopback address", []
        elif path not in _OPEN and not self._is_known(headers.get(b"authorization", b"")):
            return 401, "a token is needed", [(b"www-authenticate", b'Basic realm="framecast", charset="UTF-8"')]
        if self._active >= self.settings.concurrency:
            return 429, "too many requests at once", [(b"retry-after", b"1")]
        return None

    def _wait(self, client: str) -> float:
        """Take one request from what a client may send; returns the seconds until it may, 0 if now."""
        rate, burst, now = self.settings.rate, float(self.settings.most_at_once), time.monotonic()
        left, last = self._buckets.pop(client, (burst, now))
        left = min(burst, left + (now - last) * rate)
        wait = 0.0 if left >= 1 else (1 - left) / rate
        self._buckets[client] = (left - 1 if wait == 0 else left, now)
        while len(self._buckets) > _CLIENTS:
            self._buckets.popitem(last=False)
        return wait

    def _is_known(self, authorization: bytes) -> bool:
        """Whether a header holds the token: as Bearer, or as the password of Basic."""
        kind, _, credentials = authorization.partition(b" ")
        given = credentials.strip()
        if kind.lower() == b"basic":
            try:
                given = base64.b64decode(given, validate=True).partition(b":")[2]
            except binascii.Error:
                return False
        elif kind.lower() != b"bearer":
            return False
        return hmac.compare_digest(given, (self.settings.token or "").encode())


def _hostname(host: bytes) -> str:
    """The name or address in a Host header, without the port."""
    text = host.decode("latin-1")
    return text[1:].partition("]")[0] if text.startswith("[") else text.partition(":")[0]


def _body_size(headers: dict[bytes, bytes]) -> float:
    """The announced size of a body; infinite if it is not announced."""
    if b"transfer-encoding" in headers:
        return float("inf")
    length = headers.get(b"content-length", b"0")
    return int(length) if length.isdigit() and len(length) < 20 else float("inf")


async def _refuse(send: Send, status: int, reason: str, headers: list[tuple[bytes, bytes]]) -> None:
    body = json.dumps({"detail": reason}).encode()
    start = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})
