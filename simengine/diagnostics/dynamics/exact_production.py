"""Entropy production of processes where it is known: what estimators are measured against.

Rates are in nats per unit of time for processes in continuous time, in nats per step for sampled ones and for Markov
chains, and zero if and only if detailed balance holds. A process is dx = b(x) dt + sqrt(2 D) dW throughout; its rate
is E[v^T D^-1 v] with the velocity v = b - D grad ln rho of the stationary probability current (Seifert, Rep. Prog.
Phys. 75, 126001 (2012), section 2). All variables are even under reversal of time unless ``parity`` is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg

from simengine.errors import InputError

Array = NDArray[np.float64]
Function = Callable[[Array], Any]


def ornstein_uhlenbeck(drift: ArrayLike, diffusion: ArrayLike) -> float:
    """Return the rate of dx = -A x dt + sqrt(2 D) dW: tr(D^-1 A S A^T) - tr A, where A S + S A^T = 2 D.

    Parameters
    ----------
    drift
        A, shape (d, d); the real parts of its eigenvalues are positive.
    diffusion
        D, shape (d, d), positive definite; or (d,) or a number for a diagonal one.
    """
    a, d = _drift_and_diffusion(drift, diffusion)
    s = stationary_covariance(a, d)
    return float(np.trace(np.linalg.solve(d, a @ s @ a.T)) - np.trace(a))


def stationary_covariance(drift: ArrayLike, diffusion: ArrayLike) -> Array:
    """Return S of A S + S A^T = 2 D, the covariance of dx = -A x dt + sqrt(2 D) dW."""
    a, d = _drift_and_diffusion(drift, diffusion)
    found = linalg.solve_continuous_lyapunov(a, 2.0 * d)
    return np.asarray(0.5 * (found + found.T), dtype=np.float64)


def plane(drift: ArrayLike) -> float:
    """Return the rate of a two-dimensional Ornstein-Uhlenbeck process with equal noise: (A12 - A21)^2 / tr A.

    The strength of the noise does not matter. The rotation A = [[k, -w], [w, k]] has 2 w^2 / k.
    """
    a, _ = _drift_and_diffusion(drift, 1.0)
    if a.shape != (2, 2):
        raise InputError(f"drift has shape {a.shape}; expected (2, 2)")
    return float((a[0, 1] - a[1, 0]) ** 2 / (a[0, 0] + a[1, 1]))


def gyrator(stiffness: float, coupling: float, first: float, second: float) -> float:
    """Return the rate of the Brownian gyrator: c^2 (T1 - T2)^2 / (2 k T1 T2).

    Two coordinates of equal ``stiffness`` k, coupled by the force -c times the other, in baths of the temperatures
    ``first`` T1 and ``second`` T2 (Filliger & Reimann, Phys. Rev. Lett. 99, 230602 (2007)).
    """
    if not stiffness > abs(coupling):
        raise InputError(f"a coupling of {coupling} needs a stiffness above it, not {stiffness}: the trap is open")
    return coupling**2 * (first - second) ** 2 / (2.0 * stiffness * first * second)


def active_particle(stiffness: float, speed: float, relaxation: float, diffusion: float) -> float:
    """Return the rate of an active Ornstein-Uhlenbeck particle in a trap: v0^2 m / (e (m + k)).

    dx = (-k x + v0 g) dt + sqrt(2 e) dW and dg = -m g dt + sqrt(2 m) dV; the self-propulsion g counts as even.
    """
    return speed**2 * relaxation / (diffusion * (relaxation + stiffness))


def ring(force: float, potential: Function, diffusion: float, points: int = 320) -> float:
    """Return the rate of a driven particle on a ring of length 2 pi: 2 pi f J / D.

    dx = (f - V'(x)) dt + sqrt(2 D) dW with the probability current J by quadrature (Risken, The Fokker-Planck
    Equation, section 11.3).

    Parameters
    ----------
    force, diffusion
        f and D.
    potential
        V of an array of angles, of period 2 pi.
    points
        Of both integrals, a multiple of 16.
    """
    angle = np.linspace(0.0, 2.0 * math.pi, points, endpoint=False)
    nodes, weights = np.polynomial.legendre.leggauss(16)
    panels = points // 16
    ahead = (math.pi / panels * (nodes + 1.0 + 2.0 * np.arange(panels)[:, None])).ravel()
    rise = np.asarray(potential(angle[:, None] + ahead)) - np.asarray(potential(angle[:, None]))
    inner = (np.exp((rise - force * ahead) / diffusion) @ np.tile(weights, panels)) * (math.pi / panels)
    current = -diffusion * math.expm1(-2.0 * math.pi * force / diffusion) / (inner.mean() * 2.0 * math.pi)
    return float(2.0 * math.pi * force * current / diffusion)


def swirl(
    potential: Function, gradient: Function, rotation: float, diffusion: float,
    limits: Sequence[tuple[float, float]], points: int = 401,
) -> float:  # fmt: skip
    """Return the rate of dx = (-grad U + w J grad U) dt + sqrt(2 c) dW in the plane: w^2 E|grad U|^2 / c.

    J turns by a right angle, so that the stationary density is exp(-U / c) for every U.

    Parameters
    ----------
    potential, gradient
        U and its gradient; both take points of shape (..., 2).
    rotation, diffusion
        w and c.
    limits
        Low and high end of both coordinates; beyond them the density must be negligible.
    points
        Along each coordinate.
    """
    axes = [np.linspace(low, high, points) for low, high in limits]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    energy = np.asarray(potential(grid), dtype=np.float64) / diffusion
    weight = np.exp(energy.min() - energy)
    square = (np.asarray(gradient(grid), dtype=np.float64) ** 2).sum(axis=-1)
    return float(rotation**2 / diffusion * (weight * square).sum() / weight.sum())


def opinion_averaging(weights: ArrayLike, stubbornness: float, diffusion: ArrayLike = 1.0) -> float:
    """Return the rate of noisy averaging, dx_i = (-k x_i + sum_j W_ij (x_j - x_i)) dt + sqrt(2 D_i) dW_i.

    With equal noise it is zero if and only if influence is mutual, W = W^T.

    Parameters
    ----------
    weights
        W, shape (n, n): the pull of j on i; the diagonal does not matter.
    stubbornness
        k, above 0.
    diffusion
        As in :func:`ornstein_uhlenbeck`.
    """
    pull = np.array(weights, dtype=np.float64)
    if pull.ndim != 2 or pull.shape[0] != pull.shape[1]:
        raise InputError(f"weights has shape {pull.shape}; expected (n, n)")
    np.fill_diagonal(pull, 0.0)
    return ornstein_uhlenbeck(np.diag(stubbornness + pull.sum(axis=1)) - pull, diffusion)


def sampled_ornstein_uhlenbeck(drift: ArrayLike, diffusion: ArrayLike, dt: float) -> float:
    """Return the production per step of dx = -A x dt + sqrt(2 D) dW seen every ``dt``.

    It lies below dt times the rate in continuous time, because what happens between two looks is not seen.
    """
    a, d = _drift_and_diffusion(drift, diffusion)
    s = stationary_covariance(a, d)
    return gaussian_series(s, linalg.expm(-a * dt) @ s)


def gaussian_series(covariance: ArrayLike, lagged: ArrayLike, parity: ArrayLike | None = None) -> float:
    """Return the production per step of a stationary Gaussian Markov series.

    It is the divergence of two successive vectors from the same seen backwards, less that of a single one (which is 0
    if all variables are even): with M = C S^-1 and Q = S - M S M^T that equals
    0.5 [tr(Q~^-1 Q) - d + ln(det Q~ / det Q) + tr(Q~^-1 (M - M~) S (M - M~)^T)], where ~ marks the reversed process.

    Parameters
    ----------
    covariance
        S = E[x_t x_t^T], shape (d, d).
    lagged
        C = E[x_{t+1} x_t^T], shape (d, d).
    parity
        +1 for each variable that keeps its sign under reversal of time, -1 for each that changes it; shape (d,).
    """
    s, c = np.asarray(covariance, dtype=np.float64), np.asarray(lagged, dtype=np.float64)
    sign = np.ones(len(s)) if parity is None else np.asarray(parity, dtype=np.float64)
    flip = np.outer(sign, sign)
    forward = np.block([[s, c.T], [c, s]])
    backward = np.block([[flip * s, flip * c], [flip * c.T, flip * s]])
    pair = 0.5 * (np.trace(np.linalg.solve(backward, forward)) - 2 * len(s))
    return float(pair - 0.5 * (np.trace(np.linalg.solve(flip * s, s)) - len(s)))


def markov_chain(transitions: ArrayLike, stationary: ArrayLike | None = None) -> float:
    """Return the production per step of a Markov chain; infinite if a transition has no reverse.

    0.5 sum_ij (pi_i P_ij - pi_j P_ji) ln(pi_i P_ij / (pi_j P_ji)) (Schnakenberg, Rev. Mod. Phys. 48, 571 (1976)).

    Parameters
    ----------
    transitions
        P, shape (K, K), rows sum to 1.
    stationary
        pi, shape (K,); computed if not given.
    """
    p = np.asarray(transitions, dtype=np.float64)
    if p.ndim != 2 or p.shape[0] != p.shape[1]:
        raise InputError(f"transitions has shape {p.shape}; expected (K, K)")
    if (p < 0.0).any() or not np.allclose(p.sum(axis=1), 1.0, atol=1e-9):
        raise InputError("transitions: every row must hold probabilities that sum to 1")
    pi = stationary_distribution(p) if stationary is None else np.asarray(stationary, dtype=np.float64)
    flow = pi[:, None] * p
    if ((flow > 0.0) & (flow.T <= 0.0)).any():
        return math.inf
    both = flow > 0.0
    ratio = np.where(both, flow, 1.0) / np.where(both, flow.T, 1.0)
    return float(0.5 * ((flow - flow.T) * np.log(ratio)).sum())


def stationary_distribution(transitions: ArrayLike) -> Array:
    """Return pi of pi P = pi, shape (K,), of a chain with one closed class."""
    p = np.asarray(transitions, dtype=np.float64)
    k = len(p)
    system = np.vstack([p.T - np.eye(k), np.ones(k)])
    found: Array = np.linalg.lstsq(system, np.r_[np.zeros(k), 1.0], rcond=None)[0]
    positive = np.maximum(found, 0.0)
    return np.asarray(positive / positive.sum(), dtype=np.float64)


def _drift_and_diffusion(drift: ArrayLike, diffusion: ArrayLike) -> tuple[Array, Array]:
    a = np.asarray(drift, dtype=np.float64)
    if a.ndim != 2 or a.shape[0] != a.shape[1]:
        raise InputError(f"drift has shape {a.shape}; expected (d, d)")
    if np.linalg.eigvals(a).real.min() <= 0.0:
        raise InputError("drift: the process is not stable; the eigenvalues of A need positive real parts")
    d = np.asarray(diffusion, dtype=np.float64)
    if d.ndim < 2:
        d = np.diag(np.broadcast_to(d, len(a)))
    if d.shape != a.shape or np.linalg.eigvalsh(d).min() <= 0.0:
        raise InputError(f"diffusion must be positive definite of shape {a.shape}")
    return a, d
