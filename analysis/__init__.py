"""Offline analysis of runs and sweeps."""
