"""A server that accepts a connection and never answers: an error within a bounded time, not a hang."""

import socket
import threading
import time

import pytest

import framecast
from framecast.data.readers import zarr_store
from framecast.errors import DataError

pytest.importorskip("obstore")


def test_a_store_on_a_server_that_stays_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zarr_store, "REMOTE_TIMEOUT", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        connections: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    connections.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        begin = time.monotonic()
        with pytest.raises(DataError, match="cannot be opened"):
            framecast.open(f"http://127.0.0.1:{server.getsockname()[1]}/frames.zarr")
        assert connections
        assert time.monotonic() - begin < 60
        for connection in connections:
            connection.close()
