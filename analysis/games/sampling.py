"""ResponseGraphUCB: spend simulation runs where it is not certain yet which deviations pay.

Rowland et al. (2019), "Multiagent evaluation under incomplete information", NeurIPS 32, arXiv:1909.09849. The payoffs
of a profile (a strategy for each player) are known from noisy interactions only:

1. every profile is played once;
2. the sampling rule names a profile, it is played, and the mean payoffs of all players there are brought up to date;
3. an edge of the response graph that ends there is resolved when the confidence intervals of the deviating player's
   payoffs at its two ends are disjoint; it then points to the better end and is looked at no more;
4. 2 and 3 are repeated until no edge is open, or the budget is spent.

`response_graph_ucb` does all of it; `ResponseGraphSampling` asks for interactions in batches and is told what came out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from simengine.analysis.games.confidence import CONFIDENCE_RULES, Confidence, checked_chance, checked_sizes, chosen
from simengine.analysis.games.payoffs import Deviations, Floats, checked
from simengine.analysis.games.response_graph import ResponseGraph
from simengine.analysis.games.sampled import Sampled
from simengine.analysis.games.sampling_rules import SAMPLING_RULES, OpenEdges, rule_of, run_seeds
from simengine.errors import InputError
from simengine.runs.arguments import whole_number
from simengine.scenario.parameters import shown

DEFAULT_BUDGET = 100_000
DEFAULT_SAMPLING = "uniform exhaustive"


class Interaction(NamedTuple):
    """One interaction to be played."""

    profile: tuple[int, ...]
    """The strategy of each player."""
    seed: int
    """Of its randomness, 0 to 2**63 - 1: a function of the seed of all, the profile, and how often it was played."""


class ResponseGraphSampling:
    """ResponseGraphUCB as a dialogue: `ask` for interactions, play them in any way, `tell` what they paid.

    Interactions asked for together are chosen without knowing one another's outcome, so that larger batches take
    somewhat more of them in all. What is asked depends on the seed, the sizes of the batches and what was told, never
    on who played in which order.

    Parameters
    ----------
    sizes
        The number of strategies of each player.
    delta, sampling, confidence, low, high, slack, union_bound, anytime, budget, seed
        As in `response_graph_ucb`.

    Raises
    ------
    InputError
        For arguments that are none of those allowed.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        delta: float = 0.1,
        sampling: str = DEFAULT_SAMPLING,
        confidence: str = "hoeffding",
        low: ArrayLike = 0.0,
        high: ArrayLike = 1.0,
        slack: float = 0.1,
        union_bound: bool = False,
        anytime: bool = False,
        budget: int | None = DEFAULT_BUDGET,
        seed: int = 0,
    ) -> None:
        self.sizes = checked_sizes(sizes)
        self.sampling = chosen("sampling", sampling, SAMPLING_RULES, SAMPLING_RULES)
        self.players, self.profiles = len(self.sizes), math.prod(self.sizes)
        per_payoff = checked_chance("delta", delta) / (self.players * self.profiles if union_bound else 1)
        rule = chosen("confidence", confidence, CONFIDENCE_RULES, CONFIDENCE_RULES)
        if not isinstance(slack, float | int) or not 0.0 <= slack < 0.5:
            raise InputError(f"slack: got {shown(slack)}, allowed is a number of at least 0 and below 0.5")
        self.delta, self.union_bound = float(delta), bool(union_bound)
        self.confidence = Confidence(rule, per_payoff, float(slack), bool(anytime))
        self._low, self._high = _bounds(low, high, self.players)
        self._range = [top - bottom for bottom, top in zip(self._low, self._high, strict=True)]
        self.budget = _checked_budget(budget, self.profiles)
        self.seed = whole_number("seed", seed, 0, 2**64 - 1)
        deviations = _deviations(self.sizes)
        self.open = OpenEdges(self.profiles, deviations)
        self._names: list[tuple[int, ...]] = list(np.ndindex(*self.sizes))
        self._choose = rule_of(self.sampling, self.open, self.seed)
        self._seeds = [run_seeds(self.seed, profile) for profile in range(self.profiles)]
        self._asked: list[int] = []
        self._n_asked = 0
        self._counts = [0] * self.profiles
        self._means = [[0.0] * self.profiles for _ in range(self.players)]
        self._squares = [[0.0] * self.profiles for _ in range(self.players)]
        self._lower = [[0.0] * self.profiles for _ in range(self.players)]
        self._upper = [[1.0] * self.profiles for _ in range(self.players)]
        self._better: dict[int, tuple[int, float]] = {}

    @property
    def interactions(self) -> int:
        """How many interactions were told."""
        return sum(self._counts)

    @property
    def done(self) -> bool:
        """Whether nothing is left to ask: no edge is open, or the budget is spent."""
        explored = self._n_asked >= self.profiles
        return (explored and not self.open) or (self.budget is not None and self._n_asked >= self.budget)

    def ask(self, most: int = 1) -> list[Interaction]:
        """Return the next interactions, at most so many; none when it is done.

        Raises
        ------
        InputError
            When the outcomes of those asked before were not told.
        """
        most = whole_number("batch", most, 1)
        if self._asked:
            raise InputError(f"ask: tell the outcomes of the {len(self._asked)} interactions asked before first")
        if self.done:
            return []
        if self.budget is not None:
            most = min(most, self.budget - self._n_asked)
        new = list(range(self._n_asked, min(self._n_asked + most, self.profiles)))
        if self.open:
            new += [self._choose() for _ in range(most - len(new))]
        self._asked = new
        self._n_asked += len(new)
        return [Interaction(self._names[profile], next(self._seeds[profile])) for profile in new]

    def tell(self, outcomes: Iterable[Sequence[float]]) -> None:
        """Take the payoffs of all players in each of the interactions that were asked, in their order.

        Parameters
        ----------
        outcomes
            Payoffs, shape (number asked, players).

        Raises
        ------
        InputError
            When there are fewer or more than were asked, or payoffs are no numbers within the bounds; nothing is taken
            then.
        """
        given = list(outcomes)
        if len(given) != len(self._asked):
            raise InputError(f"tell: got the outcomes of {len(given)} interactions, {len(self._asked)} were asked")
        rows = [self._scaled(profile, row) for profile, row in zip(self._asked, given, strict=True)]
        counts = self._counts
        for profile, row in zip(self._asked, rows, strict=True):
            counts[profile] += 1
            for x, means, squares in zip(row, self._means, self._squares, strict=True):
                away = x - means[profile]
                means[profile] += away / counts[profile]
                squares[profile] += away * (x - means[profile])
        touched = dict.fromkeys(self._asked)
        self._asked = []
        for profile in touched:
            for player in range(self.players):
                ends = self.confidence.interval(self._means[player][profile], counts[profile])
                self._lower[player][profile], self._upper[player][profile] = ends
        if self._n_asked >= self.profiles:
            for profile in touched:
                for edge in list(self.open.at[profile]):
                    self._look_at(edge)

    def result(self) -> Sampled:
        """Return what is known now; edges that are open point as the means say.

        Raises
        ------
        InputError
            Before every profile was played once.
        """
        if not all(self._counts):
            raise InputError(f"result: {self._counts.count(0)} of {self.profiles} profiles have not been played yet")
        bottom, width = np.array(self._low)[:, np.newaxis], np.array(self._range)[:, np.newaxis]
        counts = np.array(self._counts)
        spread = np.array(self._squares)
        with np.errstate(divide="ignore", invalid="ignore"):
            errors = np.sqrt(spread / (counts - 1.0) / counts)
        open_edges = sorted(self.open.edges)
        ends = [(self.open.first[edge], self.open.second[edge]) for edge in open_edges]
        return Sampled(
            sizes=self.sizes,
            graph=self._graph(),
            interactions=self.interactions,
            counts=counts.reshape(self.sizes),
            means=self._shaped(bottom + width * np.array(self._means)),
            standard_errors=self._shaped(width * errors),
            lower=self._shaped(bottom + width * np.array(self._lower)),
            upper=self._shaped(bottom + width * np.array(self._upper)),
            unresolved=np.array(ends, np.int64).reshape(-1, 2),
            unresolved_players=np.array([self.open.player[edge] for edge in open_edges], np.int64),
            rules=(self.sampling, self.confidence.rule),
            delta=self.delta,
        )  # fmt: skip

    def _scaled(self, profile: int, row: Sequence[float]) -> list[float]:
        """Return the payoffs of one interaction as numbers within [0, 1]."""
        try:
            paid = [float(payoff) for payoff in row]
        except (TypeError, ValueError):
            paid = []
        if len(paid) != self.players:
            where = f"profile {self._names[profile]}"
            raise InputError(
                f"{where}: its payoffs are {shown(row)}, allowed are {self.players} numbers, one per player"
            )
        found = []
        for player, payoff in enumerate(paid):
            low, high = self._low[player], self._high[player]
            if not low <= payoff <= high:
                where = f"profile {self._names[profile]}: player {player} earned {payoff:g}"
                raise InputError(f"{where}, allowed is a payoff within low={low:g} and high={high:g}")
            if self.confidence.binary and payoff != low and payoff != high:
                where = f"profile {self._names[profile]}: player {player} earned {payoff:g}"
                raise InputError(
                    f"{where}; Clopper-Pearson intervals are for payoffs of low or high only, take hoeffding"
                )
            found.append((payoff - low) / self._range[player])
        return found

    def _look_at(self, edge: int) -> None:
        """Resolve an edge where the intervals of its deviating player are disjoint."""
        first, second, player = self.open.first[edge], self.open.second[edge], self.open.player[edge]
        means = self._means[player]
        better, worse = (first, second) if means[first] > means[second] else (second, first)
        if self._upper[player][worse] < self._lower[player][better]:
            self._better[edge] = (better, (means[better] - means[worse]) * self._range[player])
            self.open.close(edge)

    def _graph(self) -> ResponseGraph:
        """Return resolved edges as they were resolved, with the gain of that moment, and open ones by the means."""
        edges, players, gains, ties, tied = [], [], [], [], []
        for edge in range(len(self.open.first)):
            first, second, player = self.open.first[edge], self.open.second[edge], self.open.player[edge]
            if edge in self._better:
                better, gain = self._better[edge]
            else:
                gain = (self._means[player][second] - self._means[player][first]) * self._range[player]
                better, gain = (second if gain > 0.0 else first), abs(gain)
            if gain > 0.0:
                edges.append((first + second - better, better))
                players.append(player)
                gains.append(gain)
            else:
                ties.append((first, second))
                tied.append(player)
        return ResponseGraph(
            self.sizes, np.array(edges, np.int64).reshape(-1, 2), np.array(players, np.int64),
            np.array(gains, np.float64), np.array(ties, np.int64).reshape(-1, 2), np.array(tied, np.int64),
        )  # fmt: skip

    def _shaped(self, table: Floats) -> list[Floats]:
        return [row.reshape(self.sizes) for row in table]


def response_graph_ucb(
    sample: Callable[[tuple[int, ...], int], Sequence[float]],
    sizes: Sequence[int],
    *,
    delta: float = 0.1,
    sampling: str = DEFAULT_SAMPLING,
    confidence: str = "hoeffding",
    low: ArrayLike = 0.0,
    high: ArrayLike = 1.0,
    slack: float = 0.1,
    union_bound: bool = False,
    anytime: bool = False,
    budget: int | None = DEFAULT_BUDGET,
    seed: int = 0,
    batch: int = 1,
    parallel_map: Callable[..., Iterable[Sequence[float]]] = map,
) -> Sampled:
    """Play a noisy game until it is known which deviations pay, spending interactions where it is not.

    Parameters
    ----------
    sample
        ``sample(profile, seed)`` plays one interaction and returns the payoff of every player, shape (players,).
        ``profile`` has the strategy of each player, ``seed`` (0 to 2**63 - 1) decides all that is random in it; it is
        another one in every interaction. A `SimulatedGame` is such a function.
    sizes
        The number of strategies of each player.
    delta
        The chance that the confidence interval of one payoff misses its mean.
    sampling
        Which profile is played next: ``"uniform"`` (U: an end of a random open edge), ``"uniform exhaustive"`` (UE: an
        end of the first open edge of a random order), ``"valence weighted"`` (VW: in proportion to the square of the
        number of open edges at the profile) or ``"count weighted"`` (CW: that played least, of those with open edges).
    confidence
        ``"hoeffding"`` (UCB), ``"clopper-pearson"`` (CP-UCB: narrower; for payoffs that are ``low`` or ``high``, lost
        or won), or ``"relaxed hoeffding"`` (R-UCB), ``"relaxed clopper-pearson"`` (R-CP-UCB), which resolve nearly
        tied edges sooner and perhaps wrongly.
    low, high
        Bounds of a payoff, the same for all players or one for each.
    slack
        What the relaxed rules take off each end of an interval, as a share of ``high - low``.
    union_bound
        Whether ``delta`` is for all payoffs together: each interval then has delta / (K |S|).
    anytime
        Whether ``delta`` is for all interactions together: the n-th interval of a payoff then has 6 delta / (pi n)**2.
        With both, no edge that is resolved is wrong, with probability 1 - delta (relaxed rules apart); without them
        that is the paper's protocol, in which wrong edges are rare.
    budget
        The most interactions, at least one of each profile; ``None`` for no limit, which may never end where payoffs
        are tied.
    seed
        With the sizes of the batches, all that the sampling depends on.
    batch
        How many interactions are chosen at a time.
    parallel_map
        Plays a batch as ``map`` does, in any way: ``concurrent.futures.ProcessPoolExecutor().map``, say. Never changes
        the result.

    Raises
    ------
    InputError
        For arguments that are none of those allowed, and payoffs that are no numbers within the bounds.
    """
    dialogue = ResponseGraphSampling(
        sizes, delta=delta, sampling=sampling, confidence=confidence, low=low, high=high, slack=slack,
        union_bound=union_bound, anytime=anytime, budget=budget, seed=seed,
    )  # fmt: skip
    while asked := dialogue.ask(batch):
        dialogue.tell(parallel_map(sample, [one.profile for one in asked], [one.seed for one in asked]))
    return dialogue.result()


def _deviations(sizes: tuple[int, ...]) -> Deviations:
    return checked([np.zeros(sizes)] * len(sizes)).deviations()


def _bounds(low: ArrayLike, high: ArrayLike, players: int) -> tuple[list[float], list[float]]:
    try:
        ends = [np.broadcast_to(np.asarray(end, np.float64), (players,)) for end in (low, high)]
        good = bool(np.isfinite(ends).all() and (ends[0] < ends[1]).all() and np.isfinite(ends[1] - ends[0]).all())
    except (TypeError, ValueError):
        good = False
    if not good:
        allowed = f"allowed are finite numbers, one or {players}, low below high"
        raise InputError(f"low, high: got {shown(low)} and {shown(high)}, {allowed}")
    return ends[0].tolist(), ends[1].tolist()


def _checked_budget(budget: int | None, profiles: int) -> int | None:
    return None if budget is None else whole_number("budget", budget, profiles)
