"""The memory: frames on the clock, one grid, constant size; and the clock itself."""

import datetime

import numpy as np
import pytest
import xarray as xr
from rain_frames import START, STEP, at, domain_of, shower

from framecast.data.frames import build
from framecast.service.layout import Time, to_stamp
from framecast.service.memory import Clock, Memory
from framecast.service.sources import Arrival


def arrival(number: int, values: np.ndarray | None = None, off: float = 0, units: str = "mm/h") -> Arrival:
    values = shower(number) if values is None else values
    time = at(number) + datetime.timedelta(seconds=off)
    array = xr.DataArray(values[None], {"time": [to_stamp(time)]}, ("time", "y", "x"), "rain", {"units": units})
    frame = build(array, where="test").assign_coords(source=("time", [f"{number}.nc"])).load()
    return Arrival(time, frame, f"in/{number}.nc", 0.0, 0.0)


@pytest.fixture
def clock() -> Clock:
    return Clock(domain_of(__file__))  # type: ignore[arg-type]


@pytest.fixture
def memory(clock: Clock) -> Memory:
    return Memory(clock, 6, adopt_after=3)


def add(memory: Memory, each: Arrival) -> tuple[Time | None, str]:
    return memory.add(each, at(30))


def test_the_clock_has_an_offset_and_a_tolerance() -> None:
    clock = Clock(domain_of(__file__, cadence=6.0, offset=2.0))  # type: ignore[arg-type]
    midnight = datetime.datetime(2026, 5, 1, tzinfo=datetime.UTC)
    minute = datetime.timedelta(minutes=1)
    assert clock.at(midnight + 7.9 * minute) == midnight + 2 * minute
    assert clock.nearest(midnight + 7.6 * minute) == midnight + 8 * minute
    assert clock.nearest(midnight + 5 * minute) is None
    assert clock.between(midnight + 2 * minute, midnight + 14 * minute) == [midnight + k * minute for k in (2, 8)]
    assert clock.between(midnight + 14 * minute, midnight + 2 * minute) == []


def test_frames_are_put_on_the_clock_and_ordered(memory: Memory) -> None:
    assert add(memory, arrival(2, off=20)) == (at(2), "")
    assert add(memory, arrival(1)) == (at(1), "")
    context = memory.context(at(2), 4)
    assert context is not None
    assert list(context["time"].values) == [to_stamp(at(1)), to_stamp(at(2))]
    assert np.array_equal(context.values[1, 0], shower(2))
    assert memory.context(at(0), 4) is None


def test_what_is_off_the_clock_or_from_the_future_is_refused(memory: Memory) -> None:
    assert "off the clock" in add(memory, arrival(2, off=120))[1]
    assert "from the future" in memory.add(arrival(9), at(2))[1]
    assert memory.newest is None


def test_a_copy_is_passed_over_and_a_correction_replaces(memory: Memory) -> None:
    add(memory, arrival(1))
    assert add(memory, arrival(1)) == (None, "")
    assert add(memory, arrival(1, shower(5))) == (at(1), "")
    held = memory.get(at(1))
    assert held is not None
    assert np.array_equal(held.frame.values[0, 0], shower(5))


def test_the_memory_stays_as_large_as_it_is(memory: Memory) -> None:
    for number in range(50):
        add(memory, arrival(number))
    assert memory.newest == at(35) or memory.newest is not None
    context = memory.context(memory.newest, 100)  # type: ignore[arg-type]
    assert context is not None
    assert context.sizes["time"] == 6


def test_another_grid_is_refused_until_it_stays(memory: Memory) -> None:
    add(memory, arrival(0))
    small = [add(memory, arrival(number, shower(number, 32))) for number in (1, 2)]
    assert all(time is None and "another grid: 32 x 32 pixels, not 48 x 48" in reason for time, reason in small)
    assert add(memory, arrival(3)) == (at(3), "")  # so the count begins anew
    results = [add(memory, arrival(number, shower(number, 32))) for number in (4, 5, 6)]
    assert [time for time, _ in results] == [None, None, at(6)]
    assert memory.get(at(3)) is None
    assert memory.get(at(5)) is not None


def test_another_quantity_is_refused(memory: Memory) -> None:
    add(memory, arrival(0))
    assert "another quantity" in add(memory, arrival(1, units="dBZ"))[1]


def test_the_start_is_on_the_clock(clock: Clock) -> None:
    assert clock.at(START) == START == clock.nearest(START + 0.05 * STEP)
