"""An hour of radar for the demonstration: reflectivity over Central Europe on 26 November 2024, 01:00 to 02:00 UTC.

A part of 384 x 384 km of the composite CIRRUS, every 5 minutes, 1 km. Credit EUMETNET OPERA. No model was trained on it.
"""
