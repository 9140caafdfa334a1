"""Benchmark sets, on tiny files in the layout in which they are published."""

import hashlib
import io
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar
from weakref import WeakKeyDictionary

import h5py
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import framecast
from framecast.cli import app
from framecast.data import lazy as stored
from framecast.data.datasets import BAIR, KTH, SEVIR, Data, Human36M, RoboNet, TaxiBJ
from framecast.data.sets.bair import SIDE
from framecast.data.sets.catalogue import CATALOGUE, find_set
from framecast.data.sets.clips import Clip, ClipSource, resize, windows_from_end
from framecast.data.sets.download import Remote, fetch
from framecast.data.sets.kth import FAST, SLOW
from framecast.data.windows.batches import Batches
from framecast.data.windows.sources import Region
from framecast.errors import ConfigError, DataError
from framecast.types import FrameShape


def jpeg(path: Path, value: int, size: tuple[int, int] = (12, 16), marked: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((*size, 3), value, dtype=np.uint8)
    if marked:
        pixels[: size[0] // 4] = 255
    Image.fromarray(pixels).save(path, quality=100)


def source(data: Data, part: str = "train") -> ClipSource:
    found = getattr(data.open(), part)
    assert isinstance(found, ClipSource)
    return found


@pytest.fixture
def kth(tmp_path: Path) -> Path:
    """Two persons; the clip of person 1 has a gap in it."""
    for action in SLOW + FAST:
        for person, numbers in (("01", [*range(1, 12), *range(15, 25)]), ("17", range(1, 12))):
            for number in numbers:
                jpeg(tmp_path / action / f"person{person}_{action}_d1_uncomp" / f"image_{number:04d}.jpg", 10 * number)
    return tmp_path


def test_kth_has_the_windows_of_the_paper(kth: Path) -> None:
    data = KTH(path=str(kth), size=16, context=2, horizon=2)
    train, test = source(data), source(data, "test")
    # 10 frames at the end and 11 at the beginning: 2 + 2 windows where they follow one another, 3 + 3 every third frame
    assert len(train) == len(SLOW) * 4 + len(FAST) * 6
    assert len(test) == len(SLOW) * 2 + len(FAST) * 3
    newest = train.read(0)
    assert newest.shape == (4, 1, 16, 16)
    assert newest[:, 0].mean((1, 2)) == pytest.approx(np.array([210, 220, 230, 240]) / 255, abs=0.01)


def test_all_clips_together_are_kept_up_to_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The splits share the room, and that of a set that is gone is free again."""
    decoded: list[int] = []

    def frames(numbers: Sequence[int]) -> np.ndarray:
        decoded.extend(numbers)
        return np.zeros((len(numbers), 1, 8, 8), np.float32)

    def again(clips: ClipSource) -> int:
        """How many frames of a window that was read before are decoded anew."""
        clips.read(0)
        decoded.clear()
        clips.read(0)
        return len(decoded)

    monkeypatch.setattr(stored, "FRAME_CACHE_BYTES", 5 * 4 * 8 * 8)
    monkeypatch.setattr(stored, "_RESERVED", WeakKeyDictionary())  # without what other tests left behind
    sources = [ClipSource([Clip("a", [range(3)], frames)], FrameShape(1, 8, 8, 2, 1)) for _ in range(3)]
    assert [again(each) for each in sources] == [0, 1, 3]
    del sources[0]
    assert [again(each) for each in sources] == [0, 1]


def test_windows_never_cross_a_gap() -> None:
    numbers = [1, 2, 3, 4, 8, 9, 10, 11, 12]
    windows = windows_from_end(numbers, 3, 3)
    assert [[numbers[k] for k in window] for window in windows] == [[10, 11, 12], [2, 3, 4]]
    assert len(windows_from_end(range(100), 10, 3)) == 31


def test_validation_holds_out_whole_clips(kth: Path) -> None:
    data = KTH(path=str(kth), size=16, context=2, horizon=2, validation=0.5)
    sources = data.open()
    assert sources.train is not None
    assert sources.validation is not None
    assert len(sources.train) + len(sources.validation) == len(
        source(KTH(path=str(kth), size=16, context=2, horizon=2))
    )


def test_human36m_takes_every_second_file_of_one_camera(tmp_path: Path) -> None:
    for subject, scenario in (("S1", "Walking_1"), ("S1", "Eating"), ("S9", "Walking")):
        for camera in ("54138969", "55011271"):
            for k in range(17):
                jpeg(tmp_path / f"{subject}_{scenario}.{camera}_{5 * k + 1:06d}.jpg", 10 * k, (16, 16), marked=True)
    data = Human36M(path=str(tmp_path), size=8, context=2, horizon=2)
    train = source(data)
    # sorted files 0, 10, 20, ... of both cameras together begin windows that span 7 files: 0, 10 and 20 of 34, not 30
    assert len(train) == 3
    assert train.read(1)[:, 0].mean((1, 2)) == pytest.approx(np.array([100, 120, 140, 160]) / 255, abs=0.02)
    assert train.read(0).max() < 0.4, "the top quarter, which is white, is cut off"
    # every fifth: 0, 5, 10 of both, but for the very last window, for which the loader wants one file more
    assert len(source(data, "test")) == 5
    everything = Human36M(path=str(tmp_path), size=8, context=2, horizon=2, scenarios=())
    assert len(source(everything)) > len(train)


def varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def record(frames: np.ndarray, actions: Sequence[np.ndarray | bytes | None]) -> bytes:
    """One of BAIR; an action may be missing, or other bytes than four numbers."""
    features = {}
    for t, (frame, action) in enumerate(zip(frames, actions, strict=True)):
        features[f"{t}/image_aux1/encoded"] = field(1, field(1, frame.tobytes()))
        if action is not None:
            stored = action if isinstance(action, bytes) else action.astype("<f4").tobytes()
            features[f"{t}/action"] = field(2, field(1, stored))
    entries = [field(1, field(1, name.encode()) + field(2, value)) for name, value in features.items()]
    example = field(1, b"".join(entries))
    return struct.pack("<Q", len(example)) + b"\0" * 4 + example + b"\0" * 4


@pytest.fixture
def bair(tmp_path: Path) -> Path:
    chance = np.random.default_rng(0)
    for part, count in (("train", 2), ("test", 1)):
        folder = tmp_path / "softmotion30_44k" / part
        folder.mkdir(parents=True)
        frames = chance.integers(0, 256, (count, 5, 64, 64, 3), dtype=np.uint8)
        actions = np.arange(count * 5 * 4).reshape(count, 5, 4)
        content = b"".join(record(one, list(taken)) for one, taken in zip(frames, actions, strict=True))
        (folder / "traj_0_to_255.tfrecords").write_bytes(content)
        np.save(tmp_path / f"{part}.npy", frames)
    return tmp_path


def test_bair_is_read_without_tensorflow(bair: Path) -> None:
    data = BAIR(path=str(bair), context=2, horizon=1, actions=True)
    train = source(data)
    assert len(train) == 6
    assert train.shape.actions == 4
    frames = np.load(bair / "train.npy")
    assert np.array_equal(train.read(4), frames[1, 1:4].transpose(0, 3, 1, 2).astype(np.float32) / 255)
    assert np.array_equal(train.actions(4), np.arange(24, 36, dtype=np.float32).reshape(3, 4))
    assert np.array_equal(train.read(4, Region(3, 5, 7, 9)), train.read(4)[..., 3:10, 5:14])
    batch = Batches(train, data.open().scaling, 2).batch(0)
    assert batch.actions is not None
    assert batch.actions.shape == (2, 3, 4)
    assert source(BAIR(path=str(bair), horizon=1)).actions(0).shape == (3, 0)


@pytest.mark.parametrize(
    "damage", [lambda content: content[:-9], lambda content: b"\xff" * 40, lambda content: content[5:]]
)
def test_damaged_records_are_named(bair: Path, damage) -> None:
    file = bair / "softmotion30_44k" / "train" / "traj_0_to_255.tfrecords"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DataError, match="traj_0_to_255"):
        BAIR(path=str(bair), horizon=1).open()


def test_a_record_that_is_no_example_is_named(bair: Path) -> None:
    file = bair / "softmotion30_44k" / "train" / "traj_0_to_255.tfrecords"
    file.write_bytes(struct.pack("<Q", 30) + b"\0" * 4 + b"\x0b" * 30 + b"\0" * 4)
    with pytest.raises(DataError, match="no TensorFlow example"):
        BAIR(path=str(bair), horizon=1).open()


@pytest.mark.parametrize(
    ("third", "said"),
    [
        (np.zeros(5), "the action of frame 3 has 20 bytes, expected 4 x 4"),
        (np.array([0, 1, np.nan, 0]), "the action of frame 3 is not a number"),
        (b"abcde", "the action of frame 3 has 5 bytes"),
    ],
)
def test_an_action_of_bair_that_is_none_is_named(bair: Path, third: np.ndarray | bytes, said: str) -> None:
    frames = np.zeros((4, SIDE, SIDE, 3), dtype=np.uint8)
    file = bair / "softmotion30_44k" / "train" / "traj_0_to_255.tfrecords"
    data = BAIR(path=str(bair), horizon=2, actions=True)
    file.write_bytes(record(frames, [np.zeros(4), np.zeros(4), np.zeros(4), third]))
    with pytest.raises(DataError, match=said):
        source(data).actions(0)
    file.write_bytes(record(frames, [np.zeros(4), None, np.zeros(4), np.zeros(4)]))
    with pytest.raises(DataError, match="the action of frame 1 has 0 bytes"):
        source(replace(data, horizon=1)).actions(0)
    file.write_bytes(record(frames, [None] * 4))
    with pytest.raises(DataError, match="record 0 has no actions"):
        data.open()


def trajectory(path: Path, length: int, *, encoding: str, numbers: int = 4, image_format: str = "RGB") -> None:
    """As RoboNet stores one: red frames that get brighter."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        camera = file.create_group("env/cam0_video")
        pixels = np.zeros((length, 48, 64, 3), dtype=np.uint8)
        pixels[..., 0] = 20 * np.arange(length)[:, None, None]
        if encoding == "jpg":
            for t, frame in enumerate(pixels):
                content = io.BytesIO()
                Image.fromarray(frame).save(content, "JPEG", quality=100, subsampling=0)
                camera[f"frame{t}"] = np.frombuffer(content.getvalue(), dtype=np.uint8)
                camera[f"frame{t}"].attrs["image_format"] = image_format
        else:
            camera["frames"] = np.frombuffer(video(pixels), dtype=np.uint8)
            camera["frames"].attrs.update({"T": length, "image_format": image_format})
        file["policy/actions"] = np.arange((length - 1) * numbers, dtype=np.float64).reshape(length - 1, numbers)


def video(frames: np.ndarray) -> bytes:
    av = pytest.importorskip("av")
    content = io.BytesIO()
    with av.open(content, "w", format="mp4") as out:
        stream = out.add_stream("mpeg4", rate=Fraction(5))
        stream.height, stream.width, stream.pix_fmt, stream.bit_rate = *frames.shape[1:3], "yuv420p", 4_000_000
        for frame in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(stream.encode())
    return content.getvalue()


@pytest.mark.parametrize("encoding", ["jpg", "mp4"])
def test_robonet_is_read_from_hdf5(tmp_path: Path, encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framecast.data.sets.robonet.TRAINING", 2)
    for environment in ("berkeley", "penn"):
        for number in (2, 10, 1):
            trajectory(tmp_path / f"{environment}_sawyer_traj{number}.hdf5", 10, encoding=encoding)
    data = RoboNet(path=str(tmp_path), size=16, context=2, horizon=2, environments=("berkeley", "penn"), actions=True)
    train, test = source(data), source(data, "test")
    assert len(train) == 2 * 2 * 3, "windows begin at 6, 3 and 0"
    assert len(test) == 2 * 2, "windows begin at 6 and 2"
    assert test.read(1)[:, 0].mean((1, 2)) == pytest.approx(20 * np.arange(2, 6) / 255, abs=0.04)
    frames, actions = train.read(0), train.actions(0)
    assert frames.shape == (4, 3, 16, 16)
    assert frames[:, 0].mean((1, 2)) == pytest.approx(20 * np.arange(6, 10) / 255, abs=0.04)
    assert frames[:, 1:].max() < 0.1, "red stays red"
    assert actions is not None
    assert actions.shape == (4, 5)
    assert np.array_equal(actions[:, 0], [24, 28, 32, 0]), "the last frame of a trajectory has no action"
    assert not actions[:, 4].any(), "a robot with four numbers"
    with pytest.raises(ConfigError, match="action_size"):
        source(
            RoboNet(path=str(tmp_path), context=2, horizon=2, environments=("penn",), actions=True, action_size=3)
        ).actions(0)


def test_the_test_of_robonet_is_drawn_from_all(tmp_path: Path) -> None:
    names = [f"{environment}_traj{number}" for environment in ("google", "penn") for number in range(12)]
    for name in names:
        trajectory(tmp_path / f"{name}.hdf5", 4, encoding="jpg")
    data = RoboNet(path=str(tmp_path), context=2, horizon=2, environments=("google", "penn"), random_test=8)
    train, _, test = data.open().clips.values()
    assert (len(test), sorted(train + test)) == (8, sorted(names))
    assert {name.partition("_")[0] for name in test} == {"google", "penn"}
    assert replace(data, path=str(tmp_path)).open().clips["test"] == test, "the same again"
    assert set(replace(data, seed=1).open().clips["test"]) != set(test)
    assert set(replace(data, random_test=5).open().clips["test"]) < set(test)
    with pytest.raises(DataError, match=r"(?s)24 trajectories.*data\.random_test=12"):
        replace(data, random_test=24).open()
    with pytest.raises(ConfigError, match="expected 1 or more"):
        replace(data, random_test=0)


def test_blue_before_red_is_turned(tmp_path: Path) -> None:
    trajectory(tmp_path / "penn_traj0.hdf5", 5, encoding="jpg", image_format="BGR")
    frames = source(RoboNet(path=str(tmp_path), context=2, horizon=2, environments=("penn",))).read(0)
    assert frames[3, 2].mean() > 0.2 > frames[3, 0].mean()


def test_a_damaged_trajectory_is_named(tmp_path: Path) -> None:
    (tmp_path / "penn_traj0.hdf5").write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 50)
    with pytest.raises(DataError, match="penn_traj0"):
        RoboNet(path=str(tmp_path), environments=("penn",)).open()
    with h5py.File(tmp_path / "penn_traj0.hdf5", "w") as file:
        file["policy/actions"] = np.zeros((4, 4))
    with pytest.raises(DataError, match="no trajectory of RoboNet"):
        RoboNet(path=str(tmp_path), environments=("penn",)).open()


def without(name: str, *, instead: object = None) -> Callable[[h5py.File], None]:
    """Takes a part of a trajectory out, and puts another in its place."""

    def change(file: h5py.File) -> None:
        del file[name]
        if instead is not None:
            file[name] = instead

    return change


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (without("policy/actions"), "no policy/actions of numbers"),
        (without("policy/actions", instead=np.zeros(9)), "no policy/actions of numbers"),
        (without("policy/actions", instead=np.array([[b"a"] * 4] * 9)), "no policy/actions of numbers"),
        (without("policy/actions", instead=np.full((9, 4), np.nan)), "the action of frame 6 is not a number"),
        (without("env/cam0_video", instead=np.zeros(3)), "no env/cam0_video"),
        (without("env/cam0_video/frame3"), "'frame3'"),
        (without("env/cam0_video/frame3", instead=np.zeros(9, np.uint8)), "frame 3 is no complete image"),
        (lambda file: file.create_dataset("env/cam0_video/frames", data=np.zeros(9, np.uint8)), "attribute: 'T'"),
    ],
)
def test_what_is_wrong_in_a_trajectory_is_said(tmp_path: Path, damage: Callable[[h5py.File], None], said: str) -> None:
    trajectory(tmp_path / "penn_traj0.hdf5", 10, encoding="jpg")
    with h5py.File(tmp_path / "penn_traj0.hdf5", "a") as file:
        damage(file)
    data = RoboNet(path=str(tmp_path), size=16, context=2, horizon=2, environments=("penn",), actions=True)
    with pytest.raises(DataError, match=f"(?s)penn_traj0.*{said}"):
        read_all(source(data))


def read_all(clips: ClipSource) -> None:
    for index in range(len(clips)):
        clips.read(index)
        clips.actions(index)


def test_robots_that_are_not_there_are_named(tmp_path: Path) -> None:
    trajectory(tmp_path / "penn_traj0.hdf5", 5, encoding="jpg")
    with pytest.raises(DataError, match=r"(?s)no trajectory of berkley and stanford.*data\.environments=\[penn\]"):
        RoboNet(path=str(tmp_path), environments=("berkley", "penn", "stanford")).open()


def test_other_names_among_the_pictures_of_human36m_are_passed_over(tmp_path: Path) -> None:
    for k in range(9):
        jpeg(tmp_path / f"S1_Walking.54138969_{5 * k + 1:06d}.jpg", 10 * k)
    data = Human36M(path=str(tmp_path), size=8, context=2, horizon=2)
    windows = len(source(data))
    for name in ("S1_Walking.jpg", "S1_Walking.54138969_last.jpg", "S1_.jpg"):
        jpeg(tmp_path / name, 0)
    assert len(source(data)) == windows
    with pytest.raises(DataError, match=r"(?s)no image of Wlaking.*scenarios: Walking"):
        replace(data, scenarios=("Wlaking",)).open()


@pytest.mark.parametrize("kind", [KTH, Human36M, RoboNet, BAIR])
def test_a_folder_without_the_set_is_said(kind: type[KTH], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no window"):
        kind(path=str(tmp_path)).open()
    with pytest.raises(DataError, match="no such folder"):
        kind(path=str(tmp_path / "nowhere")).open()
    with pytest.raises(ConfigError, match="validation"):
        kind(path=str(tmp_path), validation=1.0)
    with pytest.raises(ConfigError, match=r"data\.size"):
        kind(path=str(tmp_path), size=0)


def test_clips_that_are_too_short_are_said_to_be(kth: Path) -> None:
    with pytest.raises(DataError, match=r"(?s)no window of 50 frames in 12 clips.*shorten the windows"):
        KTH(path=str(kth), horizon=40).open()


def test_the_catalogue_names_every_set() -> None:
    said = CliRunner().invoke(app, ["datasets"])
    assert said.exit_code == 0, said.exception
    for name in (
        "kth",
        "human36m",
        "robonet",
        "bair",
        "taxibj",
        "sevir",
        "moving_digits",
        "mnist_test_seq.npy",
        "http",
    ):
        assert name in said.output


def test_resizing_interpolates_between_the_centres_of_pixels() -> None:
    pixels = np.array([[0, 100], [200, 100]], dtype=np.uint8)[..., None]
    small = resize(pixels, 4)[0] * 255
    assert small[0, 0] == pytest.approx(0)
    assert small[0] == pytest.approx([0, 25, 75, 100])


def test_taxibj_windows_are_those_of_the_file(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    arrays = {
        f"{kind}_{part}": chance.uniform(-1, 1, (count, 4, 2, 32, 32))
        for part, count in (("train", 5), ("test", 2))
        for kind in "XY"
    }
    np.savez(tmp_path / "dataset.npz", **{name: value.astype(np.float32) for name, value in arrays.items()})
    data = TaxiBJ(path=str(tmp_path), context=2, horizon=4)
    train, test = source(data), source(data, "test")
    assert (len(train), len(test)) == (5, 2)
    expected = np.concatenate([arrays["X_test"][1, 2:], arrays["Y_test"][1]])
    np.testing.assert_allclose(test.read(1), (expected + 1) / 2, atol=1e-6)
    assert train.shape == (2, 32, 32, 2, 4, 0, 0)
    with pytest.raises(ConfigError, match=r"4 \+ 4 frames of 32 x 32"):
        TaxiBJ(path=str(tmp_path), horizon=5)


@pytest.mark.parametrize(("wrong", "said"), [(np.nan, "from nan to nan"), (90, "to 90 in X_train")])
def test_flows_that_are_none_are_said(tmp_path: Path, wrong: float, said: str) -> None:
    arrays = {f"{kind}_{part}": np.zeros((2, 4, 2, 32, 32), np.float32) for part in ("train", "test") for kind in "XY"}
    arrays["X_train"][1, 2] = wrong
    np.savez(tmp_path / "dataset.npz", **arrays)
    with pytest.raises(DataError, match=f"(?s){said}.*expected about -1 to 1"):
        TaxiBJ(path=str(tmp_path)).open()


EVENTS = "vil/2019/SEVIR_VIL_STORMEVENTS_2019_0101_0630.h5"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"S1,{EVENTS},first,vil,2019-02-15 20:00:00", "line 3: no row of an event at a date"),
        (f"S1,{EVENTS},1,vil,15.6.2019 20:00", "line 3: no row of an event at a date"),
        ("S1,,,vil,", "line 3: no row of an event at a date"),
        (f"S1,{EVENTS},7,vil,2019-02-15 20:00:00", "with a row 7 for S1"),
        ("\udcff", "CATALOG.csv: no table of text"),
    ],
)
def test_what_is_wrong_in_the_catalogue_of_sevir_is_said(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "data" / EVENTS).parent.mkdir(parents=True)
    with h5py.File(tmp_path / "data" / EVENTS, "w") as file:
        file["vil"] = np.zeros((2, 8, 8, 49), np.uint8)
    rows = ["id,file_name,file_index,img_type,time_utc", f"S0,{EVENTS},0.0,vil,2019-02-15 20:00:00"]
    (tmp_path / "CATALOG.csv").write_text("\n".join([*rows, line]), errors="surrogateescape")
    with pytest.raises(DataError, match=f"(?s){said}"):
        read_all(source(SEVIR(path=str(tmp_path), size=8)))


@pytest.mark.parametrize(
    ("vil", "said"),
    [(np.zeros((1, 8, 8, 49)), "no vil of bytes"), (np.zeros((1, 8, 8, 24), np.uint8), r"shape \(1, 8, 8, 24\)")],
)
def test_what_is_no_vil_is_said(tmp_path: Path, vil: np.ndarray, said: str) -> None:
    (tmp_path / "data" / EVENTS).parent.mkdir(parents=True)
    with h5py.File(tmp_path / "data" / EVENTS, "w") as file:
        file["vil"] = vil
    (tmp_path / "CATALOG.csv").write_text(
        f"id,file_name,file_index,img_type,time_utc\nS0,{EVENTS},0,vil,2019-02-15 20:00:00"
    )
    with pytest.raises(DataError, match=said):
        source(SEVIR(path=str(tmp_path), size=8)).read(0)


def test_sevir_is_split_by_date(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    events = chance.integers(0, 255, (3, 24, 24, 49), dtype=np.uint8)
    (tmp_path / "data/vil/2019").mkdir(parents=True)
    with h5py.File(tmp_path / "data/vil/2019/SEVIR_VIL_STORMEVENTS_2019_0101_0630.h5", "w") as file:
        file.create_dataset("vil", data=events, chunks=(1, 24, 24, 49), compression="gzip")
    name = "vil/2019/SEVIR_VIL_STORMEVENTS_2019_0101_0630.h5"
    rows = ["id,file_name,file_index,img_type,time_utc"]
    rows += [f"S{k},{name},{k},vil,2019-{month}-15 20:00:00" for k, month in enumerate(("02", "06", "05"))]
    rows += ["S9,ir069/2019/other.h5,0,ir069,2019-01-01 00:00:00", "S8,vil/2019/absent.h5,0,vil,2019-01-01 00:00:00"]
    (tmp_path / "CATALOG.csv").write_text("\n".join(rows))
    data = SEVIR(path=str(tmp_path), size=24)
    train, test = source(data), source(data, "test")
    assert (len(train), len(test)) == (6, 3)  # three windows of 25 frames at 0, 12 and 24 of each event
    np.testing.assert_allclose(test.read(1)[:, 0], events[1, :, :, 12:37].transpose(2, 0, 1) / 255, rtol=1e-6)
    np.testing.assert_allclose(train.read(3)[:, 0], events[2, :, :, :25].transpose(2, 0, 1) / 255, rtol=1e-6)
    rows[1] = "S0,../../elsewhere.h5,0,vil,2019-02-15 20:00:00"
    (tmp_path / "CATALOG.csv").write_text("\n".join(rows))
    with pytest.raises(DataError, match="lies outside the folder"):
        source(data)


def test_moving_mnist_as_thuml_publishes_it(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).random((60, 1, 16, 16), dtype=np.float32)
    starts = np.array([0, 20, 40])
    clips = np.stack([np.stack([starts, np.full(3, 10)], 1), np.stack([starts + 10, np.full(3, 10)], 1)])
    np.savez(tmp_path / "mnist.npz", clips=clips, input_raw_data=frames, dims=np.array([[1, 16, 16]]))
    opened = framecast.open(tmp_path / "mnist.npz")
    assert opened.dims == ("sequence", "time", "channel", "y", "x")
    np.testing.assert_array_equal(opened.values, frames.reshape(3, 20, 1, 16, 16))
    np.savez(tmp_path / "mnist.npz", clips=clips + 30, input_raw_data=frames)
    with pytest.raises(DataError, match="frames that are not there"):
        framecast.open(tmp_path / "mnist.npz")


class Server(BaseHTTPRequestHandler):
    """Answers with a file, from where it is asked to on; breaks off after `most` bytes."""

    content = bytes(range(256)) * 10_000
    most = None
    asked: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        part = self.content[start:]
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part if self.most is None else part[: self.most])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(Server, "most", None)
    monkeypatch.setattr(Server, "asked", [])
    with HTTPServer(("127.0.0.1", 0), Server) as running:
        Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/set.bin"
        running.shutdown()


def test_a_download_goes_on_where_it_broke_off(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = Remote(server, "set.bin", f"md5:{hashlib.md5(Server.content).hexdigest()}")
    monkeypatch.setattr(Server, "most", 1_000_000)
    with pytest.raises(DataError, match=r"cannot be fetched.*\n.*fetch it elsewhere and put it at .*set\.bin"):
        fetch(remote, tmp_path)
    assert not (tmp_path / "set.bin").exists()
    monkeypatch.setattr(Server, "most", None)
    seen: list[tuple[int, int]] = []
    assert fetch(remote, tmp_path, lambda done, of: seen.append((done, of))).read_bytes() == Server.content
    assert Server.asked == [None, "bytes=1000000-"]
    assert seen[-1] == (2_560_000, 2_560_000)
    assert fetch(remote, tmp_path).exists()
    assert len(Server.asked) == 2  # it is there: nothing is asked for


def test_a_download_with_another_checksum_is_refused(server: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"its sha256 is .* and not 0"):
        fetch(Remote(server, "set.bin", "sha256:" + "0" * 64), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_closed_network_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"http://127\.0\.0\.1:9/set cannot be fetched"):
        fetch(Remote("http://127.0.0.1:9/set", "set", "md5:0"), tmp_path)


def test_every_file_that_can_be_fetched_has_a_checksum() -> None:
    lengths = {"md5": 32, "sha256": 64}
    for remote in (remote for known in CATALOGUE for remote in known.files):
        method, _, stated = remote.checksum.partition(":")
        assert len(stated) == lengths[method], remote.name


def test_sets_are_found_by_a_word_of_their_title() -> None:
    assert find_set("bair").files[0].name.endswith(".tar")
    assert len(find_set("V-MNIST").files) == 2
    with pytest.raises(DataError, match="cannot be fetched from here"):
        find_set("KTH")
    with pytest.raises(DataError, match="no set is called 'nothing'"):
        find_set("nothing")
