"""An object store in one's own network, with the interface of S3, without encryption."""

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import framecast

pytest.importorskip("obstore")
VALUES = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


class Ranges(SimpleHTTPRequestHandler):
    """Answers requests for files and for ranges of them."""

    def do_GET(self) -> None:
        file = Path(self.translate_path(self.path))
        if "Range" not in self.headers or not file.is_file():
            super().do_GET()
            return
        content = file.read_bytes()
        start, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
        part = content[int(start) : int(last or len(content)) + 1]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{int(start) + len(part) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Last-Modified", self.date_time_string(file.stat().st_mtime))
        self.end_headers()
        self.wfile.write(part)


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[str]:
    """The address of a server with `bucket/rain.zarr`."""
    times = np.array(["2020-01-01T00:00", "2020-01-01T00:05"], "datetime64[ns]")
    rain = xr.DataArray(VALUES, dims=("time", "y", "x"), coords={"time": times}, attrs={"units": "mm h-1"}, name="rain")
    rain.to_dataset().to_zarr(tmp_path / "bucket" / "rain.zarr", zarr_format=2, consolidated=True)
    handler = functools.partial(Ranges, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("name", ["AWS_ENDPOINT", "AWS_ENDPOINT_URL"])
def test_an_endpoint_of_the_environment_may_be_without_encryption(
    name: str, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in (
        (name, endpoint),
        ("AWS_ACCESS_KEY_ID", "name"),
        ("AWS_SECRET_ACCESS_KEY", "key"),
        ("AWS_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(variable, value)
    frames = framecast.open("s3://bucket/rain.zarr")
    np.testing.assert_array_equal(frames.values[:, 0], VALUES)
