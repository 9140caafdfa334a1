"""Whole workflows made of the public functions: the demonstration, and the reproduction of published tables."""
