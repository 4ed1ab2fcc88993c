"""A scenario whose runs may fail, take their time, or kill the process that does them."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

from simengine import Scenario, field, observable, param, population, update


def marker(number: int) -> Path:
    """A file that says that a process has died at a run already."""
    return Path(tempfile.gettempdir()) / f"simengine-walkers-{number}"


def is_first(number: int) -> bool:
    """Leave the marker; whether it was not there before, which is true in one process only."""
    try:
        marker(number).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


@observable
def mean_place(agents: Any) -> float:
    """Mean place."""
    return float(agents.place.mean())


@observable(dtype="int64")
def ahead(agents: Any) -> int:
    """Number of walkers right of where they began."""
    return int((agents.place > 0).sum())


class Walkers(Scenario):
    """Random walks."""

    default_steps = 20

    n_agents: int = param(5, low=1, high=1000)
    drift: float = param(0.0, low=-1, high=1)
    bad_luck: float = param(0.0, low=0, high=1, description="probability that a run fails")
    pause: float = param(0.0, low=0, unit="s", description="time that a run takes at least")
    deadly: int = param(0, description="1: kills its process; others: kill it once")

    agents = population(size="n_agents", place=field())

    def start(self, agents: Any, draw: Any) -> None:
        """Begin where luck has it."""
        time.sleep(self.pause)
        agents.place[:] = draw.normal("start")
        if draw.uniform("luck")[0] < self.bad_luck:
            raise ValueError("no luck")
        if self.deadly and (is_first(self.deadly) or self.deadly == 1):
            os.kill(os.getpid(), signal.SIGKILL)

    @update(agents)
    def walk(me, agents, new, p, draw):
        """Take one step."""
        new.place[me] += p.drift + draw.normal("step")

    observe = [mean_place, ahead]
