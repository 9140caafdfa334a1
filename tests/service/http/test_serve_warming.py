"""What visitors ask for first is read before they do, and the memory of maps goes back to the system."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_output import LEADS, STEP, THRESHOLDS, stamp, write_output

from framecast.service.http import tiles
from framecast.service.http.allocation import return_maps
from framecast.service.http.names import LATEST, Product
from framecast.service.http.points import OBSERVED
from framecast.service.http.settings import ServeSettings
from framecast.service.http.site import Site
from framecast.service.http.tiles import RATE
from framecast.service.http.warming import SHARE, Warmer


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output that no test changes."""
    folder = tmp_path_factory.mktemp("output")
    write_output(folder)
    return folder


def cached(site: Site, domain: str, product: Product, init: str = LATEST) -> list[bool]:
    """Whether the field at each lead time is in memory."""
    source = site.source(domain, init, "observed" if product == OBSERVED else "forecast")
    leads = 1 if product == OBSERVED else LEADS
    return [site.tiles.fields.find((source, product, lead)) is not None for lead in range(leads)]


def test_the_newest_forecasts_and_frames_are_read_ahead(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(ServeSettings(output))
    warmer = Warmer(site)
    warmer.read()
    for domain in ("alps", "plain"):
        assert all(cached(site, domain, RATE))
        for name in site.output.frames(domain):
            assert all(cached(site, domain, OBSERVED, name))
        for threshold in THRESHOLDS:
            assert all(cached(site, domain, Product("exceedance", threshold=threshold)))

    def unwanted(*_: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(tiles, "read_fields", unwanted)
    warmer.read()


def test_a_new_forecast_is_read_in_the_background(tmp_path: Path) -> None:
    newest = write_output(tmp_path)
    site = Site(ServeSettings(tmp_path))
    warmer = Warmer(site)
    warmer.read()
    with warmer.running():
        late = write_output(tmp_path / "other", newest + STEP)
        for domain in ("alps", "plain"):
            for folder in (tmp_path / "other" / domain / "forecasts").iterdir():
                target = tmp_path / domain / "forecasts" / folder.name
                if not target.exists():
                    folder.rename(target)
        deadline = time.monotonic() + 20
        while not (site.output.forecasts("plain")[-1] == stamp(late) and all(cached(site, "plain", RATE))):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_share_of_the_cache_is_left_to_others(output: Path) -> None:
    site = Site(ServeSettings(output))
    site.tiles.fields.limit = 200_000
    Warmer(site).read()
    assert all(cached(site, "alps", RATE))
    assert 0.5 * SHARE < site.tiles.fields.bytes / site.tiles.fields.limit < 1.1 * SHARE


def test_what_is_damaged_is_left_out(tmp_path: Path) -> None:
    write_output(tmp_path)
    newest = sorted((tmp_path / "alps" / "forecasts").iterdir())[-1]
    (newest / "forecast.nc").write_bytes(b"no forecast")
    site = Site(ServeSettings(tmp_path))
    Warmer(site).read()
    assert all(cached(site, "plain", RATE))


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="not the GNU C library")
def test_the_memory_of_maps_goes_back() -> None:
    """In a process of its own, since it holds for all of it."""
    script = """
import numpy as np, psutil
from framecast.service.http.allocation import return_maps

return_maps()
def maps():
    return [np.ones(2**17) for _ in range(100)]  # 1 MiB each
maps()  # the C library would raise its threshold by what is freed
before = psutil.Process().memory_info().rss
last = maps()[-1]
print((psutil.Process().memory_info().rss - before) / 2**20)
"""
    made = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert float(made.stdout) < 20


@pytest.mark.parametrize("error", [AttributeError, OSError, TypeError])
def test_another_c_library_is_left_alone(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: None) -> ctypes.CDLL:
        raise error

    monkeypatch.setattr("framecast.service.http.allocation.ctypes.CDLL", missing)
    return_maps()
