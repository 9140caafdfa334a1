"""How the C library manages the memory of the server.

By default it has a heap for each thread, and what is freed between maps in use stays there: in the end half as much as all
caches. Here maps lie outside of the heaps, and go back to the system when they are freed. This is for the GNU C library.
"""

from __future__ import annotations

import ctypes

MAPS = 256 * 1024
"""Bytes from which a block lies outside of the heaps: an index map, a field."""
HEAPS = 2
_MMAP_THRESHOLD, _ARENA_MAX = -3, -8
"""Constants of `malloc.h`."""


def return_maps() -> None:
    """Return the memory of maps to the system when they are freed, from now on."""
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # macOS; Windows, which has no library of the program itself
        return
    set_option(_MMAP_THRESHOLD, MAPS)
    set_option(_ARENA_MAX, HEAPS)
