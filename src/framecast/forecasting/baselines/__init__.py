"""Forecasts that nothing was trained for, which a learned forecast has to beat; one file each."""
