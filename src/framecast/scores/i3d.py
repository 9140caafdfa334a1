"""I3D: the network that classifies actions in videos, whose outputs are the features of FVD. A model file, without weights.

João Carreira, Andrew Zisserman, "Quo Vadis, Action Recognition? A New Model and the Kinetics Dataset", CVPR 2017, figure 3:
Inception modules (Szegedy et al., 2015) with all kernels inflated to three dimensions. The weights (trained on Kinetics-400) are
published elsewhere; modules have the names of the published PyTorch files, so that those can be loaded.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

SIDE, SHORTEST, CLASSES = 224, 9, 400
"""Side of the images in pixels; fewest frames that the last pooling accepts; length of a feature vector."""

_INCEPTIONS: dict[str, tuple[int, tuple[int, int, int, int, int, int]]] = {
    "Mixed_3b": (192, (64, 96, 128, 16, 32, 32)),
    "Mixed_3c": (256, (128, 128, 192, 32, 96, 64)),
    "Mixed_4b": (480, (192, 96, 208, 16, 48, 64)),
    "Mixed_4c": (512, (160, 112, 224, 24, 64, 64)),
    "Mixed_4d": (512, (128, 128, 256, 24, 64, 64)),
    "Mixed_4e": (512, (112, 144, 288, 32, 64, 64)),
    "Mixed_4f": (528, (256, 160, 320, 32, 128, 128)),
    "Mixed_5b": (832, (256, 160, 320, 32, 128, 128)),
    "Mixed_5c": (832, (384, 192, 384, 48, 128, 128)),
}
"""Input channels, and channels of the branches: 1x1; 1x1 and 3x3x3 twice; 1x1 after the pooling."""


def _same(x: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
    """Pad `(B, C, T, H, W)` with zeros so that a stride of 1 preserves the size; an odd one goes to the end."""
    pads: list[int] = []
    for size, k, s in zip(reversed(x.shape[2:]), reversed(kernel), reversed(stride), strict=True):
        total = max(k - (size % s or s), 0)
        pads += [total // 2, total - total // 2]
    return nn.functional.pad(x, pads)


class _Unit(nn.Module):
    def __init__(self, inner: int, outer: int, side: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(inner, outer, side, stride, bias=False)
        self.bn = nn.BatchNorm3d(outer, eps=1e-3)
        self.kernel, self.stride = (side,) * 3, (stride,) * 3

    def forward(self, x: Tensor) -> Tensor:
        normalized: Tensor = self.bn(self.conv3d(_same(x, self.kernel, self.stride)))
        return normalized.relu()


def _max_pool(x: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
    return nn.functional.max_pool3d(_same(x, kernel, stride), kernel, stride)


class _Inception(nn.Module):
    def __init__(self, inner: int, outer: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        self.b0 = _Unit(inner, outer[0])
        self.b1a, self.b1b = _Unit(inner, outer[1]), _Unit(outer[1], outer[2], 3)
        self.b2a, self.b2b = _Unit(inner, outer[3]), _Unit(outer[3], outer[4], 3)
        self.b3b = _Unit(inner, outer[5])

    def forward(self, x: Tensor) -> Tensor:
        pooled = _max_pool(x, (3, 3, 3), (1, 1, 1))
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(pooled)], dim=1)


class I3D(nn.Module):
    """The network with `weights` by their published names, or untrained. Raises KeyError for a missing name, ValueError for a
    wrong shape."""

    def __init__(self, weights: Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        self.Conv3d_1a_7x7 = _Unit(3, 64, 7, 2)
        self.Conv3d_2b_1x1 = _Unit(64, 64)
        self.Conv3d_2c_3x3 = _Unit(64, 192, 3)
        for name, (inner, outer) in _INCEPTIONS.items():
            self.add_module(name, _Inception(inner, outer))
        self.logits = nn.ModuleDict({"conv3d": nn.Conv3d(1024, CLASSES, 1)})
        self.eval().requires_grad_(False)
        if weights is not None:
            self.load_state_dict(
                {name: self._weight_for(weights, name, own) for name, own in self.state_dict().items()}
            )

    @staticmethod
    def _weight_for(weights: Mapping[str, Tensor], name: str, own: Tensor) -> Tensor:
        if name.endswith("num_batches_tracked"):  # not used for inference, and not in every file
            return own
        if weights[name].shape != own.shape:
            raise ValueError(f"{name} has shape {tuple(weights[name].shape)}, not {tuple(own.shape)}")
        return weights[name]

    def forward(self, clips: Tensor) -> Tensor:
        """Features `(N, 400)` of clips `(N, T, 1 or 3, H, W)` between 0 and 1. Frames are resized to 224 x 224; in clips of fewer
        than nine frames the last one is repeated."""
        x = clips.expand(-1, -1, 3, -1, -1)
        if x.shape[1] < SHORTEST:
            x = torch.cat([x, x[:, -1:].expand(-1, SHORTEST - x.shape[1], -1, -1, -1)], dim=1)
        resized = nn.functional.interpolate(x.flatten(0, 1), (SIDE, SIDE), mode="bilinear", align_corners=False)
        x = (resized.reshape(*x.shape[:3], SIDE, SIDE) * 2 - 1).transpose(1, 2)
        x = _max_pool(self.Conv3d_1a_7x7(x), (1, 3, 3), (1, 2, 2))
        x = _max_pool(self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(x)), (1, 3, 3), (1, 2, 2))
        for name in _INCEPTIONS:
            if name == "Mixed_4b":
                x = _max_pool(x, (3, 3, 3), (2, 2, 2))
            if name == "Mixed_5b":
                x = _max_pool(x, (2, 2, 2), (2, 2, 2))
            x = self.get_submodule(name)(x)
        x = nn.functional.avg_pool3d(x, (2, 7, 7), stride=1)
        logits: Tensor = self.logits["conv3d"](x)
        return logits.flatten(2).mean(2)
