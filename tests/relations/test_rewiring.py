"""Edges as state: what agents ask for happens by rule, and goes through storage, threads, files and death."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import networkx
import numpy as np
import pytest
from network_scenarios import AdaptiveVoter, SmallWorldAverage
from reference import assert_engine_agrees

import simengine
from simengine import (
    InputError,
    Network,
    Policy,
    Random,
    RunError,
    Scenario,
    ScenarioError,
    Space,
    at,
    decision,
    field,
    gather,
    observable,
    param,
    population,
    rewire,
    running,
    testing,
    total,
    update,
    vector,
)
from simengine.compile import network_state
from simengine.runs.engine import Engine

NOBODY = -1
TIES = [(0, 1), (1, 2), (2, 3), (3, 4)]
SMALL = {"n_agents": 40, "degree": 4}


class Asking(Scenario):
    """Agents ask for what their fields say: to drop one tie, to add another."""

    agents = population(
        size=5, dropped=field(int, default=NOBODY), first=field(int), second=field(int, default=NOBODY),
        third=field(int, default=NOBODY), worth=field(),
    )  # fmt: skip
    ties = Network(agents, graph="path", weight=field(default=9.0), kind=field(int))

    def path(self) -> Any:
        return {"source": [0, 1, 2, 3], "target": [1, 2, 3, 4], "weight": [0.0, 1.0, 2.0, 3.0], "kind": [1, 1, 1, 1]}

    @rewire(ties)
    def ask(me, agents, edges):
        edges.drop(me, agents.dropped[me])
        if agents.second[me] >= 0:
            edges.add(agents.first[me], agents.second[me], weight=agents.worth[me])
        edges.add(agents.third[me], me, kind=5)


def asked(**wanted: list[int] | list[float]) -> dict[tuple[int, int], tuple[float, int]]:
    """The ties after one step, with weight and kind."""
    start = {name: np.array(values) for name, values in wanted.items()}
    engine = Engine(Asking(), 0, 1, start=simengine.runs.start.read(Asking, start) if start else None)
    engine.advance(1)
    saved = {name: values.tolist() for name, values in engine.state.networks["ties"].saved().items()}
    ends = list(zip(saved["source"], saved["target"], strict=True))
    assert ends == sorted(ends)
    return dict(zip(ends, zip(saved["weight"], saved["kind"], strict=True), strict=True))


BEFORE = {(0, 1): (0.0, 1), (1, 2): (1.0, 1), (2, 3): (2.0, 1), (3, 4): (3.0, 1)}


def test_without_requests_nothing_changes() -> None:
    assert asked() == BEFORE


def test_an_edge_that_both_ends_drop_is_gone_and_one_that_is_not_there_is_no_trouble() -> None:
    left = asked(dropped=[1, 0, 0, NOBODY, NOBODY])
    assert left == {ends: values for ends, values in BEFORE.items() if ends != (0, 1)}


def test_new_edges_have_the_values_given_and_defaults_for_the_others() -> None:
    found = asked(first=[0, 0, 0, 0, 0], second=[4, -1, -1, -1, -1], worth=[0.5, 0, 0, 0, 0])
    assert found == BEFORE | {(0, 4): (0.5, 0)}


def test_of_several_who_add_an_edge_the_lowest_id_gives_its_values() -> None:
    found = asked(first=[0, 4, 0, 0, 2], second=[-1, 2, -1, -1, 4], worth=[0, 0.25, 0, 0, 0.75])
    assert found == BEFORE | {(2, 4): (0.25, 0)}
    # Agent 2 asks at its second place, for an edge that agent 4 asks for with a weight.
    found = asked(
        first=[0, 0, 0, 0, 2], second=[-1, -1, -1, -1, 4], third=[-1, -1, 4, -1, -1], worth=[0, 0, 0, 0, 0.75]
    )
    assert found == BEFORE | {(2, 4): (9.0, 5)}


def test_adding_an_edge_that_is_there_sets_the_values_given_and_leaves_the_others() -> None:
    found = asked(first=[0, 0, 0, 3, 0], second=[-1, -1, -1, 2, -1], worth=[0, 0, 0, 7.5, 0])
    assert found == BEFORE | {(2, 3): (7.5, 1)}


def test_an_edge_dropped_and_added_at_once_is_there_as_a_new_one() -> None:
    found = asked(dropped=[1, -1, -1, -1, -1], third=[-1, 0, -1, -1, -1])
    assert found == BEFORE | {(0, 1): (9.0, 5)}


def test_nobody_as_an_end_asks_for_nothing() -> None:
    assert asked(first=[-1, 0, 0, 0, 0], second=[3, -1, -1, -1, -1]) == BEFORE


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [(3, 3, "joins an agent to itself"), (0, 5, "index beyond the last agent"), (77, 1, "index beyond the last agent")],
)
def test_requests_that_cannot_be_end_the_run(first: int, second: int, message: str) -> None:
    with pytest.raises(RunError, match=f"Asking: .*{message}"):
        asked(first=[first] * 5, second=[second, -1, -1, -1, -1])


# -- room for edges ---------------------------------------------------------------------------------------------------


class Growing(Scenario):
    """Everybody ties itself to somebody else in every step."""

    n_agents: int = param(30, low=2)
    agents = population(size="n_agents", seen=field(int), mood=field())
    ties = Network(agents, directed=True, since=field(int))
    anybody = Random(agents, k=1)

    @gather(anybody, met=running(-1))
    def meet(me, other, acc):
        acc.met = other

    @rewire(ties, after=meet)
    def make_friends(me, acc, edges, step):
        edges.add(me, acc.met, since=step)

    @gather(ties, n=total(dtype=int))
    def look(me, other, edge, acc):
        acc.n += edge.since * other

    @decision(agents.mood)
    def feel(me, step):
        return 2.0 * step

    @update(agents, after=look)
    def note(me, agents, new, acc):
        new.seen[me] = 31 * agents.seen[me] + acc.n


def test_edges_grow_beyond_any_room_they_began_with(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(Growing(), 3, 1)
    engine.advance(40)
    ties = engine.state.networks["ties"]
    assert len(ties) > 400
    pairs = np.stack([ties.values("source"), ties.values("target")])
    assert (np.diff(pairs[0] * 1000 + pairs[1]) > 0).all()
    # With much room from the start, and step by step, the result is the same.
    monkeypatch.setattr(network_state, "GROWTH", 50.0)
    for goals in ([40], range(1, 41), [7, 8, 40]):
        other = Engine(Growing(), 3, 1)
        for goal in goals:
            other.advance(goal)
        np.testing.assert_array_equal(other.state["agents"].values("seen"), engine.state["agents"].values("seen"))


@pytest.mark.slow
def test_edges_grow_when_a_policy_answers_between_the_phases() -> None:
    policies = {"agents.feel": (Policy(lambda asked: np.full(len(asked.ids), 2.0 * asked.step)),)}
    engine, plain = Engine(Growing(), 3, 1, policies=policies), Engine(Growing(), 3, 1)
    for one in (engine, plain):
        one.advance(12)
    for name in ("seen", "mood"):
        np.testing.assert_array_equal(engine.state["agents"].values(name), plain.state["agents"].values(name))


# -- nothing shows that should not ----------------------------------------------------------------------------------


class Roaming(Scenario):
    """Agents move in a box, see who is near, and tie themselves to the nearest: stored by cell or by id."""

    n_agents: int = param(700, low=2)
    box: float = param(12.0, above=1)

    agents = population(size="n_agents", position=vector(2), opinion=field(), code=field(int))
    ties = Network(agents, graph="wire", weight=field(default=1.0))
    near = Space(agents.position, reach=1.0, box="box")

    def start(self, agents: Any, draw: Any) -> None:
        agents.position[:] = draw.uniform("position", 0, self.box, components=2)
        agents.opinion[:] = draw.uniform("opinion")

    def wire(self, draw: Any) -> Any:
        return networkx.gnm_random_graph(self.n_agents, 2 * self.n_agents, seed=draw.seed_for("wire"))

    @gather(near, nearest=running(-1), closest=running(9.0), crowd=total(dtype=int))
    def look(me, other, distance, agents, acc):
        acc.crowd += 1
        if distance < acc.closest:
            acc.nearest, acc.closest = other, distance

    @gather(ties, heard=total(), r=running(0), last=running(-1))
    def listen(me, other, edge, agents, acc):
        acc.last = other
        acc.heard += edge.weight * agents.opinion[other]
        acc.r = acc.r * 31 + int(1000 * agents.opinion[other])

    @rewire(ties, after=(look, listen))
    def move_on(me, acc, draw, edges):
        if draw.chance("change", 0.2):
            edges.drop(me, acc.last)
            edges.add(me, acc.nearest, weight=draw.uniform("weight"))

    @update(agents, after=(listen, look))
    def move(me, agents, new, acc, p, draw):
        new.opinion[me] = 0.9 * agents.opinion[me] + 0.02 * acc.heard
        new.code[me] = 31 * agents.code[me] + acc.r + acc.crowd
        for axis in range(2):
            new.position[me, axis] = agents.position[me, axis] + draw.uniform("step", -0.2, 0.2)

    @observable(dtype="int64")
    def tie_codes(agents: Any, ties: Any) -> int:
        """A number that any change of any edge changes."""
        return int(((ties.source * 7919 + ties.target) * (1 + (1e6 * ties.weight).astype(np.int64))).sum())

    observe = [tie_codes]


def test_storage_by_cell_does_not_show_in_a_network() -> None:
    testing.any_storage_order(Roaming, steps=30, seed=2)


@pytest.mark.parametrize(
    "scenario", [Growing, *(pytest.param(other, marks=pytest.mark.slow) for other in (AdaptiveVoter, Roaming))]
)
def test_threads_do_not_show_in_a_network(scenario: type[Scenario]) -> None:
    testing.any_threads(scenario, steps=12, seed=2, n_agents=300)


@pytest.mark.parametrize("scenario", [AdaptiveVoter, SmallWorldAverage])
def test_scenarios_on_networks_step_as_the_reference_does(scenario: type[Scenario]) -> None:
    for seed, agents in ((0, 30), (1, 7), (2, 3)):
        assert_engine_agrees(scenario, seed, 6, n_agents=agents)


def test_a_network_goes_through_a_checkpoint() -> None:
    testing.split_equals_whole(AdaptiveVoter, steps=12, seed=4, **SMALL)


@pytest.mark.parametrize("scenario", [AdaptiveVoter, SmallWorldAverage])
def test_ids_carry_no_meaning_in_a_network(scenario: type[Scenario]) -> None:
    testing.relabelling_invariant(scenario, steps=6, seed=4, n_agents=24)


def test_a_change_of_parameters_and_of_agents_leaves_the_edges(tmp_path: Path) -> None:
    options: dict[str, Any] = {"steps": 10, "seed": 4, "snapshot_every": 1, **SMALL}
    plain = simengine.run(AdaptiveVoter, **options)

    def nothing(agents: Any, ties: Any) -> None:
        assert len(ties) > 0

    changed = simengine.run(AdaptiveVoter, **options, interventions=[at(5, apply=nothing), at(6, rewiring=0.3)])
    for name in ("opinion", "discordant_edges"):
        np.testing.assert_array_equal(plain[name], changed[name])


@pytest.mark.parametrize(("rewiring", "lowest", "highest"), [(0.2, 0.9, 1.0), (0.8, 0.45, 0.7)])
def test_little_rewiring_leads_to_one_opinion_and_much_to_groups(
    rewiring: float, lowest: float, highest: float
) -> None:
    for seed in range(3):
        run = simengine.run(
            AdaptiveVoter, n_agents=200, rewiring=rewiring, steps=2000, every=2000, seed=seed, threads=1
        )
        assert run.attrs["stop_reason"].startswith("settled")
        assert float(run.discordant_edges[-1]) == 0.0
        assert lowest <= float(run.majority[-1]) <= highest


# -- where edges come from ----------------------------------------------------------------------------------------


def test_the_graph_is_the_seeds_and_the_scenarios() -> None:
    found = {}
    for seed in (1, 1, 2):
        ties = Engine(SmallWorldAverage({"n_agents": 30}), seed, 1).view().networks["ties"]
        key = (tuple(ties.source), tuple(ties.target), tuple(ties.weight))
        found.setdefault(seed, key)
        assert found[seed] == key
    assert found[1] != found[2]


def test_edges_given_to_a_run_are_kept_in_its_file_and_repeat_it(tmp_path: Path) -> None:
    graph = networkx.karate_club_graph()
    path = tmp_path / "club.nc"
    first = simengine.run(SmallWorldAverage, steps=5, seed=3, start={"ties": graph}, out=path, every=1)
    assert first.attrs["parameter_n_agents"] == 34
    assert first.sizes["ties_edge_at_start"] == 78
    weights = [first.start_ties_weight.values[n] for n in range(3)]
    assert weights == [4.0, 5.0, 3.0]
    assert simengine.rerun(path)
    ends = np.array(graph.edges)[::-1]
    again = simengine.run(
        SmallWorldAverage, steps=5, seed=3, n_agents=34, every=1,
        start={"ties": {"source": ends[:, 1], "target": ends[:, 0],
                        "weight": [graph.edges[a, b]["weight"] for a, b in ends]}},
    )  # fmt: skip
    np.testing.assert_array_equal(first.spread, again.spread)
    assert first.attrs["content_hash"] == again.attrs["content_hash"]
    other = simengine.run(SmallWorldAverage, steps=5, seed=3, n_agents=34, every=1)
    assert (first.spread != other.spread).any()


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ({"ties": [(0, 40)]}, "start: ties names agent 40, which is no id of agents: ids are 0 to 39"),
        ({"ties": [(0, 0)]}, "start: ties joins agent 0 to itself"),
        ({"ties": networkx.path_graph(9)}, "start: ties has 9 nodes, but there are 40 agents"),
        ({"tie": [(0, 1)]}, "start: unknown field 'tie'; did you mean 'ties'"),
    ],
)
def test_edges_that_cannot_be_are_refused_before_anything_starts(
    start: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        simengine.run(SmallWorldAverage, steps=2, n_agents=40, start=start, out=tmp_path / "no.nc")
    assert not list(tmp_path.iterdir())


def test_what_observables_see_is_the_network() -> None:
    engine = Engine(AdaptiveVoter(SMALL), 5, 1)
    engine.advance(7)
    ties = engine.view().networks["ties"]
    graph = ties.graph()
    assert sorted(graph.edges) == list(zip(ties.source, ties.target, strict=True))
    np.testing.assert_array_equal(ties.degree, [degree for _, degree in sorted(graph.degree)])
    assert [graph.edges[ends]["since"] for ends in sorted(graph.edges)] == list(ties.since)
    with pytest.raises(ScenarioError, match="network ties has no 'wieght'"):
        ties.wieght  # noqa: B018
    with pytest.raises(ValueError, match="read-only"):
        ties.since[0] = 1


# -- declarations that are refused ----------------------------------------------------------------------------------


def people(**options: Any) -> Any:
    return population(size=5, x=field(), **options)


def weighed_elsewhere(agents: Any) -> Any:
    return Random(agents, within=Network(agents), weight=Network(agents, w=field()).w)


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: Network(population(size=5, capacity=9)), "its agents are born and die"),
        (lambda: Network("agents"), "takes a population"),
        (lambda: Network(people(), graph=3), "the name of a method of the scenario"),
        (lambda: Network(people(), sees="in"), "in an undirected network both ends see one another"),
        (lambda: Network(people(), directed=True, sees="inn"), "did you mean 'in'"),
        (lambda: Network(people(), weight=1.0), "weight is no argument; declare a value of edges with weight=field()"),
        (lambda: Network(people(), flag=field(bool)), r"field\(float\) or field\(int\)"),
        (lambda: Network(people(), place=vector(2)), r"field\(float\) or field\(int\)"),
        (lambda: Network(people(), source=field()), "multiple values|the name is taken"),
        (lambda: Network(people(), reverse=field()), "the name is taken by the network itself"),
        (lambda: Network(people(), weight=field()).wieght, "no edge field 'wieght'; did you mean 'weight'"),
        (lambda: Network(people()).reverse(), "both ends of an edge see one another here already"),
        (lambda: weighed_elsewhere(people()), "edges weigh partners drawn within= their network"),
        (lambda: rewire(people()), "takes a network declared with Network"),
    ],
)  # fmt: skip
def test_networks_that_cannot_be_are_refused(declare: Any, message: str) -> None:
    with pytest.raises((ScenarioError, TypeError), match=message):
        declare()


def test_a_graph_is_a_method_of_the_scenario() -> None:
    with pytest.raises(ScenarioError, match="graph= names no method 'wires' of the scenario; did you mean 'wire'"):

        class Wrong(Scenario):
            agents = people()
            near = Network(agents, graph="wires")

            def wire(self) -> Any:
                return []


def test_a_network_is_declared_in_the_class() -> None:
    with pytest.raises(ScenarioError, match=r"look\(\) takes a network declared in the class"):

        class Wrong(Scenario):
            agents = people()

            @gather(Random(agents, within=Network(agents)))
            def look(me, other, acc):
                pass


def rewired(function: Any, **options: Any) -> type[Scenario]:
    class Rewired(Scenario):
        agents = people()
        ties = Network(agents, weight=field())
        change = rewire(ties, **options)(function)

    return Rewired


def swap(me, edges):
    edges.swap(me, 1)


def drop_weighed(me, edges):
    edges.drop(me, 1, weight=1.0)


def add_misspelt(me, edges):
    edges.add(me, 1, wieght=1.0)


def add_one_end(me, edges):
    edges.add(me)


def add_in_a_loop(me, p, edges):
    other = 0
    while other < 3:
        edges.add(me, other)
        other += 1


def use_the_answer(me, edges):
    x = edges.add(me, 1)  # noqa: F841


def write_new(me, new, edges):
    pass


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (swap, "edges has no 'swap'; edges.add and edges.drop"),
        (drop_weighed, "edges.drop has no argument 'weight'"),
        (add_misspelt, "edges.add has no argument 'wieght'; did you mean 'weight'"),
        (add_one_end, r"call it as edges.add\(me, other, weight=...\)"),
        (add_in_a_loop, "edges.add inside a loop needs"),
        (use_the_answer, "is a statement of its own"),
        (write_new, r"rewire write_new\(\) has no argument 'new'"),
    ],
)
def test_phases_that_cannot_be_are_refused_with_their_line(function: Any, message: str) -> None:
    with pytest.raises(ScenarioError, match=f"{Path(__file__).name}:[0-9]+: .*{message}"):
        Engine(rewired(function)(), 0, 1)


def test_a_gather_reads_edges_where_they_have_fields_and_changes_none() -> None:
    def look_blind(me, other, edge, acc):
        pass

    def look_misspelt(me, other, edge, acc):
        acc.n += edge.wieght

    def look_and_write(me, other, edge, acc):
        edge.weight = 1.0

    for function, network_fields, message in (
        (look_blind, {}, "Network gives no edge; a Network with edge fields does"),
        (look_misspelt, {"weight": field()}, "edges have no field 'wieght'; did you mean 'weight'"),
        (look_and_write, {"weight": field()}, "edge.weight is read-only here"),
    ):

        class Looking(Scenario):
            agents = people()
            ties = Network(agents, **network_fields)
            look = gather(ties, n=total())(function)

        with pytest.raises(ScenarioError, match=message):
            Engine(Looking(), 0, 1)


def test_a_run_in_the_arrays_of_another_begins_with_its_own_edges() -> None:
    first = Engine(Growing(), 3, 1)
    first.advance(20)
    second, fresh = Engine(Growing(), 4, 1, after=first), Engine(Growing(), 4, 1)
    assert second.kernel is first.kernel
    assert len(second.state.networks["ties"]) == 0
    for engine in (second, fresh):
        engine.advance(15)
    for (name, found), wanted in zip(second.kernel.kept().items(), fresh.kernel.kept().values(), strict=True):
        np.testing.assert_array_equal(found, wanted, err_msg=name)
