"""Reading and writing `cases.nc`: the sums of all cases of a verification, with a version of the variable names.

Files of earlier versions are converted on reading. No score is computed here.

Besides the sums of the metrics (stated in their records) a file has these variables, for each case:

    pixels, observed                                  scored pixels, and pixels with an observation
    forecast_count, forecast_probability,
    observed_events                                   forecasts and events by bin of probability (reliability, ROC)
    <the same>_by_lead_time                           the same at the first, the middle and the last lead time
    lowest_rate, highest_rate                         ladder of a forecast that is a distribution, in mm/h; NaN of others
    rank_count, members                               ranks of the truth in an ensemble, and its number of members
    ensemble_variance, ensemble_squared_error         spread of an ensemble, and squared error of its mean
    power, observed_power                             power spectra by wavelength, of an ensemble that of its mean
    member_power                                      the same, of an ensemble the mean of those of its members
    wet_forecast, wet_observed, wet_amount, speed     properties that define regimes
    fallback_cases                                    1 where a forecaster used a simpler method
    checksum, height, width                           identity of the true frames, and their size in pixels

and the coordinates `threshold`, in the units of the data, `rate`, the same in mm/h, of frames of rain, and `level`, the same as
stated in the attribute `level_units`, where they were stated so.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from framecast.data.quantities import QUANTITIES, ZR, Quantity
from framecast.errors import DataError
from framecast.reading.paths import check_file, status
from framecast.scores import CONVENTIONS, Convention
from framecast.writing.netcdf import write_netcdf

VERSION = 1
"""Version of the variable names, in the attribute `framecast_cases_version`; files without it are version 0."""
_ATTRIBUTE = "framecast_cases_version"
_RENAMED = {
    "probability_said": "forecast_probability",
    "probability_happened": "observed_events",
    "probability_counted": "forecast_count",
    "wet_said": "wet_forecast",
    "wet_true": "wet_observed",
    "true_power": "observed_power",
    "true_features": "observed_features",
    "rank_counted": "rank_count",
    "mean_error": "ensemble_squared_error",
    "spread": "ensemble_variance",
    "sal_s_size": "sal_s_absolute",
    "sal_a_size": "sal_a_absolute",
}
"""Variable names of version 0, and those of version 1."""


def write_cases(sums: xr.Dataset, rates: tuple[float, ...], path: Path) -> None:
    """Write the sums to `path` in one step; `rates`, the thresholds in mm/h, become the coordinate `rate`. Raises `RunError`, and
    `ConfigError` if `path` is a file of the frames that were scored."""
    sources = sums.encoding.get("sources", ())
    if "threshold" in sums.dims and rates:
        sums = sums.assign_coords(rate=("threshold", list(rates), {"units": "mm h-1"}))
    write_netcdf(path, sums.assign_attrs({_ATTRIBUTE: VERSION}), sources)


def read_cases(path: Path) -> tuple[xr.Dataset, Convention, Quantity, tuple[float, ...], tuple[float, ...]]:
    """The sums with current names, the convention, the quantity, and the thresholds in mm/h and in the units of the data. Raises
    `DataError` if the file is not a verification or has a newer version."""
    if status(path) is not None:
        check_file(path)
    try:
        with xr.open_dataset(path, engine="h5netcdf", decode_timedelta=True) as file:
            sums = file.load()
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read ({error})", where=path) from error
    version = int(sums.attrs.pop(_ATTRIBUTE, 0))
    if version > VERSION:
        raise DataError(
            f"written by a newer framecast: version {version}, this one reads versions up to {VERSION}",
            where=path,
            remedy="install the newer framecast, or evaluate again",
        )
    try:
        quantity, convention = QUANTITIES[sums.attrs["quantity"]], CONVENTIONS[sums.attrs["convention"]]
        sums["mse"], sums["forecaster"]
    except KeyError as error:
        raise DataError(f"not the sums of a verification: no {error}", where=path, remedy="give a cases.nc") from None
    if version == 0:
        sums = _from_version_0(sums, quantity)
    if "threshold" not in sums.dims:
        return sums, convention, quantity, (), ()
    rates, thresholds = (
        tuple(sums[name].values.tolist()) if name in sums.coords else () for name in ("rate", "threshold")
    )
    return sums.drop_vars("rate", errors="ignore"), convention, quantity, rates, thresholds


def _from_version_0(sums: xr.Dataset, quantity: Quantity) -> xr.Dataset:
    """Convert sums of version 0: rename variables, and add the thresholds in mm/h, which version 0 has in data units only."""
    sums = sums.rename({old: new for old, new in _RENAMED.items() if old in sums})
    if "threshold" not in sums.dims:
        return sums
    rates = sums["threshold"].values
    if quantity.rain == "reflectivity":
        zr = ZR()
        rates = np.array([float(f"{zr.rain_rate(float(value)):.6g}") for value in rates])
        repair = f"the thresholds in dBZ of an earlier version were converted to mm/h by Z = {zr.a:g} R^{zr.b:g}"
        sums.attrs["repairs"] = "\n".join(filter(None, [sums.attrs.get("repairs", ""), repair]))
    return sums.assign_coords(rate=("threshold", rates))
