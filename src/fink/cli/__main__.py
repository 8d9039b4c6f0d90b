"""Run the command line as ``python -m fink.cli``."""

from fink.cli import main

main()
