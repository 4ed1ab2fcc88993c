"""Games on graphs against the chain of all states, by many small graphs in one run; wrong input."""

from __future__ import annotations

from typing import Any

import networkx
import numpy as np
import pytest

import simengine
from simengine import InputError, testing
from simengine.scenarios import evolution_theory as theory
from simengine.scenarios.graph_games import GraphGame

Array = np.ndarray[Any, Any]


def copies(graph: networkx.Graph, number: int) -> Array:
    """Edges of as many copies of a graph beside one another."""
    edges, nodes = np.array(graph.edges), len(graph)
    return (edges[None] + nodes * np.arange(number)[:, None, None]).reshape(-1, 2)


def fixed_share(graph: networkx.Graph, number: int, seed: int = 1, **parameters: Any) -> float:
    """Share of copies, each with one cooperator, at nodes in turn, that cooperators take over."""
    nodes = len(graph)
    strategy = np.zeros((number, nodes), bool)
    strategy[np.arange(number), np.arange(number) % nodes] = True
    start = {"acquaintances": copies(graph, number), "strategy": strategy.ravel()}
    run = simengine.Simulation(GraphGame, n_agents=number * nodes, start=start, seed=seed, **parameters)
    cooperators = strategy.sum(axis=1)
    while not set(cooperators) <= {0, nodes}:
        run.step(20)
        cooperators = np.asarray(run.agents.strategy).reshape(number, nodes).sum(axis=1)
    return float((cooperators == nodes).mean())


def standard_error(rho: float, number: int) -> float:
    return float(np.sqrt(rho * (1 - rho) / number))


# Estimates of shares here lie within four standard errors: error rate 6e-5 each, fixed seeds.


def test_on_circles_cooperators_fix_as_the_chain_of_all_states_says() -> None:
    circle, number = networkx.cycle_graph(6), 6000
    for ratio in (2.0, 8.0):
        rho = theory.graph_fixation(circle, theory.donation_game(ratio, 1), 0.3).mean()
        found = fixed_share(circle, number, benefit=ratio, selection=0.3)
        assert found == pytest.approx(rho, abs=4 * standard_error(rho, number))


@pytest.mark.slow
def test_on_circles_the_critical_ratio_of_four_is_where_selection_changes_its_sign() -> None:
    # At 3 and 5 rho differs from 1/6 by some 0.017, nine standard errors; all within four of the chain's.
    circle, number = networkx.cycle_graph(6), 40_000
    error = standard_error(1 / 6, number)
    below, at, above = (fixed_share(circle, number, benefit=b, selection=0.2) for b in (3.0, 4.0, 5.0))
    assert below < 1 / 6 - 4 * error
    assert at == pytest.approx(theory.graph_fixation(circle, theory.donation_game(4, 1), 0.2).mean(), abs=4 * error)
    assert above > 1 / 6 + 4 * error


@pytest.mark.slow
@pytest.mark.parametrize("update", ["death_birth", "imitation", "pairwise_comparison"])
@pytest.mark.parametrize(("payoffs", "fitness"), [("averaged", "exponential"), ("accumulated", "linear")])
def test_on_uneven_graphs_every_rule_follows_its_chain(update: Any, payoffs: str, fitness: str) -> None:
    graph, number, selection = networkx.Graph([(0, 1), (1, 2), (2, 3), (3, 1), (3, 4), (4, 5), (5, 6)]), 7000, 0.2
    game = theory.donation_game(4, 1)
    options = {"update": update, "averaged": payoffs == "averaged", "exponential": fitness == "exponential"}
    rho = theory.graph_fixation(graph, game, selection, **options).mean()
    found = fixed_share(
        graph, number, benefit=4.0, selection=selection, update=update, payoffs=payoffs, fitness=fitness
    )
    assert found == pytest.approx(rho, abs=4 * standard_error(rho, number))


@pytest.mark.slow
def test_another_table_of_payoffs_is_another_game() -> None:
    table, circle, number = [[3.0, -1.0], [1.0, 2.0]], networkx.cycle_graph(5), 10_000
    (cc, cd), (dc, dd) = table
    rho = theory.graph_fixation(circle, table, 0.4).mean()
    found = fixed_share(circle, number, selection=0.4, payoff_cc=cc, payoff_cd=cd, payoff_dc=dc, payoff_dd=dd)
    assert found == pytest.approx(rho, abs=4 * standard_error(rho, number))


def test_what_is_measured_is_what_is_there() -> None:
    graph = networkx.Graph([(0, 1), (0, 2), (0, 3), (1, 2)])
    graph.add_node(4)
    start = {"acquaintances": graph, "strategy": [1, 0, 1, 0, 1]}
    run = simengine.run(GraphGame, n_agents=5, start=start, steps=0, benefit=5.0, progress=False)
    # By agent: (5 - 3) / 3, (10) / 2, (5 - 2) / 2, 5 and nothing.
    assert float(run.mean_payoff[0]) == pytest.approx((2 / 3 + 5 + 3 / 2 + 5) / 5)
    assert float(run.mixed_links[0]) == pytest.approx(3 / 4)
    assert float(run.share_of_cooperators[0]) == pytest.approx(3 / 5)
    # Ends of edges: of cooperators five, two to cooperators; of defectors three, all to cooperators.
    assert float(run.assortment[0]) == pytest.approx(2 / 5 - 1)


def test_agents_without_neighbours_keep_their_strategy_and_a_run_ends_when_all_agree() -> None:
    start = {"acquaintances": [(0, 1), (1, 2)], "strategy": [0, 0, 0, 1, 0]}
    run = simengine.run(GraphGame, n_agents=5, start=start, steps=30, snapshot_every=30, progress=False)
    assert run.strategy.values[-1].astype(int).tolist() == [0, 0, 0, 1, 0]
    run = simengine.run(GraphGame, n_agents=20, mean_degree=4, initial_share=1.0, steps=30, progress=False)
    assert run.attrs["stopped_at"] == 0


def test_a_share_of_one_agent_is_one_agent_placed_at_random() -> None:
    places = set()
    for seed in range(6):
        run = simengine.run(GraphGame, n_agents=50, initial_share=0.02, seed=seed, steps=0, snapshot_every=1,
                            progress=False)  # fmt: skip
        places |= set(np.flatnonzero(run.strategy.values[0]))
    assert len(places) > 3


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"payoff_cc": 1.0}, "make one table: give all or none"),
        ({"payoff_cc": float("nan")}, "a finite float"),
        ({"fitness": "linear", "selection": 1.0}, "fitness 1 \\+ selection \\* payoff must be above 0"),
        ({"fitness": "linear", "selection": 0.3, "payoffs": "accumulated"}, "and the lowest payoff, -4;"),
        ({"selection": 200.0}, "selection 200 times the largest payoff, 6, exceeds 600"),
        ({"selection": 30.0, "payoffs": "accumulated"}, "selection 30 times the largest payoff, 24, exceeds 600"),
        ({"graph": "lattice", "n_agents": 10}, "a lattice has a square number of nodes"),
        ({"start": {"strategy": [0, 2]}, "n_agents": 2, "mean_degree": 1}, "strategy"),
        ({"start": {"acquaintances": [(0, 0)]}}, "joins agent 0 to itself"),
    ],
)
def test_wrong_input_is_refused_in_one_line(parameters: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        simengine.run(GraphGame, steps=1, progress=False, **parameters)
    assert "\n" not in str(refused.value)


@pytest.mark.slow
@pytest.mark.parametrize("update", ["death_birth", "imitation", "pairwise_comparison"])
def test_the_promises_hold(update: str) -> None:
    testing.check(GraphGame, n_agents=60, update=update)
    testing.any_shards(GraphGame, shards=(4,), steps=4, n_agents=60, update=update)
