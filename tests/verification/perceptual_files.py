"""Files of weights of LPIPS and FVD in their published layout, with random numbers."""

from importlib.resources import files
from pathlib import Path

import torch

from framecast.scores.i3d import I3D

LINEAR = Path(str(files("torchmetrics"))) / "functional/image/lpips_models/alex.pth"
"""The published linear layers, which torchmetrics has in its package."""


def write_trunk(path: Path) -> Path:
    """AlexNet as torchvision publishes it; the classifier goes unused."""
    generator = torch.Generator().manual_seed(0)
    weights = {"classifier.1.weight": torch.zeros(1, 1)}
    sizes = zip((3, 64, 192, 384, 256), (64, 192, 384, 256, 256), (11, 5, 3, 3, 3), (0, 3, 6, 8, 10), strict=True)
    for inner, outer, side, place in sizes:
        weights[f"features.{place}.weight"] = torch.randn(outer, inner, side, side, generator=generator) * 0.05
        weights[f"features.{place}.bias"] = torch.zeros(outer)
    torch.save(weights, path)
    return path


def write_i3d(path: Path) -> Path:
    """I3D, with weights as large as keeps numbers about 1."""
    generator = torch.Generator().manual_seed(0)
    weights = I3D().state_dict()
    for name, value in weights.items():
        if name.endswith("conv3d.weight"):
            weights[name] = torch.randn(value.shape, generator=generator) * (2 / value[0].numel()) ** 0.5
    torch.save(weights, path)
    return path
