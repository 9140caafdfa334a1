"""Maps: where the pixels of frames lie on the ground, and frames drawn there with coast, borders, graticule and scale bar."""
