"""Our extrapolation against pysteps' Lucas-Kanade extrapolation: CSI by threshold, and time.

    python benchmarks/extrapolation.py FILE.nc [FILE.nc ...]

Both get the same context and are scored on the same pixels: where the truth and both forecasts have a value.
"""

from __future__ import annotations

import sys
import time

import numpy as np

import framecast.data
from framecast.data.quantities import ZR, event_thresholds, of
from framecast.data.scaling import RainLog
from framecast.forecasting.extrapolation import Extrapolation

CONTEXT, HORIZON, EVERY = 4, 12, 8


def pysteps_forecast(context: np.ndarray, quantity) -> np.ndarray:
    """pysteps' motion field and advection, with its defaults."""
    from pysteps import extrapolation, motion

    seen = np.nan_to_num(RainLog().forward(context[:, 0], quantity)) * 30 - 10
    flow = motion.get_method("lucaskanade")(seen)
    advected = extrapolation.get_method("semilagrangian")(context[-1, 0], flow, HORIZON, allow_nonfinite_values=True)
    return advected[:, None]


def main() -> None:
    for path in sys.argv[1:]:
        frames = framecast.data.open(path)
        quantity = of(frames)
        rates = (0.5, 1.0, 2.0, 5.0)
        thresholds = event_thresholds(quantity, rates, ZR())
        counts = np.zeros((2, len(thresholds), 2))
        seconds = np.zeros(2)
        for start in range(0, frames.sizes["time"] - CONTEXT - HORIZON + 1, EVERY):
            window = frames.isel(time=slice(start, start + CONTEXT + HORIZON)).values
            context, truth = window[:CONTEXT], window[CONTEXT:]
            forecasts = []
            for k, forecast in enumerate(
                (Extrapolation(quantity).forecast_array, lambda c, _: pysteps_forecast(c, quantity))
            ):
                begun = time.perf_counter()
                forecasts.append(forecast(context, HORIZON))
                seconds[k] += time.perf_counter() - begun
            valid = np.isfinite(truth) & np.isfinite(forecasts[0]) & np.isfinite(forecasts[1])
            for k, forecast in enumerate(forecasts):
                for j, threshold in enumerate(thresholds):
                    event, said = (truth >= threshold) & valid, (forecast >= threshold) & valid
                    counts[k, j] += (event & said).sum(), (event | said).sum()
        csi = counts[..., 0] / counts[..., 1]
        print(f"{path.rsplit('/', 1)[-1]}  time ratio ours / pysteps {seconds[0] / seconds[1]:.2f}")
        for j, rate in enumerate(rates):
            print(f"  {rate:4g} mm/h  CSI {csi[0, j]:.3f}  pysteps {csi[1, j]:.3f}  ratio {csi[0, j] / csi[1, j]:.3f}")


if __name__ == "__main__":
    main()
