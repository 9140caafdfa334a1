"""A cache of bounded size for several threads: the entry used longest ago goes first, and no entry is made twice at a time."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")
_STRIPES = 64


class Cache(Generic[Value]):
    """Values by key, of at most `limit` bytes together, as `size_of` counts them."""

    def __init__(self, limit: int, size_of: Callable[[Value], int]) -> None:
        self.limit, self.size_of, self.bytes = limit, size_of, 0
        self._entries: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._lock = threading.Lock()
        self._making = [threading.Lock() for _ in range(_STRIPES)]

    def find(self, key: Hashable) -> Value | None:
        """The value of a key, or None."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
            return entry[0]

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of a key, made by `make` if it is not there; what `make` raises is not stored. `make` must not use the same
        cache."""
        value = self.find(key)
        if value is not None:
            return value
        with self._making[hash(key) % _STRIPES]:
            value = self.find(key)
            if value is None:
                value = make()
                self.put(key, value)
        return value

    def put(self, key: Hashable, value: Value) -> None:
        """Store a value."""
        size = self.size_of(value)
        with self._lock:
            _, earlier = self._entries.pop(key, (value, 0))
            self._entries[key] = (value, size)
            self.bytes += size - earlier
            while self.bytes > self.limit and len(self._entries) > 1:
                _, (_, freed) = self._entries.popitem(last=False)
                self.bytes -= freed


class Recent(Generic[Value]):
    """The result of a function, of one key, for some seconds; at most `entries` of them."""

    def __init__(self, seconds: float, entries: int = 256) -> None:
        self.seconds, self.entries = seconds, entries
        self._results: dict[Hashable, tuple[float, Value]] = {}

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The result of `make` for a key, made anew when it is too old."""
        now = time.monotonic()
        result = self._results.get(key)
        if result is not None and now - result[0] < self.seconds:
            return result[1]
        value = make()
        if len(self._results) >= self.entries:
            self._results.clear()
        self._results[key] = (now, value)
        return value
