"""Inspection: what would spoil an hour of training is seen before it."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import framecast
from framecast.data.inspection.inspect import Inspection
from framecast.data.inspection.survey import survey
from framecast.errors import ConfigError
from framecast.report.inspection import write_inspection


def frames(values: np.ndarray, units: str = "mm/h", gap: int | None = None) -> xr.DataArray:
    """Opened Frames of an array `(time, y, x)`; `gap` leaves out one time step."""
    from framecast.data.frames import build

    steps = np.arange(len(values)) + (0 if gap is None else np.arange(len(values)) >= gap)
    array = xr.DataArray(
        values.astype(np.float32),
        dims=("time", "y", "x"),
        coords={"time": np.datetime64("2020-01-01T00:00", "ns") + steps * np.timedelta64(5, "m")},
        attrs={"units": units},
    )
    return build(array, where="test")


def rain(count: int = 60, seed: int = 0) -> np.ndarray:
    chance = np.random.default_rng(seed)
    return np.where(chance.random((count, 32, 32)) < 0.4, chance.lognormal(0, 1, (count, 32, 32)), 0)


def look(values: np.ndarray, **options: object) -> Inspection:
    return framecast.inspect(frames(values, **options), context=3, horizon=3)  # type: ignore[arg-type]


def test_good_rain_has_no_problem() -> None:
    assert look(rain()).problems == ()
    assert look(rain()).concerns == ()


@pytest.mark.parametrize(
    ("values", "units", "said"),
    [
        (rain() * 255, "1", "where 0 to 1 is expected"),
        (np.random.default_rng(0).uniform(10, 60, (60, 32, 32)), "mm/h", "is it reflectivity in dBZ"),
        (np.where(rain() > 0, rain(), -32.0), "mm/h", r"cannot be rain rate: state the units"),
        (rain(), "dBZ", "is it rain in mm/h"),
        (np.full((60, 32, 32), np.nan), "mm/h", "not a single value"),
    ],
)
def test_values_that_are_not_what_they_say_spoil_training(values: np.ndarray, units: str, said: str) -> None:
    problems = " ".join(look(values, units=units).problems)
    assert said in problems


@pytest.mark.parametrize("change", [lambda frame: frame, lambda frame: frame * 1.02 + 0.001 * (frame > 0)])
def test_frames_held_out_that_are_in_training_too(change: object) -> None:
    values = rain()
    values[58] = change(values[5])  # type: ignore[operator]
    problems = look(values).problems
    assert problems == ("1 frame held out for validation and test, also in the training part or nearly",)


@pytest.mark.parametrize("name", ["context", "horizon", "stride"])
@pytest.mark.parametrize("value", [0, -1, "3", 2.5])
def test_windows_that_cannot_be_are_refused(name: str, value: object) -> None:
    """A stride of 0 would never come to an end."""
    with pytest.raises(ConfigError, match=f"{name}: {value!r} given, expected a whole number of at least 1"):
        framecast.inspect(frames(rain(9)), **{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"), [("min_valid", 3), ("min_valid", -0.1), ("min_valid", "x"), ("units", "mm/h")]
)
def test_options_that_cannot_be_are_refused(name: str, value: object) -> None:
    """Units are stated where frames are opened."""
    with pytest.raises(ConfigError, match=f"^{name}: "):
        framecast.inspect(frames(rain(9)), **{name: value})  # type: ignore[arg-type]


def test_neighbours_may_be_alike() -> None:
    """A standing cloud is no leak."""
    values = np.repeat(rain(60)[:1], 60, axis=0) * np.linspace(1, 1.01, 60)[:, None, None]
    near = framecast.inspect(frames(values[:15]), context=3, horizon=3)
    assert near.survey.alike == []


def test_the_histogram_counts_values_where_they_lie() -> None:
    found, _ = survey(frames(np.where(np.arange(32) < 16, 5.0, 0.0) * np.ones((4, 32, 1))))
    assert found.histogram.sum() == 4 * 32 * 16
    assert found.quantile(0.5) == pytest.approx(5, rel=0.3)
    assert found.data_counts is not None
    assert (found.data_counts == 4).all()
    assert found.wet_shares == [0.5] * 4


def test_a_radar_that_drops_out_shows_in_the_coverage() -> None:
    values = rain()
    values[40:, :, 16:] = np.nan
    seen = look(values)
    assert any(
        "20 frames with data on less than 90% of the usual area, 50% at the least" in said for said in seen.concerns
    )
    assert seen.coverage[0, 0] == 1
    assert seen.coverage[0, 50] == 0.5
    assert seen.survey.data_counts is not None
    assert seen.survey.data_counts[0, 20] == 40


def test_the_page_shows_what_was_found(tmp_path: Path) -> None:
    values = rain()
    values[10] = np.nan
    seen = framecast.inspect(frames(values, gap=30), context=3, horizon=3)
    text = write_inspection(seen, tmp_path / "page.html", title="<b>odd</b>").read_text()
    assert "&lt;b&gt;odd&lt;/b&gt;" in text
    assert "1 gap in time" in text
    assert "1 frame without any data" in text
    assert text.count("<figure>") == 5
    assert "http://" not in text.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    )
    assert len(text) < 2_000_000


def test_pages_of_other_quantities(tmp_path: Path) -> None:
    for values, units in ((rain() / 10, "1"), (rain() * 10 - 32, "dBZ")):
        seen = framecast.inspect(frames(np.clip(values, -32, 1 if units == "1" else 70), units=units))
        assert write_inspection(seen, tmp_path / "page.html").stat().st_size > 10_000
