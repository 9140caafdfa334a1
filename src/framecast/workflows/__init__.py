"""Whole workflows made of the public functions: the demonstration, the reproduction of published tables,
and the examination of an installation."""
