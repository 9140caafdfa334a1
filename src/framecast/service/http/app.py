"""The application: addresses and their answers. Everything but forecasts on request is read only."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from anyio import to_thread
from fastapi import FastAPI, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse, Response

import framecast
from framecast.colours import PALETTES
from framecast.errors import DataError
from framecast.reading.paths import read_bytes
from framecast.service.http.answers import MINUTES, answer, answer_json, is_known
from framecast.service.http.grids import LARGEST_ZOOM, SIZES
from framecast.service.http.guard import Application, Guard, Receive, Scope, Send
from framecast.service.http.metrics import CONTENT_TYPE
from framecast.service.http.names import LATEST, MEDIA_TYPES, is_file, parse_product
from framecast.service.http.on_request import add_uploads
from framecast.service.http.page import INDEX, page_files
from framecast.service.http.settings import ServeSettings
from framecast.service.http.site import Missing, Site, as_time
from framecast.service.http.tiles import Place

_THREADS = 8
_LARGEST_FILE = 4 * 2**30
_COMPRESSED = (".png", ".tif", ".nc")


def build_app(settings: ServeSettings, site: Site | None = None) -> Application:
    """The application that serves a folder, with the caches of `site`."""
    site = Site(settings) if site is None else site
    api = FastAPI(
        title="framecast",
        version=framecast.__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        lifespan=_lifespan,
    )

    @api.exception_handler(Missing)
    async def missing(_: Request, error: Missing) -> Response:
        return JSONResponse({"detail": str(error)}, status_code=404)

    _add_tiles(api, site)  # first: addresses are tried in order, and most requests are for tiles
    _add_page(api)
    _add_state(api, site)
    _add_data(api, site)
    if settings.uploads:
        add_uploads(api, settings)
    return Guard(_Compressed(api), settings, site.metrics)


@asynccontextmanager
async def _lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Few threads: more would wait for each other, and each holds memory."""
    to_thread.current_default_thread_limiter().total_tokens = _THREADS
    yield


class _Compressed:
    """Compresses answers, but for what is compressed already."""

    def __init__(self, plain: Application) -> None:
        self.plain = plain
        self.compressed = GZipMiddleware(plain, minimum_size=800, compresslevel=4)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["path"].endswith(_COMPRESSED):
            await self.compressed(scope, receive, send)
        else:
            await self.plain(scope, receive, send)


def _add_page(api: FastAPI) -> None:
    """The page and its files."""
    files = page_files()

    @api.get("/", include_in_schema=False)
    async def index(request: Request) -> Response:
        return answer(request, *files[INDEX])

    @api.get("/page/{name:path}", include_in_schema=False)
    async def page(request: Request, name: str) -> Response:
        if name not in files:
            raise Missing("no such file")
        return answer(request, *files[name])


def _add_state(api: FastAPI, site: Site) -> None:
    """Health, metrics and status."""

    @api.get("/healthz", tags=["health"])
    async def healthz() -> Response:
        """The process is alive."""
        return JSONResponse({"alive": True})

    @api.get("/readyz", tags=["health"])
    def readyz() -> Response:
        """Every domain has a forecast that is young enough; else 503, with the reasons."""
        ready, content = site.readiness()
        return JSONResponse(content, status_code=200 if ready else 503)

    @api.get("/metrics", tags=["health"])
    def metrics() -> Response:
        """Metrics for Prometheus."""
        return Response(site.metrics.text(), media_type=CONTENT_TYPE)

    @api.get("/api/status", tags=["status"])
    def status(request: Request) -> Response:
        """The state of each domain now."""
        return answer_json(request, site.status())

    @api.get("/api/legends", tags=["map"])
    def legends(request: Request, palette: str = PALETTES[0]) -> Response:
        """The legends of all quantities."""
        return answer_json(request, site.legends(palette), MINUTES)

    @api.get("/api/domains/{domain}", tags=["status"])
    def one_domain(request: Request, domain: str) -> Response:
        """A domain: state, bounds, times of frames and forecasts."""
        return answer_json(request, site.domain(domain))

    @api.get("/api/domains/{domain}/cycles", tags=["status"])
    def cycles(request: Request, domain: str, limit: Annotated[int, Query(ge=1, le=500)] = 100) -> Response:
        """The outcomes of the newest cycles, oldest first."""
        if not site.output.has(domain):
            raise Missing("no such domain")
        return answer_json(request, site.output.cycles(domain)[-limit:])

    @api.get("/api/domains/{domain}/scores", tags=["status"])
    def scores(
        request: Request,
        domain: str,
        hours: Annotated[float, Query(gt=0, le=24 * 60)] = 24.0,
        lead: Annotated[float | None, Query(ge=0, le=1e6)] = None,
    ) -> Response:
        """The scores of past forecasts beside their fallbacks: by lead time, and over time at one lead time."""
        return answer_json(request, site.score_series(domain, hours, lead))


def _add_data(api: FastAPI, site: Site) -> None:
    """Forecasts, files and time series."""

    @api.get("/api/domains/{domain}/map", tags=["map"])
    def basemap(request: Request, domain: str) -> Response:
        """Land, coast, borders and the outline of a domain, as GeoJSON."""
        return answer_json(request, site.basemap(domain), MINUTES)

    @api.get("/api/domains/{domain}/forecasts/{init}", tags=["forecasts"])
    def forecast(request: Request, domain: str, init: str) -> Response:
        """A forecast: lead times, products, files, rung and reasons."""
        return answer_json(request, site.forecast(domain, as_time(init)))

    @api.get("/api/domains/{domain}/forecasts/{init}/files/{name}", tags=["forecasts"])
    def file(request: Request, domain: str, init: str, name: str) -> Response:
        """A file of a forecast: forecast.nc, or a product as GeoTIFF, PNG or JSON."""
        source = site.source(domain, as_time(init), "forecast")
        path = source.path.with_name(name) if is_file(name) else None
        return _file(request, path, name)

    @api.get("/api/domains/{domain}/frames/{name}", tags=["forecasts"])
    def frame(request: Request, domain: str, name: str) -> Response:
        """An observed frame as NetCDF."""
        path = site.source(domain, as_time(name.removesuffix(".nc")), "observed").path
        return _file(request, path, path.name)

    @api.get("/api/domains/{domain}/point", tags=["forecasts"])
    def point(
        request: Request,
        domain: str,
        lon: Annotated[float, Query(ge=-360, le=360)],
        lat: Annotated[float, Query(ge=-90, le=90)],
        init: str = LATEST,
        hours: Annotated[float, Query(ge=0, le=6)] = 2.0,
    ) -> Response:
        """The time series at a position: observed, forecast, quantiles and probabilities."""
        if not (math.isfinite(lon) and math.isfinite(lat)):
            raise Missing("no position")
        return answer_json(request, site.point(domain, lon, lat, as_time(init), hours))


def _file(request: Request, path: Path | None, name: str) -> Response:
    """A file, as a download."""
    if path is None:
        raise Missing("no such file")
    try:
        content = read_bytes(path, _LARGEST_FILE)
    except DataError as error:
        raise Missing("no such file") from error
    response = answer(request, content, MEDIA_TYPES[name.rsplit(".", 1)[1]])
    response.headers["content-disposition"] = f'attachment; filename="{path.parent.name}_{name}"'
    return response


def _add_tiles(api: FastAPI, site: Site) -> None:
    """Tiles of web maps."""

    @api.get("/tiles/{domain}/{init}/{product}/{lead}/{z}/{x}/{y}.png", tags=["map"])
    async def tile(
        request: Request,
        domain: str,
        init: str,
        product: str,
        lead: int,
        z: int,
        x: int,
        y: int,
        palette: str = PALETTES[0],
        size: int = SIZES[0],
    ) -> Response:
        """A tile (EPSG:3857, y from the north). `init` is the initial time of a forecast, of the product `observed` the time of a
        frame; `lead` in minutes. Products: rate, accumulation, exceedance_RATE, member_NUMBER, observed."""
        start = time.perf_counter()
        chosen = parse_product(product)
        if chosen is None or palette not in PALETTES or size not in SIZES:
            raise Missing("no such product, palette or size")
        if not (0 <= z <= LARGEST_ZOOM and 0 <= x < 2**z and 0 <= y < 2**z):
            raise Missing("no such tile")
        source = site.source(domain, as_time(init), "observed" if chosen.kind == "observed" else "forecast")
        tag = f"{source.version[0]:x}-{source.version[1]:x}"
        if is_known(request, f'"{tag}"'):
            return answer(request, b"", "image/png", tag=tag)
        contents = site.tiles.contents.find(source)
        if contents is None:
            contents = await run_in_threadpool(site.contents, source)
        number = site.lead_of(contents, chosen, lead)
        place = Place(z, x, y, size)
        drawn = site.tiles.find(source, chosen, number, place, palette)
        cached = drawn is not None
        if drawn is None:
            try:
                drawn = await run_in_threadpool(site.tiles.tile, source, chosen, number, place, palette)
            except DataError as error:
                raise Missing("the file cannot be read") from error
        site.metrics.tiles.labels("yes" if cached else "no").observe(time.perf_counter() - start)
        return answer(request, drawn, "image/png", MINUTES, tag)
