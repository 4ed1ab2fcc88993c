"""Shards on Ray: one actor for each, which exchange directly with one another, and what happens when one dies."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from simengine.compile.module import write_module
from simengine.compile.sharing import Cut
from simengine.errors import InputError, RunError, ScenarioError
from simengine.policies.answers import Policy
from simengine.runs.faults import ShardsLost
from simengine.runs.recipe import Recipe
from simengine.runs.session import start_variables
from simengine.runs.shard import Shard
from simengine.shards.channels import Address, Mesh, PeerLost, new_key

SECONDS_TO_ANSWER = 20.0
SECONDS_TO_BEGIN = 300.0


@dataclass(frozen=True)
class Travelling:
    """A recipe as it goes to another process: attributes of a file, start arrays, and policies that no text holds."""

    attributes: Mapping[str, Any]
    variables: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    policies: Mapping[str, tuple[Policy, ...]] | None = None

    @classmethod
    def of(cls, recipe: Recipe) -> Travelling:
        """Pack a recipe; ``InputError`` where its scenario cannot be had in another process."""
        plan = write_module(recipe.scenario, False, frozenset(recipe.policies))
        stable, volatile = recipe.attributes(plan.surroundings)
        if volatile["scenario_source_not_kept"]:
            name = type(recipe.scenario).__name__
            raise InputError(f"shards: {name} cannot go to other processes: {volatile['scenario_source_not_kept']}")
        kept = all(
            not {"not_kept", "kind"} & described["answer"].keys()
            for listed in (stable["policies"] or {}).values()
            for described in listed
        )
        # Interventions are carried out where the run is driven, and files lie on that machine only.
        attributes = stable | volatile | {"interventions": None, "scenario_file": None}
        return cls(attributes, start_variables(recipe), None if kept else recipe.policies)

    def recipe(self) -> Recipe:
        """Unpack it."""
        return Recipe.recall(self.attributes, self.variables, policies=self.policies, where="the run")


class ShardHost:
    """What an actor does: holds one shard, and listens for the others."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.mesh: Mesh | None = None
        self.shard: Shard | None = None

    def listen(self) -> tuple[Address, int]:
        """Open a door for the other shards; the address of it, and the process."""
        import ray

        self.shard, self.mesh = None, Mesh()
        host: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
        return self.mesh.listen(host), os.getpid()

    def begin(self, addresses: list[Address], key: bytes, travelling: Travelling, cut: Cut, threads: int) -> None:
        """Connect to the others and stand at the start of the run."""
        assert self.mesh is not None
        self.mesh.connect(addresses, self.number, key)
        recipe = travelling.recipe()
        self.shard = Shard(recipe.scenario, recipe.seed, recipe.start, recipe.policies, threads, cut, self.mesh)

    def ask(self, method: str, *arguments: Any) -> Any:
        """Let the shard do something."""
        assert self.mesh is not None
        try:
            return getattr(self.shard, method)(*arguments)
        except BaseException:
            # The others must not wait for a shard that has failed.
            self.mesh.leave()
            raise

    def alive(self) -> bool:
        """Answer."""
        return True


class RayHosts:
    """The shards of a run as Ray actors; Ray is connected already."""

    def __init__(self, travelling: Travelling, shards: int, cut: Cut, threads: int) -> None:
        import ray

        self._ray = ray
        self._travelling = ray.put(travelling)
        self.number, self._cut, self._threads = shards, cut, threads
        # Processors are reserved while there are enough; more shards than processors share them.
        nodes = [
            node["Resources"].get("CPU", 0)
            for node in ray.nodes()  # type: ignore[no-untyped-call]
            if node["Alive"]
        ]
        enough = sum(int(processors) // threads for processors in nodes) >= shards
        self._actors = [self._new(number, threads if enough else 0) for number in range(shards)]
        self.processes: list[int] = []
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _new(self, number: int, processors: int) -> Any:
        actor = self._ray.remote(ShardHost).options(
            num_cpus=processors, scheduling_strategy="SPREAD", max_restarts=0, max_concurrency=1
        )
        return actor.remote(number)

    def _begin(self) -> None:
        heard = self._all([actor.listen.remote() for actor in self._actors], SECONDS_TO_BEGIN)
        self.processes = [process for _, process in heard]
        addresses, key = [address for address, _ in heard], new_key()
        self._all(
            [actor.begin.remote(addresses, key, self._travelling, self._cut, self._threads) for actor in self._actors],
            SECONDS_TO_BEGIN,
        )

    def ask(self, method: str, *arguments: Any) -> list[Any]:
        """Let every shard do something at once; ``ShardsLost`` when one has died, its own error when one failed."""
        try:
            large = [
                self._ray.put(argument) if isinstance(argument, Mapping) and argument else argument
                for argument in arguments
            ]
        except self._ray.exceptions.RayError as error:
            raise _of_ray(error) from None
        return self._all([actor.ask.remote(method, *large) for actor in self._actors], None)

    def _all(self, answers: list[Any], seconds: float | None) -> list[Any]:
        errors = self._ray.exceptions
        found: list[Any] = []
        lost: dict[int, str] = {}
        failure: BaseException | None = None
        for number, answer in enumerate(answers):
            try:
                found.append(self._ray.get(answer, timeout=SECONDS_TO_ANSWER if lost or failure else seconds))
            except (
                errors.RayActorError, errors.GetTimeoutError, errors.ObjectLostError, errors.OutOfMemoryError,
                errors.WorkerCrashedError,
            ) as error:  # fmt: skip
                lost[number] = _how(error)
            except errors.RayTaskError as error:
                cause = error.cause if error.cause is not None else error
                if isinstance(cause, PeerLost):
                    lost.setdefault(-1, str(cause))
                elif failure is None:
                    failure = cause
            except errors.RayError as error:
                failure = failure or _of_ray(error)
        if failure is not None:
            raise _told(failure)
        if lost:
            raise ShardsLost({number: how for number, how in lost.items() if number >= 0 or len(lost) == 1})
        return found

    def replace(self) -> list[int]:
        """Put new actors in the place of those that have died, let all begin again, and return whose place it was."""
        replaced = []
        asked = [actor.alive.remote() for actor in self._actors]
        for number, answer in enumerate(asked):
            try:
                self._ray.get(answer, timeout=SECONDS_TO_ANSWER)
            except self._ray.exceptions.RayError:
                self._ray.kill(self._actors[number])
                self._actors[number] = self._new(number, 0)
                replaced.append(number)
        self._begin()
        return replaced

    def close(self) -> None:
        """End the actors."""
        for actor in self._actors:
            self._ray.kill(actor)


def _how(error: BaseException) -> str:
    if type(error).__name__ == "GetTimeoutError":
        return "no answer"
    if "creation task" in str(error):
        # The process began and could not load what it needs, which the last line says.
        return f"it could not begin: {str(error).strip().splitlines()[-1].strip()}"
    text = " ".join(str(error).split())
    return "its process has died" if "died" in text else text[:200]


def _of_ray(error: BaseException) -> RunError:
    """Trouble of Ray itself: a full object store, a full disk."""
    text = " ".join(str(error).split())
    return RunError(f"Ray cannot go on ({type(error).__name__}): {text[:200]}; a run with out= can be resumed")


def _told(failure: BaseException) -> BaseException:
    """A shard's own error, as it would have been in one process."""
    if isinstance(failure, RunError | InputError | ScenarioError):
        return failure
    return RunError(f"a shard failed: {type(failure).__name__}: {' '.join(str(failure).split())}")
