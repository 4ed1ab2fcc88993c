"""The edges with which networks begin: given to the run, or made by the scenario."""

from __future__ import annotations

from collections.abc import Mapping

from simengine.compile.state import State
from simengine.errors import InputError, SimengineError
from simengine.relations.edges import Edges, read_edges
from simengine.relations.network import Network
from simengine.runs.view import NamedDraws, PopulationView, named
from simengine.scenario.scenario import Scenario


def lay(scenario: Scenario, state: State, seed: int, given: Mapping[str, Edges]) -> None:
    """Lay the edges of every network: those given for it, else those that the scenario makes."""
    for name, held in state.networks.items():
        network = held.network
        if name in given:
            edges, what = given[name], f"start: {name}"
        elif network.graph is not None:
            edges, what = _made(scenario, state, seed, network)
        else:
            continue
        edges.check(held.population.living, network, what)
        held.hold(edges)


def _made(scenario: Scenario, state: State, seed: int, network: Network) -> tuple[Edges, str]:
    owner = type(scenario).__name__
    function = getattr(scenario, network.graph) if isinstance(network.graph, str) else network.graph
    called = getattr(function, "__name__", "graph")
    what = f"{owner}.{network.name}: the graph of {called}()"
    views = {name: PopulationView(found) for name, found in state.populations.items()}
    offered = {**views, "p": scenario, "self": scenario, "seed": seed}
    # No phase can be called by two words, so that its draws are the network's own.
    offered["draw"] = NamedDraws(seed, state, f"graph {network.name}")
    assert function is not None
    arguments = named(function, offered, f"{owner}.{network.name}")
    try:
        return read_edges(function(**arguments), network, what), what
    except (SimengineError, MemoryError):
        raise
    except Exception as error:
        if type(error).__module__.partition(".")[0] == "networkx":
            raise InputError(f"{owner}.{network.name}: {called}(): {error}") from error
        raise
