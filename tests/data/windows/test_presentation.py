"""Coordinates that move: a field that only moves stands still in them, and nothing comes from where nothing was seen."""

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from framecast.data.motion import kept as kept_module
from framecast.data.motion.advection import STRIDE, Motion, motion_of
from framecast.data.motion.coordinates import (
    Coordinates,
    Eulerian,
    Lagrangian,
    carry_context,
    carry_forecast,
    carry_window,
    origins_of,
    window_path,
)
from framecast.data.motion.kept import KeptMotions
from framecast.data.quantities import RAIN_RATE
from framecast.data.region import Region
from framecast.data.scale import ASSUMED, scale_of
from framecast.data.scaling import RainLog
from framecast.data.windows.augmentation import Augmentation, scale_rain
from framecast.data.windows.batches import Batches
from framecast.data.windows.presentation import Presentation
from framecast.verification.windows import all_windows

CONTEXT, HORIZON, SIDE, SHIFT = 4, 3, 48, 2


def moving(frames: int = CONTEXT + HORIZON, shift: int = SHIFT) -> torch.Tensor:
    """A smooth field that moves `shift` columns a frame: `(T, 1, H, W)`, by a window over a longer one."""
    rng = np.random.default_rng(0)
    wide = torch.from_numpy(rng.random((1, 1, SIDE, SIDE + shift * frames), dtype=np.float32))
    wide = torch.nn.functional.avg_pool2d(wide, 5, 1, 2)
    starts = [shift * (frames - 1 - time) for time in range(frames)]
    return torch.stack([wide[0, :, :, start : start + SIDE] for start in starts])


def columns(shift: float) -> Motion:
    displacement = np.zeros((2, SIDE, SIDE), dtype=np.float32)
    displacement[1] = shift
    return motion_of(displacement)


def archive(values: np.ndarray, minutes: int = 5) -> xr.DataArray:
    return xr.DataArray(
        values,
        dims=("time", "channel", "y", "x"),
        coords={
            "time": np.datetime64("2020-01-01", "ns") + np.arange(len(values)) * np.timedelta64(minutes, "m"),
            "y": ("y", np.arange(values.shape[2])[::-1] * 2000.0, {"units": "m"}),
            "x": ("x", np.arange(values.shape[3]) * 2000.0, {"units": "m"}),
        },
        attrs={"units": "mm h-1", "quantity": "rain_rate", "dry": 0.0, "repairs": []},
        name="rain",
    )


def test_a_field_that_only_moves_stands_still() -> None:
    frames, positions = moving(), torch.stack(torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij"))
    path = window_path(columns(SHIFT), positions.float(), CONTEXT, HORIZON)
    carried = carry_window(frames, path, CONTEXT - 1, 0.0)
    newest = frames[CONTEXT - 1].expand_as(carried)
    seen = carried.isfinite()
    assert seen.float().mean() > 0.8
    torch.testing.assert_close(carried[seen], newest[seen], rtol=0, atol=1e-4)


def test_and_is_forecast_exactly_by_what_stays_as_it_is() -> None:
    frames = moving()
    origins = origins_of(columns(SHIFT), SIDE, SIDE, HORIZON)
    forecast = carry_forecast(frames[CONTEXT - 1].expand(HORIZON, -1, -1, -1), origins, 0.0)
    seen = forecast.isfinite()
    assert not seen[..., :SHIFT].any()  # it comes from outside
    assert seen[..., HORIZON * SHIFT :].all()
    torch.testing.assert_close(forecast[seen], frames[CONTEXT:][seen], rtol=0, atol=1e-4)


def test_contexts_are_carried_as_windows_are() -> None:
    frames = moving()
    path = window_path(columns(SHIFT), origins_of(columns(0), SIDE, SIDE, 1)[0], CONTEXT, HORIZON)
    origins = origins_of(columns(SHIFT), SIDE, SIDE, CONTEXT - 1)
    context = carry_context(frames[:CONTEXT], origins, 0.0)
    torch.testing.assert_close(context, carry_window(frames, path, CONTEXT - 1, 0.0)[:CONTEXT], equal_nan=True)


def test_three_states_stay_three() -> None:
    frames = torch.zeros(CONTEXT + HORIZON, 1, SIDE, SIDE)
    frames[..., 20:30, 20:30] = 5.0
    frames[..., 40:, :] = torch.nan
    path = window_path(columns(0.5), origins_of(columns(0), SIDE, SIDE, 1)[0], CONTEXT, HORIZON)
    carried = carry_window(frames, path, CONTEXT - 1, 0.0)
    assert carried[..., 40:, :].isnan().all()
    assert (carried[..., :18, 2:-2] == 0).all()
    observed = carried[CONTEXT - 1 :]  # the newest frame and the truth of training are as they were observed
    assert (observed[observed > 0] == 5.0).all()


class TestWindows:
    @pytest.fixture
    def motions(self, tmp_path: Path) -> KeptMotions:
        return KeptMotions(tmp_path)

    def test_without_motion_it_changes_nothing(self, motions: KeptMotions) -> None:
        still = np.repeat(moving()[:1].numpy(), CONTEXT + HORIZON, axis=0)
        source = all_windows(archive(still), CONTEXT, HORIZON).held_out()
        for region in (None, Region(5, 7, 16, 24)):
            plain = Presentation().read(source, 0, region)
            lagrangian = Presentation(Lagrangian(), motions=motions).read(source, 0, region)
            np.testing.assert_allclose(lagrangian[0], plain[0], atol=1e-5)

    def test_another_future_changes_no_context(self, motions: KeptMotions) -> None:
        values, region = moving().numpy(), Region(8, 8, 24, 24)
        other = values.copy()
        other[CONTEXT:] = np.random.default_rng(1).random(other[CONTEXT:].shape)
        contexts = [
            Presentation(Lagrangian(), conditions=True, motions=KeptMotions(Path("/nonexistent"))).read(
                all_windows(archive(each), CONTEXT, HORIZON).held_out(), 0, region
            )
            for each in (values, other)
        ]
        np.testing.assert_array_equal(contexts[0][0][:CONTEXT], contexts[1][0][:CONTEXT])
        np.testing.assert_array_equal(contexts[0][1], contexts[1][1])

    def test_a_crop_is_the_part_of_the_whole(self, motions: KeptMotions) -> None:
        source = all_windows(archive(moving().numpy()), CONTEXT, HORIZON).held_out()
        presentation = Presentation(Lagrangian(), motions=motions)
        whole, region = presentation.read(source, 0)[0], Region(10, 12, 16, 20)
        np.testing.assert_allclose(presentation.read(source, 0, region)[0], whole[(..., *region.slices)], atol=1e-4)

    def test_conditions_say_what_is_known_and_the_scale(self, motions: KeptMotions) -> None:
        values = moving().numpy()
        values[:, :, :, 40:] = np.nan
        source = all_windows(archive(values, minutes=10), CONTEXT, HORIZON).held_out()
        frames, planes = Presentation(Lagrangian(), conditions=True, motions=motions).read(source, 0, zoom=2.0)
        assert planes.shape == (CONTEXT + HORIZON, 3, SIDE, SIDE)
        np.testing.assert_array_equal(planes[:CONTEXT, 0], np.isfinite(frames[:CONTEXT, 0]))
        np.testing.assert_array_equal(planes[CONTEXT:], np.repeat(planes[CONTEXT - 1 : CONTEXT], HORIZON, 0))
        assert planes[0, 1, 0, 0] == 10
        assert planes[0, 2, 0, 0] == pytest.approx(1.0)  # 2 km, zoomed twice

    @pytest.mark.parametrize("coordinates", [Eulerian(), Lagrangian()])
    def test_a_zoomed_window_keeps_the_peaks_of_the_newest_frame(
        self, coordinates: Coordinates, motions: KeptMotions
    ) -> None:
        source = all_windows(archive(moving().numpy()), CONTEXT, HORIZON).held_out()
        observed = Presentation(coordinates, motions=motions).read(source, 0, zoom=1.3)[0][CONTEXT - 1 :]
        assert np.isin(observed[np.isfinite(observed)], moving().numpy()).all()

    def test_batches_are_the_same_whoever_reads_them(self, motions: KeptMotions) -> None:
        source = all_windows(archive(moving(12).numpy()), CONTEXT, HORIZON).held_out()

        def batch(workers: int) -> torch.Tensor:
            stream = Batches(
                source,
                RainLog(),
                2,
                crop=(24, 24),
                flips=True,
                rotations=True,
                workers=workers,
                augmentation=Augmentation(zoom=0.5, amplitude=0.4, crops=3),
                presentation=Presentation(Lagrangian(), conditions=True, motions=motions),
            ).stream(3)
            seen = next(stream).seen
            stream.close()  # type: ignore[attr-defined]
            return seen

        torch.testing.assert_close(batch(0), batch(2), rtol=0, atol=0)


class TestKeptMotions:
    def test_a_motion_is_estimated_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        frames = moving().numpy()
        first = KeptMotions(tmp_path).of(0, frames, RAIN_RATE)
        monkeypatch.setattr(kept_module, "context_motion", lambda *_: pytest.fail("estimated again"))
        again = KeptMotions(tmp_path).of(7, frames, RAIN_RATE)
        torch.testing.assert_close(first.displacement, again.displacement, rtol=0, atol=0)
        assert first.stride == STRIDE

    def test_other_frames_have_another(self, tmp_path: Path) -> None:
        KeptMotions(tmp_path).of(0, moving().numpy(), RAIN_RATE)
        KeptMotions(tmp_path).of(0, moving(shift=1).numpy(), RAIN_RATE)
        assert len(list(tmp_path.iterdir())) == 2

    def test_a_damaged_file_is_estimated_again(self, tmp_path: Path) -> None:
        first = KeptMotions(tmp_path).of(0, moving().numpy(), RAIN_RATE)
        (path,) = tmp_path.iterdir()
        path.write_bytes(path.read_bytes()[:100])
        again = KeptMotions(tmp_path).of(0, moving().numpy(), RAIN_RATE)
        torch.testing.assert_close(first.displacement, again.displacement, rtol=0, atol=0)


def test_rain_is_scaled_and_dry_stays_dry() -> None:
    rain = np.array([0.0, 2.0, np.nan], dtype=np.float32)
    np.testing.assert_allclose(scale_rain(rain, 1.5, RAIN_RATE), [0.0, 3.0, np.nan])


def test_the_scale_is_that_of_the_coordinates() -> None:
    frames = archive(moving().numpy(), minutes=15)
    assert scale_of(frames) == (15.0, 2.0, (), "north_first", "west_first")
    degrees = frames.assign_coords(
        y=("y", 50 + np.arange(SIDE) * 0.01, {"units": "degrees_north"}),
        x=("x", np.arange(SIDE) * 0.01, {"units": "degrees_east"}),
    )
    assert scale_of(degrees).kilometres == pytest.approx((1.112 + 1.112 * np.cos(np.radians(50.235))) / 2, rel=1e-3)
    unknown = scale_of(frames.drop_vars(["y", "x"]).isel(time=[0]))
    assert unknown[:2] == ASSUMED[:2]
    assert "pixel size is not known, 1 km is assumed" in unknown.note
