"""Continuous quantities from samples."""
