"""Labels of windows: what the data sets know of them, and which is chosen."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from framecast.data.datasets import ArchiveData
from framecast.data.sets import KTH, Human36M
from framecast.data.sets.clips import Clip, ClipSource
from framecast.data.synthetic.varied_mnist import MixedDigits
from framecast.data.windows.labels import Labels, labels_of
from framecast.data.windows.splits import ByBlocks
from framecast.errors import ConfigError
from framecast.types import FrameShape


def image(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (16, 16)).save(file)


def test_digits_of_a_mixed_sequence_are_counted() -> None:
    """Every digit has one of three colours: bright channels are a lower bound of their number."""
    source = MixedDigits(size=32, context=1, horizon=1, train=1, test=40).open().held_out()
    labels = labels_of(source, range(40))
    assert labels is not None
    assert labels.name == "digits"
    assert set(labels.values) == {"2", "3"}
    colours = [int((source.read(index).max((0, 2, 3)) > 0).sum()) for index in range(40)]
    assert all(colour <= int(value) for colour, value in zip(colours, labels.values, strict=True))
    assert 3 in colours


def test_actions_of_kth_are_grouped_as_in_the_paper(tmp_path: Path) -> None:
    for action in ("boxing", "handclapping", "handwaving", "jogging", "running", "walking"):
        for number in range(4):
            image(tmp_path / action / f"person20_{action}_d1_uncomp" / f"image_{number:04}.jpg")
    source = KTH(path=str(tmp_path), size=16, context=2, horizon=2).open().held_out()
    groups, actions = (labels_of(source, range(6), name) for name in (None, "action"))
    assert groups is not None
    assert actions is not None
    assert groups.name == "motion"
    assert dict(zip(actions.values, groups.values, strict=True)) == {
        **dict.fromkeys(("boxing", "handclapping", "handwaving"), "hands"),
        **dict.fromkeys(("jogging", "running", "walking"), "torso"),
    }


def test_scenarios_of_human36m_are_those_of_its_files(tmp_path: Path) -> None:
    for scenario in ("Walking_1", "Eating"):
        for number in range(16):
            image(tmp_path / f"S9_{scenario}.54138969_{5 * number + 1:06}.jpg")
    data = Human36M(path=str(tmp_path), size=8, context=2, horizon=2, scenarios=())
    source = data.open().held_out()
    labels = labels_of(source, range(len(source)))
    assert labels is not None
    assert labels.name == "scenario"
    assert set(labels.values) == {"Eating", "Walking"}


def test_seasons_come_from_the_clock_and_names_from_the_files(tmp_path: Path) -> None:
    import xarray as xr

    paths = []
    for name, first in (("spring", "2017-05-31T23:00"), ("winter", "2017-12-01T00:00")):
        times = np.datetime64(first, "ns") + np.arange(20) * np.timedelta64(5, "m")
        frames = xr.Dataset(
            {"rain": (("time", "y", "x"), np.ones((20, 4, 4), np.float32), {"units": "mm/h"})}, {"time": times}
        )
        paths.append(str(tmp_path / f"{name}.nc"))
        frames.to_netcdf(paths[-1])
    data = ArchiveData(path=tuple(paths), context=2, horizon=2, split=ByBlocks(validation=0, test=0))
    source = data.open().train
    assert source is not None
    labels = labels_of(source, range(len(source)))
    assert labels is not None
    assert labels.name == "season"
    newest = [source.init_time(index) for index in range(len(source))]
    expected = [
        "December to February" if time >= np.datetime64("2017-12-01")
        else "June to August" if time >= np.datetime64("2017-06-01") else "March to May"
        for time in newest
    ]  # fmt: skip
    assert list(labels.values) == expected
    assert len(set(expected)) == 3
    archives = labels_of(source, range(len(source)), "archive")
    assert archives is not None
    assert set(archives.values) == {"spring.nc", "winter.nc"}


def test_a_label_that_does_not_exist_is_refused_with_those_that_do() -> None:
    def source(*values: str) -> ClipSource:
        clips = [
            Clip(
                value, [[0, 1]], lambda numbers: np.zeros((len(numbers), 1, 4, 4), np.float32), labels={"action": value}
            )
            for value in values
        ]
        return ClipSource(clips, FrameShape(1, 4, 4, 1, 1))

    assert labels_of(source("run", "run"), range(2)) is None
    assert labels_of(source("run", "run"), range(2), "action") == Labels("action", ("run", "run"))
    assert labels_of(object(), range(2)) is None
    with pytest.raises(ConfigError, match="one of: action"):
        labels_of(source("run", "walk"), range(2), "season")
    with pytest.raises(ConfigError, match="has no labels"):
        labels_of(object(), range(2), "season")
