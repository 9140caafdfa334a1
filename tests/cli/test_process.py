import gc
import os

import pytest

from framecast.cli.process import short_process, wait_asleep


@short_process()
def fail() -> None:
    assert not gc.isenabled()
    raise ValueError("late")


def test_garbage_is_looked_for_again_after_an_error() -> None:
    assert gc.isenabled()
    with pytest.raises(ValueError, match="late"):
        fail()
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("stated", "spins"), [({}, "5000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, None)]
)
def test_threads_wait_asleep_unless_something_else_is_stated(
    stated: dict[str, str], spins: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, "")  # so that it is what it was afterwards
        monkeypatch.delenv(name)
    for name, value in stated.items():
        monkeypatch.setenv(name, value)
    wait_asleep()
    assert os.environ.get("GOMP_SPINCOUNT") == spins
