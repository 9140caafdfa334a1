"""Images and video that say how they are to be turned, and video whose frames are unevenly spaced."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

import framecast
from framecast.data.readers.rotation import Turn, turn_of_matrix

PICTURE = np.arange(16 * 24, dtype=np.uint8).reshape(16, 24) // 2


@pytest.mark.parametrize("code", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_images_are_turned_as_exif_says(tmp_path: Path, code: int, suffix: str) -> None:
    image, exif = Image.fromarray(PICTURE), Image.Exif()
    exif[274] = code
    path = tmp_path / f"image_1{suffix}"
    image.save(path, exif=exif, quality=100)
    with Image.open(path) as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored), dtype=np.float32)
    frames = framecast.open(path)
    np.testing.assert_allclose(frames.values[0, 0] * 255, expected, atol=1e-4)
    assert ("images were turned as their EXIF says" in frames.attrs["repairs"]) == (code != 1)
    assert framecast.open(path, size=(8, 12)).shape == (1, 1, 8, 12)


def film(path: Path, stamps: list[int], degrees: float = 0.0) -> Path:
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "0", "bf": "0"})
        stream.height, stream.width, stream.pix_fmt = *PICTURE.shape, "gray"
        stream.time_base = Fraction(1, 1000)
        if degrees:
            stream.set_display_rotation(degrees)
        for stamp in stamps:
            frame = av.VideoFrame.from_ndarray(PICTURE, format="gray")
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_video_is_turned_as_its_display_matrix_says(tmp_path: Path, degrees: int) -> None:
    frames = framecast.open(film(tmp_path / "film.mp4", [0, 40, 80], degrees))
    upright = np.rot90(PICTURE, degrees // 90)  # the encoder is told degrees counter-clockwise
    assert frames.shape[-2:] == upright.shape
    assert (
        np.corrcoef(frames.values[0, 0].ravel(), upright.ravel())[0, 1] > 0.99
    )  # values are compressed to video levels
    assert any("turned as the video says" in repair for repair in frames.attrs["repairs"]) == bool(degrees)


def test_uneven_frame_times_are_reported(tmp_path: Path) -> None:
    even = framecast.open(film(tmp_path / "even.mp4", [0, 40, 80, 120]))
    uneven = framecast.open(film(tmp_path / "uneven.mp4", [0, 40, 80, 200]))
    assert not any("uneven" in repair for repair in even.attrs["repairs"])
    assert any("uneven, 40 to 120 ms apart" in repair for repair in uneven.attrs["repairs"])


@pytest.mark.parametrize(
    ("numbers", "turn"),
    [
        ((1, 0, 0, 1), Turn()),
        ((0, 1, -1, 0), Turn(transposed=True, columns=True)),
        ((0, -1, 1, 0), Turn(transposed=True, rows=True)),
        ((-1, 0, 0, 1), Turn(columns=True)),
        ((0.7, 0.7, -0.7, 0.7), None),
    ],
)
def test_display_matrices(numbers: tuple[float, ...], turn: Turn | None) -> None:
    a, b, c, d = (int(number * 65536) for number in numbers)
    assert turn_of_matrix(np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], np.int32).tobytes()) == turn
