"""Trained weights: framecast's own model folders, and checkpoints of published implementations."""
