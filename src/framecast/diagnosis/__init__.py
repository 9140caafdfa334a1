"""Diagnosis of trained models: the analyses of the papers, as functions on tensors and as pages (`framecast diagnose`).

Reads trained models and data, changes neither. Importing it raises `ConfigError` if its packages are not installed
(`pip install "framecast[diagnose]"`).
"""

from framecast.checks import require

require("sklearn", "matplotlib", "jinja2", extra="diagnose", purpose="a diagnosis")

from framecast.diagnosis.across import across  # noqa: E402
from framecast.diagnosis.kinds import KINDS, diagnose  # noqa: E402

__all__ = ["KINDS", "across", "diagnose"]
