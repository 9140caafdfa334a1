"""Moving digits follow the rules of Moving MNIST and depend on (seed, split, index) alone."""

import gzip
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framecast.data.datasets import MovingDigits
from framecast.data.synthetic.moving_mnist import DigitSource, _path, digit_images, read_idx
from framecast.errors import ConfigError, DataError


def source(seed: int = 0, split: str = "train", digits: int = 2, count: int = 10) -> DigitSource:
    return DigitSource(
        digit_images("bundled", split, 64),  # type: ignore[arg-type]
        size=64,
        digits=digits,
        context=10,
        horizon=10,
        count=count,
        seed=seed,
        split=split,  # type: ignore[arg-type]
    )


@given(seed=st.integers(0, 10_000), free=st.integers(4, 100))
def test_steps_are_constant_but_at_walls(seed: int, free: int) -> None:
    """A digit moves by 0.1 of its free range a frame; at a wall it stops there and turns, the overshoot is lost."""
    corners = _path(np.random.default_rng(seed), 40, free)
    assert corners.min() >= 0
    assert corners.max() <= free
    chance = np.random.default_rng(seed)
    place, angle = chance.random(2), chance.random() * 2 * np.pi
    speed = 0.1 * np.array([np.sin(angle), np.cos(angle)])
    for t, corner in enumerate(corners):
        for axis in range(2):
            place[axis] += speed[axis]
            if place[axis] <= 0 or place[axis] >= 1:
                place[axis] = min(max(place[axis], 0), 1)
                speed[axis] = -speed[axis]
        assert corner.tolist() == (free * place).astype(int).tolist(), t


def test_a_sequence_depends_on_seed_split_and_index_alone() -> None:
    one, other = source(), source()
    np.testing.assert_array_equal(one.read(7), other.read(7))
    other.read(3)
    np.testing.assert_array_equal(one.read(7), other.read(7))
    assert not np.array_equal(one.read(7), one.read(6))
    assert not np.array_equal(one.read(7), source(seed=1).read(7))
    assert not np.array_equal(one.read(7), source(split="test").read(7))


def test_values_stay_between_0_and_1_and_digits_overlap_by_their_maximum() -> None:
    frames = source(digits=4).read(0)
    assert frames.shape == (20, 1, 64, 64)
    assert frames.dtype == np.float32
    assert frames.min() == 0
    assert 0.9 < frames.max() <= 1


def test_no_digit_is_in_two_splits() -> None:
    parts = {split: digit_images("bundled", split, 64) for split in ("train", "validation", "test")}  # type: ignore[arg-type]
    assert sum(map(len, parts.values())) == 1797
    seen = {name: {image.tobytes() for image in images} for name, images in parts.items()}
    for one, other in pairwise([*seen, "train"]):
        assert not seen[one] & seen[other], (one, other)


@pytest.mark.parametrize("zipped", [True, False])
def test_own_idx_files(tmp_path: Path, zipped: bool) -> None:
    chance = np.random.default_rng(0)
    for part, count in (("train", 60), ("t10k", 10)):
        images = chance.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        content = np.array([0x0803, count, 28, 28], dtype=">u4").tobytes() + images.tobytes()
        name = f"{part}-images-idx3-ubyte"
        if zipped:
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (tmp_path / name).write_bytes(content)
    parts = {split: digit_images(str(tmp_path), split, 64) for split in ("train", "validation", "test")}  # type: ignore[arg-type]
    assert {name: len(images) for name, images in parts.items()} == {"train": 50, "validation": 10, "test": 10}
    sources = MovingDigits(images=str(tmp_path), train=3, validation=2, test=2).open()
    assert sources.test is not None
    assert sources.test.read(1).max() <= 1


def test_real_digits(shared_data: Path) -> None:
    files = sorted((shared_data / "mnist").glob("*idx3*"))
    if not files:
        pytest.skip("no IDX files among the digits")
    assert read_idx(files[0]).ndim == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file"),
        (np.array([0x0803, 5, 28, 28], dtype=">u4").tobytes() + b"\0" * 784, "declares 5 images, holds 1"),
        (np.array([0x0803, 1, 28, 28], dtype=">u4").tobytes() + b"\0" * 785, "declares 1 images, holds more"),
        (np.array([0x0803, 2**20, 2**10, 2**10], dtype=">u4").tobytes(), "more than 1 GiB"),
    ],
)
def test_broken_idx_files(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_idx(tmp_path / "x-images-idx3-ubyte")


def test_a_damaged_gzip_file_is_refused(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 2, 9 * 784, dtype=np.uint8)
    whole = gzip.compress(np.array([0x0803, 9, 28, 28], dtype=">u4").tobytes() + images.tobytes())
    (tmp_path / "x.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="incomplete or unreadable"):
        read_idx(tmp_path / "x.gz")
    for place in range(60, len(whole), 7):  # some make pixels wrong, some break the stream
        (tmp_path / "x.gz").write_bytes(whole[:place] + bytes([whole[place] ^ 32]) + whole[place + 1 :])
        with pytest.raises(DataError, match=r"incomplete or unreadable|holds"):
            read_idx(tmp_path / "x.gz")


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="must be at least 1"):
        MovingDigits(context=0)
    with pytest.raises(ConfigError, match="at least 1"):
        MovingDigits(digits=0)
    with pytest.raises(DataError, match="no t10k-images"):
        digit_images("/nowhere", "test", 64)
