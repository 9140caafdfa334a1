"""What a person asks first of a trained model, as text for a terminal and as HTML for a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path

from framecast.checkpoints.model_folder import ModelCard


def model_facts(card: ModelCard, weights: int, device: str, members: int | None, folder: Path | None) -> dict[str, str]:
    """Facts by name: what it predicts from what, the size of its training frames, weights, probabilities."""
    shape, quantity = card.shape, card.quantity
    step = "" if card.step_seconds is None else f", {card.step_seconds / 60:g} minutes apart"
    facts = {
        "predicts": f"{quantity.heading}, {shape.horizon} frames from {shape.context}{step}",
        "trained on": f"frames of {shape.height} x {shape.width} pixels",
        "weights": f"{weights:,} on {device}",
    }
    if card.head.rates:
        rates = ", ".join(f"{rate:g}" for rate in card.head.rates)
        facts["probabilities"] = f"of {rates} mm/h{', calibrated' if card.calibration else ''}"
    others = {"extra inputs": shape.inputs, "members": members, "folder": folder}
    return facts | {name: str(value) for name, value in others.items() if value}


def as_text(title: str, facts: Mapping[str, str]) -> str:
    """A title and facts, one a line."""
    return "\n  ".join([title, *(f"{fact}: {text}" for fact, text in facts.items())])


def as_html(title: str, facts: Mapping[str, str]) -> str:
    """The same as HTML."""
    rows = "".join(f"<tr><td>{escape(fact)}</td><td>{escape(text)}</td></tr>" for fact, text in facts.items())
    return f"<div><p>{escape(title)}</p><table>{rows}</table></div>"
