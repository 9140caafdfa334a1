"""Changes of training windows that teach a model what does not depend on the radar: size, amount, and where rain is."""

from __future__ import annotations

import numpy as np

from framecast.data.quantities import ZR, Quantity
from framecast.errors import ConfigError
from framecast.types import config


@config
class Augmentation:
    """Random changes of training windows of rain. `zoom`: the pixels of a window are closer together or farther apart by a factor
    whose logarithm is uniform between - and + `zoom`. `amplitude`: rates are multiplied by a factor whose logarithm has that
    standard deviation. `crops`: of so many random crops, the one with most rain in the newest frame of the context is used."""

    zoom: float = 0.0
    amplitude: float = 0.0
    crops: int = 1

    def __post_init__(self) -> None:
        for name in ("zoom", "amplitude"):
            if not 0 <= getattr(self, name) <= 2:
                raise ConfigError(f"{getattr(self, name)} must lie between 0 and 2", where=f"augmentation.{name}")
        if self.crops < 1:
            raise ConfigError(f"{self.crops} must be at least 1", where="augmentation.crops")

    def check(self, quantity: Quantity) -> None:
        """Raise `ConfigError` for frames of another quantity than rain, which has no rates."""
        if (self.amplitude or self.crops > 1) and not quantity.precipitation:
            raise ConfigError(
                f"{quantity.title} has no rain to change or to choose by", where="augmentation", remedy="leave it out"
            )

    def draw(self, rng: np.random.Generator) -> tuple[float, float]:
        """The zoom and the factor of the rates of a window; nothing is drawn for what is not asked for."""
        zoom = float(np.exp(rng.uniform(-self.zoom, self.zoom))) if self.zoom else 1.0
        factor = float(np.exp(self.amplitude * rng.standard_normal())) if self.amplitude else 1.0
        return zoom, factor


NO_AUGMENTATION = Augmentation()


def scale_rain(frames: np.ndarray, factor: float, quantity: Quantity) -> np.ndarray:
    """`frames` with rates times `factor`; dry pixels stay dry, missing ones missing."""
    if factor == 1.0:
        return frames
    if quantity.rain == "rate":
        return frames * np.float32(factor)
    zr = ZR()
    louder = np.float32(10 * zr.b * np.log10(factor))
    return np.where(frames > quantity.dry, frames + louder, frames)
