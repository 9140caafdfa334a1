"""Files as the field has them and broken ones, each with the outcome that is right: what is read, or the true reason."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import framecast
from framecast.errors import FramecastError


class Outcome(NamedTuple):
    """What a file gives: the highest value, the share without data, the number of frames and the first time; None where it does
    not matter."""

    highest: float | None = None
    missing: float | None = 0.0
    frames: int | None = None
    first: str | None = None


READ = {
    "field/01_zarr2_fill_zero/rain.zarr": Outcome(8.0, 0.0, 12, "2024-03-31T00:00"),
    "field/02_stamps_with_seconds/rain.nc": Outcome(8.0, 0.0, 60),
    "field/04_valid_range/rain.nc": Outcome(missing=None, frames=6),
    "field/04_valid_range/dbz.nc": Outcome(missing=None, frames=6),
    "field/06_amounts_with_bounds/sum5.nc": Outcome(8.0),
    "field/06_amounts_with_bounds/hour.nc": Outcome(8.0),
    "field/07_odim_without_conventions/20190606000000.comp.hdf": Outcome(4.0, 0.125, 1, "2019-06-06T00:00"),
    "field/10_y_ascending/ascending.nc": Outcome(8.0, 0.0, 12),
    "field/10_y_ascending/descending.nc": Outcome(8.0, 0.0, 12),
    "field/12_hdf5_in_groups/3B-HHR.MS.MRG.3IMERG.20210501-S000000-E002959.0000.V07B.HDF5": Outcome(
        5.75, 0.0, 1, "2021-05-01T00:00"
    ),
    "field/13_grib1/ST4.2024033101.01h": Outcome(0.0, 0.0, 1, "2024-03-31T01:00"),
    "field/16_radolan/raa01-ry_10000-2403310010-dwd---bin.gz": Outcome(8.04, 50 / 900, 1, "2024-03-31T00:10"),
    "bad/good_reference.nc": Outcome(),
    "bad/missing_time_step.nc": Outcome(frames=15),
    "bad/duplicated_time.nc": Outcome(frames=11),
    "bad/unordered_time.nc": Outcome(),
    "bad/all_nodata_frame.nc": Outcome(missing=None),
    "bad/stuck_frames.nc": Outcome(),
    "bad/all_dry.nc": Outcome(0.0),
    "bad/too_short.nc": Outcome(frames=3),
    "bad/infinite_value.nc": Outcome(missing=None),
    "bad/negative_rain.nc": Outcome(missing=None),
    "bad/negative_code.nc": Outcome(missing=None),
    "bad/truncated.avi": Outcome(),
}
REFUSED = {
    "field/08_odim_polar/scan.h5": r"a polar scan \(object SCAN\) with DBZH, not a composite\n.*grid it first",
    "field/08_odim_polar/volume.h5": r"a polar volume \(object PVOL\) with DBZH, not a composite\n.*grid it first",
    "field/12_hdf5_in_groups/SEVIR_VIL_STORMEVENTS_2019_0101_0630.h5": r"benchmark set SEVIR.*\n.*data\.name=sevir",
    "field/12_hdf5_in_groups/product.h5": r"no dimension scales.*\n.*CF NetCDF",
    "bad/truncated.nc": "incomplete or unreadable",
    "bad/truncated.h5": "incomplete or unreadable",
    "bad/truncated.gif": "incomplete or unreadable",
    "bad/truncated.mp4": "incomplete or unreadable",
    "bad/truncated.pgm.gz": "incomplete",
    "bad/empty.nc": "is empty",
    "bad/text.h5": "not a format that is understood",
    "bad/wrong_units.nc": "has units 'parsec'",
    "bad/no_units.nc": "has no units",
    "bad/no_time_coordinate.nc": "have no time coordinate",
    "bad/pickled_object.npz": "unpickling",
    "bad/float_frames_0_255.npz": "values from",
    "bad/zero_bomb.npz": "the limit",
    "bad/huge_header.png": "refused before decoding",
    "bad/frames_of_two_shapes": r"on 2 grids: 64 x 64 pixels in 3 file.*48 x 64 pixels in 1 file",
}


def test_every_file_has_an_outcome(shared_data: Path) -> None:
    entries = [
        *(shared_data / "bad").iterdir(),
        *(file for file in shared_data.glob("field/*/*") if file.suffix != ".py"),
    ]
    assert {str(entry.relative_to(shared_data)) for entry in entries} <= {*READ, *REFUSED}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", READ)
def test_what_is_read(shared_data: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = READ[name]
    frames = framecast.open(shared_data / name)
    values = frames.values
    if outcome.highest is not None:
        assert np.nanmax(values) == pytest.approx(outcome.highest, rel=1e-4)
    if outcome.missing is not None:
        assert np.isnan(values).mean() == pytest.approx(outcome.missing, abs=1e-4)
    if outcome.frames is not None:
        assert frames.sizes["time"] == outcome.frames
    if outcome.first is not None:
        assert frames["time"].values[0] == np.datetime64(outcome.first)
    assert not np.isinf(values).any()
    assert np.nanmax(values) <= 100


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_with_the_true_reason(shared_data: Path, name: str) -> None:
    with pytest.raises(FramecastError, match=REFUSED[name]) as error:
        framecast.open(shared_data / name)
    assert Path(name).name in str(error.value)
    intact = name.startswith("field/")
    assert not (intact and "fetch" in str(error.value)), "nothing is damaged"


def test_both_orders_of_rows_are_drawn_alike(shared_data: Path) -> None:
    folder = shared_data / "field/10_y_ascending"
    pages: list[Any] = []
    for name in ("ascending", "descending"):
        inspection = framecast.inspect(folder / f"{name}.nc", context=2, horizon=2)
        pages.append(inspection.orientation.upright(inspection.survey.wettest_frame))
    np.testing.assert_array_equal(*pages)
