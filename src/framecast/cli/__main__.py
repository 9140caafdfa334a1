"""Runs the command line as a module: `python -m framecast.cli`."""

from framecast.cli import main

if __name__ == "__main__":  # not in the processes that `multiprocessing` spawns
    main()
