"""Random graphs whose edges depend on one another: growth by preferential attachment."""

from __future__ import annotations

import numpy as np

from simengine.arrays.jit import njit
from simengine.random.draws import integer_block


@njit(cache=True, nogil=True, error_model="numpy")
def preferential_attachment(key, n, links):  # type: ignore[no-untyped-def]
    """Grow a graph: each node joins ``links`` different older ones with chances proportional to their degrees.

    The first ``links + 1`` nodes form a star around node 0, so that everybody has an edge. Returns the older and the
    newer end of each edge.
    """
    edges = links + (n - links - 1) * links
    older, newer = np.empty(edges, np.int64), np.empty(edges, np.int64)
    for leaf in range(links):
        older[leaf], newer[leaf] = 0, leaf + 1
    count = links
    for node in range(links + 1, n):
        first, attempt = count, 0
        while count < first + links:
            # An end of an edge drawn uniformly is a node drawn in proportion to its degree.
            end = integer_block(key, node, 0, 2 * first, attempt)
            attempt += 1
            chosen = older[end // 2] if end % 2 == 0 else newer[end // 2]
            fresh = True
            for place in range(first, count):
                fresh = fresh and older[place] != chosen
            if fresh:
                older[count], newer[count] = chosen, node
                count += 1
    return older, newer
