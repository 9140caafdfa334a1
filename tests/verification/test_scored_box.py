"""Sums over the part of the frames that holds the scored pixels are those over full frames."""

from dataclasses import replace

import numpy as np
import pytest

from framecast.data.quantities import QUANTITIES
from framecast.scores import CONVENTIONS
from framecast.verification.case_sums import PerceptualNetworks, sum_cases
from framecast.verification.scored_forecast import ScoredForecast
from framecast.verification.scoring_rules import ScoringRules


def disc(radius: float) -> tuple[dict[str, ScoredForecast], np.ndarray]:
    """Two forecasts and a truth of showers that a radar sees within `radius` pixels."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0:230, 0:251]
    seen = np.hypot(rows - 98, columns - 140) <= radius
    fields = np.repeat(rng.gamma(0.3, 4, (3, 2, 2, 1, 46, 51)), 5, axis=-1)
    fields = np.repeat(fields, 5, axis=-2)[..., :251].astype(np.float32)
    truth, *forecasts = np.where(seen & (fields > 0.5), fields, np.where(seen, 0, np.nan)).astype(np.float32)
    return {f"f{k}": ScoredForecast(each) for k, each in enumerate(forecasts)}, truth


@pytest.mark.parametrize("radius", [70, 0, -1])
def test_a_radar_in_a_large_frame(radius: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a disc, of one pixel, and of none."""
    forecasts, truth = disc(radius)
    quantity = QUANTITIES["rain_rate"]
    rules = ScoringRules(quantity, (0.5, 2.0, 8.0), (0.5, 2.0, 8.0))
    contexts = np.zeros((2, 3, 1, 230, 251), np.float32)
    part = sum_cases(forecasts, truth, contexts, [0, 1], rules, PerceptualNetworks())
    monkeypatch.setitem(CONVENTIONS, "default", replace(CONVENTIONS["default"], local=False))
    full = sum_cases(forecasts, truth, contexts, [0, 1], rules, PerceptualNetworks())
    assert set(part) == set(full)
    for name, values in full.items():
        np.testing.assert_allclose(part[name], values, rtol=1e-6, atol=1e-9, err_msg=str(name))
