"""Archives of many files: find, open and join them."""
