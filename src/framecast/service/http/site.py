"""What the server answers, as plain data: domains, forecasts, time series and scores. No HTTP in here."""

from __future__ import annotations

import time
from typing import Any

from framecast.colours import PALETTES
from framecast.errors import DataError
from framecast.service.http.basemap import basemap
from framecast.service.http.caching import Recent
from framecast.service.http.health import health_of, summary
from framecast.service.http.metrics import Metrics
from framecast.service.http.names import LATEST, Product, compact, is_time, iso, name_of, seconds_of
from framecast.service.http.outputs import Output, version_of
from framecast.service.http.palettes import legend_of
from framecast.service.http.points import forecast_at, observed_at
from framecast.service.http.scores import Scores
from framecast.service.http.settings import ServeSettings
from framecast.service.http.stored import Contents
from framecast.service.http.tiles import Source, Tiles

_MIB = 2**20
_LISTED_FORECASTS = 96
_LISTED_FRAMES = 96
MOST_HOURS = 6.0
"""Hours of observed frames in a time series, at most."""


class Missing(Exception):
    """There is nothing of that name."""


class Site:
    """The domains in a folder, and the caches to answer quickly."""

    def __init__(self, settings: ServeSettings) -> None:
        self.settings = settings
        self.output = Output(settings.out)
        self.tiles = Tiles(settings.memory * _MIB)
        self.scores = Scores(self.output)
        self.metrics = Metrics(self.output, self.scores, settings.stale_after)
        self._basemaps: Recent[dict[str, Any]] = Recent(3600.0, 64)

    def status(self) -> dict[str, Any]:
        """The service, and the state of each domain now."""
        now = time.time()
        service = self.output.service()
        shown = {key: service[key] for key in ("version", "started", "start") if key in service}
        domains = [self._summary(domain, now) for domain in self.output.domains()]
        return {"now": iso(now), "service": shown, "domains": domains, "palettes": list(PALETTES)}

    def readiness(self) -> tuple[bool, dict[str, Any]]:
        """Whether the newest forecast of every domain is young enough, and why not."""
        now = time.time()
        states = {name: health_of(self.output, name, now, self.settings.stale_after) for name in self.output.domains()}
        ready = bool(states) and all(each.ready for each in states.values())
        reasons = {name: list(each.reasons) or [each.state] for name, each in states.items() if not each.ready}
        return ready, {"ready": ready, "reasons": reasons if states else {"": ["there is no domain yet"]}}

    def domain(self, domain: str) -> dict[str, Any]:
        """A domain: its state, bounds, and the times of frames and forecasts. Raises `Missing`."""
        self._check(domain)
        rungs = self.output.rungs(domain)
        forecasts = [
            {"init": init, "time": iso(seconds_of(init)), "rung": rungs.get(init, {}).get("rung")}
            for init in self.output.forecasts(domain)[-_LISTED_FORECASTS:]
        ]
        contents = self.contents(self._any_source(domain))
        return {
            **self._summary(domain, time.time()),
            "bounds": list(contents.grid.bounds()),
            "quantity": contents.quantity,
            "frames": self.output.frames(domain)[-_LISTED_FRAMES:],
            "forecasts": forecasts,
        }

    def forecast(self, domain: str, init: str) -> dict[str, Any]:
        """A forecast: lead times, what can be drawn of it, files, and how it was made. Raises `Missing`."""
        source = self.source(domain, init, "forecast")
        contents = self.contents(source)
        name = source.path.parent.name
        cycle = self.output.rungs(domain).get(name, {})
        products = ["rate", *(["accumulation"] if contents.quantity == "rain_rate" else [])]
        products += [f"exceedance_{threshold:g}" for threshold in contents.thresholds]
        attributes = contents.attributes
        return {
            "domain": domain,
            "init": name,
            "init_time": iso(seconds_of(name)),
            "lead_minutes": list(contents.leads),
            "quantity": contents.quantity,
            "thresholds": list(contents.thresholds),
            "members": contents.members,
            "products": products,
            "rung": attributes.get("framecast_rung") or cycle.get("rung") or attributes.get("forecaster"),
            "reasons": attributes.get("framecast_reasons", "").splitlines() or cycle.get("reasons") or [],
            "newest_frame": attributes.get("framecast_newest_frame") or cycle.get("newest_frame"),
            "files": self.output.files(domain, name),
            "alerts": self.output.alerts(domain, name),
        }

    def point(self, domain: str, longitude: float, latitude: float, init: str, hours: float) -> dict[str, Any]:
        """The time series at a position: the last hours up to the initial time observed, then the forecast. Raises `Missing`."""
        source = self.source(domain, init, "forecast")
        contents = self.contents(source)
        pixel = contents.grid.pixel_at(longitude, latitude)
        if pixel is None:
            raise Missing("the position lies outside of the domain")
        start = seconds_of(source.path.parent.name)
        times = [
            t for t in self.output.frames(domain) if start - min(hours, MOST_HOURS) * 3600 <= seconds_of(t) <= start
        ]
        sources = [(t, self.source(domain, t, "observed")) for t in times]
        try:
            same = [(t, each) for t, each in sources if self.contents(each).grid == contents.grid]
            row, column = pixel
            observed = observed_at(self.tiles, same, row * contents.grid.columns + column)
            series = {"observed": observed, **forecast_at(source, contents, row, column)}
        except DataError as error:
            raise Missing("the forecast cannot be read") from error
        return {
            "longitude": longitude,
            "latitude": latitude,
            "init_time": iso(start),
            "init": source.path.parent.name,
            "quantity": contents.quantity,
            **series,
        }

    def basemap(self, domain: str) -> dict[str, Any]:
        """The map of a domain as GeoJSON. Raises `Missing`."""
        self._check(domain)
        grid = self.contents(self._any_source(domain)).grid
        return self._basemaps.get(grid, lambda: basemap(grid.bounds(), grid.outline()))

    def score_series(self, domain: str, hours: float, lead: float | None) -> dict[str, Any]:
        """The scores of the forecasts of the last hours. Raises `Missing`."""
        self._check(domain)
        return {"domain": domain, "hours": hours, **self.scores.series(domain, time.time() - hours * 3600, lead)}

    def legends(self, palette: str) -> dict[str, Any]:
        """The legends of all quantities in a palette. Raises `Missing`."""
        if palette not in PALETTES:
            raise Missing("no such palette")
        quantities = ("rain_rate", "reflectivity", "intensity", "probability", "accumulation")
        return {"palette": palette, "legends": [legend_of(quantity, palette) for quantity in quantities]}

    def source(self, domain: str, init: str, kind: str) -> Source:
        """The file of a forecast or of an observed frame. Raises `Missing`."""
        self._check(domain)
        find = self.output.frame if kind == "observed" else self.output.forecast
        path = find(domain, init)
        version = None if path is None else version_of(path)
        if path is None or version is None:
            raise Missing("no such time")
        return Source(path, version)

    def contents(self, source: Source) -> Contents:
        """What a file holds. Raises `Missing` if it cannot be read."""
        try:
            return self.tiles.contents_of(source)
        except DataError as error:
            raise Missing("the file cannot be read") from error

    def lead_of(self, contents: Contents, product: Product, lead: int) -> int:
        """The number of the lead time of so many minutes. Raises `Missing` if the file does not have the product or it."""
        has = {
            "exceedance": product.threshold in contents.thresholds,
            "member": product.member < contents.members,
            "accumulation": contents.quantity == "rain_rate" and bool(contents.leads),
            "observed": lead == 0,
        }
        if not has.get(product.kind, True):
            raise Missing("no such product")
        if product.kind == "observed":
            return 0
        numbers = [number for number, minutes in enumerate(contents.leads) if round(minutes) == lead]
        if not numbers:
            raise Missing("no such lead time")
        return numbers[0]

    def _summary(self, domain: str, now: float) -> dict[str, Any]:
        status = self.output.status(domain)
        return {**summary(health_of(self.output, domain, now, self.settings.stale_after), status), "domain": domain}

    def _check(self, domain: str) -> None:
        if not self.output.has(domain):
            raise Missing("no such domain")

    def _any_source(self, domain: str) -> Source:
        """The newest forecast, or else the newest frame. Raises `Missing` if there is neither."""
        for kind in ("forecast", "observed"):
            try:
                return self.source(domain, LATEST, kind)
            except Missing:
                continue
        raise Missing("the domain has neither forecasts nor frames yet")


def as_time(text: str) -> str:
    """A time in an address: as a name, in ISO 8601, or "latest". Raises `Missing` for another text."""
    name = compact(text)
    if text != LATEST and not is_time(name):
        raise Missing("no time")
    return text if text == LATEST else name_of(seconds_of(name))
