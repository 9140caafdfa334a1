"""A question about a backward pass that autograd does not answer in its public interface."""

from __future__ import annotations

from typing import Any

import torch


def needs_gradient(node: Any) -> bool:
    """Whether this backward pass reaches `node`. Its gradient is accumulated outside of autograd, and a gradient that was
    accumulated but not collected would be counted again in the next pass."""
    return node is not None and bool(torch._C._will_engine_execute_node(node))
