"""Compares our extrapolation with the Lucas-Kanade extrapolation of pysteps: CSI by threshold, and time.

    python benchmarks/extrapolation.py FILE.nc [FILE.nc ...]

Both use the same context and are verified on the same pixels, those with an observation and both forecasts.
"""

from __future__ import annotations

import sys
import time

import numpy as np

import framecast.data
from framecast.data.quantities import ZR, Quantity, event_thresholds, quantity_of
from framecast.forecasting.baselines.extrapolation import Extrapolation
from framecast.forecasting.protocol import Context

CONTEXT, HORIZON, EVERY = 4, 12, 8


class Pysteps:
    """pysteps' Lucas-Kanade motion field and semi-Lagrangian advection, with its defaults."""

    name = "pysteps"
    context_length = 2

    def __init__(self, quantity: Quantity) -> None:
        self.quantity = quantity

    def forecast(self, context: Context, /, horizon: int) -> np.ndarray:
        """Forecast by advection, `(1, B, horizon, 1, H, W)`."""
        try:
            import pysteps  # noqa: F401
        except ImportError as error:
            raise SystemExit("this benchmark needs pysteps: pip install 'framecast[oracles]'") from error

        return np.stack([self._forecast_case(frames, horizon) for frames in context.frames])[None]

    def _forecast_case(self, frames: np.ndarray, horizon: int) -> np.ndarray:
        """Forecast one case `(horizon, 1, H, W)` from `frames (T, 1, H, W)`."""
        from pysteps import extrapolation, motion

        observed = np.where(np.isnan(frames[:, 0]), self.quantity.dry, frames[:, 0])
        if self.quantity.name == "rain_rate":
            observed = 10 * np.log10(np.maximum(observed, 0.1))
        else:
            observed = np.maximum(observed, ZR().reflectivity(0.1))
        flow = motion.get_method("lucaskanade")(observed)
        advect = extrapolation.get_method("semilagrangian")
        moved: np.ndarray = advect(frames[-1, 0], flow, horizon, allow_nonfinite_values=True)[:, None]
        return moved


def main() -> None:
    """Print the scores and the ratio of times of each file."""
    for path in sys.argv[1:]:
        frames = framecast.open(path)
        quantity = quantity_of(frames)
        rates = (0.5, 1.0, 2.0, 5.0)
        thresholds = event_thresholds(quantity, rates, ZR())
        counts = np.zeros((2, len(thresholds), 2))
        seconds = np.zeros(2)
        for start in range(0, frames.sizes["time"] - CONTEXT - HORIZON + 1, EVERY):
            window = frames.isel(time=slice(start, start + CONTEXT + HORIZON)).values
            context, observed = window[:CONTEXT], window[CONTEXT:]
            forecasts = []
            both: tuple[Extrapolation | Pysteps, ...] = Extrapolation(quantity), Pysteps(quantity)
            for k, forecaster in enumerate(both):
                start_time = time.perf_counter()
                forecasts.append(forecaster.forecast(Context(context[None]), HORIZON)[0, 0])
                seconds[k] += time.perf_counter() - start_time
            valid = np.isfinite(observed) & np.isfinite(forecasts[0]) & np.isfinite(forecasts[1])
            for k, forecast in enumerate(forecasts):
                for j, threshold in enumerate(thresholds):
                    event, warning = (observed >= threshold) & valid, (forecast >= threshold) & valid
                    counts[k, j] += (event & warning).sum(), (event | warning).sum()
        csi = counts[..., 0] / counts[..., 1]
        print(f"{path.rsplit('/', 1)[-1]}  time ratio ours / pysteps {seconds[0] / seconds[1]:.2f}")
        for j, rate in enumerate(rates):
            print(f"  {rate:4g} mm/h  CSI {csi[0, j]:.3f}  pysteps {csi[1, j]:.3f}  ratio {csi[0, j] / csi[1, j]:.3f}")


if __name__ == "__main__":
    main()
