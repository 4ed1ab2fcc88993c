"""The scenarios that ship with simengine."""
