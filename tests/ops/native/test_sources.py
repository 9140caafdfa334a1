"""The loops in C compile under each standard that a compiler may take as its default, without warnings."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from itertools import product
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
NATIVE = ROOT / "src" / "framecast" / "ops" / "native"
STANDARDS = {"gnu11": ("gnu11",), "gnu17": ("gnu17",), "gnu23": ("gnu23", "gnu2x")}
"""Each with the names that compilers know it by."""
COMPILERS = ("cc", "gcc", "clang")
KEYWORDS_OF_C23 = {
    *("alignas", "alignof", "bool", "constexpr", "false", "nullptr", "static_assert", "thread_local", "true"),
    *("typeof", "typeof_unqual", "_BitInt", "_Decimal32", "_Decimal64", "_Decimal128"),
}


def constant(name: str) -> Any:
    """A constant of setup.py, which cannot be imported without building."""
    for statement in ast.parse((ROOT / "setup.py").read_text()).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == name:
            return ast.literal_eval(statement.value)
    raise AssertionError(f"setup.py has no {name}")


def compiles(compiler: str, source: str | Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Check the syntax of a file, or of a text in C."""
    command = [compiler, "-fopenmp", "-fsyntax-only", *flags, *(["-xc", "-"] if isinstance(source, str) else [source])]
    text = source if isinstance(source, str) else None
    return subprocess.run(command, input=text, capture_output=True, text=True)


def test_setup_names_every_source_and_header() -> None:
    assert {f"{name}.c" for name in constant("SOURCES")} == {path.name for path in NATIVE.glob("*.c")}
    assert {f"{name}.h" for name in constant("HEADERS")} == {path.name for path in NATIVE.glob("*.h")}


@pytest.mark.parametrize(("compiler", "standard"), [*product(COMPILERS, STANDARDS)])
def test_every_source_compiles_without_warnings(compiler: str, standard: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler} on this machine")
    names = [name for name in STANDARDS[standard] if not compiles(compiler, "int x;", f"-std={name}").returncode]
    if not names:
        pytest.skip(f"{compiler} does not know {standard}, or has no OpenMP")
    tried = 0
    for flags in constant("PROCESSORS").values():
        if compiles(compiler, "int x;", *flags).returncode:
            continue  # a compiler for another kind of processor
        for name in constant("SOURCES"):
            done = compiles(compiler, NATIVE / f"{name}.c", f"-std={names[0]}", "-Wall", "-Wextra", "-Werror", *flags)
            assert done.returncode == 0, f"{name}.c, {' '.join(flags)}:\n{done.stderr}"
            tried += 1
    assert tried, "no set of flags of setup.py works"


@pytest.mark.parametrize("path", sorted(NATIVE.glob("*.[ch]")), ids=lambda path: path.name)
def test_no_keyword_of_c23_is_a_name(path: Path) -> None:
    """GCC before 13 and Clang before 15 let `true` be a name, even when asked for C23."""
    code = re.sub(r"/\*.*?\*/|//[^\n]*|\"[^\"\n]*\"", " ", path.read_text(), flags=re.DOTALL)
    assert not set(re.findall(r"[A-Za-z_]\w*", code)) & KEYWORDS_OF_C23
