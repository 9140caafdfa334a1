"""Compares our models with published implementations: the largest differences of outputs, loss and gradient norms.

python benchmarks/parity.py FOLDER_OF_PARITY_FILES
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from framecast.checkpoints.published import reference


def differences(path: Path) -> tuple[float, float, float, float]:
    """The largest absolute difference of the outputs, and the relative differences of the loss and of the gradient norms above
    rounding error, and of the latter in double precision: in single precision the input of a ReLU near 0 can have either sign."""
    with np.load(path) as file:
        meta = json.loads(str(file["meta"]))
        arrays = {key: torch.tensor(file[key]) for key in file.files if key != "meta"}
    weights = {key[2:]: arrays.pop(key) for key in list(arrays) if key.startswith("w/")}
    model = reference.load(meta, weights)
    ours = reference.run(model, meta, arrays)
    output = (ours["y"] - arrays["y"]).abs().max().item()
    loss = abs(ours["loss"].item() / arrays["loss"].item() - 1)
    single = gradients(model, ours["loss"], meta, weights)
    double = {key: array.double() for key, array in arrays.items()}
    model = reference.load(meta, weights).double()
    return output, loss, single, gradients(model, reference.run(model, meta, double)["loss"], meta, weights)


def gradients(
    model: torch.nn.Module, loss: torch.Tensor, meta: dict[str, Any], weights: dict[str, torch.Tensor]
) -> float:
    """The largest relative difference of the gradient norms."""
    torch.autograd.backward(loss)
    named = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
    norms = {
        theirs: named[mine].norm().item() for theirs, mine in reference.names(meta, weights).items() if mine in named
    }
    published: dict[str, float] = meta["grad_norms"]
    largest = max(published.values())
    differences: list[float] = [
        abs(norms[key] - norm) / norm for key, norm in published.items() if norm > 1e-4 * largest
    ]
    return max(differences)


def main(folder: str) -> None:
    """Print a row for each reference."""
    print(f"{'reference':28} {'outputs':>10} {'loss, rel.':>12} {'gradients, rel.':>16} {'in double':>12}")
    for path in sorted(Path(folder).glob("*.npz")):
        if path.stem != "metrics":  # scores, not a model
            output, *relative = differences(path)
            print(f"{path.stem:28} {output:10.1e} {relative[0]:12.1e} {relative[1]:16.1e} {relative[2]:12.1e}")


if __name__ == "__main__":
    main(*sys.argv[1:])
