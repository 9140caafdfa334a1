"""Runs the command line as a module: `python -m framecast.cli`."""

from framecast.cli import main

main()
