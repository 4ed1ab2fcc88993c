"""A run whose agents are spread over several shards, driven like a run in one process.

The shards advance by themselves and tell one another what they need; this side is returned to when something is
recorded, changed or kept. Observables see views that fetch a field from the shards when it is asked for.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from numpy.typing import NDArray

from simengine.compile.helpers import Globals
from simengine.compile.module import write_module
from simengine.compile.sharing import LOOKS_UP, Cut
from simengine.errors import RunError
from simengine.policies.reports import reporting
from simengine.relations.network import Network
from simengine.runs.engine import Engine
from simengine.runs.faults import Faults, KeptState, ShardsLost
from simengine.runs.gathered import GatheredState, LazyArrays, saved_populations
from simengine.runs.recipe import Recipe
from simengine.runs.view import View
from simengine.scenario.observables import Observable, is_partial
from simengine.scenario.scenario import Scenario
from simengine.scenario.stop import When
from simengine.shards.regions import spaces_of
from simengine.store.blocks import Blocks

STEPS_AT_FIRST = 8
SECONDS_AT_ONCE = 5.0
"""The shards go on for about so long before they are returned to."""
SECONDS_BETWEEN_KEEPING = 10.0
LARGEST_SHARE_OF_KEEPING = 0.02
"""Of the time, for keeping the state against the death of a shard."""
MOST_ATTEMPTS = 5


class Hosts(Protocol):
    """The shards of a run, wherever they are."""

    number: int

    def ask(self, method: str, *arguments: Any) -> list[Any]:
        """Let every shard do something at once; their answers by number. ``ShardsLost`` when one has died."""

    def replace(self) -> list[int]:
        """Put others in the place of those that have died; all stand at the start of the run then."""

    def close(self) -> None:
        """Let them go."""


def choose_cut(scenario: Scenario, host_decisions: frozenset[str]) -> tuple[Cut, str]:
    """Return how a scenario's agents are spread, and why not by regions of space where they are not."""
    plan = write_module(scenario, False, host_decisions, "regions")
    reason = plan.not_in_regions
    if isinstance(scenario.cut_by, Network):
        reason = f"it is cut by the network {scenario.cut_by.name}"
    spaces = spaces_of(plan)
    if reason and not reason.endswith(LOOKS_UP):
        return "ranges", reason
    if any(space.static(scenario.values).boundary == "open" for space in spaces):
        reason = "space is open: without a box nobody knows where it ends"
    elif len({(space.side(scenario.values), space.boundary) for space in spaces}) > 1:
        reason = "its spaces have different boxes"
    elif not all(space.static(scenario.values).by_cells for space in spaces):
        reason = "there are so few agents, or their reach is so large, that everybody is compared with everybody"
    return ("ranges", reason) if reason else ("regions", "")


class ShardedEngine:
    """Drives the shards of one run; stands where an `Engine` stands in a run in one process.

    When a shard dies it is replaced, all stand again where the state was last kept, and the steps since are repeated.
    """

    def __init__(
        self, recipe: Recipe, hosts: Hosts, threads: int, *, cut: Cut = "ranges", reason: str = "",
        report: bool = False,
    ) -> None:  # fmt: skip
        self.scenario, self.seed, self.step = recipe.scenario, recipe.seed, 0
        self.policies, self.threads, self.hosts, self._recipe = recipe.policies, threads, hosts, recipe
        self._edits = (-1, 0)
        self._cut, self._in_regions = cut, cut == "regions"
        self._told = {"shards": hosts.number, "shards_cut_into": cut, "shards_cut_because": reason or None}
        self._report, self._faults = report, Faults()
        self._kept: KeptState | None = None
        self._keeping = (time.monotonic(), 0.0)
        self._pace = 0.0
        self._reporting = any(True for _ in reporting(recipe.policies))
        self._look_again()
        self.agents = sum(
            recipe.scenario.size_of(population, recipe.scenario.values)
            for population in recipe.scenario.declaration.populations.values()
        )
        self.stop_reason: str | None = self._ask("reason_to_stop")[0]
        for stop in self._stops:
            self._hear(stop)

    @property
    def _stops(self) -> list[When]:
        """Conditions on one moment, which need everybody."""
        return [stop for stop in self.scenario.stops if isinstance(stop, When)]

    @property
    def surroundings(self) -> Globals:
        """The constants and helper functions that the scenario's phases use."""
        return write_module(self.scenario, False, frozenset(self.policies)).surroundings

    @property
    def happened(self) -> dict[str, Any]:
        """How the agents were spread, and what died and was replaced."""
        return self._told | {"faults": self._faults.listed or None}

    def prepare(self) -> None:
        """Compile in every shard."""
        self._ask("prepare")

    def view(self) -> View:
        """The present moment."""
        return View(self.scenario, self.state, self.seed, self.step)  # type: ignore[arg-type]

    def recorded(self, population: str, field: str) -> Blocks:
        """The values of the living by ascending id, to be fetched in blocks."""
        return self.state[population].blocks(field)

    def decided(self) -> dict[str, float | int]:
        """What policies with a record have to say of the present moment: the first shard has asked them."""
        return self._ask_first("decided") if self._reporting else {}

    def decided_last(self, label: str, ids: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """What they have to say of these agents' latest decisions, by variable."""
        found: dict[str, NDArray[Any]] = self._ask_first("decided_last", label, ids)
        return found

    def reported(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What they have to say at the end: attributes that the content hash covers, and others."""
        return self._ask_first("reported") if self._reporting else ({}, {})

    def _ask_first(self, method: str, *arguments: Any) -> Any:
        return self._ask("of_first", method, *arguments)[0]

    def observed(self, observables: Sequence[Observable], states: Sequence[Any], view: View) -> list[Any]:
        """States after seeing the present moment, of partial observables by merging what each shard has seen."""
        declared = [strided.observable for strided in self.scenario.declaration.observables]
        parted = [number for number, observable in enumerate(observables) if is_partial(observable)]
        places = tuple(declared.index(observables[number]) for number in parted)
        seen = dict(zip(parted, zip(*self._ask("observed", places), strict=True), strict=True)) if parted else {}
        found = []
        for number, (observable, state) in enumerate(zip(observables, states, strict=True)):
            if number in seen:
                for part in seen[number]:
                    state = observable.merge(state, part)
            else:
                state = observable.update(state, view)
            found.append(state)
        return found

    def _look_again(self) -> None:
        self.state = GatheredState(self.scenario, self._ask)

    # -- going on ------------------------------------------------------------------------------------------------

    def advance(self, until: int) -> int:
        """Run to step ``until`` or until a stop condition holds; return the step reached."""
        while self.step < until and self.stop_reason is None:
            self._keep_now_and_then()
            begun, before = time.monotonic(), self.step
            most = 1 if self._stops else max(1, int(SECONDS_AT_ONCE / self._pace)) if self._pace else STEPS_AT_FIRST
            self.step, self.stop_reason = self._ask("advance", min(until, self.step + most))[0]
            self._pace = (time.monotonic() - begun) / max(self.step - before, 1)
            self._look_again()
            for stop in self._stops:
                self._hear(stop)
        return self.step

    def _hear(self, stop: When) -> None:
        if self.stop_reason is None and stop.function(**self.view().arguments(stop.arguments, stop.reason)):
            self.stop_reason = stop.reason

    def change(self, changes: Mapping[str, Any], what: str = "intervention") -> None:
        """Go on with new values of some parameters; ``InputError`` when they are not allowed."""
        self._elsewhere(lambda engine: engine.change(changes, what))

    def edit(self, function: Callable[..., Any], what: str = "intervention") -> None:
        """Let a function change agents in place."""
        self._elsewhere(lambda engine: engine.edit(function, what))

    def _elsewhere(self, act: Callable[[Engine], None]) -> None:
        """Let something be done to everybody in one place, and hand the result back to the shards."""
        # It begins as the run began: whether the scenario's start goes with parameters changed since is not asked.
        recipe = self._recipe
        engine = Engine(recipe.scenario, recipe.seed, 1, recipe.start, recipe.policies, "by_id")
        engine.load(*self.saved())
        engine._edits = self._edits
        act(engine)
        self._edits = engine._edits
        self.load(*engine.saved())

    # -- keeping and recovering ----------------------------------------------------------------------------------

    def saved(self) -> tuple[MutableMapping[str, NDArray[Any]], dict[str, Any]]:
        """Arrays by path and plain values from which `load` goes on, in any number of shards or in one process.

        The arrays of agents are fetched from the shards each time they are read: read each once, before going on.
        """
        remembered, memories = self._ask("kept")[0]
        return LazyArrays(saved_populations(self.state), dict(remembered)), {
            "step": self.step, "stop_reason": self.stop_reason, "given": self.scenario.given, "policies": memories,
        }  # fmt: skip

    def load(self, arrays: Mapping[str, NDArray[Any]], details: Mapping[str, Any]) -> None:
        """Go on from what `saved` gave."""
        cut = self._cut
        if details["given"] != self.scenario.given:
            self.scenario = type(self.scenario)(details["given"])
            if self._in_regions:
                # A longer reach, say, may ask for everybody, and a shorter one no longer.
                cut, reason = choose_cut(self.scenario, frozenset(self.policies))
                self._told |= {"shards_cut_into": cut, "shards_cut_because": reason or None}
        self._ask("load", arrays, details, cut)
        self._cut = cut
        self.step, self.stop_reason = int(details["step"]), details["stop_reason"]
        self._keep(arrays, details)
        self._look_again()

    def _keep_now_and_then(self) -> None:
        moment, cost = self._keeping
        begun = time.monotonic()
        if begun - moment > max(SECONDS_BETWEEN_KEEPING, cost / LARGEST_SHARE_OF_KEEPING):
            # Where it cannot be kept an older state does as well; there is only more to repeat.
            with suppress(RunError):
                self._keep(*self.saved())
            self._keeping = time.monotonic(), time.monotonic() - begun

    def _keep(self, arrays: Mapping[str, NDArray[Any]], details: Mapping[str, Any]) -> None:
        former = self._kept
        try:
            self._kept = KeptState(arrays, details)
            if former is not None:
                former.close()
        except OSError as error:
            raise RunError(f"cannot keep the state at step {self.step}: {error.strerror or error}") from None

    def _ask(self, method: str, *arguments: Any) -> list[Any]:
        """Ask all shards; where one has died, put another in its place and ask again."""
        while True:
            try:
                return self.hosts.ask(method, *arguments)
            except ShardsLost as lost:
                self._recover(lost)

    def _recover(self, lost: ShardsLost) -> None:
        """Replace the dead, and repeat the steps since the state was last kept."""
        begun = time.monotonic()
        for _ in range(MOST_ATTEMPTS):
            self._faults.check(self.step, lost)
            try:
                replaced = self.hosts.replace()
                kept = self._kept
                if kept is not None:
                    self.hosts.ask("load", *kept.read(), self._cut)
                repeated = self.step - (kept.step if kept is not None else 0)
                if repeated:
                    self.hosts.ask("advance", self.step)
            except ShardsLost as again:
                lost = again
                continue
            said = self._faults.add(self.step, lost, replaced, repeated, time.monotonic() - begun)
            if self._report:
                print(said, file=sys.stderr)
            return
        raise RunError(f"shards die again and again at step {self.step}: {lost}")

    def close(self) -> None:
        """Forget the state that was kept."""
        if self._kept is not None:
            self._kept.close()
