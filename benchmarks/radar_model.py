"""Makes the model `radar` of the package from a run: its weights, its card, and what a person must know of it.

    framecast crossvalidate radar#lagrangian 'data.path=[...]' data.split.validation=0 --judge BOM.nc --members 20 --out cv
    framecast calibrate cv/all --folds cv --out calibrated
    python benchmarks/radar_model.py calibrated cv/summary.json

`cv/all` is trained on all events of the recipe; the scores in the card are those of the folds, each on the event that it has not
seen, and of `cv/all` on the event that is only judged, beside those of the references on the same frames.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from framecast.checkpoints.model_folder import PACKAGED, load, save
from framecast.verification import drift
from framecast.verification.promise import REFERENCES, SCORES

EVENTS = {
    "MeteoSwiss, rain rate, 5 min, 1 km": ("2015-05-15T15:45:00 UTC", "2015-05-15T19:00:00 UTC"),
    "MeteoSwiss, rain rate, 5 min, 1 km, winter": ("2017-01-31T09:45:00 UTC", "2017-01-31T13:00:00 UTC"),
    "Finnish Meteorological Institute, reflectivity, 5 min, 1 km": (
        "2016-09-28T14:45:00 UTC",
        "2016-09-28T18:00:00 UTC",
    ),
    "KNMI, rain rate, 5 min, 1 km": ("2010-08-26T00:00:00 UTC", "2010-08-26T05:15:00 UTC"),
    "EUMETNET OPERA, rain rate, 15 min, 2 km": ("2018-08-24T18:00:00 UTC", "2018-08-24T23:45:00 UTC"),
    "NOAA MRMS, rain rate, 2 min, 0.01 degree": ("2019-06-10T00:00:00 UTC", "2019-06-10T01:10:00 UTC"),
}
"""The events of training: the source, and the first and the last time."""
ABOUT = {
    "purpose": "probabilities of rain in the next hour or two from a radar composite, where no model of its own was trained",
    "terms": "credit MeteoSwiss, the Finnish Meteorological Institute, KNMI, EUMETNET OPERA and NOAA (MRMS), on whose data it "
    "was trained",
    "limits": "not for warnings without a person who checks them: it has seen six events of a few hours, no snow, no hail, no "
    "tropical cyclone and no mountains but the Alps. Of pixels finer than 0.6 km and of lead times beyond an hour it has seen "
    "little: there extrapolation_probability was as good or better on the event that was only judged. Rain that is born within "
    "the forecast is not foreseen; clutter, bright bands and blocked beams are forecast as rain; rates above 16 mm/h are rare "
    "in what it has seen",
}


def main(run: str, summary: str) -> None:
    """Write the model of `run` to the package, with the scores of `summary`."""
    network, card = load(Path(run))
    rows = json.loads(Path(summary).read_text())
    scores: dict[str, dict[str, float]] = {}
    for row in rows:
        if row["score"].split()[0].lower() in ("mse", "crps", "csi", "brier") and row["event"] != "mean":
            scores.setdefault(row["forecaster"], {})[f"{row['event']}, {row['score']}"] = round(row["value"], 5)
    own = scores.pop(card.model.name)
    about = {
        **ABOUT,
        "trained_on": "; ".join(f"{source}, {first} to {last}" for source, (first, last) in EVENTS.items()),
        "times": [list(span) for span in EVENTS.values()],
        SCORES: own,
        REFERENCES: {name: scores[name] for name in drift.REFERENCES if name in scores},
    }
    # the record of the training data is not in the package: `times` say which frames were trained on
    save(PACKAGED / "radar", network, replace(card, about=about, row_order="north_first", training_data_sha256=""))


if __name__ == "__main__":
    main(*sys.argv[1:])
