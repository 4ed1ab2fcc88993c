"""Graphs as arrays: lists of neighbours by storage slot, and edges that are dropped and added in canonical order.

The edges themselves lie sorted by (source, target), as ids of populations of fixed size; an undirected edge lies there
once, the lower id first. ``floats`` and ``wholes`` hold the edges' fields, one row a field.
"""

from __future__ import annotations

import numpy as np

from simengine.arrays.jit import njit

jit = njit(cache=True, nogil=True, error_model="numpy")

BITS = 32
"""An edge as one number: the first id in the upper bits, the second in these lower ones."""


@jit
def place_neighbours(source, target, edges, slot_of, forward, back, starts, seen, edge_of):  # type: ignore[no-untyped-def]
    """List for each slot the slots of its neighbours by ascending id, and the numbers of the edges to them.

    ``forward`` lets sources see targets, ``back`` targets see sources. Both may be true where no two edges join the
    same two agents: as the edges are sorted, an agent's lower neighbours come first. The neighbours of slot ``k`` are
    ``seen[starts[k]:starts[k + 1]]``; ``edge_of`` may be empty where nobody asks for edges.
    """
    slots = starts.shape[0] - 1
    numbered = edge_of.shape[0] > 0
    starts[:] = 0
    for edge in range(edges):
        if forward:
            starts[slot_of[source[edge]] + 1] += 1
        if back:
            starts[slot_of[target[edge]] + 1] += 1
    for slot in range(slots):
        starts[slot + 1] += starts[slot]
    place = starts[:slots].copy()
    for edge in range(edges):
        first, second = slot_of[source[edge]], slot_of[target[edge]]
        if forward:
            seen[place[first]] = second
            if numbered:
                edge_of[place[first]] = edge
            place[first] += 1
        if back:
            seen[place[second]] = first
            if numbered:
                edge_of[place[second]] = edge
            place[second] += 1


@jit
def place_both_ways(source, target, edges, slot_of, ids, starts, seen, edge_of):  # type: ignore[no-untyped-def]
    """:func:`place_neighbours` for directed edges that both ends see: each once, by the edge from me if any."""
    slots = starts.shape[0] - 1
    numbered = edge_of.shape[0] > 0
    out_starts, in_starts = np.empty(slots + 1, np.int64), np.empty(slots + 1, np.int64)
    outs, ins = np.empty(edges, np.int32), np.empty(edges, np.int32)
    out_edge, in_edge = np.empty(edges, np.int32), np.empty(edges, np.int32)
    place_neighbours(source, target, edges, slot_of, True, False, out_starts, outs, out_edge)
    place_neighbours(source, target, edges, slot_of, False, True, in_starts, ins, in_edge)
    place = 0
    for slot in range(slots):
        starts[slot] = place
        mine, theirs = out_starts[slot], in_starts[slot]
        while mine < out_starts[slot + 1] or theirs < in_starts[slot + 1]:
            if theirs == in_starts[slot + 1]:
                out_first, both = True, False
            elif mine == out_starts[slot + 1]:
                out_first, both = False, False
            else:
                out_first = ids[outs[mine]] <= ids[ins[theirs]]
                both = outs[mine] == ins[theirs]
            seen[place] = outs[mine] if out_first else ins[theirs]
            if numbered:
                edge_of[place] = out_edge[mine] if out_first else in_edge[theirs]
            place += 1
            mine += 1 if out_first else 0
            theirs += 0 if out_first and not both else 1
    starts[slots] = place


@jit
def collect_requests(firsts, seconds, order, ids, living, directed, adding, keys, senders, sites):  # type: ignore[no-untyped-def]
    """List who asks for which edge, by edge, sender's id and place in the author's function; return how many ask.

    ``firsts`` and ``seconds`` are tuples of arrays of slots by sender, one for each place; -1 asks for nothing.

    Raises
    ------
    IndexError
        For an index beyond the last agent, and where an edge from an agent to itself is to be added.
    """
    found = 0
    for rank in range(living):
        sender = order[rank]
        for site in range(len(firsts)):
            first, second = firsts[site][sender], seconds[site][sender]
            if first < 0 or second < 0:
                continue
            if first >= ids.shape[0] or second >= ids.shape[0]:
                raise IndexError("an edge is asked for that has an index beyond the last agent")
            one, other = ids[first], ids[second]
            if one == other:
                if adding:
                    raise IndexError("an edge is asked for that joins an agent to itself")
                continue
            if not directed and other < one:
                one, other = other, one
            keys[found] = (one << BITS) | other
            senders[found] = sender
            sites[found] = site
            found += 1
    # They were found by sender and place: a stable sort by edge leaves them so.
    ranked = np.argsort(keys[:found], kind="mergesort")
    keys[:found] = keys[:found][ranked]
    senders[:found] = senders[:found][ranked]
    sites[:found] = sites[:found][ranked]
    return found


@jit
def drop_edges(source, target, edges, floats, wholes, keys, asked):  # type: ignore[no-untyped-def]
    """Remove the edges among ``keys[:asked]``, which are sorted; return how many are left."""
    left, request = 0, 0
    for edge in range(edges):
        key = (np.int64(source[edge]) << BITS) | np.int64(target[edge])
        while request < asked and keys[request] < key:
            request += 1
        if request < asked and keys[request] == key:
            continue
        if left != edge:
            source[left], target[left] = source[edge], target[edge]
            for row in range(floats.shape[0]):
                floats[row, left] = floats[row, edge]
            for row in range(wholes.shape[0]):
                wholes[row, left] = wholes[row, edge]
        left += 1
    return left


@jit
def add_edges(source, target, edges, floats, wholes, float_defaults, whole_defaults, keys, asked, places):  # type: ignore[no-untyped-def]
    """Insert the edges among ``keys[:asked]``, sorted, that are missing; return how many there are then.

    A new edge has the default values. ``places[k]`` becomes the number of the edge of the first request for it, and -1
    for later requests for the same.
    """
    missing, edge = 0, 0
    for request in range(asked):
        if request > 0 and keys[request] == keys[request - 1]:
            continue
        while edge < edges and ((np.int64(source[edge]) << BITS) | np.int64(target[edge])) < keys[request]:
            edge += 1
        if edge == edges or ((np.int64(source[edge]) << BITS) | np.int64(target[edge])) != keys[request]:
            missing += 1
    write, read = edges + missing - 1, edges - 1
    request = asked - 1
    lower = (np.int64(1) << BITS) - 1
    while request >= 0:
        if request > 0 and keys[request - 1] == keys[request]:
            places[request] = -1
            request -= 1
            continue
        key = keys[request]
        held = np.int64(-1)
        if read >= 0:
            held = (np.int64(source[read]) << BITS) | np.int64(target[read])
        if held > key or held == key:
            if write != read:
                source[write], target[write] = source[read], target[read]
                for row in range(floats.shape[0]):
                    floats[row, write] = floats[row, read]
                for row in range(wholes.shape[0]):
                    wholes[row, write] = wholes[row, read]
            if held == key:
                places[request] = write
                request -= 1
            read -= 1
        else:
            source[write], target[write] = key >> BITS, key & lower
            floats[:, write] = float_defaults
            wholes[:, write] = whole_defaults
            places[request] = write
            request -= 1
        write -= 1
    return edges + missing


@jit
def fill_field(row, places, senders, sites, asked, site, values):  # type: ignore[no-untyped-def]
    """Store what the first request for each edge gave, where it was made at this place in the author's function."""
    for request in range(asked):
        if places[request] >= 0 and sites[request] == site:
            row[places[request]] = values[senders[request]]
