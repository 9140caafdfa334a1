"""What stands before every request: token, host, method, sizes, rate and concurrency; and the settings that are refused."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from small_output import write_output
from starlette.testclient import TestClient
from typer.testing import CliRunner

from framecast.cli import app
from framecast.errors import ArgumentError, ConfigError
from framecast.service.http.app import build_app
from framecast.service.http.guard import Guard
from framecast.service.http.server import serve
from framecast.service.http.settings import ServeSettings, is_loopback, read_token
from framecast.service.http.site import Site

HERE = "http://127.0.0.1"
TOKEN = "0123456789abcdef0123"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("guarded") / "out"
    write_output(folder, forecasts=1, frames=1)
    return folder


def _client(out: Path, **changes: object) -> TestClient:
    return TestClient(build_app(ServeSettings(out, **changes)), base_url=HERE)  # type: ignore[arg-type]


def test_no_token_no_other_machine(out: Path) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.2", "example.org", ""):
        with pytest.raises(ConfigError, match="token"):
            ServeSettings(out, host=host)
    for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost"):
        assert ServeSettings(out, host=host).token is None
    assert ServeSettings(out, host="0.0.0.0", token=TOKEN).host == "0.0.0.0"
    assert TOKEN not in repr(ServeSettings(out, token=TOKEN))


def test_settings_that_cannot_be(out: Path, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="no such folder"):
        ServeSettings(tmp_path / "nothing")
    with pytest.raises(ConfigError, match="16 letters"):
        ServeSettings(out, token="short")
    with pytest.raises(ArgumentError, match="70000"):
        ServeSettings(out, port=70_000)
    assert not is_loopback("10.0.0.1")


def test_the_token_comes_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FRAMECAST_TOKEN", raising=False)
    assert read_token(None) is None
    monkeypatch.setenv("FRAMECAST_TOKEN", TOKEN)
    assert read_token(None) == TOKEN
    (tmp_path / "token").write_text("another-token-of-mine\n")
    assert read_token(tmp_path / "token") == "another-token-of-mine"
    (tmp_path / "token").write_text("\n")
    with pytest.raises(ConfigError, match="empty"):
        read_token(tmp_path / "token")


def test_the_command_refuses_to_start_without_a_token(out: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "FRAMECAST_TOKEN"}
    command = [sys.executable, "-m", "framecast.cli", "serve", str(out), "--host", "0.0.0.0"]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert result.returncode == 2
    assert "--token-file" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("rate", ["nan", "inf", "0"])
def test_a_rate_that_is_none_is_refused(out: Path, rate: str) -> None:
    result = CliRunner().invoke(app, ["serve", str(out), "--rate", rate])
    assert result.exit_code == 2
    assert "--rate" in result.output


def test_the_address_has_the_port_that_was_chosen(out: Path) -> None:
    addresses: list[str] = []

    class Enough(Exception):
        pass

    def bound(url: str) -> None:
        addresses.append(url)
        raise Enough

    with pytest.raises(Enough):
        serve(ServeSettings(out, port=0), bound=bound)
    assert int(addresses[0].removeprefix("http://127.0.0.1:").removesuffix("/")) > 0


def test_with_a_token_nothing_but_the_health_is_open(out: Path) -> None:
    client = _client(out, token=TOKEN, host="0.0.0.0")
    assert client.get("/healthz").status_code == 200
    refused = client.get("/api/status")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Basic")
    basic = base64.b64encode(f"anyone:{TOKEN}".encode()).decode()
    for credentials, status in (
        (f"Bearer {TOKEN}", 200),
        (f"Basic {basic}", 200),
        (f"Bearer {TOKEN}x", 401),
        ("Bearer", 401),
        ("Basic %%%", 401),
        (TOKEN, 401),
    ):
        assert client.get("/api/status", headers={"authorization": credentials}).status_code == status, credentials
    assert client.get(f"/api/status?token={TOKEN}").status_code == 401
    elsewhere = {"host": "weather.example", "authorization": f"Bearer {TOKEN}"}
    assert client.get("/api/status", headers=elsewhere).status_code == 200


def test_without_a_token_other_names_of_the_host_are_refused(out: Path) -> None:
    """A page of another site that has its name point here cannot read the answers."""
    client = _client(out)
    assert client.get("/api/status", headers={"host": "evil.example"}).status_code == 421
    for host in ("localhost:8765", "127.0.0.1", "[::1]:80"):
        assert client.get("/api/status", headers={"host": host}).status_code == 200


def test_methods_and_sizes(out: Path) -> None:
    client = _client(out)
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        answer = client.request(method, "/api/status")
        assert answer.status_code == 405
        assert answer.headers["allow"] == "GET, HEAD"
    assert client.get("/api/status?x=" + "a" * 3000).status_code == 414
    assert client.request("GET", "/api/status", content=b"x" * 5000).status_code == 413
    complete, head = client.get("/page/style.css"), client.head("/page/style.css")
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == complete.headers["content-length"]
    assert client.post("/api/forecast", content=b"").status_code == 405


def test_a_client_that_asks_too_much_is_told_when_to_come_again(out: Path) -> None:
    client = _client(out, rate=0.5, burst=5)
    answers = [client.get("/healthz") for _ in range(7)]
    assert [each.status_code for each in answers] == [200] * 5 + [429] * 2
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 3


def test_too_many_at_once_are_refused(out: Path) -> None:
    settings = ServeSettings(out, concurrency=2)
    finish = asyncio.Event()

    async def slow(scope: object, receive: object, send: object) -> None:
        await finish.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b""})  # type: ignore[operator]

    guard = Guard(slow, settings, Site(settings).metrics)  # type: ignore[arg-type]

    async def ask() -> tuple[int, dict[bytes, bytes]]:
        messages: list[dict[str, object]] = []

        async def send(message: dict[str, object]) -> None:
            messages.append(message)

        scope = {
            "type": "http",
            "method": "GET",
            "path": "/x",
            "headers": [(b"host", b"localhost")],
            "client": ("1", 1),
        }
        await guard(scope, None, send)  # type: ignore[arg-type]
        return messages[0]["status"], dict(messages[0]["headers"])  # type: ignore[return-value, call-overload]

    async def all_of_them() -> list[tuple[int, dict[bytes, bytes]]]:
        waiting = [asyncio.create_task(ask()) for _ in range(2)]
        await asyncio.sleep(0)
        refused = await ask()
        finish.set()
        return [refused, *(await asyncio.gather(*waiting)), await ask()]

    refused, *answered = asyncio.run(all_of_them())
    assert refused[0] == 429
    assert refused[1][b"retry-after"] == b"1"
    assert [status for status, _ in answered] == [200, 200, 200]


def test_headers_of_every_answer(out: Path) -> None:
    client = _client(out)
    for address in ("/", "/api/status", "/nothing", "/api/status?" + "a" * 3000):
        headers = client.get(address).headers
        assert headers["x-content-type-options"] == "nosniff"
        policy = headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
    assert "<script>" not in client.get("/").text
    assert " style=" not in client.get("/").text


def test_what_a_browser_has_is_not_sent_again(out: Path) -> None:
    client = _client(out)
    for address in ("/", "/page/style.css", "/api/legends", "/tiles/alps/latest/rate/5/5/16/11.png"):
        first = client.get(address)
        again = client.get(address, headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert "private" in first.headers["cache-control"]
    packed = client.get("/page/style.css", headers={"accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in client.get("/tiles/alps/latest/rate/5/5/16/11.png").headers


def test_a_port_in_use_is_named_and_a_signal_ends_a_server_in_peace(out: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        taken.listen()
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port} cannot be served .*in use"):
            serve(ServeSettings(out, port=port))

    def end_it() -> None:
        while True:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 0.1).close()
                return os.kill(os.getpid(), signal.SIGTERM)

    before, interval = signal.getsignal(signal.SIGTERM), sys.getswitchinterval()
    threading.Thread(target=end_it, daemon=True).start()
    serve(ServeSettings(out, port=port))
    sys.setswitchinterval(interval)  # which a server sets for its process
    assert signal.getsignal(signal.SIGTERM) is before
