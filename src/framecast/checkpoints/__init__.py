"""Trained weights on disk: framecast's model folders, and the import of checkpoints of published implementations."""
