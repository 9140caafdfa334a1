"""Digits that rotate and grow, and digits in colours."""

import numpy as np
import pytest

from framecast.data.datasets import MixedDigits, VariedDigits
from framecast.data.synthetic.varied_mnist import GROWTH, TURN, VariedDigitSource, draw_digit
from framecast.data.windows.sources import WindowSource


def train_of(config: VariedDigits | MixedDigits) -> WindowSource:
    source = config.open().train
    assert source is not None
    return source


@pytest.mark.parametrize("config", [VariedDigits(size=32, train=5), MixedDigits(size=32, train=5)])
def test_a_sequence_depends_on_seed_and_index_alone(config: VariedDigits | MixedDigits) -> None:
    one, other = train_of(config), train_of(config)
    other.read(0)
    np.testing.assert_array_equal(one.read(3), other.read(3))
    assert not np.array_equal(one.read(3), one.read(4))
    assert one.read(0).dtype == np.float32
    assert 0 <= one.read(0).min() <= one.read(0).max() <= 1


def test_an_image_at_rest_is_drawn_as_it_is() -> None:
    image = np.random.default_rng(0).random((5, 5)).astype(np.float32)
    frame = draw_digit(image, np.array([8.0, 10.0]), 0.0, 1.0, 20)
    np.testing.assert_allclose(frame[6:11, 8:13], image, atol=1e-6)
    assert frame.sum() == pytest.approx(image.sum(), rel=1e-5)


def test_a_quarter_turn_and_twice_the_size() -> None:
    image = np.zeros((5, 5), dtype=np.float32)
    image[2, 4] = 1
    turned = draw_digit(image, np.array([8.0, 8.0]), np.pi / 2, 1.0, 17)
    assert sorted(np.argwhere(turned > 0.9).tolist()) in ([[6, 8]], [[10, 8]])
    block = np.zeros((9, 9), dtype=np.float32)
    block[3:6, 3:6] = 1
    assert draw_digit(block, np.array([16.0, 16.0]), 0.3, 2.0, 33).sum() == pytest.approx(4 * 9, rel=0.15)


def test_motion_keeps_its_rules() -> None:
    """Steps are constant but at the margin; the scale turns round every five frames; the angle goes on."""
    source = train_of(VariedDigits(size=64, train=5))
    assert isinstance(source, VariedDigitSource)
    for seed in range(50):
        motion = source._motion(np.random.default_rng(seed))
        centres = np.array([centre for centre, _, _ in motion])
        angles = np.array([angle for _, angle, _ in motion])
        scales = np.array([scale for _, _, scale in motion])
        assert centres.min() >= 10
        assert centres.max() <= 54
        turns = np.diff(angles)
        assert np.ptp(turns) < 1e-9
        assert abs(turns[0]) <= TURN
        factors = scales[1:] / scales[:-1]
        assert np.allclose(factors[:4], factors[0])
        assert np.allclose(factors[4:9], 1 / factors[0])
        assert 1 / GROWTH <= factors[0] <= GROWTH


def test_colours_and_numbers_vary() -> None:
    source = train_of(MixedDigits(size=64, train=60))
    assert source.shape.channels == 3
    used = {tuple(bool(source.read(index)[0, colour].any()) for colour in range(3)) for index in range(60)}
    assert len(used) >= 6
    with_two = MixedDigits(size=64, digits=2, train=3)
    assert train_of(with_two).read(0).shape == (20, 3, 64, 64)
