"""Discrete quantities from integer counts."""
