"""Free memory goes back to the system where the C library can do that, and nothing happens where it cannot."""

import ctypes

import pytest

from framecast.ops import memory


@pytest.mark.parametrize("error", [AttributeError, OSError, TypeError])
def test_another_c_library_is_left_alone(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: None) -> ctypes.CDLL:
        raise error

    memory.return_free()
    memory._trim.cache_clear()
    monkeypatch.setattr(memory.ctypes, "CDLL", missing)
    memory.return_free()
    memory._trim.cache_clear()
