"""From forecasts and observed frames to scores: windows, sums per case, metrics, comparison."""
