"""A simulated day: every expected time has its outcome, whatever comes."""

from pathlib import Path

import pytest
from kill_services import kill_services
from rain_frames import content, domain_of, shower
from simulated_day import Day, check_day, table


def simulate(tmp_path: Path, cycles: int, seed: int) -> None:
    domain = domain_of(tmp_path / "in", ladder=("extrapolation", "persistence"), model="extrapolation_probability")
    day = Day(domain, tmp_path / "out", shower, content, ".npy", cycles, seed)
    day.run()
    counts = table(day, check_day(day))
    for fault in ("missing", "late", "damaged", "no_data", "other_grid", "empty_file", "off_clock"):
        assert set(counts.get(fault, {"nothing"})) == {"nothing"}, fault


@pytest.mark.parametrize("seed", [1])
def test_a_few_hours_with_faults_are_all_declared(seed: int, tmp_path: Path) -> None:
    simulate(tmp_path, 16, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_day_with_faults_is_all_declared(seed: int, tmp_path: Path) -> None:
    simulate(tmp_path, 288, seed)


def test_killed_processes_leave_no_gap_and_no_double(tmp_path: Path) -> None:
    counts = kill_services(tmp_path, seed=5, kills=3, calls=150, rest=1200)
    assert sum(count for what, count in counts.items() if what.startswith("killed")) == 3
    assert counts["extrapolation"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_many_killed_processes_leave_no_gap_and_no_double(seed: int, tmp_path: Path) -> None:
    kill_services(tmp_path, seed, kills=40)
