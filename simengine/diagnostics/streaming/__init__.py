"""Observables that compute diagnostics while a simulation runs."""
