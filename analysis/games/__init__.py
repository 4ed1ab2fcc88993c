"""Games between strategies: who wins in the long run, and how sure that is.

Payoff tables are one square matrix (a single population) or one array per player, see
:mod:`simengine.analysis.games.payoffs`. The modules of the functions `alpha_rank` and `response_graph` bear the same
names: ``simengine.analysis.games.alpha_rank`` is the function.
"""

from simengine.analysis.games.alpha_rank import alpha_rank, fixation_probability, marginals, transition_rates
from simengine.analysis.games.confidence import runs_per_profile, runs_until_resolved
from simengine.analysis.games.entropies import chain_entropy_rate, ranking_entropy
from simengine.analysis.games.equilibria import nash_equilibria, pure_equilibria
from simengine.analysis.games.meta_games import MetaGame, meta_game
from simengine.analysis.games.orientations import RankingBounds, graph_ranking, ranking_bounds
from simengine.analysis.games.payoffs import Game, checked
from simengine.analysis.games.replicator import Flow, replicator_field, replicator_flow
from simengine.analysis.games.response_graph import ResponseGraph, response_graph
from simengine.analysis.games.sampled import Sampled
from simengine.analysis.games.sampling import Interaction, ResponseGraphSampling, response_graph_ucb
from simengine.analysis.games.simulated_games import SimulatedGame
from simengine.analysis.games.uncertainty import RankingUncertainty, ranking_uncertainty
from simengine.analysis.games.welfare import Choice, nash_product, pareto_front

__all__ = [
    "Choice", "Flow", "Game", "Interaction", "MetaGame", "RankingBounds", "RankingUncertainty", "ResponseGraph",
    "ResponseGraphSampling", "Sampled", "SimulatedGame", "alpha_rank", "chain_entropy_rate", "checked",
    "fixation_probability", "graph_ranking", "marginals", "meta_game", "nash_equilibria", "nash_product",
    "pareto_front", "pure_equilibria", "ranking_bounds", "ranking_entropy", "ranking_uncertainty",
    "replicator_field", "replicator_flow", "response_graph", "response_graph_ucb", "runs_per_profile",
    "runs_until_resolved", "transition_rates",
]  # fmt: skip
