"""Processes whose information-theoretic quantities are known, each with a sampler of series.

``sample(n, seed)`` gives series of n steps, begun in the stationary law. Values are in nats a step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numba
import numpy as np
from scipy import linalg, special, stats
from truths import Array, Truth, entropy_of, generator, listed

# Markov chains -------------------------------------------------------------------------------------------------------


@numba.njit
def _walk(steps: Array, uniform: Array, start: int) -> Array:
    found = np.empty(uniform.size, np.int64)
    state = start
    for t in range(uniform.size):
        if t:
            following = 0
            while following < steps.shape[1] - 1 and uniform[t] >= steps[state, following]:
                following += 1
            state = following
        found[t] = state
    return found


def stationary(transition: Array) -> Array:
    """The stationary law of a transition matrix."""
    k = len(transition)
    system = np.vstack([transition.T - np.eye(k), np.ones(k)])
    return np.asarray(np.linalg.lstsq(system, np.append(np.zeros(k), 1.0), rcond=None)[0])


def walk(transition: Array, n: int, seed: int) -> Array:
    """A series of states, begun in the stationary law."""
    uniform = generator(seed).random(n + 1)
    start = int(np.searchsorted(np.cumsum(stationary(transition)), uniform[-1]))
    return np.asarray(_walk(np.cumsum(transition, axis=1), uniform[:n], min(start, len(transition) - 1)))


def entropy_rate_of(transition: Array) -> float:
    """-sum pi P ln P."""
    return float(stationary(transition) @ special.entr(transition).sum(axis=1))


def entropy_production_of(transition: Array) -> float:
    """0.5 sum (pi_i P_ij - pi_j P_ji) ln (pi_i P_ij / pi_j P_ji) a step."""
    flow = stationary(transition)[:, None] * transition
    with np.errstate(divide="ignore", invalid="ignore"):
        term = (flow - flow.T) * np.log(flow / flow.T)
    return 0.5 * float(np.where(flow > 0.0, term, 0.0).sum())


def block_entropies(transition: Array, reading: Array, longest: int) -> Array:
    """H of 0, 1, ..., ``longest`` successive readings of a chain, by products of its transfer matrices.

    ``reading[i]`` is the symbol that state i shows: several states of one symbol make a process with memory.
    """
    symbols = int(reading.max()) + 1
    pieces = [transition * (reading == symbol) for symbol in range(symbols)]
    vectors = [stationary(transition) * (reading == symbol) for symbol in range(symbols)]
    found = [0.0, entropy_of(np.array([vector.sum() for vector in vectors]))]
    for _ in range(longest - 1):
        vectors = [vector @ piece for vector in vectors for piece in pieces]
        found.append(entropy_of(np.array([vector.sum() for vector in vectors])))
    return np.array(found)


def _drift(k: int, forward: float, backward: float) -> Array:
    """A ring of k states."""
    found = np.eye(k) * (1.0 - forward - backward)
    for i in range(k):
        found[i, (i + 1) % k] += forward
        found[i, (i - 1) % k] += backward
    return found


def _reversible(k: int, seed: int) -> Array:
    """Metropolis with random weights: detailed balance holds."""
    weight = generator(seed).uniform(0.5, 2.0, k)
    found = np.minimum(1.0, weight[None, :] / weight[:, None]) / k
    np.fill_diagonal(found, 0.0)
    np.fill_diagonal(found, 1.0 - found.sum(axis=1))
    return found


_IDENTITY = np.arange(64)
STICKY = np.array([[0.9, 0.1], [0.3, 0.7]])
THREE = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.3, 0.3, 0.4]])
EVEN_TWO = np.full((2, 2), 0.5)
GOLDEN = np.array([[0.5, 0.5], [1.0, 0.0]])
# Second order, as a chain of pairs (last but one, last): states 00, 01, 10, 11 show their last symbol.
PAIRS = np.array([[0.8, 0.2, 0, 0], [0, 0, 0.3, 0.7], [0.6, 0.4, 0, 0], [0, 0, 0.1, 0.9]])
LAST = np.array([0, 1, 0, 1])


def _chain(name: str, transition: Array, value: float, quantity: str, reading: Array = _IDENTITY) -> Truth:
    return Truth(
        name, lambda n, seed: (reading[walk(transition, n, seed)],), value, quantity,
        {"transition": transition, "states": int(reading[: len(transition)].max()) + 1},
    )  # fmt: skip


def _storage(transition: Array, history: int, reading: Array = _IDENTITY) -> float:
    h = block_entropies(transition, reading[: len(transition)], history + 1)
    return float(h[1] + h[history] - h[history + 1])


ENTROPY_RATES = listed(
    _chain("rate, sticky", STICKY, entropy_rate_of(STICKY), "entropy rate"),
    _chain("rate, three states", THREE, entropy_rate_of(THREE), "entropy rate"),
    _chain("rate, golden mean", GOLDEN, entropy_rate_of(GOLDEN), "entropy rate"),
    _chain("rate, coin", EVEN_TWO, math.log(2.0), "entropy rate"),
    _chain("rate, second order", PAIRS, entropy_rate_of(PAIRS), "entropy rate", LAST),
)
STORAGES = listed(
    _chain("storage, sticky", STICKY, _storage(STICKY, 1), "active information storage"),
    _chain("storage, three states", THREE, _storage(THREE, 1), "active information storage"),
    _chain("storage, coin", EVEN_TWO, 0.0, "active information storage"),
)
SECOND_STORAGES = listed(
    _chain("storage, second order", PAIRS, _storage(PAIRS, 2, LAST), "active information storage of 2", LAST)
)
EXCESSES = listed(
    _chain("excess, sticky", STICKY, _storage(STICKY, 1), "excess entropy"),
    _chain("excess, coin", EVEN_TWO, 0.0, "excess entropy"),
)
PRODUCTIONS = listed(
    _chain("ring of 3", _drift(3, 0.6, 0.2), entropy_production_of(_drift(3, 0.6, 0.2)), "entropy production"),
    _chain("ring of 6", _drift(6, 0.6, 0.2), entropy_production_of(_drift(6, 0.6, 0.2)), "entropy production"),
    _chain("three states", THREE, entropy_production_of(THREE), "entropy production"),
    _chain("reversible 3", _reversible(3, 1), 0.0, "entropy production"),
    _chain("reversible 6", _reversible(6, 2), 0.0, "entropy production"),
)


# Transfer entropy of coupled chains ----------------------------------------------------------------------------------


def coupled(coupling: float, noise: float) -> Array:
    """Chain of pairs (x, y): x is sticky on its own; y takes x's last state at the odds ``coupling``, else its own.

    Either is turned over at the odds ``noise``. States are 2 x + y.
    """
    found = np.zeros((4, 4))
    for x in range(2):
        for y in range(2):
            for x_new in range(2):
                p_x = 0.8 if x_new == x else 0.2
                for y_new in range(2):
                    kept = coupling * (y_new == x) + (1.0 - coupling) * (y_new == y)
                    found[2 * x + y, 2 * x_new + y_new] = p_x * ((1.0 - noise) * kept + noise * (1.0 - kept))
    return found


def transfer_of(transition: Array) -> float:
    """T(x -> y) with one step of history of each, exact from the law of (x, y, y_new)."""
    flow = (stationary(transition)[:, None] * transition).reshape(2, 2, 2, 2)
    joint = flow.sum(axis=2)
    return (
        entropy_of(joint.sum(axis=0)) - entropy_of(joint.sum(axis=(0, 2)))
        - entropy_of(joint) + entropy_of(joint.sum(axis=2))
    )  # fmt: skip


def _coupled(name: str, coupling: float, noise: float) -> Truth:
    transition = coupled(coupling, noise)

    def sample(n: int, seed: int) -> tuple[Array, ...]:
        states = walk(transition, n, seed)
        return states // 2, states % 2

    return Truth(name, sample, transfer_of(transition), "discrete TE", {"transition": transition})


DISCRETE_TRANSFERS = listed(
    _coupled("coupled chains", 0.6, 0.1),
    _coupled("weakly coupled chains", 0.15, 0.1),
    _coupled("chains apart", 0.0, 0.2),
)


# Linear processes ----------------------------------------------------------------------------------------------------


@numba.njit
def _linear(step: Array, noise: Array, start: Array) -> Array:
    found = np.empty_like(noise)
    d = start.size
    for t in range(noise.shape[0]):
        for i in range(d):
            if t == 0:
                found[t, i] = start[i]
            else:
                total = noise[t, i]
                for j in range(d):
                    total += step[i, j] * found[t - 1, j]
                found[t, i] = total
    return found


def linear_series(step: Array, noise: Array, n: int, seed: int) -> Array:
    """x' = M x + noise of the given covariance, shape (n, d), begun in the stationary law."""
    drawn = generator(seed).normal(size=(n + 1, len(step)))
    spread = linalg.solve_discrete_lyapunov(step, noise)
    shocks = drawn[:n] @ np.linalg.cholesky(noise).T
    return np.asarray(_linear(np.ascontiguousarray(step), shocks, np.linalg.cholesky(spread) @ drawn[n]))


def _volume(covariance: Array, *index: int) -> float:
    return float(np.linalg.slogdet(covariance[np.ix_(index, index)])[1])


def linear_transfer(step: Array, noise: Array) -> float:
    """T(0 -> 1) of a VAR(1) of two variables with one step of history of each."""
    spread = linalg.solve_discrete_lyapunov(step, noise)
    both = np.block([[spread, spread @ step.T], [step @ spread, spread]])
    x, y, y_new = 0, 1, 3
    return 0.5 * (_volume(both, y, y_new) - _volume(both, y) - _volume(both, x, y, y_new) + _volume(both, x, y))


def _linear_pair(name: str, step: Array) -> Truth:
    def sample(n: int, seed: int) -> tuple[Array, ...]:
        found = linear_series(step, np.eye(2), n, seed)
        return found[:, 0].copy(), found[:, 1].copy()

    return Truth(name, sample, linear_transfer(step, np.eye(2)), "continuous TE", {"step": step})


CONTINUOUS_TRANSFERS = listed(
    _linear_pair("VAR(1), coupled", np.array([[0.5, 0.0], [0.5, 0.4]])),
    _linear_pair("VAR(1), weakly coupled", np.array([[0.5, 0.0], [0.1, 0.4]])),
    _linear_pair("VAR(1), apart", np.array([[0.6, 0.0], [0.0, 0.6]])),
)


def _autoregressive(name: str, keep: float, value: float, quantity: str) -> Truth:
    def sample(n: int, seed: int) -> tuple[Array, ...]:
        return (linear_series(np.array([[keep]]), np.eye(1), n, seed)[:, 0].copy(),)

    return Truth(name, sample, value, quantity)


CONTINUOUS_STORAGES = listed(
    _autoregressive("AR(1), 0.7", 0.7, -0.5 * math.log(1.0 - 0.49), "continuous storage"),
    _autoregressive("AR(1), 0", 0.0, 0.0, "continuous storage"),
)
AUTOCORRELATIONS = listed(
    _autoregressive("AR(1), 0.7, memory", 0.7, 0.7, "autocorrelation"),
    _autoregressive("AR(1), 0.2, memory", 0.2, 0.2, "autocorrelation"),
)
VARIANCES = listed(
    _autoregressive("AR(1), 0.7, variance", 0.7, 1.0 / 0.51, "variance of a series"),
    _autoregressive("AR(1), 0.2, variance", 0.2, 1.0 / 0.96, "variance of a series"),
)


def _cascades(exponent: float) -> Truth:
    def sample(n: int, seed: int) -> tuple[Array, ...]:
        return (stats.zipf(exponent).rvs(n, random_state=generator(seed)),)

    return Truth(f"zeta law, {exponent}", sample, exponent, "cascade exponent")


CASCADES = listed(_cascades(2.2), _cascades(2.8))


# Ordinal patterns ----------------------------------------------------------------------------------------------------


def _patterns(name: str, walk: bool, order: int, value: float) -> Truth:
    def sample(n: int, seed: int) -> tuple[Array, ...]:
        noise = generator(seed).normal(size=n)
        return (np.cumsum(noise) if walk else noise,)

    return Truth(name, sample, value, "permutation entropy", {"order": order})


# Of a walk of three steps 0 < 1 < 2 and 2 < 1 < 0 have the probability 1/4 each, the other four 1/8 each.
PATTERNS = listed(
    _patterns("noise, order 3", False, 3, math.log(6.0)),
    _patterns("walk, order 3", True, 3, 0.5 * math.log(4.0) + 0.5 * math.log(8.0)),
)


def complexity_of(p: Array) -> float:
    """Jensen-Shannon complexity of the probabilities of all patterns (Lamberti et al. 2004)."""
    even = np.full(p.size, 1.0 / p.size)
    alone = np.eye(p.size)[0]

    def apart(one: Array) -> float:
        return entropy_of(0.5 * (one + even)) - 0.5 * (entropy_of(one) + entropy_of(even))

    return apart(p) / apart(alone) * entropy_of(p) / math.log(p.size)


WALK_PATTERNS = np.array([0.25, 0.25, 0.125, 0.125, 0.125, 0.125])


def _complex(name: str, of: str, value: float) -> Truth:
    return Truth(name, PATTERNS[of].sample, value, "statistical complexity", {"order": 3})


COMPLEXITIES = listed(
    _complex("complexity, noise", "noise, order 3", 0.0),
    _complex("complexity, walk", "walk, order 3", complexity_of(WALK_PATTERNS)),
)

# Phrases of Lempel and Ziv -------------------------------------------------------------------------------------------

PHRASES_IN = 500


def phrases_of(series: Array) -> int:
    """Phrases of a sequence of single bytes by their definition, slowly: each is new where it begins, one too long."""
    text = bytes(series.tolist())
    start = count = 0
    while start < len(text):
        length = 1
        while start + length <= len(text) and text.find(text[start : start + length], 0, start + length - 1) >= 0:
            length += 1
        start += length
        count += 1
    return count


def _phrases(name: str, transition: Array, value: float) -> Truth:
    """n realisations of ``PHRASES_IN`` steps; the value is the mean of 20,000 of them, their error below 0.1 %."""

    def sample(n: int, seed: int) -> tuple[Array, ...]:
        rng = generator(seed)
        return (np.stack([walk(transition, PHRASES_IN, int(one)) for one in rng.integers(0, 2**40, n)]),)

    return Truth(name, sample, value, "Lempel-Ziv phrases", {"transition": transition})


PHRASES = listed(_phrases("phrases, coin", EVEN_TWO, 60.498), _phrases("phrases, sticky", STICKY, 35.025))

# Change: tables of successive periods --------------------------------------------------------------------------------

BEFORE = np.array([0.3, 0.2, 0.15, 0.1, 0.1, 0.1, 0.05])
AFTER = np.array([0.1, 0.1, 0.2, 0.1, 0.2, 0.1, 0.2])
PERIODS, CHANGED, SEEN_BACK = 9, 5, 3


def _divergence(p: Array, q: Array) -> float:
    return float(special.rel_entr(p, q).sum())


def _changing(name: str, mix: float, kind: str) -> Truth:
    """Tables of n samples each, otherwise in the sixth one, and half so from the seventh on; of the sixth."""
    changed = (1.0 - mix) * BEFORE + mix * AFTER
    after = 0.5 * (changed + BEFORE)
    laws = np.array([BEFORE] * CHANGED + [changed] + [after] * (PERIODS - CHANGED - 1))
    middle = 0.5 * (changed + BEFORE)
    new, passing = _divergence(changed, BEFORE), _divergence(changed, after)
    value = {
        "novelty": new, "transience": passing, "resonance": new - passing,
        "drift": 0.5 * (_divergence(changed, middle) + _divergence(BEFORE, middle)),
    }[kind]  # fmt: skip

    def sample(n: int, seed: int) -> tuple[Array, ...]:
        rng = generator(seed)
        return (np.stack([rng.multinomial(n, law) for law in laws]),)

    return Truth(f"{kind}, {name}", sample, value, kind)


CHANGES = listed(
    *(
        _changing(name, mix, kind)
        for kind in ("novelty", "transience", "resonance", "drift")
        for name, mix in (("none", 0.0), ("some", 0.3), ("all", 1.0))
    )
)


# Ornstein-Uhlenbeck processes, sampled -------------------------------------------------------------------------------


def ornstein_uhlenbeck(drift: Array, diffusion: Array, interval: float) -> tuple[Array, Array, Array]:
    """Step matrix, noise and stationary covariance of dx = -A x dt + sqrt(2 D) dW seen every ``interval``."""
    spread = linalg.solve_continuous_lyapunov(drift, 2.0 * diffusion)
    step = linalg.expm(-drift * interval)
    return step, spread - step @ spread @ step.T, spread


def linear_production(step: Array, noise: Array) -> float:
    """KL divergence a step of a stationary linear process from its reversal."""
    spread = linalg.solve_discrete_lyapunov(step, noise)
    back = spread @ step.T @ np.linalg.inv(spread)
    noise_back = spread - back @ spread @ back.T
    inverse = np.linalg.inv(noise_back)
    change = step - back
    logs = np.linalg.slogdet(noise_back)[1] - np.linalg.slogdet(noise)[1]
    return 0.5 * float(np.trace(inverse @ noise) - len(step) + logs + np.trace(inverse @ change @ spread @ change.T))


def _sampled(name: str, drift: Array, diffusion: Array, interval: float) -> Truth:
    step, noise, spread = ornstein_uhlenbeck(drift, diffusion, interval)

    def sample(n: int, seed: int) -> tuple[Array, ...]:
        return (linear_series(step, noise, n, seed),)

    continuous = float(np.trace(np.linalg.solve(diffusion, drift @ spread @ drift.T)) - np.trace(drift))
    return Truth(
        name, sample, linear_production(step, noise), "linear entropy production",
        {"per_time": continuous, "interval": interval, "step": step, "noise": noise},
    )  # fmt: skip


ROTATION = np.array([[1.0, -3.0], [3.0, 1.0]])
GYRATOR = np.array([[1.0, -0.5], [-0.5, 1.0]])
LINEAR_PRODUCTIONS = listed(
    _sampled("OU rotation", ROTATION, np.eye(2), 0.1),
    _sampled("OU gyrator", GYRATOR, np.diag([1.0, 3.0]), 0.1),
    _sampled("OU reversible", GYRATOR, np.eye(2), 0.1),
    _sampled("OU reversible, 4-D", np.eye(4) + 0.2, np.eye(4), 0.2),
)


def _current(name: str, mean: float, keep: float, clock: str) -> Truth:
    """Increments of a normal current with memory: 2 mean^2 over their variance, or ln(1 + that)."""
    doubled = 2.0 * mean**2 * (1.0 - keep**2)
    step, noise = np.array([[keep]]), np.eye(1)

    def sample(n: int, seed: int) -> tuple[Array, ...]:
        return (mean + linear_series(step, noise, n, seed)[:, 0],)

    return Truth(name, sample, doubled if clock == "continuous" else math.log1p(doubled), f"bound, {clock} time")


CURRENTS = {
    clock: listed(
        _current("no current", 0.0, 0.0, clock), _current("current, 0.3", 0.3, 0.0, clock),
        _current("current, 1", 1.0, 0.0, clock), _current("current with memory", 0.5, 0.7, clock),
    )
    for clock in ("continuous", "discrete")
}  # fmt: skip

ALL_IN_TIME = {
    case.name: case
    for group in (
        ENTROPY_RATES, STORAGES, SECOND_STORAGES, EXCESSES, PRODUCTIONS, DISCRETE_TRANSFERS, CONTINUOUS_TRANSFERS,
        CONTINUOUS_STORAGES, AUTOCORRELATIONS, VARIANCES, CASCADES, LINEAR_PRODUCTIONS, PATTERNS, COMPLEXITIES,
        PHRASES, *CURRENTS.values(),
    )
    for case in group.values()
}  # fmt: skip


def flows(series: Array, states: int) -> Array:
    """Count the transitions of a series."""
    found = np.zeros((states, states), np.int64)
    for now, then in pairwise(series.tolist()):
        found[now, then] += 1
    return found


Sampler = Callable[[int, int], tuple[Array, ...]]
