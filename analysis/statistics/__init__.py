"""Statistics of runs and sweeps, on plain arrays."""
