"""What every quantity keeps to, wherever the library meets one: a new record in `QUANTITIES` is covered by itself."""

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

import framecast
from framecast.colours import scale_of
from framecast.data.datasets import ArchiveData
from framecast.data.quantities import QUANTITIES, ZR, Bins, Conversion, Quantity, event_thresholds, quantity_of
from framecast.data.scaling import RainLog, check_scaling, default_scaling
from framecast.data.store.regridding import coarsen
from framecast.data.windows.batches import Batches
from framecast.data.windows.sampling import Importance
from framecast.errors import ConfigError
from framecast.forecasting.baselines.persistence import Persistence
from framecast.report.inspection import write_inspection
from framecast.verification.verify import verify

BRIGHTNESS = Quantity(
    name="brightness_temperature",
    units="K",
    dry=310.0,
    lowest=0.0,
    plausible=360.0,
    usual=(180.0, 320.0),
    bins=Bins(tuple(np.linspace(150, 350, 51).tolist())),
    conversions=(Conversion("degC", 1.0, 273.15),),
    label="K",
    standard_name="toa_brightness_temperature",
)
"""A quantity that the library does not have: all that it needs to know is this record."""


@pytest.fixture(params=[*QUANTITIES.values(), BRIGHTNESS], ids=lambda quantity: quantity.name)
def quantity(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Quantity:
    monkeypatch.setitem(QUANTITIES, request.param.name, request.param)
    return request.param


def values_of(quantity: Quantity, count: int = 24, side: int = 24) -> np.ndarray:
    """Frames `(time, y, x)` within the usual range, some dry, some without data."""
    rng = np.random.default_rng(0)
    low, high = quantity.usual
    values = rng.uniform(
        max(low, quantity.colour_steps[0] if quantity.colour_steps else low), high, (count, side, side)
    )
    values[rng.random(values.shape) < 0.3] = quantity.dry
    values[:, :3] = np.nan
    return values.astype(np.float32)


@pytest.fixture
def file(quantity: Quantity, tmp_path: Path) -> Path:
    """A NetCDF file of the quantity."""
    values = values_of(quantity)
    times = np.datetime64("2020-01-01", "ns") + np.arange(len(values)) * np.timedelta64(5, "m")
    array = xr.DataArray(values, dims=("time", "y", "x"), coords={"time": times}, attrs={"units": quantity.units})
    array.to_dataset(name="field").to_netcdf(tmp_path / "field.nc")
    return tmp_path / "field.nc"


def test_a_file_opens_in_its_own_units(quantity: Quantity, file: Path) -> None:
    frames = framecast.open(file)
    assert (frames.attrs["quantity"], frames.attrs["units"]) == (quantity.name, quantity.units)
    assert quantity_of(frames) == quantity
    assert frames.attrs.get("standard_name") == quantity.standard_name
    np.testing.assert_array_equal(frames.values[:, 0], values_of(quantity))


def test_other_units_are_converted_and_reported(quantity: Quantity) -> None:
    from framecast.data.frames import build

    for units, factor, offset, dry in quantity.conversions:
        stored = xr.DataArray(np.full((1, 2, 2), 3.0), dims=("time", "y", "x"), attrs={"units": units})
        frames = build(stored, where="f")
        np.testing.assert_allclose(frames.values, 3.0 * factor + offset, rtol=1e-6)
        assert frames.attrs["dry"] == (quantity.dry if dry is None else dry)
        assert any(units in repair for repair in frames.attrs["repairs"]) == (factor != 1 or offset != 0)


def test_no_units_are_claimed_by_two_quantities(quantity: Quantity) -> None:
    own = {quantity.units, *(each.units for each in quantity.conversions)}
    others = [other for other in QUANTITIES.values() if other.name != quantity.name]
    assert not own & {units for other in others for units in (other.units, *(c.units for c in other.conversions))}


def test_it_is_inspected_and_drawn(quantity: Quantity, file: Path, tmp_path: Path) -> None:
    inspection = framecast.inspect(file, context=2, horizon=2)
    assert quantity.title in inspection.facts["variable"]
    assert inspection.survey.histogram.sum() > 0
    assert ("wet" in inspection.facts) == np.isfinite(quantity.wet)
    page = write_inspection(inspection, tmp_path / "page.html").read_text()
    assert quantity.heading in page


def test_it_is_scaled_there_and_back(quantity: Quantity) -> None:
    scaling, values = default_scaling(quantity), values_of(quantity)
    scaled = scaling.forward(values, quantity)
    filled = np.where(np.isfinite(values), values, np.float32(quantity.dry))
    np.testing.assert_allclose(scaling.inverse(scaled, quantity), filled, rtol=1e-4, atol=1e-3)
    assert -0.1 <= scaled.min() <= scaled.max() <= 1.1, "a model is trained on numbers between about 0 and 1"
    np.testing.assert_allclose(
        scaling.forward(torch.from_numpy(values), quantity).numpy(), scaled, rtol=1e-5, atol=1e-6
    )


def test_scaling_by_rain_is_refused_where_there_is_none(quantity: Quantity) -> None:
    if quantity.precipitation:
        check_scaling(RainLog(), quantity)
    else:
        with pytest.raises(ConfigError, match=quantity.name):
            check_scaling(RainLog(), quantity)


def test_low_high_and_missing_have_colours_of_their_own(quantity: Quantity) -> None:
    low, high = (quantity.colour_steps or quantity.usual)[0], (quantity.colour_steps or quantity.usual)[-1]
    painted = scale_of(quantity).paint(np.array([[[low, high, np.nan, np.nan]]], dtype=np.float32))
    assert painted.dtype == np.uint8
    assert len({tuple(pixel) for pixel in painted[0, :3].tolist()}) == 3


def test_rain_rates_go_there_and_back_or_are_refused(quantity: Quantity) -> None:
    rates = np.array([0.5, 2.0, 8.0])
    if quantity.precipitation:
        np.testing.assert_allclose(quantity.rain_rate(quantity.from_rain_rate(rates, ZR()), ZR()), rates)
        assert len(event_thresholds(quantity, quantity.thresholds, ZR())) == len(quantity.thresholds) > 0
    else:
        assert quantity.thresholds == ()
        with pytest.raises(TypeError, match=quantity.title):
            quantity.rain_rate(rates, ZR())
        with pytest.raises(TypeError, match=quantity.title):
            quantity.from_rain_rate(rates, ZR())


def test_it_is_made_coarser(quantity: Quantity, file: Path) -> None:
    coarse = coarsen(framecast.open(file), 2).values
    seen = coarse[np.isfinite(coarse)]
    values = values_of(quantity)
    assert np.nanmin(values) - 1e-3 <= seen.min() <= seen.max() <= np.nanmax(values) + 1e-3


def test_windows_are_trained_on_and_judged(quantity: Quantity, file: Path) -> None:
    data = ArchiveData(path=str(file), context=2, horizon=2)
    sources = data.open()
    assert sources.train is not None
    assert sources.scaling == default_scaling(quantity)
    batch = Batches(sources.train, sources.scaling, batch_size=2).batch(0)
    assert batch.frames.isfinite().all()
    assert not batch.valid[..., :3, :].any()
    result = verify({"persistence": Persistence()}, sources.train, limit=3)
    assert result.quantity == quantity
    assert bool(result.thresholds) == quantity.precipitation
    assert np.isfinite(result.sums["mse"]).all()


def test_windows_are_sampled_by_rain_or_that_is_refused(quantity: Quantity, file: Path) -> None:
    for by in ("wet", "intensity"):
        if quantity.precipitation:
            shares = Importance(by=by).of_frames(framecast.open(file))  # type: ignore[arg-type]
            assert ((shares > 0) & (shares <= 1)).all()
        else:
            with pytest.raises(ConfigError, match=quantity.name):
                Importance(by=by).of_frames(framecast.open(file))  # type: ignore[arg-type]


def test_the_library_asks_no_quantity_for_its_name() -> None:
    """What depends on the quantity stands in its record, so that a new one needs no other line."""
    package = Path(framecast.__file__).parent
    asking = [
        f"{file.relative_to(package)}:{number}"
        for file in package.rglob("*.py")
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if any(f'quantity.name {how} "' in line or f"quantity.name {how} (" in line for how in ("==", "!=", "in"))
    ]
    assert not asking
