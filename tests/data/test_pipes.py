"""A pipe in the place of a file is refused by name; nothing waits for it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from framecast.checkpoints.published.weights import read_weights
from framecast.data.identity import identify_files
from framecast.data.readers.numpy_files import array_of
from framecast.data.sets.bair import _records
from framecast.data.synthetic.moving_mnist import read_idx
from framecast.errors import DataError

READERS: dict[str, Callable[[Path], Any]] = {
    "actions": array_of,
    "idx": read_idx,
    "bair": lambda path: list(_records(path)),
    "weights": read_weights,
    "identity": lambda path: identify_files([str(path)]),
}


@pytest.mark.parametrize("reader", READERS)
def test_it_is_refused(reader: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pt")
    with pytest.raises(DataError, match="a pipe"):
        READERS[reader](tmp_path / "pipe.pt")
