"""Rules for pictures of scenarios of one kind: networks, dilemmas, games of three strategies, planners."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from numpy.typing import NDArray

from simengine.analysis import contents, plots
from simengine.analysis.graphs import graph_of
from simengine.analysis.pictures import Picture
from simengine.errors import SimengineError
from simengine.policies.answers import labelled
from simengine.runs import registry

if TYPE_CHECKING:
    import networkx

DILEMMAS = ("PublicGoods", "LabCommons", "GraphGame", "FinitePopulation")
OF_PLANNERS = ("precision", "cost", "cost_power", "discount", "loss")
MOST_NODES = 2000
WIDE = (6.6, 4.8)


def is_installed(attributes: Mapping[str, Any]) -> bool:
    """Whether the scenario of a file is one that is installed, so that nothing that the file holds would be run."""
    name = f"{attributes.get('scenario_module')}:{attributes.get('scenario')}"
    return not attributes.get("scenario_source") and any(one.value == name for one in registry.installed().values())


def webs(data: xr.Dataset) -> Iterator[Picture]:
    """Networks, coloured by the state of the last snapshot."""
    attributes = contents.attributes_of(data)
    if contents.is_sweep(data) or not data.sizes.get(contents.SNAPSHOT_TIME) or not is_installed(attributes):
        return
    if data.sizes.get("agent", 0) > MOST_NODES or attributes.get("unfinished"):
        return
    try:
        graph = graph_of(data)
    except SimengineError:
        return
    if not graph.number_of_edges():
        return

    def draw(ax: Axes | None) -> Axes:
        last = data.isel({contents.SNAPSHOT_TIME: [-1]})
        return plots.network(last, graph=graph, state=_decided(last, attributes, graph), ax=ax)

    yield Picture(
        "network", "The network",
        "Who is connected with whom, coloured by the last snapshot; those with more neighbours are larger.", draw,
        many_marks=graph.number_of_nodes() > 300, size=WIDE,
    )  # fmt: skip


def _decided(last: xr.Dataset, attributes: Mapping[str, Any], graph: networkx.Graph[Any]) -> str | None:
    """Return what the nodes decide and differ in; None where that is nothing, so that any other state is shown."""
    name = f"{attributes.get('scenario_module')}:{attributes.get('scenario')}"
    command = next(command for command, entry in registry.installed().items() if entry.value == name)
    for decision in labelled(registry.find(command)).values():
        values = last.get(decision.action)
        dims = (contents.SNAPSHOT_TIME, graph.graph.get("dim") or "agent")
        if values is not None and values.dims == dims and values.shape[1] == graph.number_of_nodes():
            found = values.values
            if (found != found.flat[0]).any():
                return decision.action
    return None


def dilemmas(data: xr.Dataset) -> Iterator[Picture]:
    """Payoffs of those who cooperate and of those who defect, by how many others cooperate."""
    attributes = contents.attributes_of(data)
    if attributes.get("scenario") in DILEMMAS and not contents.is_sweep(data) and is_installed(attributes):
        yield Picture(
            "dilemma", "The dilemma",
            "What cooperating and defecting earn, by the number of others who cooperate (Schelling 1973); dots are "
            "equilibria.",
            lambda ax: plots.schelling_diagram(data, ax=ax),
        )  # fmt: skip


def flows(data: xr.Dataset) -> Iterator[Picture]:
    """The replicator flow of the public goods game with abstainers, and the run in it."""
    attributes = contents.attributes_of(data)
    parameters = contents.parameters_of(data)
    if attributes.get("scenario") != "PublicGoods" or contents.is_sweep(data) or not is_installed(attributes):
        return
    if not parameters.get("loners") or parameters.get("sanctions") != "none" or not parameters.get("cost"):
        return
    yield Picture(
        "flow", "The flow of strategies",
        "Where the replicator equation of the game leads from each mixture of contributors, defectors and abstainers, "
        "and the course of this run.",
        lambda ax: plots.simplex_flow(
            lambda shares: optional_fitness(shares, parameters), trajectory=_shares(data),
            names=("contributing", "defecting", "abstaining"), labels=("contribute", "defect", "abstain"), ax=ax,
        ),
        size=WIDE,
    )  # fmt: skip


def _shares(data: xr.Dataset) -> xr.Dataset:
    shares = data[["contributing", "abstaining"]].load()
    return shares.assign(defecting=1.0 - shares["contributing"] - shares["abstaining"])


def optional_fitness(shares: Any, parameters: Mapping[str, Any]) -> NDArray[np.float64]:
    """Return what contributors, defectors and abstainers earn in a large population.

    Hauert, De Monte, Hofbauer & Sigmund (2002) Science 296, 1129-1132, in units of the cost: a group of S is drawn, of
    which each abstains with the share z; whoever is left alone gets the income, too.
    """
    x, _, z = np.asarray(shares, np.float64)
    size, cost = int(parameters["n_fellows"]) + 1, float(parameters["cost"])
    multiplier, income = float(parameters["multiplier"]), float(parameters["income"]) / cost
    alone = z ** (size - 1)
    # The mean of 1 / S over groups of those who take part, given that oneself does: a geometric sum.
    inverse = sum(z**k for k in range(size)) / size
    pot = multiplier * (1.0 - inverse) * x / (1.0 - z) if z < 1.0 else 0.0
    temptation = 1.0 + (multiplier - 1.0) * alone - multiplier * inverse
    defects = income * alone + pot
    return cost * np.array([defects - temptation, defects, income])


def regions(data: xr.Dataset) -> Iterator[Picture]:
    """What an optimal planner does at each public belief."""
    attributes = contents.attributes_of(data)
    parameters = contents.parameters_of(data)
    if contents.is_sweep(data) or attributes.get("scenario") != "SocialLearning" or not is_installed(attributes):
        return
    if parameters.get("planner") != "optimal":
        return
    settings: dict[str, Any] = {name: float(parameters[name]) for name in OF_PLANNERS}
    yield Picture(
        "planner", "What the planner does",
        "Its value at each public belief, and the precision that it chooses there; hatched where actions form a "
        "cascade.",
        lambda ax: plots.belief_regions(parameters["objective"], **settings, ax=ax), size=(6.6, 5.2),
    )  # fmt: skip


def signals(data: xr.Dataset) -> Iterator[Picture]:
    """What a sender who commits gains by the best signal, for receivers who differ in their thresholds alone."""
    attributes = contents.attributes_of(data)
    parameters = contents.parameters_of(data)
    if contents.is_sweep(data) or attributes.get("scenario") != "Persuasion" or not is_installed(attributes):
        return
    if parameters.get("prior_spread") != 0 or parameters.get("bias_spread") != 0 or parameters.get("n_opposed") != 0:
        return
    prior, bias = float(parameters["prior"]), float(parameters["bias"])
    yield Picture(
        "signal", "What the best signal gains",
        "The share of receivers who accept, by what a message makes them believe, and its concave closure: the arrow "
        "is what the best signal gains over silence (Kamenica & Gentzkow 2011).",
        lambda ax: plots.concavification(prior, _thresholds(parameters), bias=bias, ax=ax), size=WIDE,
    )  # fmt: skip


def _thresholds(parameters: Mapping[str, Any]) -> NDArray[np.float64]:
    """Return the receivers' thresholds as the scenario deals them out; who gets which does not matter here."""
    from simengine.scenarios.persuasion_receivers import dealt

    ranks = np.arange(int(parameters["n_agents"]), dtype=np.float64)
    in_order = SimpleNamespace(ids=ranks, uniform=lambda name: ranks)
    spread = np.inf if parameters["thresholds"] == "uniform" else float(parameters["threshold_spread"])
    return dealt(float(parameters["threshold"]), spread, in_order, "threshold")
