"""Watching for new frames by polling: a folder, a pattern of names, or a Zarr store, which may be remote.

A file is read once its size and its time of change are the same at two polls. While it cannot be read it is tried again, for the
`patience` of the domain after its last change; then it is declared damaged. A file that changes is read again. Names that begin
with a dot and those of transfers in progress (`.part`, `.tmp`) are passed over, and names that hold an older time than is of use.

A frame that is more than a cadence ahead of the clock is left in its file or store, and read when it is due.

A frame could be read from when its file lay there and a look was due. So what it waits while a cycle or a scoring goes on counts.
"""

from __future__ import annotations

import datetime
import glob
import logging
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import xarray as xr

from framecast.data.archives.opening import DEPTH, open_like
from framecast.data.clock import TOLERANCE
from framecast.data.readers import zarr_store
from framecast.data.readers.file_names import time_in_name
from framecast.data.readers.options import ReadOptions
from framecast.errors import DataError, FramecastError, ResourceError
from framecast.service.layout import Time, from_stamp
from framecast.service.settings import Domain

_PARTIAL = (".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload", ".lock", "~")
_DAY = datetime.timedelta(days=1)
"""Slack for names in another zone than UTC."""
Timer = Callable[[], float]
"""Seconds that only increase."""
_log = logging.getLogger(__name__)


class Arrival(NamedTuple):
    """A frame that has come: its time as stamped, the loaded `frame (1, C, H, W)`, its file, when it could be read, in seconds of
    the timer, and the seconds that reading took."""

    time: Time
    frame: xr.DataArray
    file: str
    seen: float
    reading: float


class Poll(NamedTuple):
    """What one look at a source gave: new frames, problems in words, the files that have changed, which are read next, and the
    newest time of a frame that is not read yet, since it is ahead of the clock."""

    arrivals: list[Arrival]
    problems: list[str]
    pending: list[str]
    ahead: Time | None = None


class Source(Protocol):
    """What is polled."""

    def poll(self, now: Time) -> Poll:
        """The frames that are new since the last poll, of times after `now` less the history."""
        ...


def source_of(
    domain: Domain, before: ReadOptions, history: datetime.timedelta, timer: Timer = time.monotonic
) -> Source:
    """The source of a domain, read with the options `before` of training where the domain states none."""
    if "://" in domain.source:
        return Store(domain, before, history, timer)
    return Local(domain, before, history, timer)


class Local:
    """A path on this machine: a store if there is one, else files. That is decided at each look, until it has given frames."""

    def __init__(self, domain: Domain, before: ReadOptions, history: datetime.timedelta, timer: Timer) -> None:
        self._arguments = domain, before, history, timer
        self._path = Path(domain.source)
        self._source: Files | Store = Files(*self._arguments)
        self._decided = False

    def poll(self, now: Time) -> Poll:
        """The new frames, see `Source`."""
        kind = Store if zarr_store.recognises(self._path) else Files
        if not self._decided and not isinstance(self._source, kind):
            self._source = kind(*self._arguments)
        poll = self._source.poll(now)
        self._decided = self._decided or bool(poll.arrivals)
        return poll


class _Span(NamedTuple):
    """The times of frames that are read at one look, both ends included."""

    first: Time
    last: Time


def _span(domain: Domain, history: datetime.timedelta, now: Time) -> _Span:
    """From `now` less the history to nearly a cadence ahead of the clock, so that stamps off their time are not refused."""
    return _Span(now - history, now + (1 - TOLERANCE) * datetime.timedelta(minutes=domain.cadence))


@dataclass
class _File:
    """What is known of a file: its signature, since when that is so, how long it had lain there by then though a look was due,
    and whether it is done with. Of one with frames ahead of the clock, the times of the first and of the last of these, and up
    to when its frames are read."""

    signature: tuple[int, int, int]
    since: float
    waited: float = 0.0
    done: bool = False
    due: Time | None = None
    ahead: Time | None = None
    read: Time | None = None


class Files:
    """The files of a folder, or of a pattern of names."""

    def __init__(self, domain: Domain, before: ReadOptions, history: datetime.timedelta, timer: Timer) -> None:
        self._domain, self._before, self._history, self._timer = domain, before, history, timer
        self._files: dict[str, _File] = {}
        self._old: set[str] = set()
        self._unseen: dict[str, str] = {}
        self._due = math.inf

    def poll(self, now: Time) -> Poll:
        """The frames of files that are complete and new, see `Source`."""
        result = Poll([], [], [])
        begun = self._timer()
        late = max(begun - self._due, 0.0)
        listed = self._list()
        self._old.intersection_update(listed)
        paths = [path for path in listed if not self._is_old(path, now)]
        self._files = {path: self._files[path] for path in paths if path in self._files}
        for path in paths:
            if (signature := _signature(path)) is None:
                continue
            file = self._files.get(path)
            if file is None or file.signature != signature:
                age = max(now.timestamp() - signature[1] / 1e9, 0.0)
                self._files[path] = _File(signature, self._timer(), min(late, age))
                result.pending.append(path)
            elif not file.done and (file.due is None or file.due <= _span(self._domain, self._history, now).last):
                self._read(path, file, now, file.waited + late, result)
        self._due = begun + self._domain.poll
        ahead = [file.ahead for file in self._files.values() if file.ahead is not None]
        return result._replace(ahead=max(ahead, default=None))

    def _list(self) -> list[str]:
        """The files, in the order of their names. What cannot be looked at is logged once."""
        unseen: dict[str, str] = {}
        listed = _list(self._domain.source, unseen)
        for path in unseen.keys() - self._unseen.keys():
            _log.warning("%s: %s", path, unseen[path])
        self._unseen = unseen
        return listed

    def _is_old(self, path: str, now: Time) -> bool:
        """Whether the name holds a time that is too old to be of use; such a name is remembered."""
        if path in self._old:
            return True
        named = time_in_name(Path(path).stem)
        if named is None or from_stamp(named) >= now - self._history - _DAY:
            return False
        self._old.add(path)
        return True

    def _read(self, path: str, file: _File, now: Time, waited: float, result: Poll) -> None:
        """Read a file that has `waited` for it so many seconds, or find out that it is damaged."""
        start, span = self._timer(), _span(self._domain, self._history, now)
        try:
            frames = open_like([path], self._domain.options, self._before)
            times = _times(frames)
            new = [each <= span.last and (file.read is None or each > file.read) for each in times]
            arrivals = _arrivals(frames.isel(time=np.array(new, dtype=bool)), path, span, start, self._timer)
            result.arrivals.extend(arrival._replace(seen=start - waited) for arrival in arrivals)
            later = [each for each in times if each > span.last]
            file.due, file.ahead, file.read = min(later, default=None), max(later, default=None), span.last
            file.done = not later
        except ResourceError as error:
            _log.error("%s: %s", path, error.what)
        except Exception as error:
            reason = error.what if isinstance(error, FramecastError) else f"{type(error).__name__}: {error}"
            if self._timer() - file.since < self._domain.patience:
                _log.debug("%s: cannot be read yet: %s", path, reason)
                return
            file.done, file.ahead = True, None
            result.problems.append(f"damaged: {Path(path).name}: {reason}")
            _log.warning("%s: damaged: %s", path, reason)


class Store:
    """A Zarr store that grows along time, here or at the address of an object store."""

    def __init__(self, domain: Domain, before: ReadOptions, history: datetime.timedelta, timer: Timer) -> None:
        self._domain, self._before, self._history, self._timer = domain, before, history, timer
        self._done: set[Time] = set()
        self._empty_since: dict[Time, float] = {}
        self._failure = ""

    def poll(self, now: Time) -> Poll:
        """The frames that the store has grown by, see `Source`."""
        result = Poll([], [], [])
        start, span = self._timer(), _span(self._domain, self._history, now)
        self._done = {each for each in self._done if each >= now - self._history - _DAY}
        try:
            frames = open_like(self._domain.source, self._domain.options, self._before)
            times = _times(frames)
            known = [each in self._done for each in times]
            new = frames.isel(time=~np.array(known, dtype=bool))
            for arrival in _arrivals(new, self._domain.source, span, start, self._timer):
                if self._is_complete(arrival):
                    self._done.add(arrival.time)
                    result.arrivals.append(arrival)
            self._failure = ""
            result = result._replace(ahead=max((each for each in times if each > span.last), default=None))
        except Exception as error:
            reason = error.what if isinstance(error, FramecastError) else f"{type(error).__name__}: {error}"
            if reason != self._failure:
                self._failure = reason
                result.problems.append(f"the store cannot be read: {reason}")
                _log.warning("%s: cannot be read: %s", self._domain.source, reason)
        return result

    def _is_complete(self, arrival: Arrival) -> bool:
        """Whether a frame has data; one without may still be in writing, for as long as the patience."""
        if not np.isnan(arrival.frame.values).all():
            self._empty_since.pop(arrival.time, None)
            return True
        since = self._empty_since.setdefault(arrival.time, self._timer())
        return self._timer() - since >= self._domain.patience


def _times(frames: xr.DataArray) -> list[Time]:
    """The times of frames. Raises `DataError` where they have none."""
    if "sequence" in frames.dims or frames["time"].dtype.kind != "M":
        raise DataError(
            "the frames have no times", remedy="name the files by date and time in UTC: rain_20200101_1205.png"
        )
    return [from_stamp(stamp) for stamp in frames["time"].values]


def _arrivals(frames: xr.DataArray, file: str, span: _Span, start: float, timer: Timer) -> Iterator[Arrival]:
    """The frames of use, loaded one by one. Raises `FramecastError`, also where they have no times."""
    for number, each in enumerate(_times(frames)):
        if span.first <= each <= span.last:
            yield Arrival(each, frames.isel(time=[number]).load(), file, start, timer() - start)


def _list(source: str, unseen: dict[str, str]) -> list[str]:
    """The files of a source, in the order of their names, without opening any; what cannot be looked at is added to `unseen`."""
    if os.path.isdir(source):
        paths: Iterator[str] = _walk(source, DEPTH, unseen)
    else:
        paths = (path for path in glob.glob(source, recursive=True) if os.path.isfile(path))
    return sorted(path for path in paths if not _is_passed_over(os.path.basename(path)))


def _walk(folder: str, depth: int, unseen: dict[str, str]) -> Iterator[str]:
    """The files of a folder and its subfolders. Entries that cannot be looked at are passed over, and added to `unseen` with the
    reason."""
    try:
        with os.scandir(folder) as listing:
            entries = [entry for entry in listing if not entry.name.startswith(".")]
    except OSError as error:
        unseen[folder] = f"cannot be listed ({error.strerror})"
        return
    for entry in entries:
        try:
            is_folder, is_file = entry.is_dir(), entry.is_file()
        except OSError as error:  # a link to itself, for example
            unseen[entry.path] = f"is passed over ({error.strerror})"
            continue
        if is_folder and depth:
            yield from _walk(entry.path, depth - 1, unseen)
        elif is_file:
            yield entry.path


def _is_passed_over(name: str) -> bool:
    return name.startswith(".") or name.lower().endswith(_PARTIAL)


def _signature(path: str) -> tuple[int, int, int] | None:
    """Size, time of change and inode of a file; None if it is gone."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino
