"""Memory for maps is what PyTorch would give, and free memory goes back to the system where the C library can do that."""

import ctypes
import subprocess
import sys

import pytest
import torch

from framecast.ops.native import memory


@pytest.mark.parametrize("error", [AttributeError, OSError, TypeError])
def test_another_c_library_is_left_alone(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: None) -> ctypes.CDLL:
        raise error

    memory._library.cache_clear()
    monkeypatch.setattr(memory.ctypes, "CDLL", missing)
    memory.keep_free()
    memory.return_free()
    memory._library.cache_clear()


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="not the GNU C library")
def test_what_is_free_is_kept_until_it_is_returned() -> None:
    """In a process of its own, since it holds for all of it."""
    script = """
import psutil
from framecast.ops.native import memory

def resident():
    return psutil.Process().memory_info().rss / 2**20

memory.keep_free()
before = resident()
held = [memory.empty(4 * 2**20).fill_(1) for _ in range(16)]  # 16 MiB each
del held
print(resident() - before)
memory.return_free()
print(resident() - before)
"""
    made = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    kept, left = map(float, made.stdout.split())
    assert kept > 200
    assert left < 50


@pytest.mark.parametrize("shape", [(3, 5), (0, 4), (7, memory.LARGE), (memory.LARGE,)])
def test_memory_of_any_size_begins_where_registers_do(shape: tuple[int, ...]) -> None:
    found = memory.empty(*shape)
    assert found.shape == shape
    assert found.dtype == torch.float32
    assert found.is_contiguous()
    assert found.data_ptr() % memory.ALIGNED == 0
    found.fill_(1)
    assert found.sum() == found.numel()


@pytest.mark.parametrize("size", [4, 128], ids=["small", "large"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["contiguous", "channels last"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_memory_like_a_tensor(size: int, layout: torch.memory_format, dtype: torch.dtype) -> None:
    x = torch.zeros(2, 8, size, size).contiguous(memory_format=layout)
    found, wanted = memory.empty_like(x, dtype), torch.empty_like(x, dtype=dtype)
    assert (found.shape, found.stride(), found.dtype) == (wanted.shape, wanted.stride(), dtype)


def test_memory_does_not_depend_on_what_is_the_default() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        assert memory.empty(3).dtype == memory.empty(memory.LARGE).dtype == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)
