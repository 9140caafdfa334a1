"""Windows of an archive: list, split, sample, read and batch them."""
