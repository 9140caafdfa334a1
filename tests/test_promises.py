"""Every promise of docs/promises.md names a test that there is."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROMISES = [
    line
    for line in (ROOT / "docs" / "promises.md").read_text().splitlines()
    if line.startswith("|") and not re.match(r"\| *(promise|---)", line)
]


@pytest.mark.parametrize("promise", PROMISES)
def test_it_is_held_by_a_test(promise: str) -> None:
    tests = promise.rsplit("|", 2)[1]
    named = re.findall(r"(tests/[\w/]+\.py)?((?:::\w+)*)", tests)
    file, count = None, 0
    for path, rest in named:
        if not path and not rest:
            continue
        file = ROOT / path if path else file
        assert file is not None
        assert file.is_file()
        names = [name for name in rest.split("::") if name]
        assert not names or re.search(rf"(def|class) {names[-1]}\b", file.read_text()), names[-1]
        count += 1
    assert count, "names no test"
