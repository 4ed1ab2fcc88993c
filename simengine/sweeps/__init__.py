"""Sweeps: many runs of one scenario, with a design, replicates and one folder of results."""
