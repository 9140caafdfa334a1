"""How good the nowcasts of a cross-validation are, event by event, against every baseline: tables and pictures.

    python benchmarks/nowcasts.py cv [PICTURES]

`cv` is the folder that `framecast crossvalidate` has written. Each table is in Markdown: critical success index at 10, 30 and 60
minutes (or the nearest lead time) and in the mean over lead times, Brier score, MSE, CRPS, and of ensembles spread over error,
the slope of the rank histogram (its height at the last rank less that at the first, of a line through ranks of mean height 1) and
the power of members over that observed at wavelengths of 4 to 16 pixels, at 60 minutes. With a folder for PICTURES, reliability,
ranks and spectra of each event are drawn there, a page each.
"""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path

import numpy as np

from framecast.report.figures import COLOURS, spectra, swatches
from framecast.report.probabilities import ensembles, reliability_by_lead_time
from framecast.verification.result import Verification
from framecast.verification.views import observed_events, power, ranks, spread_skill

MINUTES = (10, 30, 60)
NEAR, FAR = 4, 16
"""Wavelengths in pixels between which power is compared."""


def main(folder: Path, pictures: Path | None) -> None:
    """Print the tables of all events in a folder, and draw the pictures."""
    files = {file.parent.parent.name: file for file in sorted(folder.glob("*/evaluation/cases.nc"))}
    files |= {file.parent.name: file for file in sorted(folder.glob("all/evaluation/*/cases.nc"))}
    for event, file in files.items():
        verification = Verification.open(file)
        print(f"\n**{event}**, {verification.cases} cases in {verification.blocks} blocks\n")
        print(table(verification))
        if pictures is not None:
            draw(verification, event, pictures)


def table(verification: Verification) -> str:
    """The scores of one event, a row for each forecaster."""
    minutes = lead_minutes(verification)
    chosen = [int(np.argmin(np.abs(minutes - each))) for each in MINUTES]
    rates = verification.rates
    head = [f"CSI {rate:g}: {', '.join(f'{minutes[k]:g}' for k in chosen)} min; mean" for rate in rates]
    head += [f"Brier {rate:g}" for rate in rates] + ["MSE", "CRPS", "spread / error", "rank slope", "power"]
    lines = [["forecaster", *head], ["---"] * (len(head) + 1)]
    for name in verification.forecasters:
        row = [name]
        for threshold in range(len(rates)):
            csi = verification.curve(name, verification.metric("csi", threshold=threshold)).values
            row.append(f"{', '.join(f'{csi[k]:.3f}' for k in chosen)}; {np.nanmean(csi):.3f}")
        for threshold in range(len(rates)):
            brier = verification.curve(name, verification.metric("brier", threshold=threshold)).values
            row.append(f"{np.nanmean(brier):.5f}")
        row += [f"{verification.frame(name, 'mse').value:.3f}", f"{verification.frame(name, 'crps').value:.4f}"]
        lines.append(row + ensemble(verification, name, chosen[-1]))
    counts = ", ".join(f"{int(observed_events(verification, k).sum()):,} at {rate:g}" for k, rate in enumerate(rates))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\nevent pixels: {counts} mm/h"


def lead_minutes(verification: Verification) -> np.ndarray:
    """The lead times in minutes."""
    return np.asarray(verification.sums["lead_time"].values / np.timedelta64(1, "m"))


def ensemble(verification: Verification, name: str, lead: int) -> list[str]:
    """Spread over error over all lead times, the slope of the ranks and the power of members at a lead time."""
    waves = verification.sums["wavelength"].values
    band = (waves >= NEAR) & (waves < FAR)
    ratio = float(power(verification, name)[lead, band].sum() / power(verification)[lead, band].sum())
    if name not in verification.ensembles:
        return ["", "", f"{ratio:.2f}"]
    spread, error = spread_skill(verification, name)
    counts = ranks(verification, name)
    place = np.linspace(-0.5, 0.5, len(counts))
    slope = float(np.polyfit(place, counts / counts.mean(), 1)[0])
    overall = float(np.sqrt((spread**2).mean() / (error**2).mean()))
    return [f"{overall:.2f}", f"{slope:+.2f}", f"{ratio:.2f}"]


def draw(verification: Verification, event: str, pictures: Path) -> None:
    """Write reliability, ranks and spectra as a page of figures in three columns."""
    pictures.mkdir(parents=True, exist_ok=True)
    names = " ".join(
        f'<b style="color: {COLOURS[number]}">{symbol} {escape(name)}</b>'
        for symbol, number, name in swatches(verification.forecasters)
    )
    sections = [
        "".join(
            f"<figure><figcaption>{escape(title)}</figcaption>{svg}</figure>" for title, svg in figure(verification)
        )
        for figure in (reliability_by_lead_time, ensembles, spectra)
    ]
    style = (
        "body {font: 15px sans-serif; width: 1000px} section {display: flex; flex-wrap: wrap; justify-content: space-between} "
        "figure {margin: 6px; width: 32%} section:nth-of-type(2) figure {width: 48%} svg {width: 100%; height: auto}"
    )
    parts = "".join(f"<section>{section}</section>" for section in sections)
    page = (
        f"<!doctype html><meta charset=utf-8><title>{escape(event)}</title><style>{style}</style><p>{names}</p>{parts}"
    )
    (pictures / f"nowcast_{event}.html").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
