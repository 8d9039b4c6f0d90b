"""Fink, an astronomical alert broker."""
