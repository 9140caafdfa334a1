"""Inspection of archives before training: `framecast inspect`."""
