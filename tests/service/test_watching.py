"""Watching: half written, changed, damaged, renamed and old files, and stores that grow."""

import datetime
import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from rain_frames import STEP, SetClock, at, domain_of, netcdf, put, shower

from framecast.data.readers.options import DEFAULT
from framecast.service.layout import to_stamp
from framecast.service.sources import Source, source_of

HISTORY = datetime.timedelta(hours=2)


def frames(*numbers: int) -> xr.Dataset:
    """Frames as a store holds them."""
    times = {"time": [to_stamp(at(number)) for number in numbers]}
    values = np.stack([shower(number) for number in numbers])
    return xr.DataArray(values, times, ("time", "y", "x"), "rain", {"units": "mm/h"}).to_dataset()


class Watch:
    """A source that is polled on a clock set by hand."""

    def __init__(self, place: str | Path, **settings: object) -> None:
        self.clock = SetClock(at(20))
        domain = domain_of(place, patience=30, **settings)
        self.source: Source = source_of(domain, DEFAULT, HISTORY, self.clock.timer)

    def look(self, seconds: float = 2.0) -> tuple[list[datetime.datetime], list[str]]:
        self.clock.advance(seconds)
        poll = self.source.poll(self.clock.now())
        return [arrival.time for arrival in poll.arrivals], poll.problems


def test_a_file_is_read_once_it_stays_the_same(tmp_path: Path) -> None:
    watch, whole = Watch(tmp_path), netcdf(19)
    path = tmp_path / "rain.nc"
    path.write_bytes(whole[:2000])
    assert watch.look() == ([], [])
    path.write_bytes(whole)
    assert watch.look() == ([], [])
    assert watch.look() == ([at(19)], [])
    assert watch.look() == ([], [])


def test_what_a_file_waits_for_a_look_that_is_due_counts(tmp_path: Path) -> None:
    """It comes 30 s before a look that is 50 s late, since a cycle took so long; the next is on time."""
    clock = SetClock(at(10))
    source = source_of(domain_of(tmp_path, poll=2), DEFAULT, HISTORY, clock.timer)
    source.poll(clock.now())
    clock.advance(52)
    path = put(tmp_path, 10)
    came = clock.time.timestamp() - 30
    os.utime(path, (came, came))
    source.poll(clock.now())
    clock.advance(2)
    (arrival,) = source.poll(clock.now()).arrivals
    assert arrival.seen == pytest.approx(54 - 30)


def test_a_file_that_stays_half_written_is_damaged_after_the_patience(tmp_path: Path) -> None:
    watch, whole = Watch(tmp_path), netcdf(19)
    path = tmp_path / "rain.nc"
    path.write_bytes(whole[: len(whole) // 2])
    seen = [watch.look(10) for _ in range(6)]
    assert [frames for frames, _ in seen] == [[]] * 6
    assert [len(problems) for _, problems in seen] == [0, 0, 0, 1, 0, 0]
    assert "damaged: rain.nc" in seen[3][1][0]
    path.write_bytes(whole)  # completed after all
    watch.look()
    assert watch.look() == ([at(19)], [])


def test_names_of_transfers_in_progress_and_of_old_times_are_passed_over(tmp_path: Path) -> None:
    for other in (".rain.nc", "rain.nc.part", "rain.tmp", "rain_201501010000.nc"):
        (tmp_path / other).write_bytes(netcdf(19))
    watch = Watch(tmp_path)
    assert [watch.look() for _ in range(3)] == [([], [])] * 3
    os.rename(tmp_path / "rain.nc.part", tmp_path / "rain.nc")
    watch.look()
    assert watch.look() == ([at(19)], [])


def test_frames_before_the_history_are_not_loaded(tmp_path: Path) -> None:
    for number in (-30, 18, 19):
        (tmp_path / f"rain{number}.nc").write_bytes(netcdf(number))
    watch = Watch(tmp_path)
    watch.look()
    assert sorted(watch.look()[0]) == [at(18), at(19)]


def test_a_pattern_finds_files_that_come_later(tmp_path: Path) -> None:
    watch = Watch(tmp_path / "*" / "*.npy")
    assert watch.look() == ([], [])
    put(tmp_path / "day", 19)
    put(tmp_path, 18)
    watch.look()
    assert watch.look() == ([at(19)], [])


@pytest.mark.parametrize("place", ["folder", "memory://of-a-service.zarr"])
def test_a_store_that_grows_gives_its_new_frames(tmp_path: Path, place: str) -> None:
    """Here, and at the address of an object store."""
    store = str(tmp_path / "rain.zarr") if place == "folder" else place

    frames(17, 18).to_zarr(store, zarr_format=3, consolidated=False)
    watch = Watch(store)
    assert watch.look() == ([at(17), at(18)], [])
    frames(19).to_zarr(store, append_dim="time", consolidated=False)
    assert watch.look() == ([at(19)], [])
    assert watch.look() == ([], [])


def test_a_store_that_comes_later_is_read(tmp_path: Path) -> None:
    store = tmp_path / "rain.zarr"
    watch = Watch(store)
    assert watch.look() == ([], [])
    store.mkdir()  # mounted, and still empty
    assert watch.look() == ([], [])
    units = {"time": {"units": "seconds since 1970-01-01", "dtype": "int64"}}
    frames(18).to_zarr(store, zarr_format=3, consolidated=False, encoding=units)
    assert watch.look() == ([at(18)], [])
    frames(19).to_zarr(store, append_dim="time", consolidated=False)
    assert watch.look() == ([at(19)], [])


@pytest.mark.parametrize("kind", ["file", "store"])
def test_frames_ahead_of_the_clock_are_left_until_they_are_due(tmp_path: Path, kind: str) -> None:
    place = tmp_path / ("rain.zarr" if kind == "store" else "in")
    if kind == "store":
        frames(20, 21, 22, 24).to_zarr(place, zarr_format=3, consolidated=False)
    else:
        place.mkdir()
        (place / "rain.nc").write_bytes(bytes(frames(20, 21, 22, 24).to_netcdf(engine="h5netcdf")))
    watch = Watch(place)
    seen = {}
    for _ in range(15):
        watch.clock.advance(60)
        poll = watch.source.poll(watch.clock.now())
        for arrival in poll.arrivals:
            assert arrival.time not in seen
            assert arrival.time < watch.clock.now() + STEP
            seen[arrival.time] = poll.ahead
    assert seen == {at(20): at(24), at(21): at(24), at(22): at(24)}
    watch.clock.advance(300)
    poll = watch.source.poll(watch.clock.now())
    assert ([arrival.time for arrival in poll.arrivals], poll.ahead) == ([at(24)], None)


def test_what_cannot_be_looked_at_hides_no_frames_and_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Links to themselves, before and after the frame in the listing."""
    for name in ("a", "rain", "z"):
        (tmp_path / name).symlink_to(name)
        (tmp_path / "day").mkdir(exist_ok=True)
        (tmp_path / "day" / name).symlink_to(name)
    (tmp_path / "rain.nc").write_bytes(netcdf(19))
    (tmp_path / "day" / "rain.nc").write_bytes(netcdf(18))
    watch = Watch(tmp_path)
    watch.look()
    assert sorted(watch.look()[0]) == [at(18), at(19)]
    watch.look()
    assert len([each for each in caplog.messages if "is passed over" in each]) == 6
