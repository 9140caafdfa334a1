"""Verification scores: sums for each case and lead time, and formulas that turn sums into values.

Everything here works on tensors and arrays alone: no files, no models, no xarray, no scipy. Sums of several cases, files or
processes are added, so the score of a whole is never an average of averages. One record (`Metric`) describes each score.
"""

from framecast.scores.conventions import CONVENTIONS, Convention, find_convention
from framecast.scores.events import Contingency, contingency
from framecast.scores.metric import Metric

__all__ = ["CONVENTIONS", "Contingency", "Convention", "Metric", "contingency", "find_convention"]
