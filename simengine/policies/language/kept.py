"""What a language model keeps beside its answers: the record of a run, counts, and what files say of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from simengine.errors import RunError
from simengine.policies.language.calls import Backend
from simengine.policies.language.gateway import Gateway
from simengine.policies.language.memory import Memory
from simengine.policies.language.personas import Personas
from simengine.policies.language.prompts import Prompt
from simengine.policies.language.record import Record
from simengine.policies.language.tallies import Tally
from simengine.policies.reports import LATEST

Array = NDArray[Any]
OF_MEMORY = ("capacity", "shown", "tokens", "decay", "summarise_every")


class Kept:
    """The record, the way to the backend, and the counts of a `Language`; see there for the settings."""

    backend: Backend
    prompt: Prompt | Mapping[str, Prompt] | None
    personas: Personas | None
    memory: Memory | None
    cache: Record | None
    redact: Callable[[str], str] | None
    elicitation: str | None
    fallback: str | float | None
    most_fallbacks: float
    temperature: float | None
    samples: int
    orders: int | None
    salt: str
    _calls: dict[str, Any]
    _path: Path | None
    _beside: Kept | None
    in_run: object | None

    def _begin(self) -> None:
        self._record: Record | None = None
        self._gateway: Gateway | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._process = os.getpid()
        self._closing = False
        self._tallies: dict[str, Tally] = {}
        self._prompts: dict[str, Prompt] = {}
        self._made_for: dict[str, dict[str, Any]] = {}
        self._methods: dict[str, str] = {}
        self._said: dict[str, dict[str, Any]] = {}
        self._memories: dict[str, Memory] = {}
        self._counted: tuple[int, set[str]] = -1, set()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_record": None, "_gateway": None, "_thread": None}

    def _memory_settings(self) -> dict[str, Any]:
        return {} if self.memory is None else {name: getattr(self.memory, name) for name in OF_MEMORY}

    @property
    def record(self) -> Record:
        """The record of the run's calls."""
        if self._record is None:
            if self._path is not None:
                self._record = Record.at(self._path)
            else:
                self._record = Record(None) if self._beside is None else self._beside.record
            if self.redact is not None:
                self._record.redact = self.redact
        return self._record

    @property
    def gateway(self) -> Gateway:
        """The way to the backend."""
        if self._gateway is None:
            if self._closing:
                raise RunError("language: the run has ended, and what it still wanted to ask is not asked")
            self._gateway = Gateway(self.backend, self.record, cache=self.cache, **self._calls)
        return self._gateway

    def record_at(self, path: Path | None, beside: Any = None) -> None:
        """Stand before a run whose record lies at ``path``, or in memory: in that of ``beside``, if there is one."""
        self.close()
        self._begin()
        self._path, self._beside, self.in_run = path, beside, object()

    def save_record(self, path: Path) -> None:
        """Write a copy of the record."""
        self.record.copy_to(path)

    def close(self) -> None:
        """Give back connections, threads and files; what is asked next opens them again."""
        self._closing = True
        if self._gateway is not None:
            self._gateway.close()
            self._gateway = None
        if self._thread is not None:
            if self._process == os.getpid():
                self._thread.shutdown(cancel_futures=True)
            self._thread = None
        self._closing = False
        self.backend.close()
        if self._path is not None and self._record is not None:
            self._record.close()

    def state(self) -> dict[str, Any]:
        """What goes on from step to step: counts and memories."""
        return {
            "tallies": {label: tally.state() for label, tally in self._tallies.items()},
            "memories": {population: memory.state() for population, memory in self._memories.items()},
            "said": {label: self._prompt_said(label) for label in self._tallies},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._tallies = {label: Tally.restored(held) for label, held in state["tallies"].items()}
        self._memories = {}
        for population, held in state["memories"].items() if self.memory is not None else ():
            self._memories[population] = Memory(**self._memory_settings())
            self._memories[population].restore(held)
        self._said = dict(state["said"])

    def tallies(self, label: str) -> Mapping[str, float]:
        """Counts so far, and sums behind means."""
        return self._tallies.get(label, Tally()).numbers()

    def skipped(self, label: str, step: int) -> None:
        """Note that a decision came up, and nobody was asked."""
        if label in self._tallies:
            self._tallies[label].nobody(step)

    def latest(self, label: str) -> Mapping[str, Array]:
        """``ids`` of those asked last, and their values by the names of `LATEST`."""
        latest = self._tallies.get(label, Tally()).last()
        return {name: latest[name] for name in ("ids", *LATEST)}

    def describe(self) -> dict[str, Any]:
        """What a file says: enough to be made again, with the record in the place of the backend."""
        capabilities = self.backend.capabilities()
        return {
            "kind": "language",
            "name": "Language",
            "model": capabilities.model,
            "backend": capabilities.label or capabilities.model,
            "own_prompt": self.prompt is not None,
            "elicitation": self.elicitation,
            "personas": None if self.personas is None else self.personas.describe(),
            "memory": self._memory_settings() or None,
            "fallback": self.fallback,
            "most_fallbacks": self.most_fallbacks,
            "temperature": self.temperature,
            "samples": self.samples,
            "orders": self.orders,
            "salt": self.salt,
            "own_redact": self.redact is not None,
        }

    def report(self, label: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a file says at the end: what the content hash covers, and what not."""
        tally, capabilities = self._tallies.get(label, Tally()), self.backend.capabilities()
        self.record.keep_backend(capabilities)
        stable = {
            "model": capabilities.model,
            "backend": capabilities.label or capabilities.model,
            **self._prompt_said(label),
            "decisions": dict(tally.counts),
            "fallback_share": tally.unanswered / tally.counts["asked"] if tally.counts["asked"] else 0.0,
        }
        ledger = self.gateway.ledger
        volatile = {"spent": ledger.as_dict(), "record": self.record.digest()}
        if self._calls["prices"] is not None:
            volatile["money"] = self._calls["prices"].cost(ledger.total)
            volatile["currency"] = self._calls["prices"].currency
            volatile["prices_of"] = self._calls["prices"].date
        return stable, volatile

    def _prompt_said(self, label: str) -> dict[str, Any]:
        """What was asked last, and how, also if that was before a checkpoint."""
        prompt, before = self._prompts.get(label), {"elicitation": None, "prompt": None, "prompt_version": None}
        if prompt is None:
            return self._said.get(label, before)
        return {
            "elicitation": self._methods.get(label), "prompt": prompt.digest(), "prompt_version": prompt.version,
        }  # fmt: skip
