"""Cutting a graph into parts of equal size with few edges between them.

A graph is ``(indptr, indices)``: the neighbours of node ``v`` are ``indices[indptr[v]:indptr[v + 1]]``, every edge from
both its ends. Nodes that hold together are merged to clusters, these to larger ones, until few are left (as by
Meyerhenke, Sanders & Schulz 2014, "Partitioning complex networks via size-constrained clustering"); parts are grown
over the largest clusters, from the rim; then, level by level back to the nodes, what lies at a border goes over to the
part that most of its neighbours are in, while there is room. Blocks of consecutive nodes, improved in the same way, are
taken instead where they cut fewer edges. A function of the graph and the number of parts alone; one thread, linear in
the edges.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit
from simengine.errors import InputError

jit = njit(cache=True, nogil=True, error_model="numpy")

IMBALANCE = 1.05
"""The largest part has at most so many times the mean number of nodes, rounded up."""

CLUSTERS_PER_PART = 40
MOST_LEVELS = 30
PASSES = 8


@jit
def gcd(a, b):  # type: ignore[no-untyped-def]
    """Return the greatest common divisor."""
    while b:
        a, b = b, a % b
    return a


@jit
def cluster(indptr, indices, weight, size, largest, sweeps):  # type: ignore[no-untyped-def]
    """Let each node join the neighbouring cluster it is tied to most, of those that stay below ``largest``."""
    nodes = indptr.shape[0] - 1
    label = np.arange(nodes)
    held = size.copy()
    tie = np.zeros(nodes, np.int64)
    stride = np.int64(nodes * 0.6180339887498949)
    while gcd(max(stride, 1), nodes) != 1:
        stride += 1
    for _ in range(sweeps):
        moved = False
        for turn in range(nodes):
            # In an order without a pattern: row by row, clusters of a grid would become rows.
            node = turn * stride % nodes
            mine = label[node]
            for place in range(indptr[node], indptr[node + 1]):
                tie[label[indices[place]]] += weight[place]
            best = mine
            for place in range(indptr[node], indptr[node + 1]):
                other = label[indices[place]]
                fits = other == mine or held[other] + size[node] <= largest
                if fits and (tie[other] > tie[best] or (tie[other] == tie[best] and held[other] < held[best])):
                    best = other
            for place in range(indptr[node], indptr[node + 1]):
                tie[label[indices[place]]] = 0
            if best != mine:
                held[mine] -= size[node]
                held[best] += size[node]
                label[node] = best
                moved = True
        if not moved:
            break
    # Who found no room beside a hub, or has no neighbours, joins others of whom the same is true.
    joined = np.zeros(nodes, np.bool_)
    for node in range(nodes):
        if label[node] != node:
            joined[label[node]] = True
    pack = np.full(nodes + 1, -1, np.int64)
    for node in range(nodes):
        if label[node] != node or joined[node]:
            continue
        hub = nodes
        for place in range(indptr[node], indptr[node + 1]):
            other = label[indices[place]]
            tie[other] += weight[place]
            if hub == nodes or tie[other] > tie[hub]:
                hub = other
        for place in range(indptr[node], indptr[node + 1]):
            tie[label[indices[place]]] = 0
        if pack[hub] >= 0 and held[pack[hub]] + size[node] <= largest:
            label[node] = pack[hub]
            held[pack[hub]] += size[node]
        else:
            pack[hub] = node
    return label


@jit
def contracted(indptr, indices, weight, size, label):  # type: ignore[no-untyped-def]
    """Return the graph of clusters, and each node's cluster; parallel edges become one of their joint weight."""
    nodes = indptr.shape[0] - 1
    number = np.full(nodes, -1, np.int64)
    home = np.empty(nodes, np.int64)
    clusters = 0
    for node in range(nodes):
        if number[label[node]] < 0:
            number[label[node]] = clusters
            clusters += 1
        home[node] = number[label[node]]
    starts = np.zeros(clusters + 1, np.int64)
    coarse_size = np.zeros(clusters, np.int64)
    for node in range(nodes):
        starts[home[node] + 1] += 1
        coarse_size[home[node]] += size[node]
    for each in range(clusters):
        starts[each + 1] += starts[each]
    members, place_of = np.empty(nodes, np.int64), starts[:clusters].copy()
    for node in range(nodes):
        members[place_of[home[node]]] = node
        place_of[home[node]] += 1
    coarse_ptr = np.zeros(clusters + 1, np.int64)
    coarse_indices, coarse_weight = np.empty(indices.shape[0], np.int64), np.empty(indices.shape[0], np.int64)
    found_at = np.full(clusters, -1, np.int64)
    end = 0
    for each in range(clusters):
        first = end
        for member in range(starts[each], starts[each + 1]):
            node = members[member]
            for place in range(indptr[node], indptr[node + 1]):
                other = home[indices[place]]
                if other == each:
                    continue
                if found_at[other] < first:
                    found_at[other] = end
                    coarse_indices[end], coarse_weight[end] = other, 0
                    end += 1
                coarse_weight[found_at[other]] += weight[place]
        coarse_ptr[each + 1] = end
    return coarse_ptr, coarse_indices[:end].copy(), coarse_weight[:end].copy(), coarse_size, home


@jit
def breadth_first(indptr, indices, first, order, seen, mark):  # type: ignore[no-untyped-def]
    """List the nodes that can be reached from ``first``, nearest first, in ``order``; return how many.

    Nodes with ``seen[node] == mark`` count as listed, and those that are listed become such.
    """
    order[0] = first
    seen[first] = mark
    listed, at = 1, 0
    while at < listed:
        node = order[at]
        at += 1
        for place in range(indptr[node], indptr[node + 1]):
            other = indices[place]
            if seen[other] != mark:
                seen[other] = mark
                order[listed] = other
                listed += 1
    return listed


@jit
def grown(indptr, indices, weight, size, parts):  # type: ignore[no-untyped-def]
    """Grow parts one after another, each from the rim of what is left, by the node that is tied to it most."""
    nodes = indptr.shape[0] - 1
    part = np.full(nodes, -1, np.int32)
    order, seen = np.empty(nodes, np.int64), np.zeros(nodes, np.int32)
    tie = np.zeros(nodes, np.int64)
    left = size.sum()
    mark = 0
    for number in range(parts - 1):
        goal = left // (parts - number)
        held = 0
        rim = np.empty(nodes, np.int64)
        waiting, at = 0, 0
        while held < goal:
            best = -1
            for place in range(waiting):
                node = rim[place]
                if best < 0 or tie[node] > tie[rim[best]] or (tie[node] == tie[rim[best]] and node < rim[best]):
                    best = place
            if best < 0:
                while at < nodes and part[at] >= 0:
                    at += 1
                if at == nodes:
                    break
                # The last of a search begun at the last of another lies at the rim of what is left.
                node = at
                for _ in range(2):
                    mark += 1
                    for other in range(nodes):
                        if part[other] >= 0:
                            seen[other] = mark
                    node = order[breadth_first(indptr, indices, node, order, seen, mark) - 1]
            else:
                node = rim[best]
                waiting -= 1
                rim[best] = rim[waiting]
            if held > 0 and held + size[node] - goal > goal - held:
                break
            part[node] = number
            held += size[node]
            left -= size[node]
            for place in range(indptr[node], indptr[node + 1]):
                other = indices[place]
                if part[other] < 0:
                    if tie[other] == 0:
                        rim[waiting] = other
                        waiting += 1
                    tie[other] += weight[place]
        for place in range(waiting):
            tie[rim[place]] = 0
        for node in range(nodes):
            if part[node] == number:
                tie[node] = 0
    for node in range(nodes):
        if part[node] < 0:
            part[node] = parts - 1
    return part


@jit
def refine(indptr, indices, weight, size, part, parts, limit, passes):  # type: ignore[no-untyped-def]
    """Move nodes to the part they are tied to most, while it stays within ``limit``; fuller parts give nodes away."""
    nodes = indptr.shape[0] - 1
    held = np.zeros(parts, np.int64)
    for node in range(nodes):
        held[part[node]] += size[node]
    tie = np.zeros(parts, np.int64)
    for sweep in range(passes):
        moved = 0
        for turn in range(nodes):
            node = turn if sweep % 2 == 0 else nodes - 1 - turn
            mine = part[node]
            inside = True
            for place in range(indptr[node], indptr[node + 1]):
                other = part[indices[place]]
                tie[other] += weight[place]
                inside &= other == mine
            too_full = held[mine] > limit
            if not inside or too_full:
                best, gain = mine, np.int64(0)
                for place in range(indptr[node], indptr[node + 1]):
                    other = part[indices[place]]
                    if other == mine or held[other] + size[node] > limit:
                        continue
                    more = tie[other] - tie[mine]
                    lighter = held[other] + size[node] < held[best]
                    if (too_full and best == mine) or more > gain or (more == gain and lighter):
                        best, gain = other, more
                if too_full and best == mine:
                    lightest = np.argmin(held)
                    if held[lightest] + size[node] < held[mine]:
                        best = np.int32(lightest)
                if best != mine:
                    held[mine] -= size[node]
                    held[best] += size[node]
                    part[node] = best
                    moved += 1
            for place in range(indptr[node], indptr[node + 1]):
                tie[part[indices[place]]] = 0
            tie[mine] = 0
        if moved == 0:
            break


@jit
def cut_of(indptr, indices, part):  # type: ignore[no-untyped-def]
    """Count the edges between parts (entries of ``indices``: each edge from both its ends)."""
    cut = 0
    for node in range(indptr.shape[0] - 1):
        for place in range(indptr[node], indptr[node + 1]):
            cut += part[indices[place]] != part[node]
    return cut


def partition(indptr: NDArray[Any], indices: NDArray[Any], parts: int) -> NDArray[np.int32]:
    """Return the part of each node, 0 to ``parts - 1``, so that parts are of equal size and few edges are cut.

    Parameters
    ----------
    indptr, indices
        The graph, shapes (nodes + 1,) and (entries,); every edge from both its ends.
    parts
        How many, at least 1.

    Returns
    -------
    array of int32, shape (nodes,)
        No part has more than 1.05 times the mean number of nodes, rounded up.
    """
    if parts < 1:
        raise InputError(f"a graph is cut into at least 1 part, not {parts}")
    indptr, indices = np.asarray(indptr, np.int64), np.asarray(indices, np.int64)
    nodes = len(indptr) - 1
    blocks = (np.arange(nodes) * parts // max(nodes, 1)).astype(np.int32)
    if parts == 1 or nodes <= parts:
        return blocks
    limit = int(np.ceil(IMBALANCE * nodes / parts))
    ones, size = np.ones(len(indices), np.int64), np.ones(nodes, np.int64)
    levels = [(indptr, indices, ones, size)]
    homes: list[NDArray[np.int64]] = []
    while len(levels[-1][3]) > CLUSTERS_PER_PART * parts and len(levels) < MOST_LEVELS:
        starts, seen, weight, held = levels[-1]
        # Clusters grow about fourfold a level, and stay small against a part.
        largest = max(min(4 ** len(levels), nodes // (CLUSTERS_PER_PART // 4 * parts)), 2)
        label = cluster(starts, seen, weight, held, largest, 3)
        *coarser, home = contracted(starts, seen, weight, held, label)
        if len(coarser[3]) > 0.95 * len(held):
            break
        levels.append((coarser[0], coarser[1], coarser[2], coarser[3]))
        homes.append(home)
    starts, seen, weight, held = levels[-1]
    part = grown(starts, seen, weight, held, parts)
    for level in range(len(levels) - 1, -1, -1):
        starts, seen, weight, held = levels[level]
        refine(starts, seen, weight, held, part, parts, limit, PASSES)
        if level:
            part = part[homes[level - 1]]
    refine(indptr, indices, ones, size, blocks, parts, limit, PASSES)
    # Clusters may have been too coarse for the limit; nodes are not.
    refine(indptr, indices, ones, size, part, parts, limit, PASSES)
    fewer = cut_of(indptr, indices, part) < cut_of(indptr, indices, blocks)
    found: NDArray[np.int32] = part if fewer else blocks
    return found
