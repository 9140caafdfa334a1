"""The files of deploy/: what they run exists, and they do what they say as far as it can be tried without their systems."""

import configparser
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import typer.main

from framecast.cli import app
from framecast.service.processes import GRACE

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("file", sorted(DEPLOY.iterdir()), ids=lambda file: file.name)
def test_every_command_exists_with_its_options(file: Path) -> None:
    calls = re.findall(
        r"(?:^|[\s/=])framecast ((?:run|serve|[a-z]+)\b(?: --[a-z-]+)*) [\"/$>]", file.read_text(), re.MULTILINE
    )
    if file.name == "Dockerfile":
        assert 'ENTRYPOINT ["framecast"]' in file.read_text()
        calls = [" ".join(re.findall(r'CMD \["([a-z]+)"', file.read_text())[-1:])]
    assert calls
    for call in calls:
        name, *options = call.split()
        known = {option for parameter in COMMANDS[name].params for option in parameter.opts}
        assert set(options) <= known


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    parser = configparser.RawConfigParser(strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(DEPLOY / "framecast.service")
    service = parser["Service"]
    assert service["ExecStart"] == "/opt/framecast/bin/framecast run /etc/framecast/service.yaml"
    assert service["Restart"] == "always"
    assert service["User"] != "root"
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    unit = tmp_path / "framecast.service"
    unit.write_text((DEPLOY / "framecast.service").read_text().replace("/opt/framecast/bin/framecast", "/bin/true"))
    verified = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")


def test_the_image_copies_what_exists_and_runs_as_a_user() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    for copied in re.findall(r"^COPY (?!--)(.+) \S+$", text, re.MULTILINE):
        assert all((ROOT / name).exists() for name in copied.split())
    assert "--constraint constraints.txt" in text
    final = text[text.rindex("FROM ") :]
    assert re.search(r"^USER (?!root)\w+$", final, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK ", final, re.MULTILINE)


def test_each_supervisor_allows_the_processes_their_grace() -> None:
    """And the command some seconds more, to end itself."""
    for name, pattern in (
        ("framecast.service", r"^TimeoutStopSec=(\d+)$"),
        ("Dockerfile", r"--stop-timeout (\d+)"),
        ("framecast.slurm", r"--signal=B:TERM@(\d+)"),
    ):
        limit = re.search(pattern, (DEPLOY / name).read_text(), re.MULTILINE)
        assert limit is not None
        assert int(limit[1]) >= GRACE + 5, name


@pytest.mark.parametrize(("number", "requeued"), [(signal.SIGTERM, True), (signal.SIGINT, False)])
def test_the_job_ends_its_service_and_puts_itself_into_the_queue(
    number: signal.Signals, requeued: bool, tmp_path: Path
) -> None:
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    log = tmp_path / "log"
    service = f'#!/bin/bash\necho "framecast $*" >> {log}\n[ "$2" = --check ] && exit 0\n'
    service += f"trap 'echo stopped >> {log}; exit 0' TERM\necho started >> {log}\nwhile true; do sleep 0.05; done\n"
    for name, text in (("framecast", service), ("scontrol", f'#!/bin/bash\necho "scontrol $*" >> {log}\n')):
        (bin_ / name).write_text(text)
        (bin_ / name).chmod(0o755)
    job = subprocess.Popen(
        ["bash", str(DEPLOY / "framecast.slurm"), "my.yaml"],
        env={**os.environ, "PATH": f"{bin_}:{os.environ['PATH']}", "SLURM_JOB_ID": "7"},
    )
    deadline = time.monotonic() + 20
    while not (log.exists() and "started" in log.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    job.send_signal(number)
    assert job.wait(20) == 0
    ending = ["stopped", "scontrol requeue 7"] if requeued else ["stopped"]
    assert log.read_text().splitlines() == [
        "framecast run --check my.yaml",
        "framecast run my.yaml",
        "started",
        *ending,
    ]
