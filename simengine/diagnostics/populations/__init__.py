"""Quantities of populations, places and networks."""
