"""Continuous quantities from samples: nearest neighbours, Gaussian, copula, values on atoms.

An estimator takes arrays of shape (n, d) and returns an :class:`~simengine.diagnostics.estimate.Estimate`;
:mod:`simengine.diagnostics.information` chooses among them by name. Estimators that are trained (bounds by neural
networks) belong here too, in a module of their own, chosen by name like the others; the subsample protocol that they
need is :mod:`simengine.diagnostics.reliability`, which takes any function of row numbers.
"""
