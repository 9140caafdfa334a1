"""The metrics of a server, in the text format of Prometheus: of the domains as they are now, and of the requests."""

from __future__ import annotations

import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from framecast.service.http.health import health_of
from framecast.service.http.outputs import Output
from framecast.service.http.scores import Scores

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_DAY = 86400.0


class Metrics:
    """The metrics of one server."""

    def __init__(self, output: Output, scores: Scores, stale_after: float | None) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Domains(output, scores, stale_after))
        self.requests = Counter(
            "framecast_http_requests", "Answers by class of status", ["status"], registry=self._registry
        )
        self.refused = Counter(
            "framecast_http_refused", "Requests refused, by reason", ["reason"], registry=self._registry
        )
        self.tiles = Histogram(
            "framecast_tile_seconds",
            "Time to answer a tile, by whether it was in the cache",
            ["cache"],
            buckets=_BUCKETS,
            registry=self._registry,
        )

    def text(self) -> bytes:
        """All metrics."""
        return generate_latest(self._registry)


class _Domains(Collector):
    """Reads the state of the domains when the metrics are asked for."""

    def __init__(self, output: Output, scores: Scores, stale_after: float | None) -> None:
        self.output, self.scores, self.stale_after = output, scores, stale_after

    def collect(self) -> Iterator[Metric]:
        now = time.time()
        ready = GaugeMetricFamily("framecast_ready", "1 if the newest forecast is young enough", labels=["domain"])
        age = GaugeMetricFamily(
            "framecast_forecast_age_seconds", "Time since the initial time of the newest forecast", labels=["domain"]
        )
        newest = GaugeMetricFamily(
            "framecast_newest_frame_age_seconds", "Time since the newest observed frame", labels=["domain"]
        )
        rung = GaugeMetricFamily("framecast_rung", "1 for the rung of the newest cycle", labels=["domain", "rung"])
        latency = GaugeMetricFamily(
            "framecast_cycle_seconds", "Duration of a cycle, by quantile", labels=["domain", "quantile"]
        )
        overruns = GaugeMetricFamily("framecast_overruns", "Cycles that were late", labels=["domain"])
        score = GaugeMetricFamily(
            "framecast_score_yesterday",
            "Mean score of the forecasts of the last 24 hours with a truth, over all lead times",
            labels=["domain", "forecaster", "score", "threshold"],
        )
        for domain in self.output.domains():
            status = self.output.status(domain)
            health = health_of(self.output, domain, now, self.stale_after)
            ready.add_metric([domain], float(health.ready))
            for family, value in ((age, health.age), (newest, health.newest_age)):
                if value is not None:
                    family.add_metric([domain], value)
            for name in dict.fromkeys([*map(str, status.get("rungs") or ()), *filter(None, [health.rung])]):
                rung.add_metric([domain, name], float(name == health.rung))
            quantiles = status.get("latency")
            for name, value in (quantiles if isinstance(quantiles, dict) else {}).items():
                if isinstance(value, int | float) and str(name)[:1] == "p" and str(name)[1:].isdigit():
                    latency.add_metric([domain, f"{int(name[1:]) / 100:g}"], float(value))
            if isinstance(status.get("overruns"), int | float):
                overruns.add_metric([domain], float(status["overruns"]))
            for each in self.scores.summary(domain, now - _DAY):
                score.add_metric([domain, each.forecaster, each.score, each.threshold], each.mean)
        yield from (ready, age, newest, rung, latency, overruns, score)
