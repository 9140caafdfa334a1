"""The loops in C, how they are loaded, and the memory they work in."""
