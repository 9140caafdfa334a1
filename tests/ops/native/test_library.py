"""The forms of the loops for other processors than this one, each in a process of its own."""

import subprocess
import sys

import pytest
import torch

from framecast.ops.native import library
from framecast.ops.native.library import FORMS, Status, available, load_function

WORK = """
import sys
import torch

torch.backends.cpu.get_cpu_capability = lambda: sys.argv[1]
from framecast.ops.choice import use_algorithm
from framecast.ops.convolution import convolve
from framecast.ops.gates import cell_update
from framecast.ops.native.library import _library, available
from framecast.ops.windows import fractions, similarity

assert available()
torch.manual_seed(0)
x, weight = torch.randn(2, 21, 30, 17, requires_grad=True), torch.randn(75, 21, 5, 5, requires_grad=True)
exact = [each.detach().double().requires_grad_() for each in (x, weight)]
with use_algorithm("winograd"):
    y = convolve(x, weight)
y2 = torch.nn.functional.conv2d(*exact, padding=2)
gradients = torch.autograd.grad(y.square().sum(), (x, weight)), torch.autograd.grad(y2.square().sum(), exact)
gates = [torch.randn(3, 7, 5, 5) for _ in range(4)]
made, true = cell_update(*gates), cell_update(*(each.double() for each in gates))
for ours, wanted in ((y, y2), *zip(*gradients), *zip(made, true)):
    assert float((ours - wanted).norm() / wanted.norm()) < 1e-5
frames, there = torch.rand(2, 3, 19, 37), torch.rand(3, 19, 37) > 0.2
error, reference = fractions(frames[0], [frames[1]], there, torch.full((3, 1, 2), 0.5), (1,))
events = (frames >= 0.5) & there
assert torch.equal(error[0, :, 0, 0], (events[0] ^ events[1]).double().sum((1, 2)))
assert torch.equal(reference[0, :, 0, 0], events.double().sum((0, 2, 3)))
assert torch.equal(similarity(frames[0], frames[0], torch.full((3,), 1 / 3), 0.01, 0.03, 1.0), torch.full((3, 3), 17.0 * 35))
print(_library()._name)
"""
RANK = ["DEFAULT", "AVX2", "AVX512"]
HERE = torch.backends.cpu.get_cpu_capability()


@pytest.mark.skipif(not available() or HERE not in RANK, reason="no loops in C for this processor")
@pytest.mark.parametrize("capability", RANK)
def test_each_form_computes_the_same(capability: str) -> None:
    if RANK.index(capability) > RANK.index(HERE):
        pytest.skip(f"this processor has no {capability}")
    done = subprocess.run([sys.executable, "-c", WORK, capability], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert FORMS.get(capability, "_loops") + ".so" in done.stdout


def test_without_loops_it_is_said_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    none = Status("AVX2", None, "no C compiler with OpenMP at installation")
    monkeypatch.setattr("framecast.ops.native.library._load", lambda: (None, none))
    assert not available()
    with pytest.raises(RuntimeError, match="framecast_input_transform is in no loaded library: no C compiler"):
        load_function("framecast_input_transform")(1, 2)


def test_a_library_of_earlier_sources_counts_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "NEWEST", "framecast_of_a_later_version")
    loaded, status = library._load.__wrapped__()
    assert loaded is None
    assert status.path is None
    if available():
        assert "older than its sources; build it again" in status.reason
