"""Scenarios whose observables are streamed diagnostics of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np

from simengine import Network, Scenario, birth, field, gather, param, population, total, update, vector
from simengine.diagnostics import streaming
from simengine.diagnostics.streaming import field as counted

OPINION = counted("agents.opinion", bins=8, range=(-1, 1))
COARSE = counted("agents.opinion", bins=4, range=(-1, 1))
CAMP = counted("agents.camp", states=3)


class Talking(Scenario):
    """Opinions drift towards those of two neighbours on a ring, and headings turn."""

    n_agents: int = param(60, low=3)

    agents = population(size="n_agents", opinion=field(), camp=field(int), heading=vector(2, unit_length=True))
    friends = Network(agents, graph="ring")

    def ring(self, agents: Any) -> Any:
        """Everybody knows the next one."""
        ids = np.arange(self.n_agents)
        return np.stack([ids, (ids + 1) % self.n_agents], axis=1)

    def start(self, agents: Any, draw: Any) -> None:
        """Opinions beyond the range, too."""
        agents.opinion[:] = draw.uniform("opinion", -1.3, 1.3)
        agents.camp[:] = np.arange(self.n_agents) % 3
        agents.heading[:] = draw.uniform("heading", -0.6, 1.0, components=2)

    @gather(friends, heard=total())
    def listen(me, other, agents, acc):
        """Add up the neighbours' opinions."""
        acc.heard += agents.opinion[other]

    @update(agents, after=listen)
    def move(me, agents, new, acc, draw):
        """Take half of their mean, and some noise."""
        new.opinion[me] = 0.5 * agents.opinion[me] + 0.25 * acc.heard + draw.normal("noise", 0.0, 0.4)
        if draw.chance("moving", 0.2):
            new.camp[me] = (agents.camp[me] + 1) % 3
        x, y = agents.heading[me, 0], agents.heading[me, 1]
        new.heading[me, 0], new.heading[me, 1] = 0.8 * x - 0.6 * y, 0.6 * x + 0.8 * y

    observe = [
        streaming.entropy(OPINION),
        streaming.entropy(OPINION, window=3, name="recent_entropy"),
        streaming.entropy(counted("agents.opinion", bins=8, range=(-0.5, 0.5)), name="narrow"),
        streaming.entropy("agents.camp"),
        streaming.effective_opinions(CAMP),
        streaming.opinion_polarization(OPINION),
        streaming.community_disagreement(COARSE, CAMP),
        streaming.mutual_information(COARSE, CAMP),
        streaming.o_information(COARSE, CAMP, counted("agents.heading.0", bins=3, range=(-1, 1))),
        streaming.active_information_storage(COARSE),
        streaming.active_information_storage(COARSE, history=2, name="long_storage"),
        streaming.entropy_rate(COARSE),
        streaming.entropy_production(COARSE, window=5),
        streaming.drift(OPINION, lag=2),
        streaming.transfer_entropy(COARSE, "friends"),
        streaming.heading_polarization("agents.heading", name="heading_polarization"),
        streaming.heading_entropy("agents.heading", dimensions=2, bins=8),
        streaming.differential_entropy("agents.opinion", sample=40),
    ]


class Begetting(Scenario):
    """Agents with moods, who are born and die."""

    n_agents: int = param(40, low=2)
    capacity: int = param(400, low=2)

    agents = population(size="n_agents", capacity="capacity", mood=field(bool))

    def start(self, agents: Any, draw: Any) -> None:
        """Any mood."""
        agents.mood[:] = draw.chance("mood", 0.5)

    @update(agents)
    def live(me, agents, new, draw):
        """Change one's mood, or die."""
        if draw.chance("swing", 0.3):
            new.mood[me] = not agents.mood[me]
        new.alive[me] = not draw.chance("death", 0.1)

    @birth(agents)
    def bear(me, agents, child, draw):
        """Bear a young in the same mood."""
        return draw.chance("birth", 0.12)

    observe = [
        streaming.entropy("agents.mood"),
        streaming.active_information_storage(counted("agents.mood")),
        streaming.entropy_rate("agents.mood", window=4),
        streaming.drift(counted("agents.mood")),
    ]
