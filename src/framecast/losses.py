"""Masked frame losses: pixels without data do not count.

Each is a callable `(prediction (B, S, C, H, W), truth (B, S, C, H, W), valid (B, S, 1, H, W)) -> scalar`, 0 if nothing is valid:
the mean over all valid elements (docs/specification.md, row P5); of `L1L2` with `reduction="sum"` a quarter of their sum, of
`CrossEntropy` and `BrierSum` the sum over the rates, each with its weight, of the means over valid pixels.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from framecast.errors import ConfigError
from framecast.types import config


def _masked(prediction: Tensor, truth: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """The error, 0 at pixels without data, and the number of valid elements (at least 1)."""
    error = (prediction - truth).masked_fill(~valid, 0.0)
    return error, (valid.sum() * prediction.shape[2]).clamp(min=1)


@config
class L2:
    """Mean squared error."""

    name: Literal["l2"] = "l2"

    def __call__(self, prediction: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
        """The loss, a scalar."""
        error, count = _masked(prediction, truth, valid)
        return (error**2).sum() / count


@config
class L1:
    """Mean absolute error."""

    name: Literal["l1"] = "l1"

    def __call__(self, prediction: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
        """The loss, a scalar."""
        error, count = _masked(prediction, truth, valid)
        return error.abs().sum() / count


@config
class L1L2:
    """Mean squared error plus `alpha` times the mean absolute error (MotionRNN, MoDeRNN).

    `reduction="sum"` is that of the released MoDeRNN: a quarter of the sums over the batch, so that the effective learning rate
    grows with the size of the batch and of the frames.
    """

    name: Literal["l1l2"] = "l1l2"
    alpha: float = 1.0
    reduction: Literal["mean", "sum"] = "mean"

    def __call__(self, prediction: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
        """The loss, a scalar."""
        error, count = _masked(prediction, truth, valid)
        return (error**2 + self.alpha * error.abs()).sum() / (count if self.reduction == "mean" else 4)


def _weighted(terms: Tensor, valid: Tensor, weights: tuple[float, ...]) -> Tensor:
    """The sum over rates of the means over valid pixels of `terms (B, S, K, H, W)`, each times its weight."""
    if weights and len(weights) != terms.shape[2]:
        raise ConfigError(
            f"{len(weights)} weights for {terms.shape[2]} rates", where="loss.weights", remedy="give one for each rate"
        )
    means = terms.masked_fill(~valid, 0.0).sum((0, 1, 3, 4)) / valid.sum().clamp(min=1)
    return (means * means.new_tensor(weights)).sum() if weights else means.sum()


@config
class CrossEntropy:
    """The cross entropy of exceedance probabilities, summed over the rates of the head: a proper score. `prediction` are logits
    `(B, S, K, H, W)`, `truth` is 1 where the rate was reached. `weights` of the rates, one each, make high ones count more."""

    name: Literal["cross_entropy"] = "cross_entropy"
    weights: tuple[float, ...] = ()

    def __call__(self, prediction: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
        """The loss, a scalar."""
        terms = functional.binary_cross_entropy_with_logits(prediction, truth, reduction="none")
        return _weighted(terms, valid, self.weights)


@config
class BrierSum:
    """The Brier scores of exceedance probabilities, summed over the rates of the head: a proper score, and with weights that are
    the steps between rates the discretised CRPS. Otherwise as `cross_entropy`."""

    name: Literal["brier"] = "brier"
    weights: tuple[float, ...] = ()

    def __call__(self, prediction: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
        """The loss, a scalar."""
        return _weighted((torch.sigmoid(prediction) - truth) ** 2, valid, self.weights)


Loss = L2 | L1 | L1L2 | CrossEntropy | BrierSum
PROBABILISTIC = (CrossEntropy, BrierSum)
"""The losses of exceedance probabilities."""
