"""Workflows that combine the other packages: evaluation with its report, the demonstration, the reproduction of published tables,
and the check of an installation. They train, verify and write reports; only the command line imports them."""
