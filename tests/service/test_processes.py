"""The processes of a service: restarts with back-off, silence, and a clean end by signals."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from rain_frames import content, domain_of

from framecast.errors import RunError
from framecast.service import processes
from framecast.service.layout import name_of, utc_now
from framecast.service.processes import Child, Group, run_service
from framecast.service.settings import Service
from framecast.writing import claim


def live(mark: Path) -> None:
    signal.signal(
        signal.SIGTERM, signal.SIG_DFL
    )  # a fork has the handlers of the group, other than a process of its own
    mark.write_text(str(os.getpid()))
    time.sleep(60)


def crash(mark: Path) -> None:
    with mark.open("a") as file:
        file.write("x")
    os._exit(3)


def fall_silent(mark: Path, sign: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with mark.open("a") as file:
        file.write("x")
    time.sleep(60)


def wait_for(what: Any, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def state_of(out: Path) -> dict[str, dict[str, Any]]:
    content = json.loads((out / "service.json").read_text())
    return {each["name"]: each for each in content["processes"]}


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"


def test_a_crash_takes_no_other_down_and_a_signal_ends_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "START_METHOD", "fork")
    monkeypatch.setattr(processes, "FIRST_DELAY", 0.05)
    children = [
        Child("well", live, (tmp_path / "well",), None),
        Child("ill", crash, (tmp_path / "ill",), None, delay=0.05),
        Child("silent", fall_silent, (tmp_path / "silent",), 0.3, delay=0.05),
    ]
    settings = Service(out=str(tmp_path), domains=(domain_of(tmp_path),))
    group = os.fork()
    if not group:
        try:
            Group(settings, tmp_path, children).run(processes.stop_on_signals())
            os._exit(0)
        finally:
            os._exit(9)
    wait_for(
        lambda: all(
            (tmp_path / name).exists() and len((tmp_path / name).read_text()) >= 2 for name in ("ill", "silent")
        )
    )
    wait_for(lambda: (tmp_path / "service.json").exists() and state_of(tmp_path)["silent"]["restarts"] >= 2)
    state, well = state_of(tmp_path), int((tmp_path / "well").read_text())
    assert not gone(well)
    assert (state["well"]["restarts"], state["well"]["pid"]) == (0, well)
    assert "exit code 3" in state["ill"]["last_exit"]
    assert "SIGKILL" in state["silent"]["last_exit"]
    os.kill(group, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(group, 0)[1]) == 0
    assert gone(well)


class InProgress:
    """A process that after SIGTERM works on for so many seconds of a clock that is set by hand."""

    name = "busy"

    def __init__(self, seconds: float) -> None:
        self.left, self.clock, self.killed = seconds, 0.0, False

    def terminate(self) -> None:
        pass

    def join(self, timeout: float = float("inf")) -> None:
        step = min(self.left, timeout)
        self.left, self.clock = self.left - step, self.clock + step

    def is_alive(self) -> bool:
        return self.left > 0

    def kill(self) -> None:
        self.killed, self.left = True, 0.0


@pytest.mark.parametrize(("seconds", "killed"), [(15.0, False), (60.0, True)])
def test_a_forecast_in_progress_is_done_to_its_end(
    seconds: float, killed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """15 s are twice what one of the radar model takes on two cores that others use too."""
    busy = InProgress(seconds)
    monkeypatch.setattr(processes.time, "monotonic", lambda: busy.clock)
    child: Any = Child("busy", live, (), None, process=busy)  # type: ignore[arg-type]
    settings = Service(out=str(tmp_path), domains=(domain_of(tmp_path),))
    Group(settings, tmp_path, [child]).run(processes.Stop(requested=True))
    assert busy.killed == killed
    assert busy.clock <= processes.GRACE


def test_one_service_writes_a_folder(tmp_path: Path) -> None:
    settings = Service(out=str(tmp_path), domains=(domain_of(tmp_path / "in"),))
    with claim(tmp_path), pytest.raises(RunError, match="another process"):
        run_service(settings)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_the_command_forecasts_until_it_is_stopped(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    config = tmp_path / "service.yaml"
    config.write_text(
        f"out: {tmp_path}/out\nlog: {{format: json}}\ndomains:\n"
        + "".join(
            f"  - {{name: {name}, source: {tmp_path}/in, model: extrapolation, ladder: [persistence], horizon: 2, poll: 0.1,"
            f" cadence: 0.05, wait: 0.5, options: {{units: mm/h}}, scores: false}}\n"
            for name in ("one", "two")
        )
    )
    service = subprocess.Popen([sys.executable, "-m", "framecast.cli", "run", str(config)], stderr=subprocess.PIPE)

    def feed() -> None:
        now = utc_now()
        time_ = now.replace(second=now.second // 3 * 3, microsecond=0)
        path = tmp_path / "in" / f"rain_{name_of(time_)}.npy"
        if not path.exists():
            path.write_bytes(content(now.second // 3))

    def issued() -> bool:
        feed()
        return all(len(list((tmp_path / "out" / name / "forecasts").glob("*"))) >= 3 for name in ("one", "two"))

    wait_for(issued, 120)
    pids = [each["pid"] for each in state_of(tmp_path / "out").values()]
    begun = time.monotonic()
    service.send_signal(number)
    assert service.wait(20) == (0 if number != signal.SIGKILL else -9)
    wait_for(lambda: all(map(gone, pids)), 20)
    assert time.monotonic() - begun < 20
    assert service.stderr is not None
    lines = [json.loads(line) for line in service.stderr.read().splitlines()]
    assert {line["domain"] for line in lines} == {"service", "one", "two"}
    assert not [line for line in lines if line["level"] == "error"]
    assert (tmp_path / "out" / "one" / "service.log").read_text()
