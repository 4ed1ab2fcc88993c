"""Backends: what answers a request, over a network or in this process."""
