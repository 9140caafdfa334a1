"""Reader of video files (MP4, AVI, MOV, MKV, WebM) through PyAV (`pip install "framecast[video]"`).

Only the list of packets is read when a video is opened; frames are decoded when they are used, from the nearest key frame
on. A truncated video is read up to its last whole frame, and reported. Frames have no clock: they are numbered; where their times
are uneven, this is reported. Frames are turned as the display matrix of the stream says. Grey of more than 8 bits is read as 16.
Fully transparent pixels are no data, as those of images are.
`grey`, `size` and `frame_rate` set the form of the frames; a lower rate takes every k-th frame, without interpolation.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from framecast.checks import require
from framecast.data.chunking import CHUNK_BYTES
from framecast.data.readers.colours import check_units_of_colours
from framecast.data.readers.limits import check_size
from framecast.data.readers.options import ReadOptions
from framecast.data.readers.rotation import AS_STORED, Turn, turn_of_matrix
from framecast.data.readers.single import first_line, resize
from framecast.errors import DataError, UnreadableFile, counted

RECOGNISES = ["video (.mp4, .avi, .mov, .mkv, .webm)"]

_LARGEST_PIECE = 256 * 2**20
"""The most bytes, as float32, to decode at once."""
_BYTE, _WORD = 8, 16
"""Bits of the components that are read: those of colours, and of grey."""
_UNEVEN = 1.5
"""How many times as long as the shortest the longest time between frames may be; times in milliseconds are rounded."""
_FORMATS = {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm"}


def recognises(path: Path) -> bool:
    """True for the signature of a container: an ISO base media file, a RIFF of type AVI, or Matroska."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(12)
    media = start[4:8] in (b"ftyp", b"moov", b"mdat") or start[:4] == b"\x1a\x45\xdf\xa3"
    return media or (start[:4] == b"RIFF" and start[8:] == b"AVI ") or (not start and path.suffix.lower() in _FORMATS)


class _Pixels(NamedTuple):
    """How the pixels of a video are stored."""

    colour: bool
    alpha: bool
    bits: int
    """Of a component."""

    @property
    def deep_grey(self) -> bool:
        """Whether they are grey of more than 8 bits."""
        return not self.colour and self.bits > _BYTE


@dataclass(frozen=True)
class _Index:
    """The whole frames of a video in the order of their times: `stamps` in units of the stream, of which those in `keys` can
    be decoded without the ones before."""

    stamps: tuple[int, ...]
    keys: tuple[int, ...]
    height: int
    width: int
    rate: float
    pixels: _Pixels
    declared: int
    damaged: int
    turn: Turn | None
    """None for an angle that is no multiple of 90 degrees."""
    steps: tuple[float, float]
    """The shortest and the longest time between frames, in seconds."""


def read(path: Path, options: ReadOptions) -> xr.DataArray:
    """The frames. Raises `DataError` and `UnreadableFile`."""
    import dask.array as da  # late: slow to import, and not needed to recognise a video
    from dask.delayed import delayed

    index = _index(path)
    every = 1 if options.frame_rate is None else _every(index.rate, options.frame_rate, path)
    stamps = index.stamps[::every]
    channels = 3 if index.pixels.colour and not options.grey else 1
    if channels == 3:
        check_units_of_colours(options.units, "the frames are colours, unless they are read as grey", path)
    height, width = options.size or (index.turn or AS_STORED).size(index.height, index.width)
    check_size(path, height, width, channels)
    length = _frames_per_piece(index, every, 4 * channels * height * width)
    parts = []
    for start in range(0, len(stamps), length):
        part_stamps = stamps[start : start + length]
        values = delayed(_decode, pure=False)(path, index, part_stamps, (channels, height, width))
        parts.append(da.from_delayed(values, (len(part_stamps), channels, height, width), dtype=np.float32))
    frames = xr.DataArray(da.concatenate(parts), dims=("time", "channel", "y", "x"), name="frames")
    rate = index.rate / every
    messages = [f"{rate:g} frames a second"]
    if index.pixels.alpha:
        messages.append("fully transparent pixels were read as no data")
    if index.pixels.colour and index.pixels.bits > _BYTE:
        messages.append(f"colours of {index.pixels.bits} bits were read as 8")
    if index.pixels.deep_grey and index.pixels.bits < _WORD:
        messages.append(f"grey of {index.pixels.bits} bits was read as {_WORD}")
    if index.declared > len(index.stamps) or index.damaged:
        messages.append(
            f"the video breaks off: it declares {index.declared} frames, {len(index.stamps)} are whole and were read"
        )
    if index.turn is None:
        messages.append("the video asks for a rotation that is no multiple of 90 degrees; it was read as stored")
    elif index.turn != AS_STORED:
        messages.append("frames were turned as the video says")
    if index.steps[1] > _UNEVEN * index.steps[0]:
        shortest, longest = (1000 * step for step in index.steps)
        messages.append(
            f"frame times are uneven, {shortest:.3g} to {longest:.3g} ms apart; the frames are numbered all the same"
        )
    frames.attrs = {
        "units": options.units or ("0-65535" if index.pixels.deep_grey else "0-255"),
        "repairs": messages,
    }
    return frames


def _frames_per_piece(index: _Index, every: int, size: int) -> int:
    """How many frames of `size` bytes to decode at once: those between two key frames, which cost as much as the last of
    them, as far as memory allows; at least as many as are read together anywhere."""
    between = -(-len(index.stamps) // (len(index.keys) * every))
    return max(1, CHUNK_BYTES // size, min(between, _LARGEST_PIECE // size))


def _every(rate: float, wanted: float, path: Path) -> int:
    """Which frames to take for a rate. Raises `DataError` for one that is no whole part of the video's."""
    every = round(rate / wanted)
    if every < 1 or abs(rate / wanted - every) > 0.01 * every:
        rates = ", ".join(f"{rate / k:g}" for k in range(1, 6))
        raise DataError(
            f"{wanted:g} frames a second cannot be taken out of {rate:g}",
            where=path,
            remedy=f"possible are {rates}, ...",
        )
    return every


@contextmanager
def _open_video(path: Path) -> Iterator[tuple[Any, Any]]:
    """The container and its first video stream. Raises `ConfigError` without PyAV, `DataError` without a stream,
    else `UnreadableFile`."""
    require("av", extra="video", purpose="video", where=path)
    import av

    try:
        with av.open(str(path.absolute()), mode="r", options={"protocol_whitelist": "file"}) as container:
            if not container.streams.video:
                raise DataError("there is no video stream in this file", where=path)
            yield container, container.streams.video[0]
    except DataError:
        raise
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UnreadableFile(
            f"the video is incomplete or unreadable ({first_line(error)})", where=path, remedy="fetch the file again"
        ) from error


def _index(path: Path) -> _Index:
    with _open_video(path) as (container, stream):
        if stream.codec_context is None:
            raise UnreadableFile("the video is stored in a way that is not known", where=path)
        check_size(path, stream.height, stream.width, 3)
        if stream.average_rate is None:
            raise UnreadableFile("the video does not say how many frames a second it has", where=path)
        stamps, keys, damaged, before = [], [], 0, 0
        for packet in container.demux(stream):
            if packet.pts is None:
                continue
            if packet.is_corrupt:
                damaged += 1
                continue
            if packet.is_discard:  # it comes before the beginning of the film
                before += 1
            else:
                stamps.append(packet.pts)
            if packet.is_keyframe:
                keys.append(packet.pts)
        if not stamps or not keys:
            raise UnreadableFile("the video is incomplete or unreadable (it holds no whole frame)", where=path)
        first = min(keys)
        complete = sorted(stamp for stamp in stamps if stamp >= first)
        gaps = np.diff(complete) * float(stream.time_base or 0) if len(complete) > 1 else np.zeros(1)
        return _Index(
            turn=_turn(container, stream),
            steps=(float(gaps.min()), float(gaps.max())),
            stamps=tuple(complete),
            keys=tuple(sorted(keys)),
            height=stream.height,
            width=stream.width,
            rate=float(stream.average_rate),
            pixels=_pixels(stream.codec_context.format, path),
            declared=stream.frames - before,
            damaged=damaged,
        )


def _pixels(form: Any, path: Path) -> _Pixels:
    """How pixels of a format of PyAV are stored. Raises `DataError` for grey that would lose what it holds."""
    bits = max(component.bits for component in form.components)
    pixels = _Pixels(not form.name.startswith(("gray", "ya")), any(each.is_alpha for each in form.components), bits)
    if pixels.deep_grey and (pixels.alpha or bits > _WORD):
        raise DataError(
            f"grey of {bits} bits{' with an alpha channel' if pixels.alpha else ''} ({form.name}), "
            f"of which only {_WORD if bits > _WORD else _BYTE} would be read",
            where=path,
            remedy="save it as grey of 8 bits with alpha, or of 16 without, or as an array (.npy) with NaN for no data",
        )
    return pixels


def _turn(container: Any, stream: Any) -> Turn | None:
    """How frames are to be turned, from the first that can be decoded; not at all where none can."""
    import av

    try:
        container.seek(0, stream=stream)
        frame = next(container.decode(stream), None)
    except av.FFmpegError:
        return AS_STORED
    matrix = None if frame is None else frame.side_data.get("DISPLAYMATRIX")
    return AS_STORED if matrix is None else turn_of_matrix(bytes(matrix))


def _decode(path: Path, index: _Index, stamps: tuple[int, ...], shape: tuple[int, int, int]) -> np.ndarray:
    """The frames with these time stamps `(T, C, H, W)` as stored, NaN where they are fully transparent; resized by areas if
    `shape` differs."""
    channels, turn = shape[0], index.turn or AS_STORED
    height, width = turn.size(*shape[1:])
    values = np.empty((len(stamps), *shape), dtype=np.float32)
    places = {stamp: place for place, stamp in enumerate(stamps)}
    with _open_video(path) as (container, stream):
        stream.thread_type = "AUTO"
        container.seek(index.keys[bisect_right(index.keys, stamps[0]) - 1], stream=stream)
        for frame in container.decode(stream):
            place = places.pop(frame.pts, None)
            if place is not None and not frame.is_corrupt:
                values[place] = turn.apply(_image(frame, index.pixels, channels, (height, width)))
            if not places:
                return values
    raise UnreadableFile(
        f"{counted(len(places), 'frame')} cannot be decoded", where=path, remedy="fetch the file again"
    )


def _image(frame: Any, pixels: _Pixels, channels: int, size: tuple[int, int]) -> np.ndarray:
    """The values `(C, H, W)` of a frame at another size, each the mean over its area of the pixels with data."""
    form = "rgb24" if channels == 3 else "gray16le" if pixels.deep_grey else "gray"
    if not pixels.alpha:
        image = frame.reformat(size[1], size[0], form, interpolation="AREA")
        return np.atleast_3d(image.to_ndarray()).transpose(2, 0, 1)
    values = np.atleast_3d(frame.reformat(format=form).to_ndarray()).astype(np.float32)
    values[frame.reformat(format="rgba").to_ndarray()[..., 3] == 0] = np.nan
    return np.stack([resize(values[..., channel], size) for channel in range(channels)])
