"""An example: verify a forecaster of your own against the baselines, and write the report.

A forecaster has a `name`, a `context_length` (the minimum number of context frames) and one method, `forecast(context, horizon)`:
from `context.frames (B, T, C, H, W)` in physical units, NaN for no data, to `(M, B, horizon, C, H, W)` with M members, 1 for a
deterministic forecast. Here it is the mean of the context.

    python examples/own_forecaster.py archive/ report.html
"""

import sys

import numpy as np

import framecast


class Mean:
    """The mean of the context at every lead time; NaN where no frame has data."""

    name = "mean of the context"
    context_length = 1

    def forecast(self, context: framecast.Context, /, horizon: int) -> np.ndarray:
        observed = np.isfinite(context.frames)
        count = observed.sum(axis=1, keepdims=True)
        total = np.where(observed, context.frames, 0).sum(axis=1, keepdims=True)
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
        return np.repeat(mean, horizon, axis=1)[None]


def show(done: int, total: int) -> None:
    """Print how many windows are verified."""
    print(f"{done} of {total} windows", file=sys.stderr, flush=True)


def main(data: str, report: str) -> None:
    """Verify every fourth window of `data` and write `report`."""
    verification = framecast.verify(
        [Mean()], data, context=5, horizon=6, stride=4, baselines=("persistence", "extrapolation"), progress=show
    )
    for name in verification.forecasters:
        print(f"{name:22} MSE {verification.frame(name, 'mse').value:.4g}")
    print(framecast.write_report(verification, report, title="A forecast of my own", facts={"data": data}))


if __name__ == "__main__":
    main(*sys.argv[1:])
