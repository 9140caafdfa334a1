"""Coastlines and borders: where they are, and how a box cuts them."""

import numpy as np
import pytest

from framecast.coastlines import KINDS, lines
from framecast.errors import ArgumentError


def distance(pieces: list[np.ndarray], longitude: float, latitude: float) -> float:
    """Degrees from a place to the nearest point on the lines, east and west shortened by latitude."""
    shrink = np.array([np.cos(np.radians(latitude)), 1])
    nearest = np.inf
    for line in pieces:
        begin, step = (line[:-1] - (longitude, latitude)) * shrink, np.diff(line, axis=0) * shrink
        along = np.clip(-(begin * step).sum(1) / (step**2).sum(1).clip(min=1e-12), 0, 1)
        nearest = min(nearest, np.hypot(*(begin + along[:, None] * step).T).min())
    return float(nearest)


@pytest.mark.parametrize(
    ("longitude", "latitude", "kind"),
    [
        (7.589, 47.590, "border"),  # the tripoint of Basel
        (9.533, 47.270, "border"),  # Liechtenstein, on the Rhine
        (4.739, 52.958, "coast"),  # Den Helder
        (24.95, 60.15, "coast"),  # Helsinki
        (151.29, -33.83, "coast"),  # Sydney Heads
        (18.47, -34.35, "coast"),  # the Cape of Good Hope
    ],
)
def test_lines_are_where_they_are_on_earth(longitude: float, latitude: float, kind: str) -> None:
    pieces = lines(longitude - 1, latitude - 1, longitude + 1, latitude + 1, kind)
    assert distance(pieces, longitude, latitude) < 0.05


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("box", [(5.5, 45.5, 11.0, 48.0), (-2, 48, 12, 56), (120, -45, 155, -8)])
def test_a_box_cuts_without_loss(box: tuple[float, float, float, float], kind: str) -> None:
    """No point is outside, and the lines of two halves are as long as those of the box."""
    west, south, east, north = box
    middle = (west + east) / 2 + 0.00123
    for line in lines(*box, kind):
        assert line.shape[1] == 2
        assert len(line) > 1
        assert (line >= np.array([west, south]) - 1e-9).all()
        assert (line <= np.array([east, north]) + 1e-9).all()

    def length(*part: float) -> float:
        return sum(np.hypot(*np.diff(line, axis=0).T).sum() for line in lines(*part, kind))

    assert length(*box) == pytest.approx(length(west, south, middle, north) + length(middle, south, east, north))


def test_longitudes_follow_those_of_the_box() -> None:
    fiji = lines(176, -20, -178, -15)
    assert fiji
    np.testing.assert_allclose(np.concatenate(fiji), np.concatenate(lines(176, -20, 182, -15)))
    assert {round(line[:, 0].max()) for line in fiji} >= {180}
    west = np.concatenate(lines(-8, 50, 2, 59))
    np.testing.assert_allclose(np.concatenate(lines(352, 50, 362, 59)) - (360, 0), west, atol=1e-9)


def test_no_line_closes_an_area_at_the_antimeridian_or_the_pole() -> None:
    for line in lines(-180, -90, 180, 90):
        assert np.abs(np.diff(line[:, 0])).max() < 10
        assert np.abs(line[:, 1]).max() < 85.3


def test_open_sea_is_empty_and_wrong_boxes_are_refused() -> None:
    assert lines(-40, 30, -35, 35) == []
    with pytest.raises(ArgumentError, match="no box"):
        lines(0, 10, 5, 0)
    with pytest.raises(ArgumentError, match="no box"):
        lines(0, float("nan"), 5, 10)
    with pytest.raises(ArgumentError, match="neither coast nor border"):
        lines(0, 0, 5, 5, "river")
