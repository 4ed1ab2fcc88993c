"""Designs of sweeps, as ``simengine.designs``: which points of the parameters' space are run.

``grid`` and ``points`` take values; ``latin_hypercube`` and ``sobol`` fill a box; ``morris`` and ``saltelli`` are made
for sensitivity analysis (extra ``sensitivity``), and ``for_salib`` makes of the Dataset what SALib's analyses take;
``optuna`` looks for the least or largest value of a recorded variable (extra ``adaptive``). Any callable that takes a
list of `Told` and returns the next points is a design, too.
"""

from simengine.sweeps.adaptive import Adaptive, Told
from simengine.sweeps.design import Design
from simengine.sweeps.grids import grid, points
from simengine.sweeps.sampling import latin_hypercube, morris, saltelli, sobol
from simengine.sweeps.search import optuna
from simengine.sweeps.sensitivity import SalibInput, for_salib

__all__ = [
    "Adaptive",
    "Design",
    "SalibInput",
    "Told",
    "for_salib",
    "grid",
    "latin_hypercube",
    "morris",
    "optuna",
    "points",
    "saltelli",
    "sobol",
]
