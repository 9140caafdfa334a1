"""Generated data sets: moving digits."""
