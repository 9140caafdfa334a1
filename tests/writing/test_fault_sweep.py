"""The commands on a disk that fails once: a clear error, nothing half-written, and the same command then gives what it gives on
a disk that never fails."""

import io
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from faulty_disk import FAULTS, FaultyDisk, content_of, files_up_to

import framecast
from framecast.cli import main
from small_run import SMALL_RUN

SETTINGS = ("data.context=2", "data.horizon=2", "model.hidden=[4]", *SMALL_RUN)


def run(*arguments: object) -> tuple[int, str]:
    """The exit code of a command, run in this process, and what it prints."""
    printed, before = io.StringIO(), sys.argv
    sys.argv = ["framecast", *map(str, arguments)]
    try:
        with redirect_stdout(printed), redirect_stderr(printed):
            main()
    except SystemExit as stop:
        return int(stop.code or 0), printed.getvalue()
    finally:
        sys.argv = before
    return 0, printed.getvalue()


@dataclass(frozen=True)
class Case:
    """A command that writes into `folder`, the command that goes on after an error, and what of the result must be equal."""

    command: Callable[[Path], tuple[object, ...]]
    result: Callable[[Path], object]
    go_on: Callable[[Path], tuple[object, ...]] | None = None


def arrays_of(path: Path) -> dict[str, object]:
    """The variables of a NetCDF file, without times of the computer."""
    with xr.open_dataset(path, engine="h5netcdf", decode_cf=False) as file:
        values = {str(name): file[name].values for name in file.variables if "seconds" not in str(name)}
    return {name: each.tolist() if each.dtype == object else each.tobytes() for name, each in values.items()}


def model_of(folder: Path) -> dict[str, bytes]:
    return {**content_of(folder / "run" / "last"), "settings": (folder / "run" / "experiment.yaml").read_bytes()}


def verification_of(folder: Path) -> object:
    assert (folder / "scores" / "report.html").read_text().rstrip().endswith("</html>")
    return arrays_of(folder / "scores" / "cases.nc")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two files of twenty frames."""
    folder = tmp_path_factory.mktemp("archive")
    rng = np.random.default_rng(0)
    for part in range(2):
        time = np.datetime64("2024-06-01", "ns") + (20 * part + np.arange(20)) * np.timedelta64(5, "m")
        values = rng.gamma(0.3, 4.0, (20, 16, 16)).astype(np.float32)
        frames = xr.DataArray(values, dims=("time", "y", "x"), coords={"time": time}, name="rain")
        frames.assign_attrs(units="mm/h").to_netcdf(folder / f"{part}.nc", engine="h5netcdf")
    return folder


@pytest.fixture(scope="module")
def model(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four iterations."""
    out = tmp_path_factory.mktemp("runs") / "trained"
    return framecast.train("recipes/radar.yaml#convlstm", [f"data.path={source}", *SETTINGS], out=out)


@pytest.fixture(scope="module")
def cases(source: Path, model: Path) -> dict[str, Case]:
    """The commands."""
    recipe = ("recipes/radar.yaml#convlstm", f"data.path={source}", *SETTINGS)

    def forecast(name: str) -> Callable[[Path], tuple[object, ...]]:
        return lambda folder: ("forecast", model, "--data", source / "0.nc", "--out", folder / name)

    scores = ("--baselines", "persistence", "--limit", "3")
    return {
        "convert": Case(
            lambda folder: ("convert", source, "--out", folder / "a.zarr", "--chunks", "4,8,8"),
            lambda folder: content_of(folder / "a.zarr"),
        ),
        "forecast .nc": Case(forecast("f.nc"), lambda folder: arrays_of(folder / "f.nc")),
        "forecast .zarr": Case(forecast("f.zarr"), lambda folder: content_of(folder / "f.zarr")),
        "forecast .gif": Case(forecast("f.gif"), lambda folder: (folder / "f.gif").read_bytes()),
        "evaluate": Case(
            lambda folder: ("evaluate", model, "--data", source, *scores, "--out", folder / "scores"), verification_of
        ),
        "train": Case(
            lambda folder: ("train", *recipe, "--out", folder / "run"),
            model_of,
            lambda folder: ("train", "--resume", folder / "run"),
        ),
    }


@pytest.fixture
def expected(cases: dict[str, Case], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[object, int]]:
    """The result of a command on a disk that does not fail, and how often it writes."""

    def undisturbed(name: str) -> tuple[object, int]:
        folder = tmp_path_factory.mktemp("undisturbed")
        with pytest.MonkeyPatch.context() as patch:
            disk = FaultyDisk(folder).install(patch)
            code, printed = run(*cases[name].command(folder))
        assert code == 0, printed
        return cases[name].result(folder), len(disk.calls)

    return undisturbed


@contextmanager
def failing(folder: Path, at: int, fault: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        FaultyDisk(folder, at, fault).install(patch)
        yield


def check(case: Case, folder: Path, fault: AbstractContextManager[None], result: object) -> bool:
    """Run a command with a fault, and again without; whether it failed."""
    folder.mkdir()
    with fault:
        code, printed = run(*case.command(folder))
    assert code in (0, 2), printed
    if code == 2:
        assert "cannot be written (" in printed
        assert str(folder) in printed
        assert "\n  -> " in printed
    leftovers = [path for path in folder.rglob(".*") if path.name.startswith(".writing-") or path.name.endswith("lock")]
    assert leftovers == []
    again, printed = run(*case.command(folder)) if code == 2 else (0, "")
    if again == 2 and case.go_on is not None and "resume" in printed:
        again, printed = run(*case.go_on(folder))
    assert again == 0, printed
    assert case.result(folder) == result
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
    return code == 2


NAMES = ("convert", "forecast .nc", "forecast .zarr", "forecast .gif", "evaluate", "train")


@pytest.mark.parametrize("name", NAMES)
def test_a_fault_is_reported_and_healed(name, cases, expected, tmp_path: Path) -> None:
    result, calls = expected(name)
    assert check(cases[name], tmp_path / "torn", failing(tmp_path, calls // 3, "torn"), result)
    if name != "evaluate":  # each report takes seconds
        assert check(cases[name], tmp_path / "limit", files_up_to(400), result)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", NAMES)
def test_every_call_may_fail(name, fault, cases, expected, tmp_path: Path) -> None:
    result, calls = expected(name)
    failed = [check(cases[name], tmp_path / f"{at}", failing(tmp_path, at, fault), result) for at in range(calls)]
    assert not any(failed) if fault == "short" else sum(failed) > 3
    print(f"{name}: {calls} calls, {fault}: {sum(failed)} reported")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_files_of_any_size_may_be_the_limit(name, cases, expected, tmp_path: Path) -> None:
    result, _ = expected(name)
    sizes = (0, 1, 50, 100, 150, 300, 700, 1000, 1500, 2500, 5000, 10_000, 20_000, 50_000)
    failed = [check(cases[name], tmp_path / f"{size}", files_up_to(size), result) for size in sizes]
    assert sum(failed) > 2
    print(f"{name}: {len(sizes)} limits, {sum(failed)} reported")


SERVER = """
import json, os, sys, time
sys.path.insert(0, sys.argv[1])
import pytest
from faulty_disk import FaultyDisk
from framecast.cli import main
import framecast.forecasting.api, framecast.data.store.conversion  # not again in each child
for line in sys.stdin:
    argv, root, at, delay = json.loads(line)
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        FaultyDisk(root, at, "killed").install(pytest.MonkeyPatch())
        sys.argv = argv
        try:
            main()
        except SystemExit as stop:
            os._exit(stop.code or 0)
        os._exit(0)
    if delay is not None:
        time.sleep(delay)
        os.kill(child, 9)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def kill() -> Iterator[Callable[..., int]]:
    """Runs a command in a process of its own that is killed at a call of its disk, or after a time; the exit code."""
    command = [sys.executable, "-c", SERVER, Path(__file__).parent]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None

        def run_and_kill(folder: Path, at: int, delay: float | None, *arguments: object) -> int:
            argv = ["framecast", *map(str, arguments)]
            server.stdin.write(json.dumps([argv, str(folder), at, delay]) + "\n")
            server.stdin.flush()
            return int(server.stdout.readline())

        yield run_and_kill
        server.stdin.close()


class Replaced:
    """A result in place of an earlier one: at every moment the one or the other, whole."""

    def __init__(self, name: str, folder: Path, source: Path, model: Path) -> None:
        self.name, self.before, self.after = name, folder / "before", folder / "after"
        data = ("--data", source / "1.nc")
        self.first: tuple[object, ...] = ("forecast", model, *data, "--horizon", 1)
        self.second: tuple[object, ...] = ("forecast", model, *data, "--overwrite")
        if name == "a.zarr":
            self.first = ("convert", source / "0.nc", "--chunks", "4,8,8")
            self.second = ("convert", source)
        for where, command in ((self.before, self.first), (self.after, self.first), (self.after, self.second)):
            where.mkdir(exist_ok=True)
            assert run(*command, "--out", where / name)[0] == 0

    def of(self, folder: Path) -> object:
        path = folder / self.name
        if (
            self.name == "a.zarr"
        ):  # its bytes depend on who compressed them: zarrs, or zarr in a process that was forked
            frames = framecast.open(path)
            return frames.values.tobytes(), frames["time"].values.tobytes()
        return arrays_of(path) if path.suffix == ".nc" else content_of(path) if path.is_dir() else path.read_bytes()

    def check(self, folder: Path, kill: Callable[..., int], at: int, delay: float | None = None) -> int:
        """Kill the command, and run it again; its exit code."""
        shutil.copytree(self.before, folder)
        command = (*self.second, "--out", folder / self.name)
        code = kill(folder, at, delay, *command)
        assert self.of(folder) in (self.of(self.before), self.of(self.after))
        assert kill(folder, -1, None, *command) == 0
        assert self.of(folder) == self.of(self.after)
        assert [path.name for path in folder.iterdir()] == [self.name]
        return code


@pytest.mark.parametrize("name", ["f.zarr", "a.zarr"])
def test_a_killed_command_leaves_the_earlier_result_or_the_new_one(name, source, model, kill, tmp_path: Path) -> None:
    replaced = Replaced(name, tmp_path, source, model)
    assert replaced.check(tmp_path / "killed", kill, 6) == 9


@pytest.mark.slow
@pytest.mark.parametrize("name", ["f.nc", "f.zarr", "f.gif", "a.zarr"])
def test_a_command_may_be_killed_at_every_call(name, source, model, kill, tmp_path: Path) -> None:
    replaced, killed = Replaced(name, tmp_path, source, model), 0
    while replaced.check(tmp_path / f"{killed}", kill, killed) == 9:
        killed += 1
    assert killed > 4
    print(f"{name}: killed at {killed} calls")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["f.nc", "f.zarr", "f.gif", "a.zarr"])
def test_a_command_may_be_killed_at_any_moment(name, source, model, kill, tmp_path: Path) -> None:
    replaced, rng = Replaced(name, tmp_path, source, model), np.random.default_rng(0)
    assert replaced.check(tmp_path / "first", kill, -1) == 0
    begin = time.monotonic()
    assert kill(tmp_path / "first", -1, None, *replaced.second, "--out", tmp_path / "first" / name) == 0
    delays = rng.uniform(0, 0.9, 40) * (time.monotonic() - begin)
    codes = [replaced.check(tmp_path / f"{k}", kill, -1, delay) for k, delay in enumerate(delays)]
    assert codes.count(-9) > 20
    print(f"{name}: killed {codes.count(-9)} of {len(codes)} times")
