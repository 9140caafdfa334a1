"""Training: a short loop that can be stopped anywhere and resumed exactly."""

from framecast.training.api import resume, train

__all__ = ["resume", "train"]
