"""Recognise forecasts: files that hold valid times of a run, lead times or members are no observations."""

from __future__ import annotations

import re
from collections.abc import Hashable

import numpy as np
import xarray as xr

from framecast.data.readers.cf_times import seconds_of
from framecast.errors import DataError

_NAMES = {
    "lead": frozenset(
        [
            "leadtime",
            "leadtimes",
            "lead",
            "leads",
            "step",
            "forecastperiod",
            "forecasthour",
            "forecastleadtime",
            "forecasttime",
            "fhour",
            "fhr",
            "fcsthour",
            "fcsttime",
            "predictiontimedelta",
            "fxx",
        ]
    ),
    "run": frozenset(
        [
            "inittime",
            "initialtime",
            "initialisationtime",
            "initializationtime",
            "forecastreferencetime",
            "referencetime",
            "reftime",
            "refdate",
            "run",
            "runtime",
            "modelrun",
            "modelruntime",
            "analysistime",
            "issuetime",
        ]
    ),
    "member": frozenset(
        [
            "member",
            "members",
            "realization",
            "realisation",
            "realizations",
            "number",
            "ensemble",
            "ens",
            "ensemblemember",
            "ensemblesize",
            "ensnumber",
            "ensmember",
            "ensmem",
            "enssize",
        ]
    ),
}
"""Names of variables and dimensions of forecasts by what they are, in small letters without "_" and "-"."""
_COUNTERS = ("step", "lead", "leads")
"""Names of lead times that may count something else, where no units say more."""
_TIME_NAMES = ("time", "valid_time", "t")
_STANDARD = {"lead": "forecast_period", "run": "forecast_reference_time", "member": "realization"}
_SAYS = re.compile(r"\b(?:fore|now)casts?\b", re.IGNORECASE)


def forecast_role(dataset: xr.Dataset, name: Hashable) -> str | None:
    """Whether a variable or dimension is of a forecast: "lead", "run" or "member" by its CF standard name, or by its name."""
    standard = dataset[name].attrs.get("standard_name") if name in dataset.variables else None
    for role, names in _NAMES.items():
        if standard == _STANDARD[role] or _key(name) in names:
            return role
    return None


def _key(name: Hashable) -> str:
    return re.sub(r"[\s_-]", "", str(name).lower())


def stated_run(dataset: xr.Dataset) -> np.datetime64 | None:
    """The time of the run that the global attributes of a dataset state; None without."""
    for name, value in dataset.attrs.items():
        if _key(name) in _NAMES["run"] and isinstance(value, str):
            try:
                return np.datetime64(value.strip().removesuffix("Z").removesuffix(" UTC").replace(" ", "T"), "ns")
            except ValueError:
                continue
    return None


def refuse_forecast(array: xr.DataArray, dataset: xr.Dataset, path: object) -> None:
    """Raise `DataError` if `array`, of the decoded `dataset`, is a forecast: it has a dimension of lead times, runs or members,
    or times after those of its run."""
    refuse_forecast_dims(array, dataset, path)
    if (evidence := _times(array, dataset)) is not None:
        raise forecast_error(evidence, path)


def refuse_forecast_dims(array: xr.DataArray, dataset: xr.Dataset, path: object) -> None:
    """The same by the dimensions alone: `dataset` need not be decoded."""
    dims = [str(d) for d in array.dims if array.sizes[d] > 1 and d not in _TIME_NAMES and forecast_role(dataset, d)]
    if dims:
        raise forecast_error(f"its variable {str(array.name)!r} has the dims {', '.join(dims)}", path)


def forecast_error(evidence: str, path: object, *, readable: bool = True) -> DataError:
    """The error for a forecast where observations are expected; `readable` if `framecast.open_forecast` reads its format."""
    opening = (
        f"open it with framecast.open_forecast({str(path)!r})"
        if readable
        else "convert it to CF NetCDF to open the forecast"
    )
    return DataError(
        f"a forecast ({evidence}), and not observations",
        where=str(path),
        remedy=f"{opening}, or give the file of the observations",
    )


def _times(array: xr.DataArray, dataset: xr.Dataset) -> str | None:
    """The lead time, or the time of the run, that says that the frames are of a forecast."""
    for name in (name for name in dataset.variables if set(dataset[name].dims) <= set(array.dims)):
        variable, role = dataset[name], forecast_role(dataset, name)
        if role == "lead" and variable.dtype.kind in "iuf" and _is_duration(variable) and (variable.values > 0).any():
            return f"its {str(name)!r} is above 0"
        if role == "run" and variable.dtype.kind == "M":
            times = [dataset[time] for time in dict.fromkeys((*_TIME_NAMES, *array.dims)) if time in dataset.variables]
            if any(time.dtype.kind == "M" and bool((time > variable).any()) for time in times):
                return f"its times lie after {str(name)!r}, {np.datetime_as_string(np.min(variable.values), 's')} UTC"
    return _words(array, dataset)


def _words(array: xr.DataArray, dataset: xr.Dataset) -> str | None:
    """What in the attributes of the times, or of the file, says that the frames are of a forecast."""
    for name in (name for name in _TIME_NAMES if name in dataset.variables):
        for key in ("long_name", "description", "reference_time_description"):
            if _SAYS.search(stated := str(dataset[name].attrs.get(key, ""))):
                return f"the {key} of its {name!r} is {stated[:60]!r}"
    run = stated_run(dataset)
    times = [
        dataset[name].values for name in _TIME_NAMES if name in dataset.variables and dataset[name].dtype.kind == "M"
    ]
    if run is not None and any(bool((each > run).any()) for each in times):
        return f"its times lie after that of its run, {np.datetime_as_string(run, 's')} UTC"
    if hours := [name for name in array.attrs if _key(name) in _NAMES["lead"] and _above_0(array.attrs[name])]:
        return f"its attribute {hours[0]} is {array.attrs[hours[0]]}"
    return None


def _above_0(value: object) -> bool:
    return bool(np.asarray(value).dtype.kind in "iuf" and (np.asarray(value) > 0).any())


def says_forecast(array: xr.DataArray, dataset: xr.Dataset) -> str | None:
    """The title of a dataset, or the long name of its variable, if it speaks of a forecast, which is a hint and no proof."""
    for what, attributes in (("title", dataset.attrs), ("long_name", array.attrs)):
        if _SAYS.search(text := str(attributes.get(what, ""))):
            return f"its {what} is {text[:80]!r}"
    return None


def _is_duration(variable: xr.DataArray) -> bool:
    """Whether a variable is a forecast period, or has the units of one, or none and a name that can mean nothing else."""
    units = variable.attrs.get("units")
    return (
        variable.attrs.get("standard_name") == _STANDARD["lead"]
        or seconds_of(units) is not None
        or (units is None and _key(variable.name or "") not in _COUNTERS)
    )
