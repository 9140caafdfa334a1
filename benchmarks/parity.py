"""The published implementations against ours: the largest difference of outputs, loss and gradient norms.

python benchmarks/parity.py FOLDER_OF_PARITY_FILES
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch

from framecast.interop import reference


def differences(path: Path) -> tuple[float, float, float]:
    """Largest absolute difference of the outputs, relative difference of the loss and of the gradient norms that are not 0
    but for rounding."""
    with np.load(path) as file:
        meta = json.loads(str(file["meta"]))
        arrays = {key: torch.tensor(file[key]) for key in file.files if key != "meta"}
    weights = {key[2:]: arrays.pop(key) for key in list(arrays) if key.startswith("w/")}
    model = reference.load(meta, weights)
    ours = reference.run(model, meta, arrays)
    ours["loss"].backward()
    named = dict(model.named_parameters())
    norms = {
        theirs: named[mine].grad.norm().item()
        for theirs, mine in reference.names(meta, weights).items()
        if mine in named and named[mine].grad is not None
    }
    largest = max(meta["grad_norms"].values())
    gradients = max(abs(norms[key] - norm) / norm for key, norm in meta["grad_norms"].items() if norm > 1e-4 * largest)
    output = (ours["y"] - arrays["y"]).abs().max().item()
    return output, abs(ours["loss"].item() / arrays["loss"].item() - 1), gradients


def main(folder: str) -> None:
    """Print a table."""
    print(f"{'reference':28} {'outputs':>10} {'loss, rel.':>12} {'gradients, rel.':>16}")
    for path in sorted(Path(folder).glob("*.npz")):
        if path.stem in reference.REFERENCES:
            output, loss, gradients = differences(path)
            print(f"{path.stem:28} {output:10.1e} {loss:12.1e} {gradients:16.1e}")


if __name__ == "__main__":
    main(*sys.argv[1:])
