"""One run: finding the scenario, starting, advancing, recording."""
