"""The formats in which a forecast is written, and the check of the target, which needs no model and imports next to nothing."""

from __future__ import annotations

from pathlib import Path

from framecast.checks import require
from framecast.errors import ConfigError

SUFFIXES = (".nc", ".zarr", ".mp4", ".gif")


def check_target(out: Path, *, overwrite: bool = False) -> None:
    """Raise `ConfigError` if a forecast cannot be written to `out`; call it before the forecast is computed."""
    if out.suffix in (".tif", ".tiff", ".png"):
        raise ConfigError(
            f"{out.suffix} is a format of products",
            where=out,
            remedy="write the forecast to a file .nc, and its products by `framecast products` or framecast.write_products",
        )
    if out.suffix not in SUFFIXES:
        raise ConfigError(
            f"{out.suffix or 'no suffix'} is not a format of forecasts", where=out, remedy=f"use {', '.join(SUFFIXES)}"
        )
    if out.suffix == ".gif":
        require("matplotlib", extra="report", purpose="an animation", where=out)
    if out.suffix == ".mp4":
        require("av", "matplotlib", extra="video,report", purpose="an animation as MP4", where=out)
    check_absent(out, overwrite=overwrite)
    if out.is_dir():
        from framecast.data.readers.zarr_store import recognises  # late: imports xarray

        if not recognises(out):
            raise ConfigError("is a folder, but no Zarr store", where=out, remedy="choose another file")
    check_folder(out)


def check_absent(out: Path, *, overwrite: bool) -> None:
    """Raise `ConfigError` if there is a file that may not be replaced."""
    if out.exists() and not overwrite:
        raise ConfigError(
            "exists already",
            where=out,
            remedy="choose another file, or allow overwriting",
            parameter="overwrite",
            example=True,
        )


def check_folder(out: Path) -> None:
    """Raise `ConfigError` if the folder of `out` does not exist."""
    if not out.absolute().parent.is_dir():
        raise ConfigError("its folder does not exist", where=out, remedy=f"create {out.parent} first")
