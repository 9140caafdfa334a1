"""The loops in C, the loader of their library, and the memory that they use."""
