"""Random requests never end in an error of the server, reach no file outside of the output, and leave nothing behind."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import psutil
import pytest
from fuzzed import requests, send
from running import running
from small_output import stamp, write_output

from framecast.service.http.settings import ServeSettings

SECRET = "this must not be read"
opened: list[str] | None = None


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and opened is not None and isinstance(arguments[0], str | Path):
        opened.append(str(arguments[0]))


sys.addaudithook(_hook)


def _fuzz(folder: Path, count: int, largest_growth: int) -> None:
    global opened
    out = folder / "out"
    init = stamp(write_output(out))
    (folder / "secret.txt").write_text(SECRET)
    settings = ServeSettings(out, rate=1e6, burst=10**6, memory=16)
    process = psutil.Process()
    with running(settings) as port:
        answers = {}
        for request in requests(200, init, seed=1):  # fills the caches
            send(port, request.content)
        gc.collect()
        handles, memory, opened = process.num_fds(), process.memory_info().rss, []
        for request in requests(count, init):
            answer = send(port, request.content)
            status = answer[9:12].decode("latin-1")
            assert not answer or status[:1] in ("2", "3", "4"), (request.target, answer[:300])
            assert SECRET.encode() not in answer, request.target
            answers[status] = answers.get(status, 0) + 1
        outside = [each for each in opened if "secret" in each or each.startswith("/etc/passwd")]
        opened = None
        gc.collect()
        assert outside == []
        assert process.num_fds() <= handles + 3
        growth = process.memory_info().rss - memory
        print(f"{count} requests, answers {dict(sorted(answers.items()))}, {growth / 2**20:.1f} MB more memory")
        assert growth < largest_growth
        assert send(port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").startswith(
            b"HTTP/1.1 200"
        )
    assert answers["200"] > count // 20
    assert answers["404"] > count // 20


def test_500_random_requests(tmp_path: Path) -> None:
    _fuzz(tmp_path, 500, 100 * 2**20)


@pytest.mark.slow
def test_10_000_random_requests(tmp_path: Path) -> None:
    _fuzz(tmp_path, 10_000, 100 * 2**20)
