"""``Language``: a language model as the policy of a decision.

At a decision agents are sorted into contexts, the distinct situations among them; a method of asking (`elicitation`)
turns contexts into requests; the gateway gets answers, from the record where they are known; and each agent's action
is drawn by the engine from the distribution of its context, with the agent's own keyed draw. So the result is a
function of scenario, parameters, seed and the record of calls: connections, order of arrival and shards do not show.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.errors import InputError, RunError
from simengine.policies.answers import Asked
from simengine.policies.language.answering import UnderWay, actions_of, read_rows, said
from simengine.policies.language.backends.replay import Replay
from simengine.policies.language.calls import Backend, Failure, Reply, Request
from simengine.policies.language.contexts import contexts_of, digest_of
from simengine.policies.language.elicitation import method_of, question_of
from simengine.policies.language.gateway import Pending
from simengine.policies.language.kept import Kept
from simengine.policies.language.limits import Limits
from simengine.policies.language.memory import Memory
from simengine.policies.language.personas import Personas, personas_of
from simengine.policies.language.prompts import ELICITATIONS, Prompt, canonical, template
from simengine.policies.language.questions import REFUSALS, SAMPLES
from simengine.policies.language.reading import spoken
from simengine.policies.language.record import Record
from simengine.policies.language.retries import Retries
from simengine.policies.language.spending import Budget, Prices
from simengine.policies.language.tallies import Tally
from simengine.policies.language.wordings import Texts, prompt_of_rule
from simengine.scenario.parameters import shown

Array = NDArray[Any]

MOST_FALLBACKS = 0.01
RECALLED = ("elicitation", "fallback", "most_fallbacks", "temperature", "samples", "orders", "salt")
CHOICES = (
    "simengine.OpenAI(base_url, model) for any server that speaks OpenAI's chat completions, simengine.Local(folder) "
    "for transformers in this process, simengine.Surrogate() (an n-gram model, not an LLM), simengine.Function(answer)"
)


class Language(Kept):
    """A language model that answers decisions; give it to `run` as a policy, for all agents or a share of them.

    >>> model = simengine.Language(simengine.OpenAI("http://localhost:8000/v1", "my-model"))
    >>> simengine.run("social_learning", policies={"agents.act": simengine.Policy(model, share=0.1)}, out="mixed.nc")

    One object may answer several decisions of a run; they share connections, limits and budget.

    Parameters
    ----------
    backend
        Who is asked: `OpenAI`, `Local`, `Surrogate`, `Function`, `Replay`, or any object with the four methods of
        `simengine.policies.language.calls.Backend`. There is no default.
    prompt
        The words: a `Prompt` for every decision, or a dict of them by decision. By default the scenario's own
        (``prompts``), or one made of what the decision's rule reads.
    elicitation
        How answers are asked for: "label_probabilities", "samples", "percentages", "single", "structured", "words".
        By default ("auto") what suits decision and backend: a distribution where there are options.
    personas
        Texts dealt out to agents at random (the same for all steps and any sharding), a dict of texts by id, or a
        function of what is asked that returns one text for each agent.
    memory
        A `Memory` of what agents have seen and done; templates show it as ``{memory}``.
    budget, prices, limits, retries, connections, hedge_after
        Bounds of what is spent, and how calls are made; see `simengine.policies.language.gateway.Gateway`.
    cache
        A `Record` (or its path) that several runs share, so that none asks what another one has asked.
    fallback
        What acts where there is no answer, in place of what the prompts say: "rule", "fail", an option, or a value.
    most_fallbacks
        The run fails when more than this share of decisions so far (and more than one) had no answer.
    temperature, samples, orders
        Of sampling; how many answers "samples" asks for; in how many orders options are shown.
    salt
        A text of the user's own in the keys of all calls: another one asks again.
    redact
        A function that takes out of a text what the record must not keep (see `Record`). Prompts are sent as they are;
        of replies agents and files see what it leaves.

    Notes
    -----
    With a live server that is not deterministic a run can be replayed, not repeated: `rerun` answers from the record
    beside the file (``OUT.nc.calls``) and needs no network.
    """

    def __init__(
        self, backend: Backend | None = None, *, prompt: Prompt | Mapping[str, Prompt] | None = None,
        elicitation: str | None = None, personas: Any = None, memory: Memory | None = None,
        budget: Budget | None = None, prices: Prices | None = None, limits: Limits | None = None,
        retries: Retries | None = None, connections: int = 64, hedge_after: float | None = None,
        cache: Record | str | Path | None = None, fallback: str | float | None = None,
        most_fallbacks: float = MOST_FALLBACKS, temperature: float | None = None, samples: int = SAMPLES,
        orders: int | None = None, salt: str = "", redact: Callable[[str], str] | None = None,
    ) -> None:  # fmt: skip
        if backend is None:
            raise InputError(f"a language model needs a backend: {CHOICES}")
        if not isinstance(backend, Backend):
            raise InputError(f"backend: {shown(backend)} has not the methods of a backend; there are {CHOICES}")
        if elicitation is not None and elicitation not in ELICITATIONS:
            raise InputError(f"elicitation: got {shown(elicitation)}, allowed are {', '.join(ELICITATIONS)}")
        if not (isinstance(most_fallbacks, int | float) and 0 <= most_fallbacks <= 1):
            raise InputError(f"most_fallbacks: got {shown(most_fallbacks)}, allowed is a share from 0 to 1")
        self.backend, self.prompt, self.elicitation, self.memory = backend, prompt, elicitation, memory
        self.personas = personas_of(personas)
        self.cache = cache if isinstance(cache, Record) or cache is None else Record(cache)
        self.fallback, self.most_fallbacks = fallback, float(most_fallbacks)
        self.temperature, self.samples, self.orders, self.salt = temperature, samples, orders, salt
        self.redact = redact
        self._calls = {
            "budget": budget, "prices": prices, "limits": limits, "retries": retries, "connections": connections,
            "hedge_after": hedge_after,
        }  # fmt: skip
        self._path = None
        self._beside = None
        self.in_run = None
        self._begin()

    def __repr__(self) -> str:
        return f"Language({self.backend!r})"

    def __call__(self, asked: Asked) -> Any:
        """Answer at once, as any policy does."""
        begun = self.begin(asked)
        answer = self.finish(begun, asked)
        return answer

    @classmethod
    def recall(
        cls, described: Mapping[str, Any], record: Path | None, where: str, calls: Mapping[str, Any] | None = None
    ) -> Language:
        """Return what `describe` described; ``InputError`` where that cannot be.

        It answers from ``record``, or calls whom ``calls`` names where nothing is recorded.
        """
        again = "give the policy again: policies="
        if described.get("own_prompt"):
            raise InputError(f"{where} does not keep the prompt that its language model was given; {again}")
        if described.get("own_redact"):
            raise InputError(f"{where} does not keep the function that redacts its record; {again}")
        calls = dict(calls or {})
        backend = calls.pop("backend", None)
        recorded = record is not None and record.is_file()
        if backend is not None and backend.capabilities().model != described["model"]:
            model = backend.capabilities().model
            raise InputError(f"{where}: its language model is {described['model']}, and the backend is {model}")
        if backend is None and not recorded:
            raise InputError(
                f"{where}: its language model answers from the record of its calls, and {record} is missing; {again}"
            )
        personas, memory = described.get("personas"), described.get("memory")
        if personas is not None and personas.get("not_kept"):
            raise InputError(f"{where} does not keep the function that deals out personas; {again}")
        if recorded and backend is not None:
            calls.setdefault("cache", Record.at(str(record)))
        return cls(
            Replay(Record.at(str(record)), described["model"]) if backend is None else backend,
            **calls,
            personas=None if personas is None else Personas.recall(personas),
            memory=None if memory is None else Memory(**memory),
            **{name: described[name] for name in RECALLED},
        )

    # -- answering -----------------------------------------------------------------------------------------------

    def begin(self, asked: Asked) -> UnderWay:
        """See what agents see, leave the rest to another thread, and return at once."""
        prompt = self._prompt_of(asked)
        asked = replace(asked, texts=Texts(self.record, prompt.texts))
        contexts = contexts_of(prompt, asked, self._columns(prompt, asked))
        capabilities = self.backend.capabilities()
        method = method_of(prompt, asked.options, capabilities, self.elicitation if not prompt.words else None)
        self._methods[asked.decision] = method.name
        known = asked.known() if asked.known is not None else None
        settings: dict[str, Any] = {
            "bounds": (None, None) if known is None else (known.low, known.high),
            "kind": "whole" if known is not None and known.whole else "number",
            "temperature": self.temperature, "samples": self.samples, "orders": self.orders, "salt": self.salt,
            "exact": capabilities.model.startswith("function/"),
        }  # fmt: skip
        if self._thread is None or self._process != os.getpid():
            # A forked process has no threads but its first.
            self._process = os.getpid()
            self._thread = ThreadPoolExecutor(1, "simengine-language-decisions")
        under = UnderWay(prompt, contexts, method)
        under.work = self._thread.submit(self._work, under, asked, settings)
        return under

    def _work(self, under: UnderWay, asked: Asked, settings: Mapping[str, Any]) -> None:
        """Put contexts in words, send what has to be asked, and read the answers."""
        deadline = under.prompt.deadline
        under.question = question_of(under.prompt, under.contexts, asked, under.method, **settings)
        under.requests = [under.method.requests(under.question, row) for row in range(len(under.question))]
        pending = self._submit([request for listed in under.requests for request in listed], asked, deadline)
        if self._counted[0] != asked.step:
            self._counted = asked.step, set()
        again = lambda requests: self._submit(requests, asked, deadline).result()  # noqa: E731
        read_rows(under, pending.result(), again, self._counted[1])

    def finish(self, begun: UnderWay, asked: Asked) -> Any:
        """Wait for the answers, and return a distribution or a value for each agent."""
        begun.work.result()
        fallback = begun.prompt.fallback if self.fallback is None else self.fallback
        actions, texts = actions_of(begun, asked, fallback)
        if texts:
            self.record.keep_texts(texts)
        return actions

    def taken(self, begun: UnderWay, asked: Asked, actions: Array) -> None:
        """Keep what was decided, let agents remember it, and see how often there was no answer."""
        latest = {
            "ids": asked.ids, "provenance": begun.provenance(), "entropy": begun.entropies(),
            "coverage": begun.coverages(),
        }  # fmt: skip
        tally = self._tallies.setdefault(asked.decision, Tally())
        tally.add(latest, asked.step, len(begun.contexts), begun.input_tokens, begun.output_tokens)
        self._keep(begun, asked, actions, latest)
        memory = self._memory_of(asked)
        if memory is not None and begun.prompt.remember:
            texts = self.record.texts(actions.tolist()) if begun.prompt.words else {}
            events = begun.contexts.remembered(begun.prompt, asked.p, said(begun, actions, texts))
            self.record.keep_texts(memory.remember(asked.ids, asked.step, events))
            self._summarise(memory, asked)
            living = asked.populations[asked.decision.split(".")[0]].ids
            if len(memory) > 2 * len(living):
                memory.keep(living)
        number = sum(found.counts["asked"] for found in self._tallies.values())
        lost = sum(found.unanswered for found in self._tallies.values())
        if lost > 1 and lost > self.most_fallbacks * number:
            self.record.forget_failures(asked.step)
            reasons = begun.reasons()
            last = f"; the last: {reasons[-1]}" if reasons else ""
            raise RunError(
                f"{asked.decision} at step {asked.step}: {lost} of {number} decisions of language models had no answer "
                f"(more than most_fallbacks={self.most_fallbacks:g}){last}"
            )

    def _keep(self, begun: UnderWay, asked: Asked, actions: Array, latest: Mapping[str, Array]) -> None:
        rows = [canonical(row) for row in begun.contexts.rows()]
        digests = [digest_of(text) for text in rows]
        self.record.keep_texts(dict(zip(digests, rows, strict=True)))
        columns = {
            **latest, "action": actions, "context": np.array(digests, np.int64)[begun.contexts.of_agent],
        }  # fmt: skip
        probabilities = begun.probabilities()
        if probabilities is not None:
            columns["probability"] = probabilities
        # Turns of one step, and policies that answer for different agents, are kept apart.
        part = f"{asked.draw.event}/{asked.ids[0]}"
        self.record.keep_decisions(asked.step, asked.decision, part=part, **columns)

    def _memory_of(self, asked: Asked) -> Memory | None:
        """The memory of the population that decides; ids are its own."""
        if self.memory is None:
            return None
        population = asked.decision.split(".")[0]
        if population not in self._memories:
            self._memories[population] = Memory(**self._memory_settings())
        return self._memories[population]

    def _summarise(self, memory: Memory, asked: Asked) -> None:
        """Put memories that are due in short, by calls that are counted and recorded like all others."""
        ids, requests = memory.summary_requests(asked.ids, asked.step, self.record.texts)
        if len(ids):
            salted = [replace(request, salt=self.salt) for request in requests]
            outcomes = self._submit(salted, asked, part="/summary").result()
            texts = [_summary(outcome.answer) for outcome in outcomes]
            self.record.keep_texts(memory.summarise(ids, asked.step, texts))

    def _submit(
        self, requests: Sequence[Request], asked: Asked, deadline: float | None = None, part: str = ""
    ) -> Pending:
        label = f"{asked.decision}{part}"
        try:
            return self.gateway.submit(requests, step=asked.step, label=label, deadline=deadline)
        except InputError as error:
            if not isinstance(self.backend, Replay):
                raise
            remedy = "whom to ask what is not recorded: calls={'backend': ...} of resume and branch, or --backend"
            raise InputError(f"{error}; {remedy}") from None

    def _columns(self, prompt: Prompt, asked: Asked) -> dict[str, Any]:
        """What agents are shown beside what the prompt's ``see`` finds."""
        found: dict[str, Any] = {}
        if self.personas is not None:
            found["persona"] = self.personas.dealt(asked)
        if "memory" in template(prompt.question).columns:
            memory = self._memory_of(asked)
            found["memory"] = "" if memory is None else memory.recall(asked.ids, asked.step, self.record.texts)
        return found

    def _prompt_of(self, asked: Asked) -> Prompt:
        made_for = self._made_for.get(asked.decision)
        if asked.decision not in self._prompts or made_for not in (None, asked.p.values):
            name = asked.decision.split(".")[1]
            given = self.prompt
            if isinstance(given, Mapping):
                given = given.get(asked.decision, given.get(name))
            if given is None:
                given = asked.p.prompts.get(name)
            if given is None:
                # It tells values of parameters, which may change while a run goes on.
                self._made_for[asked.decision] = dict(asked.p.values)
            prompt = prompt_of_rule(asked) if given is None else given
            shown_columns = template(prompt.question).columns
            if self.memory is not None and "memory" not in shown_columns:
                prompt = replace(prompt, question=f"What you remember:\n{{memory}}\n\n{prompt.question}")
            if self.personas is not None and "persona" not in shown_columns:
                prompt = replace(prompt, question=f"Who you are: {{persona}}\n\n{prompt.question}")
            self._prompts[asked.decision] = prompt
        return self._prompts[asked.decision]


def _summary(answer: Reply | Failure) -> str | None:
    """Return the text of a summary; None where it was refused, cut off or never came."""
    whole = isinstance(answer, Reply) and answer.finish not in {*REFUSALS, "length"}
    return spoken(answer.text) if whole else None  # type: ignore[union-attr]
