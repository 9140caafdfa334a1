"""Looking inside: what the papers analyse, as functions on arrays and tensors, and as pages (`framecast diagnose`).

Raises `ConfigError` on import where what it needs is not installed (`pip install "framecast[diagnose]"`).
"""

from framecast.checks import require

require("sklearn", "matplotlib", "jinja2", extra="diagnose", purpose="a diagnosis")

from framecast.diagnosis.collapse import across  # noqa: E402
from framecast.diagnosis.kinds import KINDS, diagnose  # noqa: E402

__all__ = ["KINDS", "across", "diagnose"]
