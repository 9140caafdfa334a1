"""Scores: sums for each case and lead time, and values from sums. Tensors and arrays only.

Sums of several cases, files or processes are simply added, so a score of a whole is never an average of averages of its
parts. Every score belongs to a named convention that says how it is computed, and is described by one record (`Metric`).
"""

from framecast.scores.conventions import CONVENTIONS, Convention, named
from framecast.scores.events import Contingency, contingency
from framecast.scores.metric import Metric

__all__ = ["CONVENTIONS", "Contingency", "Convention", "Metric", "contingency", "named"]
