"""The edges with which networks begin: given to the run, or made by the scenario."""

from __future__ import annotations

from collections.abc import Mapping

from simengine.compile.state import State
from simengine.errors import InputError, SimengineError
from simengine.relations.edges import Edges, read_edges
from simengine.relations.network import Network, network_of
from simengine.runs.view import NamedDraws, PopulationView, named
from simengine.scenario.observables import holds
from simengine.scenario.phases import Gather
from simengine.scenario.scenario import Scenario, active


def lay(scenario: Scenario, state: State, seed: int, given: Mapping[str, Edges]) -> None:
    """Lay the edges of every network: those given for it, else those that the scenario makes."""
    for name, held in state.networks.items():
        network = held.network
        if name in given:
            edges, what = given[name], f"start: {name}"
            _check_used(scenario, network)
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


def _check_used(scenario: Scenario, network: Network) -> None:
    """Refuse edges of the user's own for a network at which phases would look with other parameters only."""
    looking = [
        phase for phase in scenario.declaration.phases.values()
        if getattr(phase, "network", None) is network
        or (isinstance(phase, Gather) and network_of(phase.relation) is network)
    ]  # fmt: skip
    running = active(scenario.declaration.phases, scenario.values)
    observed = (getattr(strided.observable, "arguments", ()) for strided in scenario.recorded)
    if not looking or any(phase in running for phase in looking) or any(network.name in names for names in observed):
        return
    wanted = {
        f"{name}={value!r}": None
        for phase in looking
        for name, value in phase.when.items()
        if not holds({name: value}, scenario.values)
    }
    needs = " or ".join(wanted)
    raise InputError(f"start: {network.name}: nothing looks at this network with these parameters; it needs {needs}")
