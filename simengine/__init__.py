"""A distributed simulation engine for multi-agent social systems."""
