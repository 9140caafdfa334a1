"""Forecasts on request, only where they are switched on: frames are sent as NetCDF, the forecast comes back as NetCDF.

Each is made in a process of its own with limits on memory and time (`child`); one at a time, others are asked to come again.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from framecast.reading.paths import read_bytes
from framecast.service.http.names import MEDIA_TYPES
from framecast.service.http.settings import ServeSettings
from framecast.writing import write_bytes

_MIB = 2**20
_LONGEST_MESSAGE = 2000
_MODEL = r"[a-z][a-z0-9_]{0,63}"


def add_uploads(api: FastAPI, settings: ServeSettings) -> None:
    """Add the address /api/forecast."""
    free = asyncio.Lock()

    @api.post("/api/forecast", tags=["forecasts on request"])
    async def forecast(
        request: Request,
        horizon: Annotated[int, Query(ge=1, le=100)] = 12,
        forecaster: Annotated[str, Query(pattern=f"^{_MODEL}$")] = "radar",
    ) -> Response:
        """Forecast from the frames in the body, NetCDF, with the model or baseline of that name."""
        if free.locked():
            return _refusal(429, "another forecast is being made", {"retry-after": str(int(settings.upload_seconds))})
        async with free:
            body = await _body(request, settings.upload_size * _MIB)
            if body is None:
                return _refusal(413, f"more than {settings.upload_size} MB", {"connection": "close"})
            with tempfile.TemporaryDirectory(prefix="framecast-") as name:
                folder = Path(name)
                await run_in_threadpool(write_bytes, folder / "frames.nc", body)
                return await _run(folder, forecaster, horizon, settings)


async def _body(request: Request, limit: int) -> bytes | None:
    """The body of a request; None if it is larger than the limit."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            return None
        parts.append(part)
    return b"".join(parts)


async def _run(folder: Path, forecaster: str, horizon: int, settings: ServeSettings) -> Response:
    """Forecast in a child; its answer."""
    arguments = [str(folder), forecaster, str(horizon), str(settings.upload_memory), str(int(settings.upload_seconds))]
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "framecast.service.http.child", *arguments),
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, messages = await asyncio.wait_for(child.communicate(), settings.upload_seconds)
    except TimeoutError:
        return _refusal(422, f"the forecast took more than {settings.upload_seconds:g} seconds", {})
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode == 0:
        return Response(read_bytes(folder / "forecast.nc", 4 * 2**30), media_type=MEDIA_TYPES["nc"])
    if child.returncode == 2:
        return _refusal(422, messages.decode("utf-8", "replace").replace(str(folder) + "/", "")[-_LONGEST_MESSAGE:], {})
    return _refusal(422, f"the forecast needs more than {settings.upload_memory} MB, or failed", {})


def _refusal(status: int, detail: str, headers: dict[str, str]) -> Response:
    return JSONResponse({"detail": detail}, status_code=status, headers=headers)
