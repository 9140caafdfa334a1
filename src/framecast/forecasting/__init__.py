"""Forecasting: trained models and baselines behind one method, labelled forecasts, and writing them to files.

Imports data and checkpoints, never training or verification.
"""
