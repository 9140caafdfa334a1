"""What a backward pass is asked for."""

from __future__ import annotations

from typing import Any

import torch


def is_asked_for(node: Any) -> bool:
    """Whether this backward pass comes to `node`, which hands on a gradient that is added up beside autograd: what was added up
    and not taken would be counted again in the next pass."""
    return node is not None and bool(torch._C._will_engine_execute_node(node))
