"""Training: a short loop that can be interrupted at any iteration and resumed exactly. It writes to the folder of a run only."""

from framecast.training.api import resume, train

__all__ = ["resume", "train"]
