"""Quantities of many variables."""
