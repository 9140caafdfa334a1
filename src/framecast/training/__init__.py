"""Training: a short loop that can be stopped anywhere and resumed exactly."""

from framecast.training.loop import train

__all__ = ["train"]
