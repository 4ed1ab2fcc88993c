"""Policies: what answers a decision. The author's rule is compiled; `answers.py` holds those of the host."""
