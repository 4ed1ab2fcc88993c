"""Quantities of processes in time."""
