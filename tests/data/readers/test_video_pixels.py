"""Video of grey of 16 bits, and of transparent pixels, as images of the same pixels are read; an .npz with other members."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framecast
from framecast.errors import DataError

av = pytest.importorskip("av")
HEIGHT, WIDTH = 16, 32


def film(path: Path, pixels: Any, kind: str, stored: str | None = None) -> Path:
    """Two frames of the same pixels, compressed without loss."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25, options={"strict": "experimental"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, stored or kind
        for number in range(2):
            frame = av.VideoFrame.from_ndarray(pixels, format=kind)
            frame = frame.reformat(format=stored) if stored else frame
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_grey_of_16_bits_keeps_them(tmp_path: Path) -> None:
    pixels = np.full((HEIGHT, WIDTH), 100, np.uint16)
    pixels[:, 8:16], pixels[:, 16:] = 200, 65535
    frames = framecast.open(film(tmp_path / "a.mkv", pixels, "gray16le"))
    assert frames.sizes["channel"] == 1
    np.testing.assert_allclose(frames.values[1, 0], pixels / 65535, rtol=1e-6)
    assert framecast.open(tmp_path / "a.mkv", units="pixels thuml").attrs["quantity"] == "reflectivity"


def test_grey_of_10_bits_keeps_its_steps_and_is_reported(tmp_path: Path) -> None:
    pixels = np.tile(np.arange(WIDTH, dtype=np.uint16) * 64, (HEIGHT, 1))
    frames = framecast.open(film(tmp_path / "a.mkv", pixels, "gray16le", "gray10le"))
    np.testing.assert_allclose(frames.values[0, 0], pixels / 65535, atol=1.5 / 1023)  # the writer dithers
    assert len(np.unique(frames.values)) > 16, "8 bits have 9 of these values"
    assert "grey of 10 bits was read as 16" in frames.attrs["repairs"]


@pytest.mark.parametrize("grey", [False, True])
def test_transparent_pixels_are_no_data_also_at_another_size(tmp_path: Path, grey: bool) -> None:
    pixels = np.full((HEIGHT, WIDTH, 4), 200, np.uint8)
    pixels[:4] = 0  # no data
    pixels[4:8, :, 3], pixels[4:8, :, :3] = 255, 0  # black
    pixels[8:10] = 0
    path = film(tmp_path / "a.mkv", pixels, "bgra")
    frames = framecast.open(path, grey=grey)
    assert frames.sizes["channel"] == (1 if grey else 3)
    column = frames.values[1, 0, :, 0] * 255
    np.testing.assert_allclose(column, [np.nan] * 4 + [0] * 4 + [np.nan] * 2 + [200] * 6, atol=1)
    assert "fully transparent pixels were read as no data" in frames.attrs["repairs"]
    small = framecast.open(path, grey=grey, size=(4, 8)).values[1, 0, :, 0] * 255
    np.testing.assert_allclose(small[[0, 1, 3]], [np.nan, 0, 200], atol=1)


def test_deep_grey_with_alpha_is_refused_as_in_images() -> None:
    from framecast.data.readers.video import _pixels

    with pytest.raises(DataError, match="grey of 16 bits with an alpha channel"):
        _pixels(av.VideoFormat("ya16le"), Path("a.mkv"))
    with pytest.raises(DataError, match="grey of 32 bits"):
        _pixels(av.VideoFormat("grayf32le"), Path("a.mkv"))
    assert not _pixels(av.VideoFormat("ya8"), Path("a.mkv")).colour


def test_members_of_an_npz_that_are_no_arrays_are_passed_over(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).random((3, 8, 8), np.float32)
    np.savez(tmp_path / "a.npz", frames=frames)
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.writestr("README.txt", "rain")
    np.testing.assert_array_equal(framecast.open(tmp_path / "a.npz").values[:, 0], frames)
