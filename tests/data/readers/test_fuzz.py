"""Damaged headers: whatever is in a file, only our own errors come out, and no frame larger than the limit is made."""

import resource
from functools import lru_cache
from pathlib import Path

import numpy as np
import psutil
import pytest
from binary_files import nimrod
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import framecast
from framecast.data.readers.limits import MEMORY_LIMIT
from framecast.errors import FramecastError

SEEDS = {
    "odim.h5": "radar/opera_odim/20241126_nimbus_hourly/T_PASH22_C_EUOC_20241126020000.hdf",
    "knmi.h5": "radar/knmi_hdf5/20100826/RAD_NL25_RAP_5min_201008260130.h5",
    "mch.gif": "radar/mch_gif/20150515/AQC151351825F_00005.801.gif",
    "fmi.pgm.gz": "radar/fmi_pgm/20160928/201609281540_fmi.radar.composite.lowest_FIN_SUOMI1.pgm.gz",
    "bom.nc": "radar/bom_netcdf/20201031/66_20201031_073000.prcp-c10.nc",
    "good.nc": "bad/good_reference.nc",
    "fmi.tif": "radar/fmi_geotiff/20160928/201609281445_FINUTM.tif",
    "mrms.grib2": "radar/mrms_grib2/20190610/PrecipRate_00.00_20190610-000000.grib2",
    "stage4.01h": "field/13_grib1/ST4.2024033101.01h",
    "radolan.gz": "field/16_radolan/raa01-ry_10000-2403310010-dwd---bin.gz",
    "imerg.h5": "field/12_hdf5_in_groups/3B-HHR.MS.MRG.3IMERG.20210501-S000000-E002959.0000.V07B.HDF5",
    "belgium.hdf": "field/07_odim_without_conventions/20190606000000.comp.hdf",
    "film.avi": "video/bigbuckbunny_160x120.avi",
    "frames.npz": "bad/float_frames_0_255.npz",
    "frames.npy": "bad/frames_of_two_shapes/001.npy",
}
HEADER = 3000
SLACK = 2**28
"""What a decoder may need beside the frame itself."""


@lru_cache
def content_of(path: Path) -> bytes:
    return path.read_bytes()


@pytest.mark.parametrize("name", [*SEEDS, "picture.png", "picture.jpg", "plain.pgm", "uk.dat"])
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    damage=st.lists(st.tuples(st.integers(0, HEADER), st.integers(0, 255)), min_size=1, max_size=12),
    cut=st.one_of(st.none(), st.floats(0, 1)),
)
def test_mutated_headers(
    shared_data: Path, tmp_path: Path, name: str, damage: list[tuple[int, int]], cut: float | None
) -> None:
    if name == "uk.dat":
        content = bytearray(nimrod(np.zeros((4, 5), np.int16)))
    elif name in SEEDS:
        content = bytearray(content_of(shared_data / SEEDS[name]))
    elif name == "plain.pgm":
        content = bytearray(b"P5\n# obstime 202001010000\n# param CorrectedReflectivity\n8 6\n255\n" + bytes(48))
    else:
        Image.fromarray(np.arange(300, dtype=np.uint8).reshape(15, 20)).save(tmp_path / name)
        content = bytearray((tmp_path / name).read_bytes())
    for place, value in damage:
        content[place % len(content)] = value
    path = tmp_path / name
    path.write_bytes(content if cut is None else content[: int(cut * len(content))])
    before, peak = psutil.Process().memory_info().rss, _peak()
    try:
        frames = framecast.open(path, units="mm/h" if path.suffix in (".npy", ".npz") else None)
        one = frames.isel(time=-1)
        assert one.size * 4 <= MEMORY_LIMIT or name.endswith((".nc", ".npy"))
        if one.size < 10_000_000:
            one.values.sum()
    except FramecastError:
        return
    finally:
        assert _peak() == peak or _peak() - before <= MEMORY_LIMIT + SLACK, "more memory than the limit"


def _peak() -> int:
    """The most memory that this process ever had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
