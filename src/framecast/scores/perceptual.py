"""Perceptual scores (LPIPS, FVD): distances between the features that pretrained networks give forecast and truth.

LPIPS: Richard Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018, here with
AlexNet; FVD: Thomas Unterthiner et al., "Towards Accurate Generative Models of Video", 2018, from the features of a network
that classifies actions.

Both need published weights that framecast does not contain: LPIPS those of the trunk and of the linear layers, FVD those of the
network in `i3d`. Without them the score is not computed, and never replaced by another. No file is read here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from framecast.scores.metric import Metric, ratio

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
_CHANNELS = (64, 192, 384, 256, 256)
_EPSILON = 1e-10


def lpips_distance(features: Sequence[Tensor], others: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
    """The distance `(N,)` between two lists of features `(N, C_l, H_l, W_l)` with weights `(1, C_l, 1, 1)` (equation 1):
    features are normalised to length 1 over channels, squared differences weighted, averaged over space, summed over layers."""
    total = torch.zeros(len(features[0]), dtype=features[0].dtype)
    for one, other, weight in zip(features, others, weights, strict=True):
        difference = (_unit(one) - _unit(other)) ** 2
        total = total + (difference * weight).sum(1).mean((1, 2))
    return total


def _unit(features: Tensor) -> Tensor:
    return features / (features.pow(2).sum(1, keepdim=True).sqrt() + _EPSILON)


class LPIPS(nn.Module):
    """LPIPS with AlexNet. `weights` are tensors by the names of the published files, of the trunk (`features.0.weight`, ...) and
    of the linear layers (`lin0.model.1.weight`, ...). With `signed=False` images stay between 0 and 1, as in the published
    PredRNN code. Raises KeyError for a missing name."""

    def __init__(self, weights: Mapping[str, Tensor], *, signed: bool = True) -> None:
        super().__init__()
        self.signed = signed
        sizes = zip((3, 64, 192, 384, 256), _CHANNELS, (11, 5, 3, 3, 3), (4, 1, 1, 1, 1), (2, 2, 1, 1, 1), strict=True)
        self.layers = nn.ModuleList(nn.Conv2d(i, o, k, stride, pad) for i, o, k, stride, pad in sizes)
        for layer, place in zip(self.layers, (0, 3, 6, 8, 10), strict=True):
            layer.load_state_dict({name: weights[f"features.{place}.{name}"] for name in ("weight", "bias")})
        self.linear = [weights[f"lin{k}.model.1.weight"] for k in range(len(_CHANNELS))]
        self.requires_grad_(False)

    def features(self, images: Tensor) -> list[Tensor]:
        """Features of each layer, from images `(N, 1 or 3, H, W)` between 0 and 1, converted to -1 to 1 if `signed` as in the
        paper."""
        x = images.expand(-1, 3, -1, -1)
        x = x * 2 - 1 if self.signed else x
        x = (x - torch.tensor(SHIFT).reshape(3, 1, 1)) / torch.tensor(SCALE).reshape(3, 1, 1)
        features = []
        for number, layer in enumerate(self.layers):
            if number in (1, 2):
                x = nn.functional.max_pool2d(x, 3, 2)
            x = layer(x).relu()
            features.append(x)
        return features

    def forward(self, images: Tensor, others: Tensor) -> Tensor:
        """The distance of each pair `(N,)`."""
        return lpips_distance(self.features(images), self.features(others), self.linear)


def frechet_distance(features: Tensor, others: Tensor) -> float:
    """The squared Wasserstein distance of two normal distributions fitted to features `(N, D)` and `(M, D)`:
    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)). This is FVD if each row is the features of a video.

    Raises ValueError with fewer than two rows.
    """
    if min(len(features), len(others)) < 2:
        raise ValueError("a covariance needs at least two rows of features")
    one, other = features.double(), others.double()
    mean = (one.mean(0) - other.mean(0)).square().sum()
    first, second = torch.cov(one.T).reshape(one.shape[1], -1), torch.cov(other.T).reshape(one.shape[1], -1)
    root = torch.linalg.eigvals(first @ second).real.clamp(min=0).sqrt().sum()
    return float(mean + first.trace() + second.trace() - 2 * root)


def _fvd(features: np.ndarray) -> np.ndarray:
    """FVD of the features of forecasts and truth `(2, N, D)`; NaN with fewer than two cases."""
    if features.shape[1] < 2:
        return np.array(np.nan)
    forecast, observed = torch.from_numpy(features)
    return np.array(frechet_distance(forecast, observed))


METRICS = (
    Metric(
        name="lpips",
        title="LPIPS",
        group="frame",
        sums=("lpips", "lpips_weight"),
        formula=ratio,
        better="lower",
        perfect=0,
        range=(0, np.inf),
        definition="distance between features of AlexNet, averaged over frames",
        mean=True,
        weights=True,
        compared=True,
        headline=True,
        curve=True,
    ),
    Metric(
        name="fvd",
        title="FVD",
        group="frame",
        sums=("features", "observed_features"),
        formula=_fvd,
        better="lower",
        perfect=0,
        range=(0, np.inf),
        definition="squared Fréchet distance of the 400 outputs of I3D for the forecast frames from those for the true frames, "
        "resized to 224 x 224, one clip a case; compare only values of the same number of clips",
        additive=False,
        weights=True,
        headline=True,
    ),
)
