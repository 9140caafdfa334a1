"""What holds for every baseline, and how those of other packages come in."""

import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from test_climatology_and_pysteps import Windows, shower
from test_trained_model import frames

from framecast import checks
from framecast.data.quantities import INTENSITY, RAIN_RATE
from framecast.data.scaling import RainLog
from framecast.data.windows.sources import DataSplits
from framecast.errors import ArgumentError, ConfigError
from framecast.forecasting.baseline_forecaster import BaselineForecaster
from framecast.forecasting.baselines import (
    BASELINES,
    DEFAULT,
    BaselineData,
    assumptions,
    baselines,
    build,
    build_all,
    check,
    find,
    names,
)
from framecast.forecasting.baselines.pysteps_ensembles import Linda, Steps
from framecast.forecasting.labels import forecast_frames, values_of
from framecast.forecasting.protocol import Context, Forecaster, forecast_cases

HEIGHT, WIDTH, HORIZON = 32, 40, 2


def context(length: int = 4) -> np.ndarray:
    """Rain `(B, T, C, H, W)` in two cases, of which the second moves the other way; not square."""
    moving = shower(7, WIDTH)[:, :, :HEIGHT]
    return np.stack([moving[:4], moving[:2:-1]])[:, -length:]


def climate(mean: float = 1.0) -> DataSplits:
    """Training windows, all of them dry if `mean` is 0."""
    rain = (
        np.random.default_rng(0).gamma(0.5, 2 * mean, (5, 2, 1, HEIGHT, WIDTH)) if mean else np.zeros((5, 2, 1, 8, 8))
    )
    return DataSplits(Windows(rain), None, None, RainLog(), None, ())  # type: ignore[arg-type]


def made(name: str, mean: float = 1.0) -> Forecaster:
    """The baseline of that name, those of pysteps with two members; skipped without what it needs."""
    for module in find(name).requires:
        pytest.importorskip(module)
    forecaster = build(name, BaselineData(RAIN_RATE, np.timedelta64(5, "m"), (), lambda: climate(mean)))
    if isinstance(forecaster, Steps | Linda):
        forecaster.members = 2
    return forecaster


def values(forecaster: Forecaster, given: np.ndarray, horizon: int = HORIZON) -> np.ndarray:
    return forecast_cases(forecaster, Context(given), horizon).values


@cache
def learns(name: str) -> bool:
    """Whether a baseline is made from training windows: it may have a forecast where the context has no data."""
    opened = []

    def training() -> DataSplits:
        opened.append(name)
        return climate()

    build(name, BaselineData(RAIN_RATE, np.timedelta64(5, "m"), (), training))
    return bool(opened)


@cache
def usual(name: str) -> np.ndarray:
    """What a baseline says of the usual context; those of pysteps take seconds."""
    return values(made(name), context())


every = pytest.mark.parametrize("name", list(BASELINES))


@every
def test_a_record_has_the_name_of_its_baseline(name: str) -> None:
    assert find(name).name == name == made(name).name
    assert find(name).summary == baselines()[name]
    assert "\n" not in find(name).summary


@every
def test_it_is_shown_in_a_few_lines(name: str) -> None:
    made(name)  # skipped without what it needs
    if find(name).training:
        with pytest.raises(ArgumentError, match="made from training data"):
            BaselineForecaster(name)
        return
    forecaster = BaselineForecaster(name)
    assert repr(forecaster).splitlines()[0] == f"BaselineForecaster {name}"
    assert find(name).summary in repr(forecaster)
    assert forecaster._repr_html_().count("<tr>") == len(repr(forecaster).splitlines()) - 1


@every
def test_shape_and_kind(name: str) -> None:
    assert usual(name).shape[1:] == (2, HORIZON, 1, HEIGHT, WIDTH)
    assert usual(name).dtype == np.float32


@every
def test_of_a_longer_context_the_end_is_used_and_nothing_is_changed(name: str) -> None:
    given = context()[:1]
    longer = np.concatenate([np.full_like(given, 7.0), given], axis=1)
    before = longer.copy()
    np.testing.assert_array_equal(values(made(name), longer), usual(name)[:, :1])
    np.testing.assert_array_equal(longer, before)


@every
def test_two_cases_are_as_each_alone(name: str) -> None:
    forecaster, given = made(name), context()
    alone = [values(forecaster, given[k : k + 1]) for k in range(2)]
    np.testing.assert_array_equal(usual(name), np.concatenate(alone, axis=1))


@every
def test_the_same_again_and_by_another_of_its_kind(name: str) -> None:
    forecaster, given = made(name), context()[1:]
    for _ in range(2):
        np.testing.assert_array_equal(usual(name)[:, 1:], values(forecaster, given))


@every
def test_of_a_longer_horizon_the_beginning_is_the_same(name: str) -> None:
    if len(usual(name)) > 1:
        pytest.skip("another horizon, other noise")
    np.testing.assert_array_equal(usual(name), values(made(name), context(), HORIZON + 2)[:, :, :HORIZON])


@every
def test_three_states_of_pixels(name: str) -> None:
    """No data is NaN, and nothing is NaN where there is a basis; dry is not NaN, and values are rain rates."""
    forecaster, given = made(name), context()
    given[..., :8, :8] = np.nan
    result = values(forecaster, given)
    if not learns(name):
        assert np.isnan(result[:, :, 0, :, 2, 2]).all()
    assert np.isfinite(result[..., 14:20, 16:24]).all()
    known = result[np.isfinite(result)]
    assert (known >= 0).all()
    np.testing.assert_array_equal(np.isnan(result).any(0), np.isnan(result).all(0), err_msg="all members alike")


@every
def test_no_data_at_all_gives_none(name: str) -> None:
    forecaster = made(name)
    if learns(name):
        pytest.skip("knows the place from training")
    assert np.isnan(values(forecaster, np.full_like(context(), np.nan))).all()


@every
def test_dry_stays_dry(name: str) -> None:
    result = values(made(name, mean=0.0), np.zeros_like(context()))
    assert (result[np.isfinite(result)] == 0).all()
    assert np.isfinite(result).any()


@every
def test_too_short_a_context_is_an_error(name: str) -> None:
    forecaster = made(name)
    needed = forecaster.context_length
    with pytest.raises(ConfigError, match=f"{name} needs a context of {needed} frames, {needed - 1} given"):
        forecaster.forecast(Context(context()[:, : needed - 1]), HORIZON)


@every
def test_a_fallback_is_counted(name: str) -> None:
    """Rain in the first case, none in the second."""
    given = context()
    given[1] = 0
    fallback = forecast_cases(made(name), Context(given), HORIZON).fallback
    if name in ("steps", "linda"):
        assert fallback is not None
        assert fallback.tolist() == [False, True]
    else:
        assert fallback is None or fallback.shape == (2,)


@every
def test_one_of_precipitation_forecasts_nothing_else(name: str) -> None:
    """It is refused for images, and left out of the default baselines."""
    for module in find(name).requires:
        pytest.importorskip(module)
    images = BaselineData(INTENSITY, None, (), lambda: climate())
    if find(name).precipitation:
        with pytest.raises(ConfigError, match=f"{name} forecasts rain, not intensity"):
            build_all([name], images)
    else:
        assert list(build_all([name], images)) == [name]
    assert (name in build_all(DEFAULT, images)) == (name in DEFAULT and not find(name).precipitation)


def test_what_a_baseline_assumes_of_the_scale_is_said() -> None:
    """Without archives nothing is known, except the step of the verification; the other baselines assume nothing."""
    unknown = BaselineData(RAIN_RATE, None, (), lambda: climate())
    both = "the time step is not known, 5 minutes is assumed; the pixel size is not known, 1 km is assumed"
    assert assumptions(DEFAULT, unknown) == [f"extrapolation_probability: {both}"]
    timed = replace(unknown, step=np.timedelta64(150, "s"))
    assert (timed.scale.minutes, timed.scale.assumed) == (2.5, ("pixel size",))
    placed = frames(5, HEIGHT, WIDTH)
    for axis in ("y", "x"):
        placed = placed.assign_coords({axis: (axis, np.arange(placed.sizes[axis]) * 2000.0, {"units": "m"})})
    assert replace(unknown, frames=(placed,)).scale.kilometres == 2
    assert assumptions(DEFAULT, replace(timed, frames=(placed,))) == []


@pytest.mark.parametrize("name", ["steps", "linda"])
@pytest.mark.parametrize("error", [ValueError, RuntimeError, np.linalg.LinAlgError])
def test_a_case_in_which_pysteps_fails_is_counted(
    name: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    forecaster = made(name)

    def fails(*_: object) -> np.ndarray:
        raise error("too few wet pixels")

    monkeypatch.setattr(type(forecaster), "nowcast", fails)
    members, fallback, *_ = forecast_cases(forecaster, Context(context()), HORIZON)
    assert fallback is not None
    assert fallback.all()
    extrapolated = values(made("extrapolation"), context())
    for member in members:
        np.testing.assert_array_equal(member, extrapolated[0])


def test_one_member_of_linda_is_its_forecast_without_noise() -> None:
    pytest.importorskip("pysteps")
    first, second = (values(Linda(RAIN_RATE, 1, seed), context()[:1]) for seed in (0, 1))
    assert first.shape[0] == 1
    np.testing.assert_array_equal(first, second)
    assert (first[0] != usual("linda")[0][:1]).any()


@every
def test_labels_are_those_of_the_frames(name: str) -> None:
    observed = frames(5, HEIGHT, WIDTH)
    observed[:] = shower(5, WIDTH)[:, :, :HEIGHT]
    forecast = values_of(forecast_frames(made(name), observed, HORIZON))
    ensemble = len(usual(name)) > 1
    assert forecast.dims == ("init_time", *(["member"] if ensemble else []), "lead_time", "channel", "y", "x")
    assert forecast.attrs["forecaster"] == name
    assert forecast["init_time"].values[0] == observed["time"].values[-1]
    np.testing.assert_array_equal(forecast["x"], observed["x"])
    assert "fallback" not in forecast.attrs
    if name == "extrapolation_probability":
        distribution = forecast_frames(made(name), observed, HORIZON, rates=(0.7,))
        assert distribution["exceedance_probability"].sizes["threshold"] == 1
    if name in ("steps", "linda"):
        dry = xr.zeros_like(observed)
        assert "a simpler method" in forecast_frames(made(name), dry, HORIZON).attrs["fallback"]


def test_what_is_missing_is_named_before_anything_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pysteps", None)
    check(["persistence", "climatology"])
    with pytest.raises(
        ConfigError, match=r'steps needs pysteps, which is not installed\n.*pip install "framecast\[oracles\]"'
    ):
        check(["persistence", "steps"])
    with pytest.raises(ConfigError, match=r"unknown baseline 'persistance'\n.*one of: persistence, extrapolation"):
        check(["persistance"])


OTHERS = """
import numpy as np
from framecast.forecasting.baselines import Baseline

class Zero:
    name = "zero"
    context_length = 1

    def forecast(self, context, /, horizon):
        cases, _, *frame = context.frames.shape
        return np.zeros((1, cases, horizon, *frame), np.float32)

ZERO = Baseline("zero", "no rain at all", lambda data: Zero())
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that is installed, with the entry points of `entry_points.txt`, which tests write."""
    (tmp_path / "others_forecasts.py").write_text(OTHERS)
    info = tmp_path / "others_forecasts-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: others-forecasts\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(checks, "_entry_points", checks._entry_points.__wrapped__)
    return info / "entry_points.txt"


def test_packages_of_others_add_theirs(package: Path) -> None:
    package.write_text("[framecast.baselines]\nzero = others_forecasts:ZERO\n")
    assert names() == [*BASELINES, "zero"]
    assert baselines()["zero"] == "no rain at all"
    assert not values(made("zero"), context()).any()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            "zero = others_forecasts:ABSENT",
            r"'zero' of others-forecasts \(others_forecasts:ABSENT\): cannot be imported",
        ),
        ("zero = not_there_at_all:ZERO", r"cannot be imported \(ModuleNotFoundError: No module"),
        ("zero = others_forecasts:Zero", "is no framecast.*Baseline of that name"),
        ("nought = others_forecasts:ZERO", "'nought' of .*is no framecast.*Baseline of that name"),
    ],
)
def test_a_broken_one_is_named(package: Path, entry: str, message: str) -> None:
    package.write_text(f"[framecast.baselines]\n{entry}\n")
    assert find("persistence").name == "persistence", "the others work"
    with pytest.raises(ConfigError, match=message):
        find(entry.split(" ")[0])
    with pytest.raises(ConfigError, match=message):
        baselines()


def test_a_name_that_is_taken_is_refused(package: Path) -> None:
    package.write_text("[framecast.baselines]\npersistence = others_forecasts:ZERO\n")
    with pytest.raises(
        ConfigError, match=r"baseline 'persistence' of others-forecasts.*framecast has one of that name"
    ):
        find("persistence")
