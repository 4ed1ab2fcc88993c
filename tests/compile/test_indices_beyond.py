"""An index beyond the last agent is refused where it is sent to, and nobody where it is referred to."""

from __future__ import annotations

from typing import Any

import pytest

import simengine
from simengine import (
    NOBODY,
    Chosen,
    RunError,
    Scenario,
    count,
    field,
    gather,
    observable,
    param,
    population,
    reference,
    send,
    summed,
    update,
)


@observable
def total(agents: Any) -> float:
    """Sum of the values."""
    return float(agents.value.sum())


@observable(dtype="int64")
def named(agents: Any) -> int:
    """How many name somebody."""
    return int((agents.friend != NOBODY).sum())


class Posting(Scenario):
    """Everybody sends to, and names, the agent some places on."""

    n_agents: int = param(50)
    places: int = param(1)
    sending: bool = param(True)
    agents = population(size="n_agents", value=field(), friend=reference())
    friends = Chosen(agents.friend)

    @send(agents, to=agents, when={"sending": True}, received=summed(int))
    def post(me, p, send):
        """Send."""
        send.received(me + p.places, 1)

    @update(agents)
    def name(me, new, p):
        """Name."""
        new.friend[me] = me + p.places

    @gather(friends, seen=count())
    def look(me, other, acc):
        """See."""
        acc.seen += 1

    @update(agents, after=look)
    def add(me, new, acc):
        """Add up."""
        new.value[me] += acc.seen

    observe = [total, named]


@pytest.mark.parametrize("places", [1, 1000, 10**9])
def test_a_message_beyond_the_last_agent_ends_the_run_with_one_line(places: int) -> None:
    with pytest.raises(RunError, match="Posting: a message is sent to an index beyond the last agent"):
        simengine.run(Posting, steps=2, places=places, progress=False)


@pytest.mark.parametrize(("places", "friends"), [(0, 50), (1, 49), (1000, 0), (10**9, 0)])
def test_a_reference_beyond_the_last_agent_names_nobody(places: int, friends: int) -> None:
    found = simengine.run(Posting, steps=2, places=places, sending=False, progress=False)
    assert found.named[-1] == friends
    assert found.total[-1] == 2 * friends
