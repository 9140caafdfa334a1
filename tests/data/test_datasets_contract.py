"""What every data set of the union keeps to. A new one is covered by its entry in `SMALL`, a small copy in its layout."""

import shutil
import struct
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import get_args

import h5py
import numpy as np
import pytest
import xarray as xr
from PIL import Image

from framecast.config.parsing import parse, plain
from framecast.data.datasets import BAIR, KTH, SEVIR, ArchiveData, Data, Human36M, RoboNet, TaxiBJ
from framecast.data.recorded import open_recorded, record_data
from framecast.data.region import Region
from framecast.data.sets import bair as bair_set
from framecast.data.sets import taxibj as taxibj_set
from framecast.data.synthetic.moving_mnist import MovingDigits
from framecast.data.synthetic.varied_mnist import MixedDigits, VariedDigits
from framecast.data.windows.batches import Batches
from framecast.data.windows.labels import LabelledSource
from framecast.data.windows.record import RECORD, read_record
from framecast.data.windows.sources import DataSplits, WindowSource
from framecast.data.windows.splits import NAMES, ByBlocks
from framecast.errors import ConfigError, DataError
from framecast.types import FrameShape

CONTEXT, HORIZON = 2, 2
rng = np.random.default_rng(0)


def image(path: Path, size: tuple[int, int] = (16, 16)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)


def archive(folder: Path) -> ArchiveData:
    times = np.datetime64("2020-01-01", "ns") + np.arange(60) * np.timedelta64(5, "m")
    values = rng.random((60, 16, 16), dtype=np.float32)
    array = xr.DataArray(values, dims=("time", "y", "x"), coords={"time": times}, attrs={"units": "mm h-1"})
    array.to_dataset(name="rain").to_netcdf(folder / "rain.nc", engine="h5netcdf")
    split = ByBlocks(validation=0.2, test=0.2)
    return ArchiveData(path=str(folder / "rain.nc"), context=CONTEXT, horizon=HORIZON, split=split)


def kth(folder: Path) -> KTH:
    for person in ("01", "02", "17"):
        for number in range(1, 9):
            image(folder / "walking" / f"person{person}_walking_d1_uncomp" / f"image_{number:04d}.jpg")
    return KTH(path=str(folder), size=16, context=CONTEXT, horizon=HORIZON, validation=0.5)


def human36m(folder: Path) -> Human36M:
    for subject in ("S1", "S5", "S9"):
        for number in range(30):
            image(folder / f"{subject}_Walking.54138969_{5 * number + 1:06d}.jpg")
    return Human36M(path=str(folder), size=16, context=CONTEXT, horizon=HORIZON)


def robonet(folder: Path) -> RoboNet:
    pytest.importorskip("av")
    for number in range(300):
        if number not in (0, 1, 299):
            continue
        with h5py.File(folder / f"penn_sawyer_traj{number}.hdf5", "w") as file:
            camera = file.create_group("env/cam0_video")
            for t in range(8):
                image(folder / "frame.jpg", (48, 64))
                camera[f"frame{t}"] = np.frombuffer((folder / "frame.jpg").read_bytes(), dtype=np.uint8)
                camera[f"frame{t}"].attrs["image_format"] = "RGB"
            file["policy/actions"] = rng.random((7, 4))
    (folder / "frame.jpg").unlink()
    return RoboNet(
        path=str(folder),
        size=16,
        context=CONTEXT,
        horizon=HORIZON,
        environments=("penn",),
        actions=True,
        validation=0.5,
    )


def _varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def bair(folder: Path) -> BAIR:
    for part, count in (("train", 2), ("test", 1)):
        records = []
        for _ in range(count):
            features: dict[str, bytes] = {}
            for t in range(6):
                pixels = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8).tobytes()
                features[f"{t}/image_aux1/encoded"] = _field(1, _field(1, pixels))
                features[f"{t}/action"] = _field(2, _field(1, rng.random(4, dtype=np.float32).tobytes()))
            entries = [_field(1, _field(1, name.encode()) + _field(2, value)) for name, value in features.items()]
            example = _field(1, b"".join(entries))
            records.append(struct.pack("<Q", len(example)) + b"\0" * 4 + example + b"\0" * 4)
        (folder / "softmotion30_44k" / part).mkdir(parents=True)
        (folder / "softmotion30_44k" / part / "traj_0_to_255.tfrecords").write_bytes(b"".join(records))
    return BAIR(path=str(folder), context=CONTEXT, horizon=HORIZON, actions=True, validation=0.5)


def taxibj(folder: Path) -> TaxiBJ:
    arrays = {
        f"{kind}_{part}": rng.uniform(-1, 1, (count, 4, 2, 32, 32)).astype(np.float32)
        for part, count in (("train", 4), ("test", 2))
        for kind in "XY"
    }
    np.savez(folder / "dataset.npz", **arrays)
    return TaxiBJ(path=str(folder), context=CONTEXT, horizon=HORIZON, validation=0.5)


def sevir(folder: Path) -> SEVIR:
    name = "vil/2019/SEVIR_VIL_STORMEVENTS_2019_0101_0630.h5"
    (folder / "data" / name).parent.mkdir(parents=True)
    with h5py.File(folder / "data" / name, "w") as file:
        file["vil"] = rng.integers(0, 255, (3, 24, 24, 49), dtype=np.uint8)
    rows = ["id,file_name,file_index,img_type,time_utc"]
    rows += [f"S{k},{name},{k},vil,2019-{month}-15 20:00:00" for k, month in enumerate(("02", "06", "03"))]
    (folder / "CATALOG.csv").write_text("\n".join(rows))
    return SEVIR(path=str(folder), size=24, context=CONTEXT, horizon=HORIZON, validation=0.5)


def digits(kind: type[MovingDigits] | type[VariedDigits] | type[MixedDigits]) -> Callable[[Path], Data]:
    return lambda folder: kind(size=32, context=CONTEXT, horizon=HORIZON, train=6, validation=3, test=4)


SMALL: dict[type, Callable[[Path], Data]] = {
    ArchiveData: archive,
    KTH: kth,
    Human36M: human36m,
    RoboNet: robonet,
    BAIR: bair,
    TaxiBJ: taxibj,
    SEVIR: sevir,
    **{kind: digits(kind) for kind in (MovingDigits, VariedDigits, MixedDigits)},
}


@pytest.fixture(params=get_args(Data), ids=lambda kind: kind.__name__)
def data(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Data:
    monkeypatch.setattr("framecast.data.sets.robonet.TRAINING", 2)
    assert request.param in SMALL, "give the data set a small copy in its layout: an entry in SMALL"
    return SMALL[request.param](tmp_path)


def parts(sources: DataSplits) -> Iterator[tuple[str, WindowSource]]:
    for name in ("train", "validation", "test"):
        if (source := getattr(sources, name)) is not None:
            yield name, source


def test_its_settings_go_through_plain_data_and_back(data: Data) -> None:
    settings = plain(data)
    assert parse(Data, settings, where="recipe") == data
    assert settings["name"] == data.name
    with pytest.raises(ConfigError, match="misspelt"):
        parse(Data, {**settings, "misspelt": 1}, where="recipe")


def test_names_are_unique(data: Data) -> None:
    assert sum(kind.name == data.name for kind in get_args(Data)) == 1


def test_it_describes_itself_and_its_windows(data: Data) -> None:
    assert data.description
    sources = data.open()
    assert sources.report
    shapes: list[FrameShape] = []
    data.open(shapes.append)
    assert shapes == [sources.shape(data.crop_size)], "the check sees the shape that a model is built for"


def test_the_check_comes_before_the_windows(data: Data) -> None:
    def refuse(shape: FrameShape) -> None:
        raise ConfigError("refused")

    with pytest.raises(ConfigError, match="refused"):
        data.open(refuse)


def test_training_and_test_have_windows_of_the_shape(data: Data) -> None:
    opened = dict(parts(data.open()))
    assert {"train", "test"} <= set(opened)
    for source in opened.values():
        shape = source.shape
        assert (shape.context, shape.horizon) == (CONTEXT, HORIZON)
        frames = source.read(0)
        assert frames.dtype == np.float32
        assert frames.shape == (CONTEXT + HORIZON, shape.predicted, *source.size_of(0))
        assert source.actions(0).shape == (CONTEXT + HORIZON, shape.actions)
        assert source.inputs(0).shape == (CONTEXT + HORIZON, shape.inputs, *source.size_of(0))
        seen = source.valid_mask(0)
        assert seen is None or seen.shape == source.size_of(0)
        region = Region(1, 2, 5, 6)
        np.testing.assert_array_equal(source.read(0, region), frames[..., *region.slices])
        assert isinstance(source.block(0), tuple)


def test_labels_are_text_with_the_same_names_for_all_windows(data: Data) -> None:
    for _, source in parts(data.open()):
        if isinstance(source, LabelledSource):
            rows = [source.labels(index) for index in range(len(source))]
            assert len({tuple(row) for row in rows}) == 1
            assert all(isinstance(value, str) and value for row in rows for value in row.values())


def test_a_window_is_the_same_in_any_order_and_when_opened_again(data: Data) -> None:
    for (_, source), (_, again) in zip(parts(data.open()), parts(data.open()), strict=True):
        forwards = [source.read(index) for index in range(len(source))]
        backwards = [source.read(index) for index in reversed(range(len(source)))][::-1]
        anew = [again.read(index) for index in reversed(range(len(again)))][::-1]
        np.testing.assert_array_equal(forwards, backwards)
        np.testing.assert_array_equal(forwards, anew)


def test_no_frame_is_in_two_parts(data: Data) -> None:
    frames: dict[str, set[bytes]] = {}
    for name, source in parts(data.open()):
        frames[name] = {frame.tobytes() for index in range(len(source)) for frame in source.read(index)}
    names = list(frames)
    for k, one in enumerate(names):
        for other in names[k + 1 :]:
            assert not frames[one] & frames[other]


def test_it_is_opened_again_by_its_record(data: Data, tmp_path: Path) -> None:
    sources = data.open()
    record = record_data(data, sources, plain(data))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / RECORD).write_bytes(record.dump())
    stored = read_record(tmp_path / "run")
    assert stored is not None
    counts = {name: 0 for name in NAMES} | {name: len(source) for name, source in parts(sources)}
    assert (stored.digest, stored.counts()) == (record.digest, counts)
    again = open_recorded(data, stored, NAMES)
    for (name, source), (_, reopened) in zip(parts(sources), parts(again), strict=True):
        for index in range(len(source)):
            np.testing.assert_array_equal(source.read(index), reopened.read(index), err_msg=name)


def test_other_content_at_its_path_is_refused(data: Data, tmp_path: Path) -> None:
    if not {"path"} <= {each.name for each in fields(data)}:
        pytest.skip("it is generated")
    record = record_data(data, data.open(), plain(data))
    for entry in tmp_path.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    SMALL[type(data)](tmp_path)
    for cache in (taxibj_set._windows, bair_set._example):  # as another process would start
        cache.cache_clear()
    with pytest.raises(DataError, match="no longer those that the run was trained on"):
        open_recorded(data, record, NAMES)


def test_batches_are_drawn_from_it(data: Data) -> None:
    sources = data.open()
    assert sources.train is not None
    batch = Batches(sources.train, sources.scaling, batch_size=2).batch(0)
    assert batch.frames.shape[:2] == (2, CONTEXT + HORIZON)
    assert batch.frames.isfinite().all()
    assert (batch.actions is not None) == (sources.train.shape.actions > 0)


def test_files_that_are_absent_are_named(data: Data) -> None:
    if not hasattr(data, "path"):
        pytest.skip("generated")
    settings = {**plain(data), "path": str(Path(str(data.path)) / "absent")}
    with pytest.raises(DataError, match="absent"):
        parse(Data, settings, where="recipe").open()
