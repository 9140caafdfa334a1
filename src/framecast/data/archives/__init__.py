"""Archives of many files: finding, opening and joining them."""
