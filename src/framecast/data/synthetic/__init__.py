"""Data sets that are generated: moving digits."""
