"""Language models as policies, without a network: what is asked, drawn, recorded, replayed and remembered."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from language_scenarios import ADOPT, RULE_BACKEND, UNDECIDED, Adoption, by_the_rule

import simengine
from simengine import Budget, Function, Language, Memory, Policy, RunError, Surrogate
from simengine.errors import InputError
from simengine.policies.language.calls import Failure, Reply
from simengine.policies.language.spending import BudgetSpent


def ran(policy: Any, **options: Any) -> Any:
    return simengine.run(Adoption, policies={"agents.adopt": policy}, progress=False, **options)


def without_language(dataset: Any) -> dict[str, Any]:
    return {str(name): dataset[name].values for name in dataset.variables if not str(name).startswith("language_")}


def test_a_model_that_answers_as_the_rule_does_gives_what_the_rule_gives() -> None:
    asked = without_language(ran(Language(RULE_BACKEND), snapshot_every=1))
    rule = without_language(simengine.run(Adoption, progress=False, snapshot_every=1))
    assert asked.keys() == rule.keys()
    for name, values in rule.items():
        np.testing.assert_array_equal(asked[name], values, err_msg=name)


def test_a_model_is_asked_once_for_each_situation_and_never_again() -> None:
    requests: list[Any] = []

    def noted(context: Any, request: Any) -> list[float]:
        requests.append((context["harvest"], context["kind"], request.order))
        return by_the_rule(context, request)

    dataset = ran(Language(Function(noted)))
    # Four kinds, a harvest that changes once, and two orders of the options.
    assert len(requests) == len(set(requests)) == 4 * 2 * 2
    assert dataset.language_adopt_contexts.values.tolist() == [0, 4, 8, 12, 16, 20, 24]
    assert dataset.language_adopt_answered.values.tolist() == [0, 40, 40, 40, 80, 80, 80]
    assert dataset.language_adopt_reused.values.tolist() == [0, 0, 40, 80, 80, 120, 160]


def test_each_agent_draws_its_own_action_from_the_distribution_of_its_situation() -> None:
    # 20,000 agents in two situations with probabilities 0.8 and 0.4: four standard errors are 0.011 and 0.014.
    dataset = ran(Language(UNDECIDED), n_agents=20_000, kinds=2, steps=1, snapshot_every=1)
    action, kind = dataset.action.values[-1], dataset.kind.values[-1]
    assert action[kind == 0].mean() == pytest.approx(0.8, abs=0.016)
    assert action[kind == 1].mean() == pytest.approx(0.4, abs=0.02)
    assert dataset.language_adopt_contexts.values[-1] == 2


def test_actions_are_those_that_a_python_policy_with_the_same_distributions_draws() -> None:
    def python(asked: Any) -> np.ndarray:
        odd = (asked.agents.kind % 2 == 1)[:, None]
        return np.where(odd, [0.6, 0.4], [0.2, 0.8])

    language = ran(Language(UNDECIDED), snapshot_every=1)
    np.testing.assert_array_equal(language.action, ran(python, snapshot_every=1).action)


def test_a_share_of_the_agents_is_asked_and_the_others_follow_the_rule() -> None:
    dataset = ran(Policy(Language(Function(lambda context, request: [1.0, 0.0])), share=0.5), snapshot_every=1)
    asked = dataset.language_adopt_provenance.values[-1] > 0
    assert 10 < asked.sum() < 30
    assert (dataset.action.values[-1][asked] == 0).all()
    rule = simengine.run(Adoption, progress=False, snapshot_every=1).action.values[-1]
    np.testing.assert_array_equal(dataset.action.values[-1][~asked], rule[~asked])


def test_a_language_model_without_a_backend_is_an_error_that_names_the_choices() -> None:
    with pytest.raises(InputError, match=r"needs a backend: simengine.OpenAI.*Local.*Surrogate.*not an LLM.*Function"):
        Language()
    with pytest.raises(InputError, match="has not the methods of a backend"):
        Language("gpt")  # type: ignore[arg-type]


def test_settings_that_are_not_allowed_are_named_with_those_that_are() -> None:
    with pytest.raises(InputError, match="elicitation: got 'label', allowed are auto, label_probabilities"):
        Language(RULE_BACKEND, elicitation="label")
    with pytest.raises(InputError, match="most_fallbacks: got 2, allowed is a share from 0 to 1"):
        Language(RULE_BACKEND, most_fallbacks=2)
    refusing = Function(lambda context, request: Failure("refusal", "no"))
    with pytest.raises(InputError, match="'reject' is none of rule, fail, wait, adopt"):
        ran(Language(refusing, fallback="reject", most_fallbacks=1))


def test_a_run_is_repeated_from_its_record_without_asking_anybody(tmp_path: Path) -> None:
    ran(Policy(Language(UNDECIDED), share=0.7), out=tmp_path / "a.nc", snapshot_every=2).close()
    assert simengine.rerun(tmp_path / "a.nc", progress=False)


def test_a_run_whose_record_is_missing_cannot_be_repeated(tmp_path: Path) -> None:
    ran(Language(UNDECIDED), out=tmp_path / "a.nc").close()
    (tmp_path / "a.nc.calls").unlink()
    with pytest.raises(InputError, match=r"answers from the record of its calls.*a.nc.calls.* is missing"):
        simengine.rerun(tmp_path / "a.nc", progress=False)


def test_a_branch_that_comes_into_a_situation_that_is_not_recorded_names_the_nearest_one(tmp_path: Path) -> None:
    ran(Language(UNDECIDED), out=tmp_path / "a.nc").close()
    with pytest.raises(InputError, match=r"not in the record: .*harvest"):
        simengine.branch(tmp_path / "a.nc", at=3, period=1, progress=False)
    branched = simengine.branch(tmp_path / "a.nc", at=3, period=1, progress=False, calls={"backend": UNDECIDED})
    assert branched.language_adopt_asked.values[-1] == 240


def test_another_model_cannot_go_on_with_a_record(tmp_path: Path) -> None:
    ran(Language(UNDECIDED), out=tmp_path / "a.nc").close()
    with pytest.raises(InputError, match="language model is function/undecided, and the backend is function/by_the"):
        simengine.branch(tmp_path / "a.nc", at=3, period=1, progress=False, calls={"backend": RULE_BACKEND})


def test_a_prompt_given_in_python_has_to_be_given_again(tmp_path: Path) -> None:
    ran(Language(UNDECIDED, prompt=ADOPT), out=tmp_path / "a.nc").close()
    with pytest.raises(InputError, match="does not keep the prompt that its language model was given"):
        simengine.rerun(tmp_path / "a.nc", progress=False)
    again = Language(simengine.Replay(tmp_path / "a.nc.calls"), prompt=ADOPT)
    compared = simengine.rerun(tmp_path / "a.nc", progress=False, policies={"agents.adopt": again})
    assert compared


def test_the_calls_of_an_earlier_run_are_not_thrown_away_unasked(tmp_path: Path) -> None:
    ran(Language(UNDECIDED), out=tmp_path / "a.nc").close()
    (tmp_path / "a.nc").unlink()
    with pytest.raises(InputError, match=r"a.nc.calls holds the calls of an earlier run"):
        ran(Language(UNDECIDED), out=tmp_path / "a.nc")
    ran(Language(UNDECIDED), out=tmp_path / "a.nc", overwrite=True).close()


def test_a_budget_stops_a_run_which_a_larger_one_resumes_to_the_same_file(tmp_path: Path) -> None:
    whole = ran(Language(UNDECIDED), out=tmp_path / "whole.nc")
    sent: list[Any] = []

    def undecided(context: Any, request: Any) -> list[float]:
        sent.append(request)
        return UNDECIDED.function(context, request)

    with pytest.raises(BudgetSpent, match=r"8 of 10 calls spent.*resume with a larger budget"):
        ran(Language(Function(undecided), budget=Budget(calls=10)), out=tmp_path / "part.nc", checkpoint_every=1)
    calls = {"backend": Function(undecided), "budget": Budget(calls=100)}
    resumed = simengine.resume(tmp_path / "part.nc", progress=False, calls=calls)
    assert resumed.attrs["content_hash"] == whole.attrs["content_hash"]
    assert len(sent) == 16


def test_refusals_and_missing_answers_are_counted_and_the_fallback_acts() -> None:
    def moody(context: Any, request: Any) -> Any:
        if context["kind"] == 0:
            return Failure("refusal", "I would rather not.")
        return Failure("malformed", "noise") if context["kind"] == 1 else [0.0, 1.0]

    dataset = ran(Language(Function(moody), most_fallbacks=1.0), steps=1, snapshot_every=1)
    kind, provenance = dataset.kind.values[-1], dataset.language_adopt_provenance.values[-1]
    assert set(provenance[kind == 0]) == {4}
    assert set(provenance[kind == 1]) == {5}
    assert set(provenance[kind > 1]) == {1}
    rule = simengine.run(Adoption, progress=False, steps=1, snapshot_every=1).action.values[-1]
    np.testing.assert_array_equal(dataset.action.values[-1][kind < 2], rule[kind < 2])
    said = json.loads(dataset.attrs["language"].removeprefix("json:"))["agents.adopt"][0]
    assert said["fallback_share"] == 0.5
    assert said["decisions"]["refused"] == said["decisions"]["fallbacks"] == 10


def test_an_option_may_stand_in_for_missing_answers() -> None:
    refusing = Function(lambda context, request: Failure("refusal", "no"))
    dataset = ran(Language(refusing, fallback="adopt", most_fallbacks=1.0), steps=1, snapshot_every=1)
    assert (dataset.action.values[-1] == 1).all()


def test_a_run_with_too_many_missing_answers_fails_and_says_why() -> None:
    refusing = Function(lambda context, request: Failure("refusal", "I would rather not."))
    with pytest.raises(
        RunError, match=r"40 of 40 decisions .* had no answer \(more than most_fallbacks=0.01\).*rather"
    ):
        ran(Language(refusing))
    with pytest.raises(
        RunError, match=r"agents.adopt at step 0: a language model gave no answer, and fallback is 'fail'"
    ):
        ran(Language(refusing, fallback="fail"))


def test_an_answer_that_cannot_be_read_is_asked_for_once_more() -> None:
    asked: list[str] = []

    def slow_learner(context: Any, request: Any) -> Any:
        asked.append(request.sample)
        return Reply("adopt" if request.sample.endswith("again") else "perhaps")

    dataset = ran(Language(Function(slow_learner), elicitation="single"), n_agents=4, steps=1, snapshot_every=1)
    assert len(asked) == 8
    assert dataset.language_adopt_repaired.values[-1] == 4
    assert (dataset.action.values[-1] == 1).all()


def test_a_decision_without_a_prompt_is_put_in_words_made_of_what_its_rule_reads() -> None:
    seen: list[Any] = []

    class Plain(Adoption):
        prompts = {}

    def noted(context: Any, request: Any) -> list[float]:
        seen.append((dict(context), request.messages))
        return [0.5, 0.5]

    simengine.run(Plain, policies={"agents.adopt": Language(Function(noted))}, steps=1, progress=False)
    contexts = [context for context, _ in seen]
    assert all(context.keys() == {"harvest"} for context in contexts)
    text = " ".join(message.text for message in seen[0][1])
    assert "harvest of the neighbour: 1" in text.lower()
    assert "Adopt when the neighbour's harvest was large." in text


def test_personas_are_dealt_out_the_same_at_every_step_and_kept_in_the_file(tmp_path: Path) -> None:
    seen: dict[str, set[float]] = {}

    def noted(context: Any, request: Any) -> list[float]:
        seen.setdefault(context["persona"], set()).add(context["harvest"])
        return [0.5, 0.5]

    people = Language(Function(noted), personas=["a cautious farmer", "a curious farmer"])
    ran(people, out=tmp_path / "a.nc", n_agents=200).close()
    assert seen.keys() == {"a cautious farmer", "a curious farmer"}
    dealt = simengine.decisions(tmp_path / "a.nc")
    said = {
        (int(agent), json.loads(context)["persona"])
        for agent, context in zip(dealt.agent.values, dealt.context.values, strict=True)
    }
    assert len(said) == 200
    assert simengine.rerun(tmp_path / "a.nc", progress=False)


def test_agents_remember_what_they_did_and_the_memory_survives_a_resume(tmp_path: Path) -> None:
    shown: list[str] = []

    def noted(context: Any, request: Any) -> list[float]:
        shown.append(context["memory"])
        return by_the_rule(context, request)

    options: dict[str, Any] = {"n_agents": 4, "checkpoint_every": 2}
    whole = ran(Language(Function(noted), memory=Memory(shown=2)), out=tmp_path / "a.nc", **options)
    assert shown[0] == "nothing yet"
    assert "With a harvest of 1.00 you chose: wait." in shown[-8] or any("you chose: wait." in one for one in shown)
    with pytest.raises(BudgetSpent):
        ran(
            Language(Function(noted), memory=Memory(shown=2), budget=Budget(calls=30)), out=tmp_path / "b.nc", **options
        )
    resumed = simengine.resume(tmp_path / "b.nc", progress=False, calls={"backend": Function(noted)})
    assert resumed.attrs["content_hash"] == whole.attrs["content_hash"]


def test_the_surrogate_is_labelled_as_no_language_model_wherever_it_shows(tmp_path: Path) -> None:
    dataset = ran(Language(Surrogate()), out=tmp_path / "a.nc")
    assert "surrogate, not an LLM" in dataset.attrs["policies"]
    assert "surrogate, not an LLM" in dataset.attrs["language"]
    assert simengine.rerun(tmp_path / "a.nc", progress=False)


def test_decisions_come_as_one_dataset_with_a_row_for_each(tmp_path: Path) -> None:
    ran(Language(UNDECIDED), out=tmp_path / "a.nc", snapshot_every=1).close()
    found = simengine.decisions(tmp_path / "a.nc")
    assert found.sizes == {"row": 240, "option": 2}
    assert found.step.values.tolist() == np.repeat(range(6), 40).tolist()
    np.testing.assert_array_equal(found.agent.values[:40], np.arange(40))
    with simengine.open(tmp_path / "a.nc") as dataset:
        np.testing.assert_array_equal(found.action.values.reshape(6, 40), dataset.action.values[1:])
    np.testing.assert_allclose(found.probability.sum("option"), 1.0)
    odd = found.agent.values % 4 % 2 == 1
    np.testing.assert_allclose(found.probability.values[odd], [[0.6, 0.4]] * odd.sum())
    assert json.loads(found.context.values[1]) == {"harvest": 2.0, "kind": 1}
    with pytest.raises(InputError, match="holds no decision 'adapt'"):
        simengine.decisions(tmp_path / "a.nc", "adapt")
    with pytest.raises(InputError, match="only runs with language models leave one"):
        simengine.decisions(tmp_path / "b.nc")


def test_a_simulation_taken_step_by_step_is_the_same_run_and_keeps_its_calls(tmp_path: Path) -> None:
    whole = ran(Language(UNDECIDED), out=tmp_path / "a.nc")
    simulation = simengine.Simulation(Adoption, policies={"agents.adopt": Language(UNDECIDED)}, progress=False)
    simulation.step(2)
    simulation.step(4)
    simulation.save(tmp_path / "b.nc")
    with simengine.open(tmp_path / "b.nc") as saved:
        assert saved.attrs["content_hash"] == whole.attrs["content_hash"]
    assert simengine.rerun(tmp_path / "b.nc", progress=False)


def test_one_object_used_for_two_runs_begins_anew(tmp_path: Path) -> None:
    language = Language(UNDECIDED)
    first, second = ran(language), ran(language)
    assert first.attrs["content_hash"] == second.attrs["content_hash"]


def test_a_branch_from_a_checkpoint_knows_what_was_asked_before_it(tmp_path: Path) -> None:
    ran(Language(UNDECIDED), out=tmp_path / "a.nc", checkpoint_every=4).close()
    with simengine.open(tmp_path / "a.nc") as whole:
        branched = simengine.branch(tmp_path / "a.nc", at=5, out=tmp_path / "b.nc", progress=False)
        assert branched.attrs["content_hash"] == whole.attrs["content_hash"]
    both = [simengine.decisions(tmp_path / name) for name in ("a.nc", "b.nc")]
    assert both[0].identical(both[1])


def test_two_models_of_a_run_in_memory_keep_one_record() -> None:
    models = [Language(UNDECIDED), Language(Function(lambda context, request: [1.0, 0.0], "other"))]
    ran([Policy(models[0], ids=range(20)), Policy(models[1], ids=range(20, 40))], steps=2)
    assert models[0].record is models[1].record
    assert simengine.decisions(models[1]).sizes["row"] == 80


def test_checkpoints_and_cuts_do_not_show_in_a_run_with_language_models() -> None:
    from simengine.testing import split_equals_whole

    split_equals_whole(Adoption, steps=6, policies={"agents.adopt": Language(UNDECIDED)})


def test_a_resumed_run_without_a_backend_says_how_to_give_one(tmp_path: Path) -> None:
    with pytest.raises(BudgetSpent):
        ran(Language(UNDECIDED, budget=Budget(calls=10)), out=tmp_path / "a.nc", checkpoint_every=1)
    with pytest.raises(InputError, match=r"not in the record.*calls=\{'backend': \.\.\.\} of resume"):
        simengine.resume(tmp_path / "a.nc", progress=False)


def test_what_is_redacted_is_in_no_file_of_the_run_and_in_no_memory(tmp_path: Path) -> None:
    def silent(text: str) -> str:
        return text.replace("farmers", "[people]")

    shown: list[str] = []

    def noted(context: Any, request: Any) -> Any:
        shown.append(context["memory"])
        return Failure("malformed", "40 farmers")

    options: dict[str, Any] = {"n_agents": 4, "steps": 3}
    prompt = replace(ADOPT, remember="One of {p.n_agents} farmers.")

    def model(backend: Any) -> Language:
        return Language(backend, redact=silent, memory=Memory(), prompt=prompt, most_fallbacks=1.0)

    ran(model(Function(noted)), out=tmp_path / "a.nc", **options).close()
    assert shown[-1].splitlines()[0] == "One of 4 [people]."
    assert b"farmers" not in (tmp_path / "a.nc.calls").read_bytes()
    with pytest.raises(InputError, match="does not keep the prompt"):
        simengine.rerun(tmp_path / "a.nc", progress=False)
    again = {"agents.adopt": model(simengine.Replay(tmp_path / "a.nc.calls"))}
    assert simengine.rerun(tmp_path / "a.nc", progress=False, policies=again)
    ran(Language(UNDECIDED, redact=silent), out=tmp_path / "b.nc", **options).close()
    with pytest.raises(InputError, match="does not keep the function that redacts its record"):
        simengine.rerun(tmp_path / "b.nc", progress=False)


def test_situations_that_read_alike_share_a_call_which_is_counted_once(tmp_path: Path) -> None:
    alike = replace(ADOPT, question="Do you adopt?")
    dataset = ran(Language(Surrogate(), prompt=alike), out=tmp_path / "a.nc", steps=1)
    assert dataset.language_adopt_contexts.values[-1] == 4
    again = {"agents.adopt": Language(simengine.Replay(tmp_path / "a.nc.calls"), prompt=alike)}
    assert simengine.rerun(tmp_path / "a.nc", progress=False, policies=again)


def test_a_run_by_rule_does_not_throw_away_the_calls_of_an_earlier_one_either(tmp_path: Path) -> None:
    ran(Language(UNDECIDED), out=tmp_path / "a.nc").close()
    (tmp_path / "a.nc").unlink()
    with pytest.raises(InputError, match=r"a.nc.calls holds the calls of an earlier run"):
        simengine.run(Adoption, out=tmp_path / "a.nc", progress=False)
    assert (tmp_path / "a.nc.calls").is_file()
