"""The kernels for the gates on GPUs, in Triton's interpreter, against the same operation by operation in float64."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

INTERPRETED = """
import torch
from framecast.ops import gates
from framecast.ops.gpu import kernels

gates._form = lambda like: kernels
gates.fused = lambda *tensors: tensors[0].dtype != torch.float64
torch.manual_seed(0)
single, half = torch.float32, torch.bfloat16
functions = (
    (lambda *g: gates.cell_update(*g, 1.0), 4),
    (gates.hidden_output, 2),
    (lambda o, x, more: gates.hidden_output(o, x, more=more), 3),
)
for dtype, last, tolerance in ((single, single, 4e-6), (half, half, 4e-2), (half, single, 4e-2)):
    for shape in ((2, 3, 5, 7), (1, 16, 16, 9)):
        for uses in ((1, 1), (1, 0), (0, 1)):
            for function, count in functions:
                results = []
                values = [torch.randn(shape).to(dtype) for _ in range(count + 2)]
                for kinds in ([dtype] * (count - 1) + [last], [torch.float64] * count):
                    leaves = [each.detach().to(kind).requires_grad_() for each, kind in zip(values, kinds)]
                    made = function(*leaves)
                    loss = sum((each * after.to(each.dtype)).sum() * use for each, after, use in zip(made, values[count:], uses))
                    loss.backward()
                    results.append([*made, *(torch.zeros(1) if leaf.grad is None else leaf.grad for leaf in leaves)])
                for ours, true in zip(*results):
                    torch.testing.assert_close(ours.double(), true.double().expand_as(ours), rtol=tolerance, atol=tolerance)
print("the same")
"""


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
def test_the_kernels_for_gpus_compute_the_same() -> None:
    """In a process of its own: the interpreter is chosen when Triton is loaded."""
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    done = subprocess.run([sys.executable, "-c", INTERPRETED], capture_output=True, text=True, env=environment)
    assert done.stdout == "the same\n", done.stderr
