"""The source distribution and the wheel: complete, for any Python 3, and working in an environment of their own without the
checkout, without a compiler and without the network."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = Path(sysconfig.get_paths()["purelib"])
SMALL = (
    *("data.context=3", "data.horizon=3", "data.crop=32", "model.hidden=[4,4]", "model.kernel=3"),
    *("training.iterations=1", "training.batch_size=1", "training.validation_windows=1", "training.workers=0"),
    "data.split={name: blocks, validation: 0, test: 0}",
)
SAMPLE = "opera_20241126.nc"


def build(out: Path, source: Path, *options: str, **environment: str) -> Path:
    """Build in `out`, as `make dist` does; the file that was built last."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, *options, source]
    done = subprocess.run(
        list(map(str, command)), env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return max(out.iterdir(), key=lambda path: path.stat().st_mtime_ns)


def tracked() -> list[str]:
    """The files of the tree, as git has them."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs a checkout")
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution of this tree."""
    return build(tmp_path_factory.mktemp("sdist"), ROOT, "--sdist")


@pytest.fixture(scope="module")
def unpacked(sdist: Path) -> Path:
    with tarfile.open(sdist) as archive:
        archive.extractall(sdist.parent / "unpacked", filter="data")
    (folder,) = (sdist.parent / "unpacked").iterdir()
    return folder


@pytest.fixture(scope="module")
def wheel(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is built from it where there is no compiler."""
    return build(tmp_path_factory.mktemp("wheel"), unpacked, "--wheel", CC="false")


def install(folder: Path, archive: Path, **environment: str) -> dict[str, str]:
    """Install an archive into an environment in `folder` that has the packages of this one, and no other framecast. Returns the
    variables of its processes: there is no compiler on the path."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"], capture_output=True
    )
    others = folder / "packages"
    others.mkdir()
    for (
        path
    ) in PACKAGES.iterdir():  # a link to each, so that the installed framecast of this environment is not in the way
        if "framecast" not in path.name and path.suffix != ".pth":
            (others / path.name).symlink_to(path)
    (Path(site.stdout.decode().strip()) / "packages.pth").write_text(f"{others}\n")
    variables = {"PATH": str(folder / "bin"), "HOME": str(folder), "OMP_NUM_THREADS": "1", **environment}
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index"]
    done = subprocess.run(
        [*map(str, pip), "--no-build-isolation", str(archive)],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return variables


def run(folder: Path, variables: dict[str, str], *command: str) -> str:
    """What a command prints, in `folder`."""
    done = subprocess.run(
        [str(Path(variables["PATH"].split(":")[0]) / command[0]), *command[1:]],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def test_the_source_distribution_has_every_file_of_the_tree(unpacked: Path) -> None:
    missing = [name for name in tracked() if not (unpacked / name).is_file()]
    assert missing == []
    assert not list(unpacked.rglob("*.so"))


def test_the_wheel_is_for_any_python_and_has_every_file_of_the_package(wheel: Path) -> None:
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    of_package = [name.removeprefix("src/") for name in tracked() if name.startswith("src/framecast/")]
    expected = {name for name in of_package if not name.endswith((".c", ".h"))}
    assert expected - names == set()
    assert {name for name in names - expected if ".dist-info/" not in name} == set()
    assert {"framecast/recipes/radar.yaml", "framecast/py.typed", f"framecast/workflows/sample/{SAMPLE}"} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)


README = """
import shutil, sys
from pathlib import Path
import framecast
from framecast.cli import main

assert "/src/framecast" not in framecast.__file__, framecast.__file__
shutil.copy(Path(framecast.__file__).parent / "workflows" / "sample" / "SAMPLE", "rain.nc")
for line in Path("commands").read_text().splitlines():
    sys.argv = line.split("|")
    print("$", line)
    try:
        main()
    except SystemExit as stop:
        assert not stop.code, (line, stop.code)
"""
COMMANDS = (
    ("framecast", "doctor"),
    ("framecast", "recipes"),
    ("framecast", "inspect", "rain.nc", "--context", "3", "--horizon", "3"),
    ("framecast", "train", "radar#predrnn_v2", "data.path=rain.nc", *SMALL, "--out", "runs/x"),
    ("framecast", "forecast", "runs/x", "--data", "rain.nc", "--horizon", "2", "--out", "nowcast.nc"),
)
"""Commands of the README in short forms."""
MORE = (
    ("framecast", "train", "--resume", "runs/x", "training.iterations=2"),
    ("framecast", "convert", "rain.nc", "--out", "rain.zarr"),
    ("framecast", "evaluate", "radar", "--data", "rain.zarr", "--horizon", "4", "--limit", "1", "--out", "scores"),
    ("framecast", "forecast", "radar", "--data", "rain.nc", "--horizon", "2", "--members", "2", "--out", "members.nc"),
    (
        "framecast",
        "reproduce",
        "moving_mnist#predrnn_m",
        "--scale",
        "1e-9",
        *SMALL[3:5],
        *SMALL[6:8],
        "model.hidden=[4]",
    ),
)


def run_readme(folder: Path, variables: dict[str, str], commands: tuple[tuple[str, ...], ...]) -> str:
    (folder / "commands").write_text("\n".join("|".join(command) for command in commands))
    (folder / "readme.py").write_text(README.replace("SAMPLE", SAMPLE))
    return run(folder, variables, "python", "readme.py")


def test_the_wheel_runs_the_commands_of_the_readme(wheel: Path, tmp_path: Path) -> None:
    variables = install(tmp_path / "environment", wheel)
    assert run(tmp_path, variables, "framecast", "--help").count("forecast")
    printed = run_readme(tmp_path, variables, COMMANDS)
    assert re.search(r"loops +none \(no _loops\w*\.so", printed)
    assert (tmp_path / "nowcast.nc").is_file()


@pytest.mark.slow
def test_all_commands_run_from_the_source_distribution_with_a_compiler(sdist: Path, tmp_path: Path) -> None:
    """It compiles at installation, and the loops run without a compiler."""
    if shutil.which("cc") is None:
        pytest.skip("no compiler on this machine")
    compilers = f"{tmp_path}/environment/bin:{Path(shutil.which('cc')).parent}:/usr/bin:/bin"  # type: ignore[arg-type]
    variables = install(tmp_path / "environment", sdist, PATH=compilers)
    variables["PATH"] = str(tmp_path / "environment" / "bin")
    printed = run_readme(tmp_path, variables, (*COMMANDS, *MORE))
    assert re.search(r"loops +\w+, chosen by the processor: \S+/_loops\w*\.so", printed)
    assert (tmp_path / "members.nc").is_file()


@pytest.mark.slow
def test_a_wheel_with_loops_is_of_a_platform_and_any_python(unpacked: Path, tmp_path: Path) -> None:
    if shutil.which("cc") is None:
        pytest.skip("no compiler on this machine")
    wheel = build(tmp_path, unpacked, "--wheel")
    assert re.search(r"-py3-none-(linux|macosx)_\w+\.whl$", wheel.name)
    with zipfile.ZipFile(wheel) as archive:
        assert {"framecast/ops/native/_loops.so"} <= set(archive.namelist())
