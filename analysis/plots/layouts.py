"""Where to draw the nodes of a graph: the same places for the same graph.

Forces are those of Fruchterman & Reingold (1991), "Graph drawing by force-directed placement", Softw. Pract. Exper. 21,
1129-1164, with a pull of each piece as a whole to the middle, from a start at the eigenvectors of the normalised
adjacency. In large graphs the repulsion of all pairs is a convolution on a grid.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import fft, sparse

from simengine.errors import InputError, nearest

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]
Layout = Literal["auto", "spring", "circle", "grid"]
LAYOUTS: tuple[str, ...] = get_args(Layout)

ALL_PAIRS_UP_TO = 320
ROUNDS, ROUNDS_ON_GRID = 250, 160
GRAVITY = 0.5
LEAST = 1e-6
SLOW = 0.98
"""Second eigenvalue of the lazy random walk from which a graph mixes slowly."""


def places(nodes: int, source: Ids, target: Ids, layout: Layout = "auto") -> Floats:
    """Return places in the square from -1 to 1, shape (nodes, 2).

    ``"auto"`` draws a square lattice without borders as one, by rows, a ring as a circle, and everything else by forces
    (``"spring"``).
    """
    if layout not in LAYOUTS:
        raise InputError(f"layout: got {layout!r}{nearest(str(layout), LAYOUTS) or '; allowed: ' + ', '.join(LAYOUTS)}")
    if layout == "auto":
        ring = is_ring(nodes, source, target)
        layout = "grid" if is_lattice(nodes, source, target) else "circle" if ring else "spring"
    if nodes < 2:
        return np.zeros((nodes, 2))
    if layout == "circle":
        angle = np.pi / 2.0 - 2.0 * np.pi * np.arange(nodes) / nodes
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)
    if layout == "grid":
        side = math.ceil(math.sqrt(nodes))
        rows, columns = np.divmod(np.arange(nodes), side)
        return np.stack([columns, side - 1 - rows], axis=1) / max(side - 1, 1) * 2.0 - 1.0
    return _spread(_by_forces(nodes, source, target))


def is_lattice(nodes: int, source: Ids, target: Ids) -> bool:
    """Return whether edges are those of a square lattice without borders, its nodes numbered by rows."""
    side = math.isqrt(nodes)
    if side < 3 or side * side != nodes or source.size != 2 * nodes:
        return False
    (row, column), (other_row, other_column) = np.divmod(source, side), np.divmod(target, side)
    down, along = np.abs(row - other_row), np.abs(column - other_column)
    steps = np.minimum(down, side - down) + np.minimum(along, side - along)
    return bool((steps == 1).all())


def is_ring(nodes: int, source: Ids, target: Ids) -> bool:
    """Return whether edges lead round in a circle by number, to near ones only."""
    around = np.abs(source - target)
    near = np.minimum(around, nodes - around)
    return nodes > 2 and bool((np.bincount(near, minlength=2)[1] == nodes) and near.max() <= nodes / 8)


def _spread(x: Floats) -> Floats:
    """Turn the longest extent to the horizontal, and fill the square."""
    x = x - x.mean(axis=0)
    _, _, axes = np.linalg.svd(x, full_matrices=False)
    x = x @ (axes * np.sign(axes[np.arange(2), np.abs(axes).argmax(axis=1)])[:, None]).T
    low, high = x.min(axis=0), x.max(axis=0)
    return np.asarray((x - (low + high) / 2.0) / ((high - low).max() / 2.0 or 1.0))


def _start(nodes: int, adjacency: sparse.csr_array) -> Floats:
    """Return the second and third eigenvectors of the lazy random walk."""
    generator = np.random.default_rng(1)
    jitter = generator.normal(size=(nodes, 2))
    degree = np.asarray(adjacency.sum(axis=1)).ravel()
    scale = 1.0 / np.sqrt(np.maximum(degree, 1.0))
    walk = 0.5 * (sparse.eye_array(nodes) + sparse.diags_array(scale) @ adjacency @ sparse.diags_array(scale))
    if nodes <= ALL_PAIRS_UP_TO:
        vectors = np.linalg.eigh(walk.toarray())[1][:, -3:-1]
    else:
        vectors = _slowest(sparse.csc_array(walk), np.ones(nodes) + 0.1 * jitter[:, 0])
    size = nodes**0.5 * scale[:, None] * vectors
    return np.asarray(size / (np.abs(size).max() or 1.0) + 0.02 * jitter)


def _slowest(walk: sparse.csc_array, begin: Floats) -> Floats:
    """Return the two eigenvectors after the first, shape (nodes, 2)."""
    try:
        values, vectors = sparse.linalg.eigsh(walk, 3, v0=begin, ncv=48, maxiter=200, tol=1e-3)
    except sparse.linalg.ArpackNoConvergence:
        values = np.ones(3)
    if np.sort(values)[1] > SLOW:
        # Eigenvalues this near to one another are told apart by inverting; what mixes slowly factors quickly.
        values, vectors = sparse.linalg.eigsh(walk, 3, sigma=1.0 + 1e-6, v0=begin)
    return np.asarray(vectors[:, np.argsort(values)[:2]])


def _by_forces(nodes: int, source: Ids, target: Ids) -> Floats:
    ends = np.concatenate([source, target]), np.concatenate([target, source])
    adjacency = sparse.csr_array((np.ones(ends[0].size), ends), shape=(nodes, nodes))
    few = nodes <= ALL_PAIRS_UP_TO
    distance = 1.0
    extent = distance * nodes**0.5
    x = _start(nodes, adjacency) * extent / 2.0
    rounds = ROUNDS if few else ROUNDS_ON_GRID
    pieces, piece = sparse.csgraph.connected_components(adjacency, directed=False)
    members = np.bincount(piece, minlength=pieces)
    for number in range(rounds):
        force = _among_all(x, distance) if few else _on_grid(x, distance)
        along = x[target] - x[source]
        pull = along * (np.linalg.norm(along, axis=1)[:, None] / distance)
        for axis in range(2):
            force[:, axis] += np.bincount(source, pull[:, axis], nodes) - np.bincount(target, pull[:, axis], nodes)
            middle = np.bincount(piece, x[:, axis], pieces) / members
            force[:, axis] -= GRAVITY * middle[piece]
        length = np.maximum(np.linalg.norm(force, axis=1), LEAST)[:, None]
        hottest = 0.1 * extent * (1.0 - number / rounds) ** 1.5
        x = x + force / length * np.minimum(length, hottest)
    return np.asarray(x)


def _among_all(x: Floats, distance: float) -> Floats:
    apart = x[:, None] - x[None]
    squared = np.maximum((apart * apart).sum(axis=2), LEAST)
    return np.asarray((apart * (distance**2 / squared)[..., None]).sum(axis=1))


def _on_grid(x: Floats, distance: float) -> Floats:
    """Return the repulsion from masses that are shared among the four nearest points of a grid."""
    nodes = len(x)
    cells = int(np.clip(2 ** math.ceil(math.log2(3.0 * nodes**0.5)), 64, 512))
    low = x.min(axis=0)
    width = max(float(np.ptp(x, axis=0).max()), LEAST) / (cells - 2)
    at = (x - low) / width
    corner = np.minimum(at.astype(np.int64), cells - 2)
    part = at - corner
    shares = [
        (dx, dy, (part[:, 0] if dx else 1.0 - part[:, 0]) * (part[:, 1] if dy else 1.0 - part[:, 1]))
        for dx in (0, 1)
        for dy in (0, 1)
    ]
    mass = np.zeros(cells * cells)
    for dx, dy, share in shares:
        mass += np.bincount((corner[:, 0] + dx) * cells + corner[:, 1] + dy, share, cells * cells)
    offset = fft.fftfreq(2 * cells, 1.0 / (2 * cells)) * width
    squared = offset[:, None] ** 2 + offset[None] ** 2
    kernel = distance**2 / np.where(squared > 0.0, squared, np.inf)
    spectrum = fft.rfft2(mass.reshape(cells, cells), s=(2 * cells, 2 * cells))
    found = np.zeros_like(x)
    for axis, along in enumerate((offset[:, None], offset[None])):
        field = fft.irfft2(spectrum * fft.rfft2(kernel * along), s=(2 * cells, 2 * cells))
        for dx, dy, share in shares:
            found[:, axis] += share * field[corner[:, 0] + dx, corner[:, 1] + dy]
    return found
