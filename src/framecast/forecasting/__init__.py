"""Forecasts: baselines and trained models on opened Frames, and writing them."""
