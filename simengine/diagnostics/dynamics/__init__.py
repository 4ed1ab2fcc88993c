"""Quantities of processes in time: information flow and memory, irreversibility, change and its warnings.

Estimators that are trained, such as entropy production from a learned score (the velocity v = b - D grad ln rho of
the probability current, of which the production is E[v^T D^-1 v]), belong beside those in closed form: one module
each, here ``production_score.py``, chosen by name in :mod:`.production` like ``"counts"`` or ``"linear"``, which
imports torch only when it is called. Their tests are the known values of :mod:`.exact_production`.
"""
