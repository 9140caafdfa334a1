"""Groups of features, on features whose groups are known."""

import json
from pathlib import Path

import numpy as np
import pytest

from framecast.diagnosis.groups import a_distance, find_groups, standardize


def clouds(distance: float, count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Two clouds of points so far apart, and which is which."""
    rng = np.random.default_rng(0)
    points = rng.standard_normal((2 * count, 5))
    points[count:, 0] += distance
    return points, np.repeat([0, 1], count)


def test_two_clearly_different_groups_are_found() -> None:
    points, labels = clouds(60)
    groups = find_groups(points)
    assert groups.number == 2
    assert groups.silhouette > 0.9
    saved = groups.labels >= 0
    assert saved.mean() > 0.8
    assert len({(a, b) for a, b in zip(groups.labels[saved], labels[saved], strict=True)}) == 2


def test_one_group_has_no_silhouette() -> None:
    points, _ = clouds(0)
    groups = find_groups(points, eps=100)
    assert groups.number == 1
    assert np.isnan(groups.silhouette)


def test_given_labels_are_taken() -> None:
    points, labels = clouds(60)
    assert find_groups(points, labels=labels).silhouette > 0.9
    mixed = np.tile([0, 1], 40)
    assert abs(find_groups(points, labels=mixed).silhouette) < 0.1


def test_silhouettes_and_distances_are_the_published_ones(parity: Path) -> None:
    with np.load(parity / "metrics.npz") as file:
        about, points, labels = json.loads(str(file["meta"]))["values"], file["cluster_z"], file["cluster_labels"]
    settings = about["dbscan"]
    without = find_groups(points, eps=settings["eps"], min_samples=settings["min_samples"])
    np.testing.assert_array_equal(without.labels, labels)
    assert without.silhouette == pytest.approx(about["silhouette_without_noise"])
    noisy = find_groups(points, eps=settings["eps"], min_samples=settings["min_samples"], noise="a group")
    assert noisy.silhouette == pytest.approx(about["silhouette_noise_as_cluster"])


def test_a_distance_is_0_for_the_same_and_2_for_what_is_apart() -> None:
    points, labels = clouds(60, 100)
    assert a_distance(points[labels == 0], points[labels == 1]) == 2
    same = a_distance(points[:50], points[50:100])
    assert same < 0.8
    with pytest.raises(ValueError, match="at least four"):
        a_distance(points[:2], points)


def test_scaled_features_have_deviation_1() -> None:
    values = standardize(clouds(10)[0] * 7 + 3)
    np.testing.assert_allclose(values.std(0), 1)
    np.testing.assert_allclose(values.mean(0), 0, atol=1e-12)
