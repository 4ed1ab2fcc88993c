"""Social dilemmas: what is best for each is not what is best for all.

Each is a scenario in a module of its own: the laboratory's commons (`LabCommons`), fishing grounds (`GordonSchaefer`),
public goods (`PublicGoods`), games in finite populations (`FinitePopulation`) and on graphs (`GraphGame`), a commons
that grows on a grid (`Harvest`). Closed forms are in `social_dilemmas_theory`, `evolution_theory` and `harvest_theory`.
"""

from __future__ import annotations

from simengine.scenarios.finite_populations import FinitePopulation
from simengine.scenarios.graph_games import GraphGame
from simengine.scenarios.harvest import Harvest
from simengine.scenarios.lab_commons import LabCommons
from simengine.scenarios.open_access import GordonSchaefer
from simengine.scenarios.public_goods import PublicGoods

__all__ = ["FinitePopulation", "GordonSchaefer", "GraphGame", "Harvest", "LabCommons", "PublicGoods"]
