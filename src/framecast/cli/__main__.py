"""`python -m framecast.cli`."""

from framecast.cli import main

main()
