"""Populations of known diagnostics: actions, opinions, headings and embeddings of agents, each with a sampler.

Where agents are drawn n is their number. All entropies are in nats.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from scipy import integrate, special
from truths import Array, Truth, entropy_of, generator, listed, mutual_information_of

# Actions: how often each agent took each of four ---------------------------------------------------------------------

ACTIONS = 30
ONE_POLICY = np.array([0.5, 0.3, 0.1, 0.1])


def _policies(name: str, value: float, quantity: str, policy: Array | None) -> Truth:
    """``ACTIONS`` of each agent, by one policy for all, or policies drawn evenly from all that there are."""

    def sample(n: int, seed: int) -> tuple[Array, ...]:
        rng = generator(seed)
        return (rng.multinomial(ACTIONS, policy if policy is not None else rng.dirichlet(np.ones(4), n), size=n),)

    return Truth(name, sample, value, quantity)


# Mean entropy of a distribution that is drawn evenly: psi(K + 1) - psi(2).
_OWN = float(special.digamma(5.0) - special.digamma(2.0))


def _beliefs(name: str) -> Truth:
    def sample(n: int, seed: int) -> tuple[Array, ...]:
        return (generator(seed).dirichlet(np.ones(4), n),)

    return Truth(name, sample, _OWN, "belief entropy")


POLICIES = listed(
    _policies("actions, one policy", entropy_of(ONE_POLICY), "action entropy", ONE_POLICY),
    _policies("actions, even policies", math.log(4.0), "action entropy", None),
    _policies("within, even policies", _OWN, "policy entropy", None),
    _policies("within, one policy", entropy_of(ONE_POLICY), "policy entropy", ONE_POLICY),
    _policies("between, even policies", math.log(4.0) - _OWN, "policy diversity", None),
    _policies("between, one policy", 0.0, "policy diversity", ONE_POLICY),
    _beliefs("beliefs, even"),
)


def _signals(name: str, table: Array) -> Truth:
    """Counts of (state, action), drawn from a joint law."""
    p = table / table.sum()
    return Truth(
        name, lambda n, seed: (generator(seed).multinomial(n, p.ravel()).reshape(p.shape),), mutual_information_of(p),
        "action information",
    )  # fmt: skip


SIGNALS = listed(
    _signals("signals, followed", np.array([[4.0, 1.0], [1.0, 4.0]])),
    _signals("signals, weakly followed", np.array([[3.0, 2.0], [2.0, 3.0]])),
    _signals("signals, not followed", np.ones((2, 2))),
)

# Coordination: tables of two agents' actions -------------------------------------------------------------------------


def _coordinated(name: str, table: Array, value: float) -> Truth:
    p = table / table.sum()

    def sample(n: int, seed: int) -> tuple[Array, ...]:
        cell = generator(seed).choice(p.size, size=n, p=p.ravel())
        return cell // p.shape[1], cell % p.shape[1]

    return Truth(name, sample, value, "coordination index", {"probabilities": p})


def least_coupling_of_two(p: float, q: float) -> float:
    """Least entropy of a joint law of two variables of two states, P(X = 0) = p and P(Y = 0) = q.

    The entropy is concave in the one free number, P(X = 0, Y = 0), so that its least value is at an end.
    """
    ends = (max(p + q - 1.0, 0.0), min(p, q))
    return min(entropy_of(np.maximum([one, p - one, q - one, 1.0 - p - q + one], 0.0)) for one in ends)


def _two_agents(name: str, p: float, q: float, strength: float) -> Truth:
    """Mixture of the coupling of most overlap and of independence."""
    apart = np.outer([p, 1.0 - p], [q, 1.0 - q])
    most = min(p, q)
    together = np.array([[most, p - most], [q - most, 1.0 - p - q + most]])
    table = strength * together + (1.0 - strength) * apart
    ceiling = entropy_of(np.array([p, 1.0 - p])) + entropy_of(np.array([q, 1.0 - q])) - least_coupling_of_two(p, q)
    return _coordinated(name, table, mutual_information_of(table) / ceiling)


COORDINATION = listed(
    _two_agents("agents apart", 0.6, 0.6, 0.0),
    _two_agents("equal habits, 0.6", 0.6, 0.6, 0.6),
    _two_agents("other habits, 0.6", 0.8, 0.55, 0.6),
    _two_agents("nearly equal habits, 0.6", 0.6, 0.57, 0.6),
)

# Opinions in classes -------------------------------------------------------------------------------------------------

CLASSES = np.array([0.05, 0.1, 0.3, 0.2, 0.25, 0.07, 0.03])


def _classes(name: str, value: float, quantity: str) -> Truth:
    return Truth(name, lambda n, seed: (generator(seed).multinomial(n, CLASSES),), value, quantity)


def agreement_by_layers(p: Array) -> float:
    """Van der Eijk's (2001) agreement of shares in ordered classes, by peeling layers of equal height.

    A layer with S filled classes of K counts (1 - (S - 1) / (K - 1)) U, with U the share of the triples of classes
    (one of them filled otherwise than the other two) that are unimodal, less twice those that are not.
    """
    left, total, size = p.astype(float).copy(), 0.0, p.size
    while left.max() > 1e-12:
        filled = left > 1e-12
        height = left[filled].min()
        unimodal = broken = 0
        for a in range(size):
            for b in range(a + 1, size):
                for c in range(b + 1, size):
                    shown = (filled[a], filled[b], filled[c])
                    unimodal += shown in {(1, 1, 0), (0, 1, 1)}
                    broken += shown == (1, 0, 1)
        number = int(filled.sum())
        agreement = 1.0
        if unimodal + broken:
            agreement = (
                ((size - 2.0) * unimodal - (size - 1.0) * broken) / ((size - 2.0) * (unimodal + broken))
            )  # fmt: skip
        elif number == size:
            agreement = 0.0
        total += height * number * agreement * (1.0 - (number - 1.0) / (size - 1.0))
        left = np.where(filled, left - height, 0.0)
    return total


OPINION_CLASSES = listed(
    _classes("7 classes, effective", math.exp(entropy_of(CLASSES)), "effective opinions"),
    _classes("7 classes, effective by pairs", 1.0 / float((CLASSES**2).sum()), "effective opinions of order 2"),
    _classes("7 classes, agreement", agreement_by_layers(CLASSES), "ordinal agreement"),
)

# Embeddings ----------------------------------------------------------------------------------------------------------


def direction_shares(variance: Array) -> Array:
    """E x_i^2 / |x|^2 of independent normal components: an integral over int exp(-t |x|^2) dt."""
    return np.array([
        integrate.quad(
            lambda t, one=one: one / (1.0 + 2.0 * one * t) / np.sqrt(np.prod(1.0 + 2.0 * variance * t)), 0.0, np.inf,
            limit=400,
        )[0]
        for one in variance
    ])  # fmt: skip


def _embedded(name: str, scale: Array) -> Truth:
    def sample(n: int, seed: int) -> tuple[Array, ...]:
        return (generator(seed).normal(size=(n, scale.size)) * scale,)

    shares = direction_shares(scale**2)
    return Truth(name, sample, math.exp(entropy_of(shares / shares.sum())), "effective channels", {"shares": shares})


EMBEDDINGS = listed(
    _embedded("fading components", np.exp(-np.arange(12) / 3.0)),
    _embedded("6 equal components", np.ones(6)),
)

# Clouds: entropy of the diffusion among them -------------------------------------------------------------------------


def normal_cloud_entropy(sigma: float, d: int) -> float:
    """Diffusion spectral entropy of a standard normal cloud, a Mehler kernel in each of d dimensions.

    The kernel exp(-(x - y)^2 / 2 sigma^2) over sqrt of the degrees has, with a normal law, eigenvalues proportional
    to r^k, r = 1 / (1 + sigma^2).
    """
    r = 1.0 / (1.0 + sigma**2)
    return d * (-math.log1p(-r) - r * math.log(r) / (1.0 - r))


def ring_entropy(sigma: float) -> float:
    """Of points on a circle of radius 1: eigenvalues I_k(1 / sigma^2) / I_0(1 / sigma^2), each twice but the first."""
    order = np.arange(1, 200)
    ratio = special.ive(order, sigma**-2) / special.ive(0, sigma**-2)
    spectrum = np.concatenate([[1.0], ratio, ratio])
    return entropy_of(spectrum / spectrum.sum())


def _on_ring(n: int, rng: np.random.Generator) -> Array:
    angle = rng.uniform(0.0, 2.0 * math.pi, n)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _cloud(name: str, draw: Callable[[int, np.random.Generator], Array], value: float, sigma: float) -> Truth:
    return Truth(name, lambda n, seed: (draw(n, generator(seed)),), value, "diffusion entropy", {"sigma": sigma})


CLOUDS = listed(
    _cloud("ring, width 0.5", _on_ring, ring_entropy(0.5), 0.5),
    _cloud("ring, width 0.2", _on_ring, ring_entropy(0.2), 0.2),
    _cloud("normal cloud, width 1", lambda n, rng: rng.normal(size=(n, 1)), normal_cloud_entropy(1.0, 1), 1.0),
    _cloud("normal plane, width 1", lambda n, rng: rng.normal(size=(n, 2)), normal_cloud_entropy(1.0, 2), 1.0),
)


def _camps(name: str, told: bool) -> Truth:
    """Three rings so far apart that the diffusion does not leave them, and a label that names them or does not."""

    def sample(n: int, seed: int) -> tuple[Array, ...]:
        rng = generator(seed)
        camp = rng.integers(0, 3, n)
        points = np.stack([20.0 * camp, np.zeros(n)], axis=1) + _on_ring(n, rng)
        return points, camp if told else rng.integers(0, 3, n)

    return Truth(name, sample, math.log(3.0) if told else 0.0, "diffusion information", {"sigma": 1.0, "t": 1.0})


CAMPS = listed(_camps("label of the camp", True), _camps("label of nothing", False))

# Schools: positions and headings in space ----------------------------------------------------------------------------


def isotropic(n: int, rng: np.random.Generator) -> Array:
    """Unit vectors in space."""
    found: Array = rng.normal(size=(n, 3))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


HEADING_BINS = 15


def polarization_entropy(density: Callable[[Array], Array]) -> float:
    """H2 of headings whose component along the axis has a distribution function, in equal bins of that of chance."""
    p = np.diff(density(np.linspace(-1.0, 1.0, HEADING_BINS + 1)))
    return entropy_of(p) / math.log(HEADING_BINS)


def _school(name: str, draw: Callable[[int, np.random.Generator], Array], value: float) -> Truth:
    def sample(n: int, seed: int) -> tuple[Array, ...]:
        rng = generator(seed)
        return 10.0 * rng.random((n, 3)), draw(n, rng)

    return Truth(name, sample, value, "heading entropy of a school (H2)", {"box": 10.0})


def _turned(n: int, rng: np.random.Generator, strength: float) -> Array:
    """Headings with a clear axis: Fisher's law of a concentration, by its distribution function along z."""
    u = rng.random(n)
    z = np.clip(1.0 + np.log(u + (1.0 - u) * math.exp(-2.0 * strength)) / strength, -1.0, 1.0)
    angle, radius = rng.uniform(0.0, 2.0 * math.pi, n), np.sqrt(np.maximum(1.0 - z * z, 0.0))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)


def _flat(n: int, rng: np.random.Generator) -> Array:
    """Headings in a plane, all directions alike: no axis in it is the principal one."""
    angle = rng.uniform(0.0, 2.0 * math.pi, n)
    return np.stack([np.cos(angle), np.sin(angle), np.zeros(n)], axis=1)


SCHOOLS = listed(
    _school("isotropic headings", isotropic, 1.0),
    _school("Fisher headings, 3", partial(_turned, strength=3.0),
            polarization_entropy(lambda c: (np.exp(3.0 * c) - math.exp(-3.0)) / (2.0 * math.sinh(3.0)))),
    _school("headings in a plane", _flat, polarization_entropy(lambda c: 1.0 - np.arccos(c) / math.pi)),
)  # fmt: skip

ALL_OF_POPULATIONS = {
    case.name: case
    for group in (POLICIES, SIGNALS, COORDINATION, OPINION_CLASSES, EMBEDDINGS, CLOUDS, CAMPS, SCHOOLS)
    for case in group.values()
}
