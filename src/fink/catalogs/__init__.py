"""Catalogues: what is already known at each place of the sky, kept on this machine and matched in microseconds."""
