"""What is written as NetCDF is what xarray itself writes."""

from io import BytesIO

import h5py
import numpy as np
import pytest
import xarray as xr

from framecast.writing import netcdf
from framecast.writing.netcdf import netcdf_bytes

VALUES = np.random.default_rng(0).gamma(0.5, 2.0, (1, 3, 5, 130, 67)).astype(np.float32)
VALUES[0, 1, 2, :40] = np.nan
DIMS = ("init_time", "member", "lead_time", "y", "x")
COMPRESSED = {"zlib": True, "complevel": 1, "dtype": "float32", "_FillValue": np.float32(np.nan)}
PACKED = {**COMPRESSED, "dtype": "int16", "_FillValue": np.int16(-1), "scale_factor": np.float32(1e-2)}


def dataset(encoding: dict[str, object]) -> xr.Dataset:
    times = {
        "init_time": [np.datetime64("2026-06-01T12:00", "ns")],
        "lead_time": np.arange(1, 6) * np.timedelta64(300, "s"),
    }
    rain = xr.DataArray(VALUES, {**times, "y": np.arange(130.0), "crs": 0}, DIMS, attrs={"units": "mm h-1"})
    rain.encoding = encoding
    text = xr.DataArray(np.array(["one", "two"], dtype=object), dims="name")
    return xr.Dataset({"rain": rain, "text": text, "none": ("empty", np.zeros(0))}, attrs={"title": "rain", "count": 3})


@pytest.mark.parametrize(
    "encoding",
    [
        {},
        COMPRESSED,
        {**COMPRESSED, "shuffle": True, "complevel": 4},
        {**COMPRESSED, "shuffle": True, "fletcher32": True},
        PACKED,
        {**PACKED, "shuffle": True, "chunksizes": (1, 2, 2, 50, 67)},
        {"contiguous": True, "dtype": "float64"},
    ],
)
@pytest.mark.parametrize("large", [netcdf._LARGE, 2**12], ids=["small", "large"])
def test_the_file_is_the_one_of_xarray(
    encoding: dict[str, object], large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(netcdf, "_LARGE", large)
    ours, theirs = netcdf_bytes(dataset(encoding)), dataset(encoding).to_netcdf(engine="h5netcdf")
    xr.testing.assert_identical(
        *(xr.open_dataset(BytesIO(content), engine="h5netcdf").load() for content in (ours, theirs))
    )
    with h5py.File(BytesIO(ours)) as first, h5py.File(BytesIO(theirs)) as second:
        assert list(first) == list(second)
        for name in first:
            one, other = first[name], second[name]
            layout = ("dtype", "shape", "chunks", "compression", "compression_opts", "shuffle", "fletcher32")
            assert [getattr(one, each) for each in layout] == [getattr(other, each) for each in layout]
            assert (
                one.asstr()[()].tolist() == other.asstr()[()].tolist()
                if one.dtype == object
                else (one[()].tobytes() == other[()].tobytes())
            )


def test_lazy_arrays_stay_lazy() -> None:
    lazy = dataset(COMPRESSED).chunk()
    written = xr.open_dataset(BytesIO(netcdf_bytes(lazy)), engine="h5netcdf")
    np.testing.assert_array_equal(written["rain"].values, VALUES)
    assert lazy["rain"].chunks is not None
