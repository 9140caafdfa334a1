"""Random requests: addresses near those that exist, with what attackers and mistakes put into them."""

from __future__ import annotations

import random
import socket
from dataclasses import dataclass

METHODS = (*["GET"] * 24, "HEAD", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "X")
ADDRESSES = (
    "/",
    "/page/{odd}",
    "/page/leaflet/{odd}",
    "/healthz",
    "/readyz",
    "/metrics",
    "/api/status",
    "/api/openapi.json",
    "/api/legends?palette={odd}",
    "/api/forecast?horizon={number}",
    "/api/domains/{domain}",
    "/api/domains/{domain}/map",
    "/api/domains/{domain}/cycles?limit={number}",
    "/api/domains/{domain}/scores?hours={number}&lead={number}",
    "/api/domains/{domain}/point?lon={number}&lat={number}&init={time}&hours={number}",
    "/api/domains/{domain}/forecasts/{time}",
    "/api/domains/{domain}/forecasts/{time}/files/{file}",
    "/api/domains/{domain}/frames/{time}.nc",
    "/tiles/{domain}/{time}/{product}/{number}/{number}/{number}/{number}.png?palette={odd}&size={number}",
    "/tiles/{domain}/{time}/{product}/5/{zoom}/{tile}/{tile}.png",
    "/{odd}/{odd}",
)
ODD = (
    *(
        "..",
        "../..",
        "..%2f..%2fsecret.txt",
        "%2e%2e%2fsecret.txt",
        "....//secret.txt",
        "/etc/passwd",
        "%2fetc%2fpasswd",
    ),
    *(
        "..%5c..%5csecret.txt",
        "secret.txt%00.nc",
        "%00",
        "%ff%fe",
        "~",
        "*",
        "?",
        "#",
        "%",
        "%zz",
        "a" * 300,
        "é",
        "\\",
        ";",
        "|",
    ),
    *(
        "{}",
        "null",
        "undefined",
        "<script>",
        "%3Cscript%3E",
        "${jndi:x}",
        "' or 1=1",
        "-",
        ".",
        "",
        "main.js",
        "services",
        "index.html",
    ),
)
NUMBERS = (
    "0",
    "1",
    "-1",
    "5",
    "7",
    "12",
    "47.2",
    "1e309",
    "-1e308",
    "nan",
    "inf",
    "-inf",
    "1" * 400,
    "0x10",
    "",
    "٣",
    "1_0",
    "256",
    "512",
)
DOMAINS = ("alps", "plain", "alps", "plain", "ALPS", "service.json", ".", "none")
TIMES = (
    "latest",
    "latest",
    "{init}",
    "20269999T999999Z",
    "00000000T000000Z",
    "20261129T120000Z",
    "2026-11-29T12:00:00Z",
)
PRODUCTS = (
    "rate",
    "observed",
    "accumulation",
    "exceedance_1",
    "exceedance_0.5",
    "exceedance_9999",
    "member_0",
    "member_999",
    "rates",
)
FILES = ("forecast.nc", "alerts.json", "cycle.json", "../../status.json", "status.json", "rate_005.tif", "secret.txt")
HEADERS = (
    *(
        "Range: bytes=0-10",
        "Range: bytes=-",
        "If-None-Match: *",
        "If-None-Match: " + '"x",' * 50,
        "Accept-Encoding: gzip",
    ),
    *("Authorization: Basic !!!", "Authorization: Bearer", "Content-Length: 5", "Content-Length: 99999999999999999999"),
    *(
        "Transfer-Encoding: chunked",
        "Cookie: " + "a=b;" * 100,
        "X-Forwarded-For: 1.2.3.4",
        "Connection: upgrade",
        "Upgrade: websocket",
    ),
)


@dataclass(frozen=True)
class Request:
    """A request as bytes, and the name of what it asks for."""

    target: str
    content: bytes


def requests(count: int, init: str, seed: int = 0) -> list[Request]:
    """That many requests, the same for a seed."""
    rng = random.Random(seed)
    return [_request(rng, init) for _ in range(count)]


def _request(rng: random.Random, init: str) -> Request:
    def pick(usual: tuple[str, ...]) -> str:
        return rng.choice(ODD) if rng.random() < 0.05 else rng.choice(usual)

    address = rng.choice(ADDRESSES)
    for name, usual in (
        ("domain", DOMAINS),
        ("time", TIMES),
        ("product", PRODUCTS),
        ("file", FILES),
        ("number", NUMBERS),
        ("odd", ODD),
    ):
        while "{" + name + "}" in address:
            address = address.replace("{" + name + "}", pick(usual), 1)
    zoom = rng.randint(0, 9)
    address = address.replace("{zoom}", str(zoom)).replace("{init}", init)
    while "{tile}" in address:
        address = address.replace("{tile}", str(rng.randint(0, 2**zoom)), 1)
    if rng.random() < 0.05:
        at = rng.randrange(len(address))
        address = address[:at] + chr(rng.randrange(33, 0x250)) + address[at + 1 :]
    if rng.random() < 0.01:
        address += "&" + "x" * rng.randint(1000, 9000)
    headers = ["Host: 127.0.0.1", "Connection: close", *rng.sample(HEADERS, rng.choice((0, 0, 0, 1, 2)))]
    body = rng.randbytes(rng.choice((0, 0, 0, 0, 0, 0, 5, 6000)))
    line = f"{rng.choice(METHODS)} {address.replace(' ', '%20')} HTTP/1.1"
    head = "\r\n".join([line, *headers, f"Content-Length: {len(body)}" if body else "X-None: 1"])
    return Request(line, head.encode("utf-8", "replace") + b"\r\n\r\n" + body)


def send(port: int, content: bytes, seconds: float = 3.0) -> bytes:
    """Send a request; the answer, empty if the server closed the connection without one."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        parts = []
        try:
            connection.sendall(content)
            while part := connection.recv(65536):
                parts.append(part)
        except (ConnectionResetError, BrokenPipeError, TimeoutError):
            pass
        return b"".join(parts)
