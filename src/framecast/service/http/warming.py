"""Reads what visitors ask for first before they do: at the start, and whenever there is a new forecast or frame.

In this order, for all domains: the rates at all lead times of the newest forecast and the frames of the page's timeline, then the
probabilities, as far as the cache of fields goes.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from time import monotonic

from framecast.colours import PALETTES
from framecast.errors import DataError
from framecast.service.http.names import LATEST, Product
from framecast.service.http.palettes import table_of
from framecast.service.http.points import OBSERVED
from framecast.service.http.site import Missing, Site
from framecast.service.http.stored import Contents, Field
from framecast.service.http.tiles import RATE, Place, Source

FRAMES = 24
"""Observed frames of the page's timeline: two hours, every five minutes."""
SHARE = 0.75
"""Of the cache of fields that is filled ahead; the rest is for what visitors choose."""
BEFORE = 10.0
"""Seconds that the server reads before it answers, at most."""
_EVERY = 1.0
"""Seconds between two looks for a new forecast."""
_log = logging.getLogger(__name__)
Piece = Callable[[], Field | None]
"""A read; the field that it has brought into the cache, if it is one."""


class Warmer:
    """Reads ahead for a site."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._stop = threading.Event()
        self._read: list[Source] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Read ahead in a thread."""
        thread = threading.Thread(target=self._watch, daemon=True, name="warming")
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def read(self, seconds: float = float("inf"), *, gently: bool = False) -> None:
        """Read what is new, for so many seconds at most; `gently`, half of the time is left to others."""
        newest = self._newest()
        if newest == self._read:
            return
        end, room = monotonic() + seconds, SHARE * self._site.tiles.fields.limit
        for piece in self._pieces():
            start = monotonic()
            if start > end or self._stop.is_set():
                return
            try:
                field = piece()
            except (Missing, DataError):  # absent from the answers too
                continue
            room -= 0 if field is None else field.codes.nbytes
            if room <= 0:
                break
            if gently:
                self._stop.wait(monotonic() - start)
        self._read = newest

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                self.read(gently=True)
            except Exception:
                _log.exception("reading ahead")
            self._stop.wait(_EVERY)

    def _newest(self) -> list[Source]:
        """The newest forecast and frame of each domain."""
        kinds = ("forecast", "observed")
        sources = [self._source(domain, LATEST, kind) for domain in self._domains() for kind in kinds]
        return [each for each in sources if each is not None]

    def _domains(self) -> list[str]:
        return self._site.output.domains()

    def _source(self, domain: str, time: str, kind: str) -> Source | None:
        try:
            return self._site.source(domain, time, kind)
        except Missing:
            return None

    def _pieces(self) -> Iterator[Piece]:
        """What is to be read, what is asked for first in front."""
        tiles, domains = self._site.tiles, self._domains()
        forecasts: list[tuple[Source, Contents]] = []
        for domain in domains:
            source = self._source(domain, LATEST, "forecast")
            if source is None:
                continue
            try:
                contents = tiles.contents_of(source)
            except DataError:
                continue
            forecasts.append((source, contents))
            yield partial(self._prepare, domain, source)
            yield from self._fields(source, contents, RATE)
        for domain in domains:
            for name in reversed(self._site.output.frames(domain)[-FRAMES:]):
                frame = self._source(domain, name, "observed")
                if frame is not None:
                    yield partial(tiles.field, frame, OBSERVED, 0)
        for source, contents in forecasts:
            for threshold in contents.thresholds:
                yield from self._fields(source, contents, Product("exceedance", threshold=threshold))

    def _fields(self, source: Source, contents: Contents, product: Product) -> Iterator[Piece]:
        for number in range(len(contents.leads)):
            yield partial(self._site.tiles.field, source, product, number)

    def _prepare(self, domain: str, source: Source) -> None:
        """Colours, projections and the map."""
        for quantity in (self._site.tiles.contents_of(source).quantity, "probability", "accumulation"):
            table_of(quantity, PALETTES[0])
        self._site.tiles.tile(source, RATE, 0, Place(0, 0, 0), PALETTES[0])
        self._site.basemap(domain)
