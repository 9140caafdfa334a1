"""Settings of models that were saved by earlier versions, where a default has changed its meaning since."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def model_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a saved model, as a plain dictionary, with those added that keep it what it was.

    Version 0.1 built the decoder of PhyDNet in another form, which differs if it reduces the frame by 2 or if the last layer of
    the ConvLSTM has another width than the physical cell; it saved no `decoder`.
    """
    settings = dict(settings)
    if settings.get("name") == "phydnet" and "decoder" not in settings:
        last = (settings.get("layers") or [None])[-1]
        if settings.get("reduction") == 2 or last != settings.get("hidden"):
            settings["decoder"] = "early"
    return settings
