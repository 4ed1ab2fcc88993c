"""Scenarios whose observables are streamed diagnostics of patterns, actions, places, networks, moments and change."""

from __future__ import annotations

from typing import Any

import numpy as np

from simengine import Network, Scenario, birth, field, gather, param, population, total, update, vector
from simengine.diagnostics import streaming
from simengine.diagnostics.streaming import field as counted

OPINION = counted("agents.opinion", bins=6, range=("lowest", 2))
COARSE = counted("agents.opinion", bins=2, range=(-1, 1))
CHOICE = counted("agents.choice", states=3)


class Wandering(Scenario):
    """Agents on a ring of friends wander about a box, change their opinions and choose again and again."""

    n_agents: int = param(60, low=3)
    box: float = param(10.0, low=1.0)
    lowest: float = param(-2.0)

    agents = population(size="n_agents", opinion=field(), choice=field(int), position=vector(2), embedding=vector(3))
    friends = Network(agents, graph="ring")

    def ring(self, agents: Any) -> Any:
        """Everybody knows the next one, and some know the first."""
        ids = np.arange(self.n_agents)
        return np.concatenate([
            np.stack([ids, (ids + 1) % self.n_agents], axis=1), np.stack([0 * ids[2:-1], ids[2:-1]], axis=1)[::3]
        ])  # fmt: skip

    def start(self, agents: Any, draw: Any) -> None:
        """Places all over the box, and some beyond it."""
        agents.opinion[:] = draw.normal("opinion", 0.0, 1.0)
        agents.choice[:] = np.arange(self.n_agents) % 3
        agents.position[:] = draw.uniform("position", -0.2, self.box, components=2)
        agents.embedding[:] = draw.normal("embedding", 0.2, 1.0, components=3)

    @gather(friends, heard=total())
    def listen(me, other, agents, acc):
        """Add up the neighbours' opinions."""
        acc.heard += agents.opinion[other]

    @update(agents, after=listen)
    def move(me, agents, new, acc, draw):
        """Take half of one's opinion, and some of the neighbours', and choose."""
        new.opinion[me] = 0.5 * agents.opinion[me] + 0.2 * acc.heard / 2.0 + draw.normal("noise", 0.0, 0.6)
        if draw.chance("choosing", 0.5):
            new.choice[me] = (agents.choice[me] + me) % 3
        new.position[me, 0] = agents.position[me, 0] + draw.normal("east", 0.0, 0.1)
        new.embedding[me, 1] = agents.embedding[me, 1] + 0.1

    observe = [
        streaming.permutation_entropy("agents.opinion"),
        streaming.permutation_entropy("agents.opinion", order=2, lag=2, window=4, name="recent_permutation_entropy"),
        streaming.statistical_complexity("agents.opinion"),
        streaming.novelty(OPINION, window=2),
        streaming.transience(OPINION, window=2),
        streaming.resonance(OPINION, window=2),
        streaming.spatial_entropy("agents.position", 0, "box", cells=4),
        streaming.degree_entropy("friends"),
        streaming.random_walk_entropy_rate("friends"),
        streaming.assortative_information(CHOICE, "friends"),
        streaming.action_entropy(CHOICE),
        streaming.policy_entropy(CHOICE, window=6),
        streaming.policy_diversity(CHOICE, window=6),
        streaming.gaussian_mutual_information("agents.opinion", ("agents.embedding.0", "agents.embedding.1")),
        streaming.variance("agents.opinion", ("lowest", 2)),
        streaming.bimodality("agents.opinion", (-2, 2)),
        streaming.early_warning("agents.opinion", window=20),
        streaming.early_warning("agents.opinion", "variance", window=20, detrend="linear"),
        streaming.effective_channels("agents.embedding"),
        streaming.effective_channels("agents.embedding", centred=True),
        streaming.pairwise_transfer_entropy(COARSE, window=12),
    ]


class Mourning(Scenario):
    """Agents with moods and habits, who are born and die."""

    n_agents: int = param(40, low=2)
    capacity: int = param(400, low=2)

    agents = population(size="n_agents", capacity="capacity", mood=field(), habit=field(int))

    def start(self, agents: Any, draw: Any) -> None:
        """Any mood."""
        agents.mood[:] = draw.uniform("mood", -1.0, 1.0)

    @update(agents)
    def live(me, agents, new, draw):
        """Change one's mood and habit, or die."""
        new.mood[me] = 0.6 * agents.mood[me] + draw.normal("swing", 0.0, 0.3)
        if draw.chance("trying", 0.4):
            new.habit[me] = 1 - agents.habit[me]
        new.alive[me] = not draw.chance("death", 0.08)

    @birth(agents)
    def bear(me, agents, child, draw):
        """Bear a young in the same mood."""
        return draw.chance("birth", 0.1)

    observe = [
        streaming.permutation_entropy("agents.mood"),
        streaming.statistical_complexity("agents.mood", order=4, window=3),
        streaming.policy_diversity(counted("agents.habit", states=2)),
        streaming.action_entropy(counted("agents.habit", states=2), window=3),
        streaming.novelty(counted("agents.habit", states=2)),
        streaming.pairwise_transfer_entropy(counted("agents.mood", bins=2, range=(-1, 1)), window=10),
        streaming.variance("agents.mood", (-1, 1)),
    ]
