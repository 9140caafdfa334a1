"""The processes of a service: one for each domain, so that a crash of one takes no other down, restarted with back-off.

A process that ends is started again after 1 s, then 2 s, up to a minute; one that has run for ten minutes starts from 1 s again.
One that shows no sign of life for too long is killed. SIGTERM and SIGINT end all of them, after the cycle in progress or by
force; so does the end of the parent, however it ends. What happened stands in the log and in `service.json`.
"""

from __future__ import annotations

import logging
import multiprocessing
import multiprocessing.connection
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any

import framecast
from framecast.checks import refuses_arrays
from framecast.config.parsing import plain
from framecast.errors import FramecastError, format_keyword
from framecast.service import logs
from framecast.service.checking import check_service
from framecast.service.layout import Layout, iso, utc_now, write_json
from framecast.service.settings import Domain, Service, read_settings
from framecast.writing import claim

START_METHOD = "spawn"
FIRST_DELAY, LONGEST_DELAY = 1.0, 60.0
"""Seconds before a restart."""
SETTLED = 600.0
"""Seconds after which a process counts as running well."""
SERVER = "server"
"""The name of the process of the HTTP server."""
GRACE = 20.0
"""Seconds that processes have to end: enough for a forecast in progress, and less than a supervisor allows (`deploy/`)."""
_LEAST_SILENCE = 600.0
"""Seconds without a sign of life, at least, after which a process is killed."""
FILES = 16
"""NetCDF files that a domain holds open at most."""
_SLICE = 0.25
"""Seconds of a wait after which it is seen that the process is to stop."""
_log = logging.getLogger(__name__)


@dataclass
class Stop:
    """Whether this process is to stop."""

    requested: bool = False


@dataclass
class Child:
    """A process, and what became of those before it."""

    name: str
    target: Callable[..., None]
    arguments: tuple[Any, ...]
    silence: float | None
    process: BaseProcess | None = None
    sign: Any = None
    started: float = 0.0
    delay: float = FIRST_DELAY
    due: float = 0.0
    restarts: int = 0
    last_exit: str | None = None

    def state(self) -> dict[str, Any]:
        """The state for `service.json`."""
        pid = None if self.process is None else self.process.pid
        return {"name": self.name, "pid": pid, "restarts": self.restarts, "last_exit": self.last_exit}


@dataclass
class Group:
    """The processes of a service."""

    settings: Service
    out: Path
    children: list[Child]
    started: str = field(default_factory=lambda: iso(utc_now()))

    def run(self, stop: Stop) -> None:
        """Start the processes and keep them running, until a stop is requested."""
        try:
            while not stop.requested:
                for child in self.children:
                    self._tend(child)
                running = [child.process.sentinel for child in self.children if child.process is not None]
                multiprocessing.connection.wait(running, timeout=_SLICE)
                if not running:
                    time.sleep(_SLICE)
        finally:
            self._end()

    def _tend(self, child: Child) -> None:
        """Start a process that is due, note one that has ended, and kill one that has gone silent."""
        now = time.monotonic()
        if child.process is None:
            if now >= child.due:
                self._start(child, now)
            return
        if child.process.is_alive():
            if child.silence is not None and now - max(child.sign.value, child.started) > child.silence:
                _log.error("%s: no sign of life for %.0f s: its process is killed", child.name, child.silence)
                child.process.kill()
                child.process.join()
            elif now - child.started > SETTLED:
                child.delay = FIRST_DELAY
            if child.process.is_alive():
                return
        child.last_exit = f"{iso(utc_now())}: {_describe_exit(child.process.exitcode)}"
        _log.error("%s: its process %s; the next starts in %.0f s", child.name, child.last_exit, child.delay)
        child.process.close()
        child.process, child.due = None, now + child.delay
        child.delay, child.restarts = min(2 * child.delay, LONGEST_DELAY), child.restarts + 1
        self._write()

    def _start(self, child: Child, now: float) -> None:
        context: Any = multiprocessing.get_context(START_METHOD)
        arguments = child.arguments
        if child.silence is not None:
            child.sign = context.Value("d", now, lock=False)
            arguments = (*arguments, child.sign)
        child.process = context.Process(target=child.target, args=arguments, name=child.name)
        child.process.start()
        child.started = now
        self._write()

    def _end(self) -> None:
        """End all processes within the grace, those that do not end by force."""
        running = [child.process for child in self.children if child.process is not None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + GRACE
        for process in running:
            process.join(max(deadline - time.monotonic(), 0.1))
            if process.is_alive():
                _log.warning("%s did not end in time and is killed", process.name)
                process.kill()
                process.join()

    def _write(self) -> None:
        write_json(
            self.out / "service.json",
            {
                "settings": plain(self.settings),
                "version": framecast.__version__,
                "process": os.getpid(),
                "host": socket.gethostname(),
                "start": self.started,
                "processes": [child.state() for child in self.children],
            },
        )


@refuses_arrays
def run_service(config: str | Path | Service, *, domains: Sequence[str] | None = None) -> None:
    """Forecast each new frame of the domains of `config`, the path of a YAML file or settings, until SIGTERM or SIGINT.

    `domains` names those to run, by default all. Raises `DataError` and `ConfigError` for settings that cannot be used (see also
    `framecast.service.checking`), and `RunError` if another process writes the output of a service with the same folder, or it
    cannot be written.
    """
    settings = config if isinstance(config, Service) else read_settings(config)
    chosen = settings.only(domains)
    notes = check_service(chosen, None if isinstance(config, Service) else config)
    out = Path(settings.out)
    children = [_child(settings, domain) for domain in chosen.domains]
    if settings.serve is not None:
        children.append(Child(SERVER, run_server, (settings,), None))
    with claim(out):
        logs.set_up(settings.log, "service", out / "service.log")
        stop = stop_on_signals()
        _log.info("framecast %s starts: %s", framecast.__version__, ", ".join(child.name for child in children))
        for note in notes:
            _log.warning("%s", note)
        Group(settings, out, children).run(stop)
        _log.info("the service has ended")


def run_server(settings: Service) -> None:
    """The process of the HTTP server; it ends with its parent."""
    from framecast.service.http.server import serve
    from framecast.service.http.settings import ServeSettings, read_token

    chosen = settings.serve
    assert chosen is not None
    logs.set_up(settings.log, SERVER, Path(settings.out) / f"{SERVER}.log")
    _end_with_parent()
    try:
        token = read_token(None if chosen.token_file is None else Path(chosen.token_file))
        serve(ServeSettings(Path(settings.out), chosen.host, chosen.port, token, uploads=chosen.uploads))
    except FramecastError as error:
        _log.error("%s", error.message(format_keyword))
        sys.exit(error.exit_code)


def _end_with_parent() -> None:
    """End this process by SIGTERM when its parent has ended."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    sentinel = parent.sentinel

    def watch() -> None:
        multiprocessing.connection.wait([sentinel])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def _child(settings: Service, domain: Domain) -> Child:
    silence = max(_LEAST_SILENCE, 10 * 60 * domain.cadence)
    return Child(domain.name, run_domain, (settings, domain.name), silence)


def run_domain(settings: Service, name: str, sign: Any) -> None:
    """The process of a domain. Exits with 0 after a signal or the end of its parent, 2 for a wrong input, 1 for others; at once,
    since all that counts is on disk, and the libraries in use would take seconds to be taken down."""
    domain = settings.domain(name)
    layout = Layout(settings.out, name)
    layout.folder.mkdir(parents=True, exist_ok=True)
    logs.set_up(settings.log, name, layout.log)
    code = 1
    try:
        _operate(domain, settings.out, sign, stop_on_signals())
        code = 0
    except FramecastError as error:
        _log.error("%s", error.message(format_keyword))
        code = error.exit_code
    except Exception:
        _log.exception("an internal error")
    finally:
        logging.shutdown()
        os._exit(code)


def _operate(domain: Domain, out: str, sign: Any, stop: Stop) -> None:
    """Run a domain until a stop is requested or its parent has ended; `sign` is the time of its last sign of life."""
    import xarray as xr

    from framecast.ops.native.memory import keep_free
    from framecast.service.domain import DomainLoop

    keep_free(every_size=True)
    xr.set_options(file_cache_maxsize=FILES)  # type: ignore[no-untyped-call]
    parent = multiprocessing.parent_process()
    assert parent is not None
    with DomainLoop(domain, out) as loop:
        _log.info("watches %s", domain.source)
        while not stop.requested:
            loop.step()
            sign.value = time.monotonic()
            end = sign.value + domain.poll
            while not stop.requested and (left := end - time.monotonic()) > 0:
                if multiprocessing.connection.wait([parent.sentinel], timeout=min(left, _SLICE)):
                    _log.warning("the parent process has ended")
                    return


def stop_on_signals() -> Stop:
    """What SIGTERM and SIGINT request. They raise nothing, so that what is in progress is done to its end."""
    stop = Stop()

    def request(_number: int, _frame: FrameType | None) -> None:
        stop.requested = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, request)
    return stop


def _describe_exit(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
