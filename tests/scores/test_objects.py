"""SAL on fields whose answer is known, and against the equations written out one pixel at a time."""

import numpy as np
import pytest
from scipy import ndimage

from framecast.scores.objects import WET, Scene, object_threshold, sal, scene


def described(rates: np.ndarray) -> Scene:
    labels, _ = ndimage.label(rates >= object_threshold(rates), np.ones((3, 3)))
    found = scene(rates, labels, rates.size)
    assert found is not None
    return found


def blob(y: float, x: float, width: float = 3.0, height: float = 10.0, size: int = 60) -> np.ndarray:
    rows, columns = np.indices((size, size))
    field = height * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * width**2))
    return np.where(field >= WET, field, 0.0)


DIAGONAL = float(np.hypot(60, 60))


def test_the_truth_itself_is_perfect() -> None:
    field = blob(20, 20) + blob(45, 40, 5, 4)
    assert sal(described(field), described(field), DIAGONAL) == (0, 0, 0)


def test_twice_as_much_is_amplitude_alone() -> None:
    field = blob(30, 30)
    found = sal(described(2 * field), described(field), DIAGONAL)
    assert found.amplitude == pytest.approx(2 / 3)
    assert found.location == pytest.approx(0, abs=1e-12)
    assert found.structure == pytest.approx(0, abs=0.1)


def test_a_shift_is_location_alone() -> None:
    found = sal(described(blob(30, 20)), described(blob(30, 35)), DIAGONAL)
    assert found.location == pytest.approx(15 / DIAGONAL, rel=1e-3)
    assert found.amplitude == pytest.approx(0, abs=1e-6)
    assert found.structure == pytest.approx(0, abs=1e-6)


def test_blur_is_structure_above_0_and_crumbs_below() -> None:
    truth = blob(30, 30)
    broad, crumbs = ndimage.uniform_filter(truth, 11), blob(30, 30, 1.0, 40.0)
    assert sal(described(broad), described(truth), DIAGONAL).structure > 0.3
    assert sal(described(crumbs), described(truth), DIAGONAL).structure < -0.3


def test_a_field_without_rain_has_no_scene() -> None:
    dry = np.full((8, 8), WET / 2)
    assert object_threshold(dry) == np.inf
    assert scene(dry, np.zeros((8, 8), dtype=int), 64) is None


def by_hand(rates: np.ndarray) -> tuple[float, np.ndarray, float, float]:
    """Objects found by walking from pixel to pixel; equations 4 to 11 as sums over them."""
    limit = np.quantile(rates[rates >= WET], 0.95) / 15
    left, objects = set(zip(*np.nonzero(rates >= limit), strict=True)), []
    while left:
        waiting, found = [left.pop()], []
        while waiting:
            y, x = waiting.pop()
            found.append((y, x))
            near = {(y + a, x + b) for a in (-1, 0, 1) for b in (-1, 0, 1)} & left
            left -= near
            waiting += near
        objects.append(found)
    everywhere = np.stack(np.indices(rates.shape), axis=-1)
    centre = (everywhere * rates[..., None]).sum((0, 1)) / rates.sum()
    amounts, distances, volumes = [], [], []
    for found in objects:
        values = np.array([rates[place] for place in found])
        places = np.array(found)
        amounts.append(values.sum())
        distances.append(np.linalg.norm((places * values[:, None]).sum(0) / values.sum() - centre))
        volumes.append(values.sum() / values.max())
    weights = np.array(amounts) / sum(amounts)
    return rates.mean(), centre, float(weights @ distances), float(weights @ volumes)


@pytest.mark.parametrize("seed", range(5))
def test_scenes_are_those_of_the_equations(seed: int) -> None:
    rates = ndimage.gaussian_filter(np.random.default_rng(seed).gamma(0.2, 4.0, (24, 30)), 1.0)
    ours = described(rates)
    mean, centre, scatter, volume = by_hand(rates)
    assert ours.mean == pytest.approx(mean)
    np.testing.assert_allclose(ours.centre, centre)
    assert ours.scatter == pytest.approx(scatter)
    assert ours.volume == pytest.approx(volume)


def test_amplitude_and_the_first_part_of_location_are_those_of_pysteps() -> None:
    theirs = pytest.importorskip("pysteps.verification.salscores")
    pytest.importorskip("pandas")
    forecast, truth = blob(25, 20) + blob(50, 50, 4, 5), blob(30, 35, 4, 6)
    found = theirs.sal(forecast, truth)
    ours = sal(described(forecast), described(truth), DIAGONAL)
    assert ours.amplitude == pytest.approx(found[1])
    one, other = described(forecast), described(truth)
    first = float(np.hypot(*(one.centre - other.centre))) / DIAGONAL
    assert first == pytest.approx(theirs._sal_l1_param(forecast, truth), rel=1e-6)
