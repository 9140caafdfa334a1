"""The response to intensity, of models whose response is known."""

import numpy as np
import pytest
import torch
from known_models import Decay, Persistent

from framecast.diagnosis.intensity import LOW, delay, respond, response, sudden, two_scales
from framecast.diagnosis.pages import Windows
from framecast.models import SimVP
from framecast.types import FrameShape


def windows(length: int = 12) -> Windows:
    frames = 0.1 + torch.rand(10, length, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    return Windows(frames, length // 2, length - length // 2)


def test_factors_fall_suddenly_and_swing_on_two_scales() -> None:
    np.testing.assert_array_equal(sudden(9), [1, 1, 1, LOW, LOW, LOW, 1, 1, 1])
    swing = two_scales(40)
    assert 0.35 < swing.min() < swing.max() <= 1.0
    power = np.abs(np.fft.rfft(swing - swing.mean()))
    assert set(np.argsort(power)[-2:].tolist()) == {1, 10}  # once in 40 frames, and once in 4


def test_persistence_follows_after_one_frame() -> None:
    frames = windows().frames
    found = respond(Persistent(), frames, sudden(12))
    np.testing.assert_allclose(found.predicted_factor, sudden(12)[:-1], rtol=1e-5)
    np.testing.assert_allclose(found.factor, sudden(12)[1:])
    level = (frames - frames.min())[:, 1:].mean((0, 2, 3, 4)).numpy()
    np.testing.assert_allclose(found.given, level * found.factor, rtol=1e-5)
    assert delay(found) == 1
    diagnosis = response(Persistent(), windows())
    assert diagnosis.verdict.endswith("follow, to a tenth of the fall, after 1 frame.")
    error, repeated = diagnosis.facts["error of the factor on two time scales"].split("; ")
    assert error.split()[0] == repeated.split()[0]  # persistence is the last frame repeated
    assert [figure.heading for figure in diagnosis.figures] == ["Sudden change", "Two time scales"]


def test_a_model_that_reads_the_first_frame_alone_never_follows() -> None:
    found = respond(Decay(1.0), windows().frames, sudden(12))
    np.testing.assert_allclose(found.predicted_factor, 1, rtol=1e-5)
    assert delay(found) is None
    assert "not before it rises again" in response(Decay(1.0), windows()).verdict


def test_what_has_no_response_is_refused() -> None:
    with pytest.raises(ValueError, match="take 6"):
        response(Persistent(), windows(5))
    with pytest.raises(ValueError, match="one value everywhere"):
        response(Persistent(), windows()._replace(frames=torch.zeros(10, 12, 1, 16, 16)))
    one_shot = SimVP(spatial=8, hidden=16, layers=2, blocks=2).build(FrameShape(1, 16, 16, 6, 6)).eval()
    with pytest.raises(ValueError, match="all frames at once"):
        response(one_shot, windows())
