"""Windows of an archive: which there are, how they are split, drawn, read and batched."""
