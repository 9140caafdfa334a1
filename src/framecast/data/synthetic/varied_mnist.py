"""Variants of Moving MNIST: generate digits that rotate and grow as they move, and digits in colours.

*Varied* (V-MNIST, Wu et al. 2021, MotionRNN): digits move, rotate and scale at once. The paper prints no ranges; the motion is
that of Moving MNIST++ (Shi et al. 2017; docs/specification.md, section 11) with ranges that are wider, without its illumination
and its cropping of digits: a digit has a constant velocity and turns by a constant angle each frame; its scale is divided by a
constant factor while frame // 5 is even, and multiplied by it while it is odd; its centre stays within a margin, clamped there
with its velocity reversed. Positions are not rounded. The paper "forces all digits" to do all three and takes two different
digits: here motions are drawn from none on, and digits independently, so that two are one image in 1 of 60,000 sequences.

*Mixed* (Mixed Moving MNIST, Yao et al. 2022, ModeRNN): two or three digits, each red, green or blue, which move by the rules
of Moving MNIST. Neither motion nor overlap is printed; digits of one colour are combined by their maximum.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import scipy  # its parts are imported when they are first used

from framecast.data.synthetic.moving_mnist import MNIST_FRAME, DigitData, DigitSource, draw_moving_digit
from framecast.types import config

TURN = np.deg2rad(45.0)
"""The largest rotation a frame, in radians; 30 degrees in Moving MNIST++."""
GROWTH = 1.2
"""The largest factor of the scale a frame; 1.1 in Moving MNIST++."""
FASTEST = 5.0
"""The largest speed, in pixels of a frame of 64; 3.6 in Moving MNIST++."""
MARGIN = 10.0
"""How near the centre of a digit comes to the border, in pixels of a frame of 64."""
PERIOD = 5
COLOURS = 3


class VariedDigitSource(DigitSource):
    """Sequence `index` depends on nothing but the digits, the seed, the split and `index`."""

    def _sequence(self, rng: np.random.Generator) -> np.ndarray:
        frames = np.zeros((self.length, 1, self.shape.height, self.shape.width), dtype=np.float32)
        for _ in range(self.digits):
            image = self.images[rng.integers(len(self.images))]
            for t, (centre, angle, scale) in enumerate(self._motion(rng)):
                np.maximum(frames[t, 0], draw_digit(image, centre, angle, scale, self.shape.height), out=frames[t, 0])
        return frames

    def _motion(self, rng: np.random.Generator) -> list[tuple[np.ndarray, float, float]]:
        """Centre (row, column), angle and scale of a digit in each frame."""
        unit = self.shape.height / MNIST_FRAME
        low, high = MARGIN * unit, (MNIST_FRAME - MARGIN) * unit
        centre = rng.uniform(low, high, 2)
        direction = rng.uniform(0, 2 * np.pi)
        velocity = rng.uniform(0, FASTEST) * unit * np.array([np.sin(direction), np.cos(direction)])
        turn, growth = rng.uniform(-TURN, TURN), rng.uniform(1 / GROWTH, GROWTH)
        angle, scale, motion = 0.0, 1.0, []
        for t in range(self.length):
            if t:
                centre = centre + velocity
                outside = (centre <= low) | (centre >= high)
                centre, velocity = np.clip(centre, low, high), np.where(outside, -velocity, velocity)
                angle += turn
                scale = scale / growth if (t // PERIOD) % 2 == 0 else scale * growth
            motion.append((centre, angle, scale))
        return motion


def draw_digit(image: np.ndarray, centre: np.ndarray, angle: float, scale: float, size: int) -> np.ndarray:
    """`image (d, d)` rotated, scaled and placed with its centre at `centre` in a frame `(size, size)`, bilinear."""
    cosine, sine = np.cos(angle) / scale, np.sin(angle) / scale
    inverse = np.array([[cosine, -sine], [sine, cosine]])
    middle = (np.array(image.shape) - 1) / 2
    turned: np.ndarray = scipy.ndimage.affine_transform(
        image, inverse, middle - inverse @ centre, output_shape=(size, size), order=1, mode="grid-constant"
    )
    return turned


class MixedDigitSource(DigitSource):
    """Two to `digits` digits in three colours; sequence `index` depends on the digits, the seed, the split and `index`."""

    channels = COLOURS

    def _number(self, rng: np.random.Generator) -> int:
        return int(rng.integers(min(2, self.digits), self.digits + 1))

    def _sequence(self, rng: np.random.Generator) -> np.ndarray:
        frames = np.zeros((self.length, COLOURS, self.shape.height, self.shape.width), dtype=np.float32)
        for _ in range(self._number(rng)):
            colour = int(rng.integers(COLOURS))
            draw_moving_digit(frames[:, colour], self.images[rng.integers(len(self.images))], rng)
        return frames


@config
class VariedDigits(DigitData):
    """V-MNIST: digits that rotate and grow as they move."""

    name: Literal["varied_digits"] = "varied_digits"
    train: int = 100_000
    test: int = 10_000

    @property
    def source_class(self) -> type[DigitSource]:
        """The source of its windows."""
        return VariedDigitSource


@config
class MixedDigits(DigitData):
    """Mixed Moving MNIST: two to `digits` digits in red, green or blue."""

    name: Literal["mixed_digits"] = "mixed_digits"
    digits: int = 3
    train: int = 30_000
    validation: int = 6_000
    test: int = 5_000

    @property
    def source_class(self) -> type[DigitSource]:
        """The source of its windows."""
        return MixedDigitSource
