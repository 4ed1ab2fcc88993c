"""Figures of runs and sweeps; each function takes and returns a matplotlib Axes."""
