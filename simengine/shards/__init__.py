"""One population over several processes: who holds which agents, what moves between them, and the actors."""
