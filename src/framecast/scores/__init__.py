"""Scores: sums for each case and lead time (tally), and values from sums. Tensors and arrays only.

Sums of several cases, files or processes are simply added, so a score of a whole is never an average of averages of its
parts. Every score belongs to a named convention that says how it is computed.
"""

from framecast.scores.conventions import CONVENTIONS, Convention, named
from framecast.scores.events import EVENT_SCORES, Contingency, contingency

__all__ = ["CONVENTIONS", "EVENT_SCORES", "Contingency", "Convention", "contingency", "named"]
