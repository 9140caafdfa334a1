"""Clustering of features and distances between sets of features, on arrays.

ModeRNN (2022), section 4: features are clustered by DBSCAN (Martin Ester et al., 1996). The silhouette coefficient (Peter
Rousseeuw, 1987) measures the separation of the groups: near 1 for clear groups, near 0 for none. The A-distance (Shai Ben-David
et al., 2010) measures how well a linear classifier separates two sets of features: 0 not at all, 2 perfectly.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from sklearn.cluster import DBSCAN
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

Noise = Literal["dropped", "a group"]
FEWEST = 4
"""The least number of features in a group, and in each set of an A-distance."""


class Groups(NamedTuple):
    """`labels (N,)`, -1 for noise; the silhouette, NaN with fewer than two groups; the parameters of the clustering."""

    labels: np.ndarray
    silhouette: float
    eps: float
    min_samples: int
    noise: Noise

    @property
    def number(self) -> int:
        """The number of groups, without noise."""
        return len(set(self.labels.tolist()) - {-1})


def standardize(features: np.ndarray) -> np.ndarray:
    """Scale each feature `(N, D)` to mean 0 and standard deviation 1, so that `eps` is comparable between models."""
    return np.asarray(StandardScaler().fit_transform(features))


def find_groups(
    features: np.ndarray,
    *,
    eps: float | None = None,
    reach: float = 1.5,
    min_samples: int = FEWEST,
    labels: np.ndarray | None = None,
    noise: Noise = "dropped",
) -> Groups:
    """Groups of `features (N, D)`: those in `labels`, else those of DBSCAN. `eps` is by default `reach` times the median
    distance to the `min_samples`-th neighbour. Points without a group are dropped from the silhouette, or form a group of their
    own."""
    if eps is None:
        count = min(min_samples, len(features) - 1)
        distances, _ = NearestNeighbors(n_neighbors=count + 1).fit(features).kneighbors(features)
        eps = reach * float(np.median(distances[:, -1])) or 1e-6
    if labels is None:
        labels = DBSCAN(eps=eps, min_samples=min_samples).fit_predict(features)
    used = labels >= 0 if noise == "dropped" else np.ones(len(labels), dtype=bool)
    silhouette = float("nan")
    if 2 <= len(set(labels[used].tolist())) < used.sum():
        silhouette = float(silhouette_score(features[used], labels[used]))
    return Groups(np.asarray(labels), silhouette, eps, min_samples, noise)


def a_distance(one: np.ndarray, other: np.ndarray, seed: int = 0) -> float:
    """2 (1 - 2 e), at least 0, where e is the error of a logistic regression trained on half of each set `(N, D)` and tested on
    the other half. Raises ValueError for sets of fewer than `FEWEST`."""
    if min(len(one), len(other)) < FEWEST:
        raise ValueError("an A-distance needs at least four features of each set")
    rng = np.random.default_rng(seed)
    halves: list[tuple[np.ndarray, np.ndarray]] = []
    for features in (one, other):
        order = rng.permutation(len(features))
        halves.append((features[order[: len(order) // 2]], features[order[len(order) // 2 :]]))
    train, test = (np.concatenate([half[k] for half in halves]) for k in (0, 1))
    truth = [np.repeat([0, 1], [len(half[k]) for half in halves]) for k in (0, 1)]
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(train, truth[0])
    error = float((classifier.predict(test) != truth[1]).mean())
    return max(0.0, 2 * (1 - 2 * error))
