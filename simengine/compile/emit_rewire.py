"""Emit the changes of a network: everybody asks, then what was asked for happens in canonical order."""

from __future__ import annotations

from simengine.compile.emit import Function, argument_expressions, call_line, chunked, finish
from simengine.compile.emit_gathers import gathered_from
from simengine.compile.emit_phases import DTYPE_NAMES
from simengine.compile.lowered import Lowered, Result
from simengine.compile.names import Lines, Names
from simengine.relations.network import Network, Way
from simengine.scenario.phases import Rewire
from simengine.scenario.population import Population


def emit_rewire(
    phase: Rewire, lowered: Lowered, names: Names, populations: dict[str, Population], ways: set[Way], parallel: bool
) -> Function:
    """Requests of all agents, then drops, then adds; ``ways`` are those in which the network is looked over."""
    network, population = phase.network, phase.population

    def buffer_dtype(result: Result) -> str:
        _, _, part = result.name.partition("_")
        return "int64" if part in {"first", "second"} else DTYPE_NAMES[network.fields[part.removeprefix("to_")].dtype]

    def buffer_of(result: Result) -> str:
        return names.buffer(f"{phase.name}_{result.variable}", population.name, buffer_dtype(result))

    def asked_for(code: Lines, kind: str) -> list[Result]:
        """Collect the requests of one kind from all places that make them, and return those places."""
        places = [result for result in lowered.results if result.name == f"{kind}_first"]
        if places:
            firsts = "".join(f"{buffer_of(place)}, " for place in places)
            seconds = "".join(f"{buffer_of(Result('request', f'{kind}_second', p.component))}, " for p in places)
            collect = names.imports("simengine.arrays.graph", "collect_requests")
            order, living = names.order(population), names.living(population)
            for name in ("keys", "senders", "sites"):
                code.line(f"{kind}_{name} = np.empty({len(places)} * {living}, np.int64)")
            code.line(
                f"{kind}_asked = {collect}(({firsts}), ({seconds}), {order}, {names.ids(population)}, {living}, "
                f"{network.directed}, {kind == 'add'}, {kind}_keys, {kind}_senders, {kind}_sites)"
            )
        return places

    def body(code: Lines) -> None:
        with chunked(code, names, population, parallel):
            arguments = argument_expressions(lowered, names, population, populations, gathered_from(phase, names))
            call_line(code, [result.variable for result in lowered.results], lowered.name, arguments)
            for result in lowered.results:
                value = result.variable
                if result.name.startswith("add_to_") and buffer_dtype(result) == "int64":
                    value = f"{names.imports('simengine.arrays.numbers', 'whole')}({value})"
                code.line(f"{buffer_of(result)}[me] = {value}")
        count = names.edges(network, "count")
        edges = ", ".join([*(names.edges(network, end) for end in ("source", "target")), f"{count}[0]"])
        fields = ", ".join(names.edges(network, table) for table in ("floats", "wholes"))
        drops, adds = asked_for(code, "drop"), asked_for(code, "add")
        if drops:
            drop = names.imports("simengine.arrays.graph", "drop_edges")
            code.line(f"{count}[0] = {drop}({edges}, {fields}, drop_keys, drop_asked)")
        if adds:
            add = names.imports("simengine.arrays.graph", "add_edges")
            defaults = ", ".join(names.edges(network, table) for table in ("float_defaults", "whole_defaults"))
            code.line("places = np.empty(add_asked, np.int64)")
            code.line(f"{count}[0] = {add}({edges}, {fields}, {defaults}, add_keys, add_asked, places)")
        for place in adds:
            for result in lowered.results:
                if result.name.startswith("add_to_") and result.component == place.component:
                    fill = names.imports("simengine.arrays.graph", "fill_field")
                    row = names.edges(network, f"field_{result.name.removeprefix('add_to_')}")
                    code.line(
                        f"{fill}({row}, places, add_senders, add_sites, add_asked, {place.component}, "
                        f"{buffer_of(result)})"
                    )
        asked = [f"{kind}_asked > 0" for kind, found in (("drop", drops), ("add", adds)) if found]
        if asked:
            with code.block(f"if {' or '.join(asked)}:"):
                for way in sorted(ways):
                    place_neighbours(code, names, network, way)

    return finish(f"phase_{phase.name}", names, body, parallel)


def place_neighbours(code: Lines, names: Names, network: Network, way: Way) -> None:
    """Emit that the neighbours of everybody are listed anew."""
    order, ids = names.order(network.source), names.ids(network.source)
    lists = ", ".join(names.edges(network, f"{way}_{part}") for part in ("starts", "seen", "edge"))
    edges = ", ".join(
        [*(names.edges(network, end) for end in ("source", "target")), f"{names.edges(network, 'count')}[0]"]
    )
    if network.directed and way == "both":
        place = names.imports("simengine.arrays.graph", "place_both_ways")
        code.line(f"{place}({edges}, {order}, {ids}, {lists})")
    else:
        place = names.imports("simengine.arrays.graph", "place_neighbours")
        code.line(f"{place}({edges}, {order}, {way != 'in'}, {way != 'out'}, {lists})")
    starts, edge = names.edges(network, f"{way}_starts"), names.edges(network, f"{way}_edge")
    for name in network.fields:
        seen, row = names.edges(network, f"{way}_field_{name}"), names.edges(network, f"field_{name}")
        with code.block(f"for place in range({starts}[{starts}.shape[0] - 1]):"):
            code.line(f"{seen}[place] = {row}[{edge}[place]]")
