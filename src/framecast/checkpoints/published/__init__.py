"""Checkpoints of published implementations: their parameter names and settings, mapped to framecast's models."""
