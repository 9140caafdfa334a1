"""Clocks that jump, are wrong at the start, or slow: forecasts go on, and nothing that is young is deleted."""

import datetime
from pathlib import Path
from typing import Any

import pytest
from rain_frames import STEP, Output, SetClock, at, domain_of, put

from framecast.service.domain import DomainLoop
from framecast.service.layout import Time, from_iso, iso
from framecast.service.settings import Retention

DAY = datetime.timedelta(days=1)


class Station(Output):
    """A domain whose frames come at their true times, while the machine's clock is wrong by `error`."""

    def __init__(self, tmp_path: Path, error: datetime.timedelta = 0 * DAY, **settings: Any) -> None:
        self.incoming, self.out = tmp_path / "in", tmp_path / "out"
        self.incoming.mkdir()
        self.true, self.error = SetClock(at(0)), error
        self.domain = domain_of(self.incoming, **settings)

    def now(self) -> Time:
        return self.true.time + self.error

    def loop(self) -> DomainLoop:
        return DomainLoop(self.domain, self.out, now=self.now, timer=self.true.timer)

    def run(self, loop: DomainLoop, *numbers: int, every: int = 60) -> None:
        """Let frames come, and five minutes go by after each."""
        for number in numbers:
            put(self.incoming, number)
            for _ in range(300 // every):
                self.true.advance(every)
                loop.step()

    @property
    def forecast(self) -> list[int]:
        """The numbers of the frames that were forecast."""
        issued = [from_iso(each["cycle"]) for each in self.records if each["outcome"] == "forecast"]
        return [(time - at(0)) // STEP for time in issued]

    def stored(self, folder: str) -> int:
        return len(list((self.out / "small" / folder).iterdir()))


@pytest.mark.parametrize("error", [DAY / 12, 3 * DAY, -DAY / 12])
def test_a_jump_of_the_clock_that_is_over_soon_changes_nothing(tmp_path: Path, error: datetime.timedelta) -> None:
    station = Station(tmp_path)
    with station.loop() as loop:
        station.run(loop, 0, 1, 2)
        station.error = error
        for _ in range(4):
            station.true.advance(60)
            loop.step()
        station.error = 0 * DAY
        station.run(loop, *range(3, 7))
    with station.loop() as loop:
        station.run(loop, 7, 8)
    assert station.forecast == list(range(9))
    assert [record["cycle"] for record in station.records] == [iso(at(number)) for number in range(9)]
    assert station.stored("forecasts") == station.stored("frames") == 9


def test_a_clock_that_stays_ahead_deletes_nothing_young_and_is_made_up_for(tmp_path: Path) -> None:
    """Three days ahead for half an hour, also over a restart; then it is right again."""
    station = Station(tmp_path, retention=Retention(forecasts=1, frames=1))
    with station.loop() as loop:
        station.run(loop, *range(3))
        station.error = 3 * DAY
        station.run(loop, *range(3, 6))
    with station.loop() as loop:
        station.run(loop, *range(6, 9))
        assert station.stored("forecasts") >= 3
        assert station.stored("frames") >= 3
        station.error = 0 * DAY
        station.run(loop, *range(9, 14))
    with station.loop() as loop:
        station.run(loop, *range(14, 16))
    assert {*range(3), *range(11, 16)} <= set(station.forecast)
    assert len(set(station.forecast)) == len(station.forecast)
    assert station.status["next_expected"] == iso(at(16))


def test_a_restart_makes_up_for_a_ledger_that_is_ahead(tmp_path: Path) -> None:
    station = Station(tmp_path)
    with station.loop() as loop:
        station.run(loop, *range(3))
    station.error = 3 * DAY
    with station.loop() as loop:
        for _ in range(3):
            station.true.advance(60)
            loop.step()
    assert len(station.records) > 800
    station.error = 0 * DAY
    station.true.advance(120)
    with station.loop() as loop:
        station.run(loop, 3, 4, 5, 6)
    assert station.forecast[-2:] == [5, 6]
    assert station.status["next_expected"] == iso(at(7))


def test_a_first_start_with_an_old_clock_bounds_the_ledger_and_reads_all_frames_later(tmp_path: Path) -> None:
    station = Station(tmp_path, error=-3650 * DAY)
    with station.loop() as loop:
        station.run(loop, 0, 1, 2)
        station.error = 0 * DAY
        station.run(loop, *range(3, 7))
    assert station.forecast[-2:] == [5, 6]
    assert len(station.records) < 20
    (gap,) = [each for each in station.records if any(reason.startswith("gap: ") for reason in each["reasons"])]
    assert gap["outcome"] == "nothing"
    assert station.records[-1]["reasons"] == []  # the frames before are in the context


def test_a_first_start_with_a_clock_ahead_forecasts_once_it_is_right(tmp_path: Path) -> None:
    station = Station(tmp_path, error=3650 * DAY)
    with station.loop() as loop:
        station.run(loop, 0, 1, 2)
        station.error = 0 * DAY
        station.run(loop, *range(3, 8))
    assert station.forecast[-3:] == [5, 6, 7]
    assert not any("down" in reason for record in station.records for reason in record["reasons"])


def test_frames_ahead_of_a_slow_clock_wait_until_they_are_due(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The clock is twelve minutes slow."""
    station = Station(tmp_path, error=-datetime.timedelta(minutes=12))
    with station.loop() as loop:
        for number in range(8):
            station.run(loop, number)
            assert loop.memory.newest is None or loop.memory.newest <= station.now() + STEP
    assert station.forecast == list(range(7))
    assert station.records[-1]["reasons"] == []
    assert station.status["ahead_seconds"] == pytest.approx(660, abs=120)
    warnings = [record.getMessage() for record in caplog.records if "ahead of the clock" in record.getMessage()]
    assert len(warnings) == 1
    assert "are the times local, not UTC?" in warnings[0]
    assert any(reason.startswith("ahead: ") for record in station.records for reason in record["reasons"])


def test_the_warning_ends_when_frames_come_in_time(tmp_path: Path) -> None:
    station = Station(tmp_path, error=-datetime.timedelta(minutes=12))
    with station.loop() as loop:
        station.run(loop, 0, 1, 2, 3)
        assert station.status["ahead_seconds"] is not None
        station.error = 0 * DAY
        station.run(loop, *range(4, 8))
    assert station.status["ahead_seconds"] is None
    assert station.forecast[-3:] == [5, 6, 7]
