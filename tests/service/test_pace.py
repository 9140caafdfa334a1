"""The deadline: plans shrink while cycles are slow, and recover."""

from pathlib import Path

from rain_frames import domain_of

from framecast.service.pace import Pace, plans_of


def test_plans_shrink_members_then_lead_times_then_the_rung() -> None:
    plans = plans_of(domain_of(Path(), members=16, horizon=12, ladder=("steps", "persistence")))
    assert [plan[:3] for plan in plans] == [
        (16, 12, 0),
        (8, 12, 0),
        (4, 12, 0),
        (4, 6, 0),
        (None, 12, 1),
        (None, 12, 2),
    ]
    assert [plan[:3] for plan in plans_of(domain_of(Path(), horizon=1))] == [(None, 1, 0), (None, 1, 1)]


def test_slow_cycles_are_cut_down_and_tried_again_later() -> None:
    pace = Pace(domain_of(Path(), members=8, horizon=12, deadline=10), [])
    full = pace.choose(0, 0)
    assert full == pace.plans[0]
    pace.record(full, 30, 31, 0)
    smaller = pace.choose(0, 1)
    assert smaller[:3] == (4, 12, 0)
    assert "cut down to 4 members of 8" in smaller.reason
    pace.record(smaller, 12, 13, 1)
    assert pace.choose(0, 2)[:3] == (4, 6, 0)
    assert pace.choose(0, 2 + 3600) == full
    assert pace.overruns == 2


def test_the_time_that_is_gone_counts() -> None:
    pace = Pace(domain_of(Path(), horizon=12, deadline=10), [])
    pace.record(pace.choose(0, 0), 4, 4, 0)
    assert pace.choose(5, 1) == pace.plans[0]
    assert pace.choose(7, 1)[:3] == (None, 6, 0)
    assert pace.choose(11, 1)[:3] == (None, 12, 1)


def test_a_rung_that_is_too_slow_is_passed_over() -> None:
    pace = Pace(domain_of(Path(), horizon=1, deadline=10, ladder=("steps", "persistence")), [])
    for expected in range(3):
        plan = pace.choose(0, 0)
        assert plan.first == expected
        pace.record(plan, 20, 20, 0)
    assert plan.reason == "cut down to persistence, to be on time (10 s are left)"
    assert pace.choose(0, 0) == plan
    fresh = Pace(domain_of(Path(), horizon=1, deadline=10, ladder=("steps", "persistence")), [])
    assert fresh.choose(11, 0).reason == "cut down to steps, to be on time (the deadline has passed)"


def test_latencies_are_summarised_over_a_window() -> None:
    pace = Pace(domain_of(Path()), [1000.0] * 500)
    assert pace.latency()["p50"] == 1000
    for _ in range(288):
        pace.record(pace.plans[0], 1, 2, 0)
    assert pace.latency() == {"p50": 2.0, "p95": 2.0, "p99": 2.0}
    assert Pace(domain_of(Path()), []).latency()["p50"] is None
