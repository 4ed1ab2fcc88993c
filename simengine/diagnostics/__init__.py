"""Estimators, pure functions on arrays, and the observables built on them."""
