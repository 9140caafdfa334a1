"""Memory for maps is what PyTorch would give, and free memory goes back to the system where the C library can do that."""

import ctypes

import pytest
import torch

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
