"""Looking inside: what the papers analyse, as functions on arrays and tensors, and as pages (`framecast diagnose`)."""

from framecast.diagnosis.collapse import across
from framecast.diagnosis.kinds import KINDS, diagnose

__all__ = ["KINDS", "across", "diagnose"]
