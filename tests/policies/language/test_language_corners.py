"""Language models as policies where results could have come to depend on something else than the record."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from language_scenarios import ADOPT, UNDECIDED, Adoption, undecided

import simengine
from simengine import (
    Function,
    InputError,
    Language,
    Memory,
    OpenAI,
    Policy,
    Prompt,
    Record,
    Retries,
    RunError,
    Scenario,
    Simulation,
    decision,
    events,
    field,
    param,
    population,
    update,
)
from simengine.policies.language.calls import Capabilities, Failure, Message, Reply, Request, Usage
from simengine.policies.language.gateway import Gateway
from simengine.runs.session import Session
from simengine.testing.language_faults import Faults
from simengine.testing.language_server import serve
from simengine.testing.sharding import recorded_in_shards

OWN_ACTION = dataclasses.replace(
    ADOPT, question="{kind} {last}", see=lambda asked: {"kind": asked.agents.kind, "last": asked.agents.action},
    remember="", digits={},
)  # fmt: skip


EVEN = Function(lambda context, request: [0.5, 0.5], "even")


def habit(context: Mapping[str, Any], request: Any) -> list[float]:
    return [0.3, 0.7] if context["last"] else [0.8, 0.2]


def ran(policy: Any, scenario: Any = Adoption, label: str = "agents.adopt", **options: Any) -> Any:
    return simengine.run(scenario, policies={label: policy}, progress=False, **options)


def habitual() -> Policy:
    return Policy(Language(Function(habit), prompt=OWN_ACTION), ids=range(20))


def test_models_see_the_moment_before_the_rule_in_one_process_and_in_shards() -> None:
    alone = ran(habitual(), seed=1, snapshot_every=1)
    for shards in (1, 2):
        parted = recorded_in_shards(
            Adoption, shards, policies={"agents.adopt": habitual()}, seed=1, steps=6, every=1, snapshot_every=1
        )
        assert parted.attrs["content_hash"] == alone.attrs["content_hash"]


def test_models_see_the_moment_before_the_rule_beside_policies_in_python() -> None:
    alone = ran(habitual(), seed=1, snapshot_every=1)
    beside = ran([habitual(), Policy(lambda asked: np.zeros(len(asked.ids)), ids=[30])], seed=1, snapshot_every=1)
    np.testing.assert_array_equal(alone.action[:, :20], beside.action[:, :20])


class Teams(Scenario):
    """Agents work until their team has ended, which a phase after the decision says."""

    n_agents: int = param(6, low=1)
    teams = population(size=2, dim="team", ended=field(bool))
    agents = population(size="n_agents", team=field(int), effort=field(int), earned=field())

    def start(self, agents: Any) -> None:
        agents.team[:] = np.arange(agents.size) % 2

    @decision(
        agents.effort, options=("low", "high"), asked=lambda agents, teams: ~teams.ended[agents.team.astype(np.int64)]
    )
    def work(me):
        return 0

    @update(teams)
    def end(me, new, step):
        new.ended[me] = step >= 1

    @update(agents)
    def earn(me, agents, new):
        new.earned[me] += agents.effort[me]


def test_whom_to_ask_is_settled_when_a_decision_begins() -> None:
    prompt = Prompt(system="Work.", question="{team}", see=lambda asked: {"team": asked.agents.team})
    asked = ran(
        Language(Function(lambda context, request: [0.0, 1.0]), prompt=prompt), Teams, "agents.work",
        steps=3, snapshot_every=1,
    )  # fmt: skip
    assert asked.language_work_asked.values.tolist() == [0, 6, 12, 12]
    assert (asked.earned.values[-1] == 2).all()
    # At the last step nobody was asked, and the latest action is the rule's.
    assert (asked.language_work_provenance.values[-1] == 0).all()


def test_of_two_models_for_an_agent_the_last_is_asked_and_the_other_is_not_asked_in_vain() -> None:
    first, last = Language(UNDECIDED, memory=Memory()), Language(EVEN)
    dataset = ran([Policy(first), Policy(last, ids=range(20))], steps=2, snapshot_every=1)
    assert dataset.language_adopt_asked.values.tolist() == [0, 40, 80]
    assert simengine.decisions(first).sizes["row"] == 80
    alone = ran(Policy(Language(EVEN), ids=range(20)), steps=2, snapshot_every=1)
    np.testing.assert_array_equal(dataset.action[:, :20], alone.action[:, :20])


def test_models_of_the_same_description_are_still_two_when_a_run_is_repeated(tmp_path: Path) -> None:
    models = [Policy(Language(UNDECIDED, memory=Memory()), ids=ids) for ids in (range(10), range(10, 20))]
    ran(models, out=tmp_path / "two.nc", snapshot_every=1).close()
    assert simengine.rerun(tmp_path / "two.nc", progress=False)


@pytest.mark.parametrize("options", [{"steps": 0}, {"steps": 2}])
def test_a_run_in_which_no_model_was_asked_can_be_repeated(options: dict[str, Any], tmp_path: Path) -> None:
    ran(Policy(Language(UNDECIDED), share=0.0), out=tmp_path / "none.nc", **options).close()
    assert simengine.rerun(tmp_path / "none.nc", progress=False)


def test_a_record_that_is_looked_at_does_not_keep_the_next_run_from_writing_its_own(tmp_path: Path) -> None:
    first = Language(UNDECIDED)
    ran(first, out=tmp_path / "a.nc").close()
    assert len(first.record) == 16
    ran(Language(UNDECIDED), out=tmp_path / "a.nc", overwrite=True).close()
    assert simengine.rerun(tmp_path / "a.nc", progress=False)


class Priced(Scenario):
    """Agents choose, at a cost that their words tell."""

    default_steps = 4

    n_agents: int = param(3, low=1)
    cost: float = param(0.25, description="cost of acting")
    agents = population(size="n_agents", age=field(), action=field(int), amount=field(int), real=field())

    @update(agents)
    def grow(me, agents, new):
        new.age[me] += 1

    @decision(agents.action, options=("no", "yes"))
    def act(me, agents, p):
        return 1 if agents.age[me] > p.cost else 0

    @decision(agents.amount)
    def take(me):
        return 1

    @decision(agents.real)
    def give(me):
        return 1.0


def test_words_tell_parameters_as_they_are_now() -> None:
    told: list[str] = []

    def noted(context: Any, request: Any) -> list[float]:
        told.append(next(line for line in request.messages[0].text.splitlines() if "cost of" in line))
        return [0.5, 0.5]

    ran(Language(Function(noted)), Priced, "agents.act", interventions=[simengine.at(2, cost=0.75)]).close()
    assert told == ["cost of acting: 0.25"] * 4 + ["cost of acting: 0.75"] * 4


@pytest.mark.parametrize("answer", [2**63, 2**64 - 1, 10**30, 1e30])
def test_whole_numbers_that_no_field_holds_are_no_answers(answer: float) -> None:
    model = Language(Function(lambda context, request: {"answer": answer}), most_fallbacks=1.0)
    dataset = ran(model, Priced, "agents.take", steps=1, snapshot_every=1)
    assert (dataset.amount.values[-1] == 1).all()
    assert dataset.language_take_fallbacks.values[-1] == 3


def test_large_whole_numbers_are_numbers_where_fractions_are_allowed() -> None:
    model = Language(Function(lambda context, request: {"answer": 10**30}))
    assert (ran(model, Priced, "agents.give", steps=1, snapshot_every=1)["real"].values[-1] == 1e30).all()


def test_a_fallback_does_not_spoil_the_digests_of_other_agents_texts() -> None:
    prompt = Prompt(system="Speak.", question="{id}", see=lambda asked: {"id": asked.ids}, words=True, texts=("", "a"))

    def speaking(context: Any, request: Any) -> Any:
        return f"hello {context['id']}" if context["id"] else Failure("refusal", "no")

    model = Language(Function(speaking), prompt=prompt, fallback=0.0, most_fallbacks=1.0)
    said = ran(model, Priced, "agents.take", steps=1, snapshot_every=1).amount.values[-1].tolist()
    assert said[0] == 0
    assert sorted(model.record.texts(said[1:]).values()) == ["hello 1", "hello 2"]


class Pets(Scenario):
    """Two populations whose agents have the same ids."""

    default_steps = 2

    cats = population(size=2, dim="cat", act=field(int))
    dogs = population(size=2, dim="dog", act=field(int))

    @decision(cats.act, options=("purr", "scratch"))
    def meow(me):
        return 0

    @decision(dogs.act, options=("bark", "sleep"))
    def bark(me):
        return 0


def test_agents_of_two_populations_do_not_remember_for_one_another() -> None:
    remembered: list[str] = []

    def noted(context: Any, request: Any) -> list[float]:
        remembered.append(context["memory"])
        return [1.0, 0.0]

    prompt = Prompt(system="Live.", question="{memory}", see=lambda asked: {}, remember="You chose to {action}.")
    model = Language(Function(noted), prompt=prompt, memory=Memory())
    simengine.run(Pets, policies={"cats.meow": model, "dogs.bark": model}, progress=False).close()
    assert set(remembered) == {"nothing yet", "You chose to purr.", "You chose to bark."}


class AskedAtFirst(Adoption):
    """Farmers are asked in the first two steps only."""

    @decision(
        Adoption.agents.action, options=("wait", "adopt"),
        asked=lambda agents, step: np.full(len(agents.ids), step < 2),
    )  # fmt: skip
    def adopt(me, agents):
        return 1 if agents.harvest[me] > 3.0 else 0


def test_a_run_taken_up_again_after_its_last_decision_says_what_was_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ran(Language(UNDECIDED), AskedAtFirst, out=tmp_path / "whole.nc", snapshot_every=1)
    assert whole.language_adopt_provenance.values[:, 0].tolist() == [0, 1, 2, 0, 0, 0, 0]
    save = Session.save

    def broken_off(self: Session, path: Path) -> None:
        save(self, path)
        if self.engine.step == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(Session, "save", broken_off)
    with pytest.raises(KeyboardInterrupt):
        ran(Language(UNDECIDED), AskedAtFirst, out=tmp_path / "part.nc", snapshot_every=1, checkpoint_every=1)
    monkeypatch.undo()
    resumed = simengine.resume(tmp_path / "part.nc", progress=False)
    assert resumed.attrs["content_hash"] == whole.attrs["content_hash"]


def test_a_model_answers_for_one_run_at_a_time() -> None:
    model = Language(UNDECIDED, memory=Memory())
    first = Simulation(Adoption, policies={"agents.adopt": model}, seed=1)
    first.step(1)
    Simulation(Adoption, policies={"agents.adopt": model}, seed=2).step(1)
    with pytest.raises(RunError, match="answers for one run at a time"):
        first.step(1)
    model.close()


class InTurn(Scenario):
    """Agents decide one after another."""

    n_agents: int = param(6, low=1)
    agents = population(size="n_agents", action=field(int))

    @decision(agents.action, options=("no", "yes"), order=events("n_agents"))
    def act(me):
        return 0


def test_tokens_of_a_call_that_serves_several_turns_are_counted_once() -> None:
    def equal(context: Any, request: Any) -> Reply:
        return Reply(log_probabilities=(-0.7, -0.7), usage=Usage(10, 0, 1))

    model = Language(Function(equal))
    dataset = ran(model, InTurn, "agents.act", steps=2, snapshot_every=1)
    # One situation, two orders of the options, asked in the first step.
    assert dataset.language_act_input_tokens.values.tolist() == [0, 20, 20]
    assert model.gateway.ledger.total.input == 20


def test_all_who_were_asked_in_turn_are_among_the_latest() -> None:
    dataset = ran(Language(EVEN), InTurn, "agents.act", steps=1, snapshot_every=1)
    assert (dataset.language_act_provenance.values[-1] == 1).sum() > 1


class Mortal(Scenario):
    """Everybody dies at once."""

    n_agents: int = param(3, low=1)
    agents = population(size="n_agents", capacity=10, action=field(int))

    @decision(agents.action, options=("no", "yes"))
    def act(me):
        return 0

    @update(agents)
    def die(me, new):
        new.alive[me] = False


def test_a_snapshot_of_nobody_holds_no_decisions() -> None:
    dataset = ran(Language(EVEN), Mortal, "agents.act", steps=2, snapshot_every=1)
    assert dataset.language_act_asked.values.tolist() == [0, 3, 3]


def test_a_function_that_gives_no_probabilities_is_an_error() -> None:
    with pytest.raises(RunError, match="no probabilities"):
        ran(Language(Function(lambda context, request: [float("nan"), 1.0])))


def test_a_forked_process_goes_on_with_a_thread_of_its_own() -> None:
    model = Language(UNDECIDED)
    simulation = Simulation(Adoption, policies={"agents.adopt": model}, seed=1, threads=1)
    simulation.step(1)
    child = os.fork()
    if child == 0:
        try:
            simulation.step(1)
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    model.close()


def test_a_record_does_not_tell_where_the_server_was(tmp_path: Path) -> None:
    with serve(faults=Faults(reset=1.0)) as server:
        backend = OpenAI(server.url, "m")
        retries = Retries(attempts=1, failing=2.0)
        ran(Language(backend, retries=retries, most_fallbacks=1.0), out=tmp_path / "a.nc", steps=1, kinds=1).close()
        with Record.open(tmp_path / "a.nc.calls") as record:
            reasons = [entry.answer.message for entry in record.entries() if isinstance(entry.answer, Failure)]
        address = server.url.split("/")[2]
    assert reasons
    assert all("the server" in reason for reason in reasons)
    assert not any(address.encode() in path.read_bytes() for path in tmp_path.iterdir() if path.is_file())


def test_names_that_look_like_addresses_are_names_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("file:a.nc", "a b?#%20.nc"):
        ran(Language(Function(undecided)), out=name, steps=1).close()
        assert (tmp_path / f"{name}.calls").is_file()
        assert simengine.rerun(name, progress=False)


def test_an_answer_of_the_wrong_length_is_an_error() -> None:
    with pytest.raises((InputError, RunError), match="1 probabilities for 2 labels"):
        ran(Language(Function(lambda context, request: [1.0])))


def test_shares_of_several_policies_are_of_different_agents() -> None:
    policies = [Policy(lambda asked: np.zeros(len(asked.ids)), share=0.5), Policy(Language(UNDECIDED), share=0.5)]
    asked = [Policy(policy.answer, policy.share) for policy in policies]
    dataset = simengine.run(
        Adoption, n_agents=400, steps=1, snapshot_every=1, policies={"agents.adopt": asked}, progress=False
    )
    share = float((dataset.language_adopt_provenance.values[-1] > 0).mean())
    # Of 400 agents half are asked: four standard errors are 0.1.
    assert 0.4 < share < 0.6
    waiting = dataset.action.values[-1][dataset.language_adopt_provenance.values[-1] == 0]
    assert (waiting == 0).all()
    with pytest.raises(InputError, match=r"their shares add up to 1.2"):
        simengine.run(
            Adoption, policies={"agents.adopt": [Policy(UNDECIDED.function, 0.6), Policy(UNDECIDED.function, 0.6)]},
            progress=False,
        )  # fmt: skip


def test_a_closed_simulation_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    with simengine.Simulation(Adoption, policies={"agents.adopt": Language(UNDECIDED)}, progress=False) as simulation:
        simulation.step(2)
        assert set(threading.enumerate()) - before
    assert not set(threading.enumerate()) - before
    assert simulation.steps == 2


def test_a_run_that_failed_for_a_server_that_was_down_can_be_resumed_when_it_is_back(tmp_path: Path) -> None:
    up = []

    class Moody(Function):
        def score(self, requests: Any) -> Any:
            return super().score(requests) if up else [Failure("transient", "down") for _ in requests]

    def policies() -> dict[str, Any]:
        return {"agents.adopt": Language(Moody(undecided, "moody"))}

    out = tmp_path / "a.nc"
    with pytest.raises(RunError, match="had no answer"):
        simengine.run(Adoption, policies=policies(), out=out, progress=False)
    up.append(True)
    resumed = simengine.resume(out, progress=False, calls={"backend": Moody(undecided, "moody")})
    whole = simengine.run(Adoption, policies=policies(), progress=False)
    assert resumed.attrs["content_hash"] == whole.attrs["content_hash"]
    assert int(resumed.language_adopt_fallbacks[-1]) == 0


def test_calls_given_up_when_a_run_is_closed_are_no_answers_of_the_record() -> None:
    class Slow:
        def capabilities(self) -> Capabilities:
            return Capabilities("slow/down")

        def complete(self, requests: Any) -> Any:
            return []

        score = complete

        def close(self) -> None:
            pass

        async def answer(self, request: Request, *, timeout: float, idempotency: str = "") -> Failure:
            await asyncio.sleep(0.1)
            return Failure("transient", "down")

        async def leave(self) -> None:
            pass

    record = Record(None)
    gateway = Gateway(Slow(), record, retries=Retries(attempts=2, base=0.01, failing=2.0))
    gateway.submit([Request((Message("user", f"{number}"),)) for number in range(5)], step=0, label="agents.act")
    time.sleep(0.15)
    gateway.close()
    assert len(record) == 0
