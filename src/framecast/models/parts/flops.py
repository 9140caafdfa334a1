"""The cost of a model: parameters and multiply-accumulates."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from framecast.models.parts.protocols import ModelConfig
from framecast.ops import free_running
from framecast.types import FrameShape


def parameters(model: nn.Module) -> int:
    """Number of trainable weights."""
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad)


def multiply_accumulates(config: ModelConfig, shape: FrameShape) -> int:
    """Multiply-accumulates of one forecast of one window: T - 1 steps for next-step models, as the MotionRNN paper
    counts (docs/specification.md, section 13). Convolutions and matrix products count, elementwise work does not. Nothing is
    computed: the model is built and run on the meta device."""
    with torch.device("meta"):
        model: Any = config.build(shape).eval()
        frames = torch.empty(1, shape.context, shape.channels, shape.height, shape.width)
        actions = torch.empty(1, shape.context + shape.horizon, shape.actions) if shape.actions else None
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(frames, free_running(1, shape.context, shape.horizon), actions)
    return int(counter.get_total_flops()) // 2
