"""Figures of runs and sweeps; each function takes and returns a matplotlib Axes.

Labels and units are those of the attributes of what is drawn, colours those that matplotlib is set to;
``with theme("dark"):`` sets one of simengine's two looks.
"""

from __future__ import annotations

import importlib.util

from simengine.errors import InputError

if importlib.util.find_spec("matplotlib") is None:
    raise InputError('plots need matplotlib: pip install "simengine[analysis]"')

# Plainly imported, because functions have the names of their modules: a lazy name would be hidden by the module.
from simengine.analysis.plots.animation import animate
from simengine.analysis.plots.cascades import cascade_sizes
from simengine.analysis.plots.entropy import entropy_panel
from simengine.analysis.plots.language import language_panel
from simengine.analysis.plots.network import network
from simengine.analysis.plots.opinions import opinion_trajectories
from simengine.analysis.plots.phase_diagram import phase_diagram
from simengine.analysis.plots.planners import belief_regions, concavification, policy_regions
from simengine.analysis.plots.schelling import schelling_diagram
from simengine.analysis.plots.school import school
from simengine.analysis.plots.simplex import simplex_flow
from simengine.analysis.plots.style import colours, theme, use
from simengine.analysis.plots.time_series import time_series

__all__ = [
    "animate",
    "belief_regions",
    "cascade_sizes",
    "colours",
    "concavification",
    "entropy_panel",
    "language_panel",
    "network",
    "opinion_trajectories",
    "phase_diagram",
    "policy_regions",
    "schelling_diagram",
    "school",
    "simplex_flow",
    "theme",
    "time_series",
    "use",
]
