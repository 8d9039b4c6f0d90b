"""Measurements of Fink, each with the goal that it is compared with; not part of the package. Run them by ``make bench``."""
