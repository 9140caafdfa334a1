"""Palettes: quiet at drizzle, loud at heavy rain; one of them in lightness alone."""

import numpy as np
import pytest

from framecast.colours import PALETTES, scale_of
from framecast.data.quantities import INTENSITY, RAIN_RATE, REFLECTIVITY, Quantity
from framecast.errors import ArgumentError

RAIN = pytest.mark.parametrize("quantity", [RAIN_RATE, REFLECTIVITY], ids=lambda quantity: quantity.name)


def lightness(colours: np.ndarray) -> np.ndarray:
    """CIE 1976 lightness of sRGB colours `(N, 3)` from 0 to 255."""
    linear = np.where(colours / 255 <= 0.04045, colours / 255 / 12.92, ((colours / 255 + 0.055) / 1.055) ** 2.4)
    luminance = linear @ (0.2126, 0.7152, 0.0722)
    return 116 * np.where(luminance > 0.008856, np.cbrt(luminance), 7.787 * luminance + 16 / 116) - 16


def colours_of(quantity: Quantity, palette: str) -> np.ndarray:
    """The colour of each step, and of what is above the last."""
    ticks = np.array(quantity.colour_steps)
    values = np.append((ticks[1:] + ticks[:-1]) / 2, ticks[-1] + 1)
    return scale_of(quantity, palette).paint(values[None, None])[0].astype(float)


@RAIN
@pytest.mark.parametrize("palette", PALETTES)
def test_drizzle_is_quiet_and_heavy_rain_is_loud(quantity: Quantity, palette: str) -> None:
    colours = colours_of(quantity, palette)
    from_white = np.linalg.norm(255 - colours, axis=1)
    assert from_white[0] == from_white.min()
    assert from_white[0] < 100
    assert from_white[-3:].min() > 200
    dry = scale_of(quantity, palette).paint(np.full((1, 1, 1), quantity.dry))
    assert dry.tolist() == [[[255, 255, 255]]]
    assert len(np.unique(colours, axis=0)) == len(colours)


@RAIN
def test_the_uniform_palette_is_in_its_lightness(quantity: Quantity) -> None:
    """What colour-blind people and grey printers see: each step is darker, by about as much."""
    steps = -np.diff(lightness(colours_of(quantity, "uniform")))
    assert steps.min() > 4
    assert steps[:-1].max() < 2 * steps[:-1].min()


def test_palettes_are_chosen_by_name() -> None:
    frame = np.full((1, 1, 1), 10.0)
    default, uniform = (scale_of(RAIN_RATE, name).paint(frame).tolist() for name in (None, "uniform"))
    assert default == scale_of(RAIN_RATE, "services").paint(frame).tolist() != uniform
    grey = scale_of(INTENSITY, "uniform").paint(np.full((1, 1, 1), 0.5))
    assert np.ptp(grey) == 0
    with pytest.raises(ArgumentError, match="palette"):
        scale_of(RAIN_RATE, "jet")
