"""The graph of a run: files keep edges only where they were given, so those that a scenario makes are made again."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from simengine.analysis.contents import attributes_of, is_sweep
from simengine.compile.state import State
from simengine.errors import InputError, StoreError, nearest
from simengine.relations.network import Network
from simengine.runs.definitions import installed
from simengine.runs.network_view import NetworkView
from simengine.runs.networks import lay
from simengine.runs.recipe import Recipe
from simengine.runs.start import apply, network_names, variable_name
from simengine.runs.view import check_state, fill_connected, fill_start
from simengine.scenario.phases import Rewire
from simengine.scenario.scenario import active

if TYPE_CHECKING:
    import networkx

GIVEN_START = "start_"
SNAPSHOT_STEP = "snapshot_step"
CLOSE = 1e-9


def graph_of(
    data: xr.Dataset, network: str | None = None, *, scenario: Any = None, run_source: bool = False
) -> networkx.Graph[Any]:
    """Return the graph on which a run took place, from its file alone.

    The scenario makes it again from the parameters and the seed in the attributes, or it consists of the edges that
    were given to the run. Where the snapshots begin with the start state, this is compared too.

    Parameters
    ----------
    data
        A run.
    network
        Which network of the scenario; needed where it has several.
    scenario
        The run's scenario (a class, a name or a file), in place of what the file says of it.
    run_source
        Whether a scenario that is not installed may be taken from the text that the file keeps. This runs the text: do
        not do so with files whose makers you would not trust with a program.

    Returns
    -------
    networkx.Graph
        With nodes 0 to n - 1, the agents' ids (a DiGraph where edges have a direction), and the fields of edges. Its
        attributes ``network`` and ``dim`` name the network and the dimension of its agents.

    Raises
    ------
    InputError
        When the Dataset is no run, the scenario is not to be had or has no network, the network is rewired while the
        run goes on (files do not keep it then), the edges were given and are not there any more, or what is made now is
        not what the run began with.
    """
    if not isinstance(data, xr.Dataset) or is_sweep(data):
        raise InputError("the graph is that of one run: give the Dataset of its file")
    attributes = attributes_of(data)
    if "scenario" not in attributes or "seed" not in attributes:
        raise InputError("this Dataset has no attributes of a run, so that its graph is not known")
    given = {str(name): np.asarray(data[name].values) for name in data.variables if str(name).startswith(GIVEN_START)}
    if str(attributes.get("start", "scenario")) != "scenario" and not given:
        raise InputError(
            "the run began from a state that was given to it, and that this Dataset does not hold any more"
        )
    recipe = _recipe(attributes, given, scenario, run_source)
    kind = type(recipe.scenario)
    known = network_names(kind)
    if not known:
        raise InputError(f"{kind.__name__} has no network")
    if network is None and len(known) > 1:
        raise InputError(f"{kind.__name__} has several networks, name one: {', '.join(known)}")
    name = next(iter(known)) if network is None else network
    if name not in known:
        raise InputError(f"{kind.__name__} has no network {name!r}{nearest(str(name), known)}")
    _check_kept(recipe, known[name], attributes)
    state = State(recipe.scenario)
    fill_start(recipe.scenario, state, recipe.seed)
    apply(recipe.scenario, state, recipe.start)
    check_state(state, "start")
    lay(recipe.scenario, state, recipe.seed, recipe.start.edges)
    if fill_connected(recipe.scenario, state, recipe.seed):
        apply(recipe.scenario, state, recipe.start)
        check_state(state, "start")
    _compare(data, kind, state)
    found: networkx.Graph[Any] = NetworkView(state.networks[name]).graph()
    found.graph.update(network=name, dim=known[name].source.dim)
    return found


def _recipe(attributes: Mapping[str, Any], given: Mapping[str, Any], scenario: Any, run_source: bool) -> Recipe:
    """Return how the run began; what it did afterwards is left out, and nothing of it is called."""
    if scenario is None:
        module, name = str(attributes.get("scenario_module")), str(attributes["scenario"])
        scenario = getattr(sys.modules.get(module), name, None)
        if scenario is None and not installed(module) and not run_source:
            raise InputError(
                f"the scenario {name} is not installed here: give it, scenario=; or run its text that the file keeps, "
                "run_source=True, if you trust the file"
            )
    try:
        return Recipe.recall(
            {**attributes, "interventions": None, "policies": None}, given, scenario=scenario, policies={},
            where="this Dataset",
        )  # fmt: skip
    except StoreError as error:
        raise InputError(str(error)) from error


def _check_kept(recipe: Recipe, network: Network, attributes: Mapping[str, Any]) -> None:
    phases = recipe.scenario.declaration.phases.values()
    # An intervention may switch on what is off at the start.
    acting = (
        phases
        if attributes.get("interventions")
        else active(recipe.scenario.declaration.phases, recipe.scenario.values)
    )
    if any(isinstance(phase, Rewire) and phase.network is network for phase in acting):
        raise InputError(
            f"{network.name} is rewired while the run goes on, and files do not keep its edges; take them on the way: "
            f"simengine.Simulation(...).{network.name}.graph()"
        )


def _compare(data: xr.Dataset, kind: type[Any], state: State) -> None:
    """Refuse a start state that is not the one in the snapshots."""
    if SNAPSHOT_STEP not in data.variables:
        return
    begins = np.flatnonzero(np.atleast_1d(data[SNAPSHOT_STEP].values) == 0)
    if not begins.size or data[SNAPSHOT_STEP].ndim != 1:
        return
    moment = data.isel({data[SNAPSHOT_STEP].dims[0]: int(begins[0])})
    for population in kind.declaration.populations.values():
        for field in population.fields:
            name = variable_name(kind, population, field)
            if name not in moment.data_vars:
                continue
            kept, made = np.asarray(moment[name].values), np.asarray(state[population.name].values(field))
            if kept.shape == made.shape and not np.allclose(
                kept.astype(np.float64), made.astype(np.float64), rtol=CLOSE, atol=CLOSE, equal_nan=True
            ):
                raise InputError(
                    f"{kind.__name__} starts otherwise now than in this run ({name} differs): its graph cannot be made "
                    "again with this version"
                )
