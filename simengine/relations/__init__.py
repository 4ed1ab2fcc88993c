"""Relations: who sees whom. One file a relation; `base.py` says what a new one must provide."""
