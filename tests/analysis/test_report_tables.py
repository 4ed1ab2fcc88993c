from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from simengine.analysis.report import observed, page, sections
from simengine.analysis.report.declared import declared, description
from simengine.analysis.report.doubts import doubts
from simengine.analysis.report.recipe_text import commands, exact, run_words, sweep_words
from simengine.store.attributes import encode_attributes

SCHOOLING = {"scenario": "Schooling", "scenario_module": "simengine.scenarios.schooling", "scenario_source": None}


def series(values: Any, **attrs: Any) -> xr.Dataset:
    values = np.asarray(values, float)
    n = len(values)
    coords = {"time": np.arange(n, dtype=float), "step": ("time", np.arange(n))}
    return xr.Dataset({"level": ("time", values, {"units": "m"})}, coords, encode_attributes(attrs))


def a_grid(replicates: int = 3, records: int = 2, **attrs: Any) -> xr.Dataset:
    """A sweep whose last value is 10 * a + b + 0.1 * replicate."""
    a, b, r = np.meshgrid([1, 2], [0.5, 1.5, 2.5], np.arange(replicates), indexing="ij")
    last = 10.0 * a + b + 0.1 * r
    values = np.stack([*[np.zeros_like(last)] * (records - 1), last], axis=-1)
    shape = ("a", "b", "replicate")
    return xr.Dataset(
        {"level": ((*shape, "time"), values), "status": (shape, np.zeros(last.shape, np.int8)),
         "seed": (shape, np.arange(last.size, dtype=np.uint64).reshape(last.shape))},
        {"a": ("a", [1, 2], {"units": "km"}), "b": [0.5, 1.5, 2.5], "replicate": np.arange(replicates),
         "time": np.arange(records, dtype=float), "step": ("time", np.arange(records) * 10)},
        encode_attributes({"replicates": replicates, "steps": 10 * (records - 1), "sweep_seed": 4} | attrs),
    )  # fmt: skip


def as_list(data: xr.Dataset) -> xr.Dataset:
    """The same runs as a list of points."""
    flat = data.stack(run=("a", "b", "replicate")).transpose("run", ...)
    point = flat["a"].values * 100 + flat["b"].values * 10
    columns = {name: ("run", flat[name].values) for name in ("a", "b", "replicate")}
    bare = flat.drop_vars(["run", "a", "b", "replicate"]).assign_coords(columns)
    return bare.assign_coords(point=("run", np.unique(point, return_inverse=True)[1]))


# -- observables -------------------------------------------------------------------------------------------------------


def test_a_series_that_settles_has_a_mean_with_an_interval() -> None:
    noise = np.random.default_rng(3).normal(5.0, 1.0, 400)
    tables = observed.tables(series(np.concatenate([np.linspace(50.0, 5.0, 50), noise])))
    last, mean, since = tables.rows[0].cells
    assert tables.headings == ("observable", "last", "mean where stationary", "stationary from")
    low, high = (float(end) for end in mean.below.split(" … "))
    assert 4.5 < low < float(mean.text) < high < 5.5
    assert 30.0 < float(since.text) < 100.0
    assert float(last.text) == pytest.approx(noise[-1], rel=1e-3)
    assert tables.rows[0].unit == "m"
    assert tables.unsteady == {}


def test_a_series_that_drifts_has_no_mean_and_is_named() -> None:
    tables = observed.tables(series(np.linspace(0.0, 1.0, 200)))
    assert list(tables.unsteady) == ["level"]
    assert any(mark == ("mind", tables.unsteady["level"]) for cell in tables.rows[0].cells for mark in cell.marks)


def test_a_short_series_is_not_judged() -> None:
    tables = observed.tables(series([1.0, 2.0, 3.0]))
    assert tables.unsteady == {}
    assert tables.headings == ("observable", "last")


def test_a_series_without_any_value_is_a_dash() -> None:
    assert observed.tables(series([np.nan] * 30)).rows[0].cells == ()


def test_diagnostics_are_read_against_their_nulls() -> None:
    data = series([1.0] * 30).assign(
        level_null_mean=("time", np.full(30, 2.0)), level_null_sd=("time", np.full(30, 0.25)),
        level_standard_error=("time", np.full(30, 0.1)),
        level_flags=("time", np.full(30, 2), {"flag_masks": np.array([1, 2]), "flag_meanings": "constant few_samples"}),
    )  # fmt: skip
    (reading,) = observed.tables(data).readings
    assert reading.flags == ("few samples",)
    assert (reading.value, reading.error, reading.null, reading.spread) == ("1", "0.1", "2", "0.25")
    assert reading.z == "\u22124"
    assert reading.reading == "below what chance gives"


def turned(data: xr.Dataset) -> xr.Dataset:
    return data.transpose("time", "b", "replicate", "a")


@pytest.mark.parametrize("arrange", [xr.Dataset.copy, as_list, turned])
def test_points_have_the_means_of_their_replicates_however_runs_are_laid_out(arrange: Any) -> None:
    tables = observed.tables(arrange(a_grid()))
    assert tables.points is not None
    names = [name.partition(" ")[0] for name in tables.points.swept]
    found = {tuple(row.values[names.index(name)] for name in "ab"): row.cells[0] for row in tables.points.rows}
    assert {key: float(mean) for key, (mean, _) in found.items()} == pytest.approx(
        {(str(a), str(b)): 10 * a + b + 0.1 for a in (1, 2) for b in (0.5, 1.5, 2.5)}
    )
    # Student's t of three values 0.1 apart: 4.303 * 0.1 / sqrt(3).
    assert {error for _, error in found.values()} == {"0.25"}
    lowest, highest, overall, typical = tables.rows[0].cells
    assert (lowest.text, {*lowest.below.split(", ")}) == ("10.6", {"a 1", "b 0.5"})
    assert (highest.text, {*highest.below.split(", ")}) == ("22.6", {"a 2", "b 2.5"})
    assert (overall.text, typical.text) == ("16.6", "0.25")


def test_runs_that_stopped_early_count_with_their_last_record() -> None:
    data = a_grid(records=3)
    data["level"][0, 0, 0, :] = [7.0, 8.0, np.nan]
    assert observed.last_values(data, "level")[0] == 8.0


def test_failed_runs_are_left_out_and_counted() -> None:
    data = a_grid()
    data["level"][0, 0, 0, :] = np.nan
    data["status"][0, 0, 0] = 1
    points = observed.tables(data).points
    assert points is not None
    assert points.rows[0].runs == "2 of 3"
    assert float(points.rows[0].cells[0][0]) == pytest.approx(10.65)


def test_one_point_shows_its_replicates() -> None:
    tables = observed.tables(a_grid(replicates=4).isel(a=[0], b=[0]))
    assert tables.points is None
    assert tables.headings == ("observable", "mean", "lowest run", "highest run")
    mean, lowest, highest = tables.rows[0].cells
    assert (mean.text, lowest.text, highest.text) == ("10.65", "10.5", "10.8")


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.integers(1, 50))
def test_reading_a_sweep_in_blocks_changes_nothing(a: int, b: int, replicates: int, most: int) -> None:
    values = np.random.default_rng(a + b).normal(size=(a, b, replicates, 5))
    values[0, 0, 0, 2:] = np.nan
    shape = ("a", "b", "replicate")
    data = xr.Dataset(
        {"level": ((*shape, "time"), values), "status": (shape, np.zeros((a, b, replicates), np.int8)),
         "seed": (shape, np.zeros((a, b, replicates), np.uint64))},
        {"a": np.arange(a), "b": np.arange(b)},
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(observed, "MOST_VALUES", most)
        found = observed.last_values(data, "level")
    assert np.array_equal(found, observed.last_values(data, "level"))
    assert found[0] == values[0, 0, 0, 1]


# -- doubts ------------------------------------------------------------------------------------------------------------


def said(data: xr.Dataset, **other: Any) -> str:
    return "\n".join(f"{one.weight}: {one.what} {one.advice} {one.details}" for one in doubts(data, "x.nc", **other))


def test_an_unfinished_run_is_to_be_resumed() -> None:
    found = said(series(np.ones(30), unfinished=1, steps=100, lost_segments=[3]))
    assert "wrong: The run is not finished: its last record is of step 29 of 100. simengine resume x.nc" in found
    assert "1 segment of the records" in found


def test_failed_and_missing_runs_are_told_with_their_reasons() -> None:
    data = a_grid()
    data["status"][0, 0, 0], data["status"][0, 0, 1] = 1, 2
    why = {"parameters": {"a": 1}, "replicate": 0, "kind": "ValueError", "message": "no <b> in /home/me/x.csv"}
    found = said(data, failures=[why])
    assert "1 of 18 runs failed" in found
    assert "a = 1, replicate 0: ValueError: no <b> in x.csv" in found
    assert "1 of 18 runs are missing" in found


def test_few_replicates_and_series_that_do_not_settle_are_told() -> None:
    assert "There are 3 replicates of each point: intervals are wide" in said(a_grid())
    assert "replicate" not in said(a_grid(replicates=8))
    found = said(series(np.ones(50)), unsteady={"level": "drifts"})
    assert "1 observable did not settle" in found
    assert "level: drifts" in found


def restless_sweep(replicates: int = 6, walks: int = 4) -> xr.Dataset:
    """Series of 60 records that are constant, but for some random walks at the point a = 2, b = 2.5."""
    data = a_grid(replicates=replicates, records=60)
    data["level"][:] = 1.0
    rng = np.random.default_rng(5)
    data["level"][1, 2, :walks] = np.cumsum(rng.normal(size=(walks, 60)), axis=1)
    return data


@pytest.mark.parametrize("arrange", [xr.Dataset.copy, as_list, turned])
def test_runs_of_one_point_that_do_not_settle_are_told_however_few_they_are_among_all(arrange: Any) -> None:
    data = arrange(restless_sweep())
    unsteady = observed.tables(data).unsteady
    assert unsteady["level"].startswith("at 1 of 6 points, worst at ")
    assert "4 of 6 runs" in unsteady["level"]
    assert {"a 2", "b 2.5"} == {
        *unsteady["level"].removeprefix("at 1 of 6 points, worst at ").split(":")[0].split(", ")
    }
    found = said(data, unsteady=unsteady)
    assert "mind: 1 observable (level) did not settle in most runs of a point" in found
    assert "more --steps" in found


def test_half_of_the_runs_of_a_point_may_be_refused() -> None:
    assert observed.tables(restless_sweep(walks=3)).unsteady == {}


def test_runs_that_ended_by_themselves_are_not_asked_whether_they_settle() -> None:
    data = restless_sweep()
    stopped = np.full(data["status"].shape, 590)
    stopped[1, 2, :4] = 300
    assert observed.tables(data.assign(stopped_at=(data["status"].dims, stopped))).unsteady == {}


def test_runs_alone_at_their_points_are_judged_together() -> None:
    data = restless_sweep().isel(replicate=[0])
    data["level"][:] = np.linspace(0.0, 1.0, 60)
    assert observed.tables(data).unsteady["level"].startswith("6 of 6 runs did not, one run at each point (")


def test_of_a_large_sweep_some_runs_of_each_point_are_looked_at_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = restless_sweep(replicates=20, walks=20)
    monkeypatch.setattr(observed, "MOST_SERIES", 40)
    assert "6 of 6 runs" in observed.tables(data).unsteady["level"]
    assert "looked at were 6 runs of each point" in observed.tables(data).unsteady["level"]


def test_formulas_of_a_description_are_kept_with_the_sentence_that_leads_to_them() -> None:
    found = description("First.\n\nIt is geometric:\n\n    P(w) = q**w\n    q = 1\n\nMore.\n\nLast.", "")
    assert found == ("It is geometric:", "    P(w) = q**w\n    q = 1", "More.")
    assert page._block(found[1]) == ("pre", ("P(w) = q**w\nq = 1",))
    assert page._block("As follows::") == ("p", ("As follows:",))


def test_a_description_does_not_end_with_a_colon() -> None:
    assert description("First.\n\nIt has:\n\n.. note:: x", "") == ("It has.",)


def test_flags_are_explained_and_counted() -> None:
    data = series(np.ones(40))
    flags = {"flag_masks": np.array([1, 2]), "flag_meanings": "few_samples unseen_states"}
    data["level_flags"] = ("time", np.repeat([2, 0], 20), flags)
    found = said(data)
    assert "Unseen states: many of the states were seen once or never" in found
    assert "level: 50 % of the records" in found
    assert "Few samples" not in found


def test_fallbacks_and_surrogates_of_language_models_are_told() -> None:
    made = {"asked": 200, "fallbacks": 3, "refused": 1}
    answer = {"backend": "surrogate, not an LLM", "model": "m", "decisions": made}
    data = series(np.ones(40), language={"agents.tell": [answer]})
    data["language_tell_mean_coverage"] = ("time", np.full(40, 0.2))
    found = said(data)
    assert "4 of 200 decisions agents.tell (2 %) had no answer" in found
    assert "the surrogate answered" in found
    assert "a probability of 0.2 at the least" in found


def test_language_models_of_a_run_that_is_not_finished_are_doubted_too() -> None:
    answer = {"kind": "language", "backend": "surrogate, not an LLM", "model": "m"}
    policies = {"agents.tell": [{"answer": answer, "share": None, "ids": None}]}
    data = series(np.ones(40), unfinished=1, policies=policies)
    for name, most in (("asked", 200), ("fallbacks", 3), ("refused", 1)):
        data[f"language_tell_{name}"] = ("time", np.linspace(0, most, 40).astype(int))
    found = said(data)
    assert "4 of 200 decisions agents.tell (2 %) had no answer" in found
    assert "the surrogate answered" in found


def test_commands_in_doubts_can_be_copied_whatever_the_file_is_called() -> None:
    data = series(np.ones(30), unfinished=1)
    assert "simengine resume './-my $(run).nc' goes on" in "".join(one.advice for one in doubts(data, "-my $(run).nc"))


def test_changed_versions_and_lost_processes_are_told() -> None:
    attrs = {"version_numpy": "1.0", "changed_since_begun": {"version_numba": ["0.1", "0.2"]},
             "faults": [{"what": "shard 1 died", "step": 5}]}  # fmt: skip
    found = said(series(np.ones(40), **attrs))
    assert "numpy (1.0 then" in found
    assert "wrong: It was gone on with although something had changed: numba (0.1 then, 0.2 now)" in found
    assert "shard 1 died, at step 5" in found


def test_a_sound_sweep_leaves_no_doubt() -> None:
    assert doubts(a_grid(replicates=8), "x") == []


def test_the_gravest_doubts_come_first() -> None:
    weights = [one.weight for one in doubts(series(np.ones(5), unfinished=1), "x", unsteady={"level": "drifts"})]
    assert weights == sorted(weights, key=["wrong", "mind", "note"].index)
    assert {*weights} == {"wrong", "mind", "note"}


# -- what a scenario says of itself ------------------------------------------------------------------------------------


def test_an_installed_scenario_is_described_with_the_defaults_of_its_regime() -> None:
    found = declared({**SCHOOLING, "parameter_rules": "couzin", "parameter_regime": "highly_parallel"})
    assert found.command == "schooling"
    assert found.is_installed
    assert found.parameters["radius_orientation"].default == 13.0
    assert declared(SCHOOLING).parameters["radius_orientation"].default == 3.5


def test_a_description_begins_with_prose_and_takes_the_lists_that_belong_to_it() -> None:
    text = "Summary.\n\nA step:\n\n1. one\n2. two\n\n==  ==\na   b\n==  ==\n\nMore.\n"
    assert description(text, "") == ("A step:", "1. one\n2. two")
    assert description("Summary.", "Module.\n\nProse.\n\n- no\n") == ("Prose.",)


# -- commands ----------------------------------------------------------------------------------------------------------


def test_a_run_is_written_out_with_what_was_given_and_quoted() -> None:
    attributes = {
        **SCHOOLING, "parameter_noise": 0.3, "parameter_box": None, "parameter_regime": "torus", "seed": 3, "steps": 50,
        "every": 5, "snapshot_every": None, "parameters_given": ["box"],
        "interventions": [{"at": 20, "changes": {"noise": 0.1, "speed": 2.0}}, {"every": 5, "changes": {"noise": 0.2}}],
        "policies": {"agents.steer": [{"answer": {"name": "own"}, "share": 1.0, "ids": None}]},
    }  # fmt: skip
    words, notes = run_words(attributes, declared(attributes))
    assert words == [
        "simengine run schooling", "--set noise=0.3", "--set box=none", "--seed 3", "--steps 50", "--every 5",
        "--at 20:noise=0.1,speed=2",
    ]  # fmt: skip
    assert [note.partition(" needs Python")[0] for note in notes] == [
        "The intervention every 5 steps (noise=0.2)", "Who answers agents.steer",
    ]  # fmt: skip


def test_words_of_users_cannot_break_out_of_a_command() -> None:
    attributes = {"scenario": "X", "parameter_word": "a; rm -rf ~ 'b'", "parameters_given": ["word"]}
    words, _ = run_words(attributes, declared(attributes))
    assert words[1] == """--set 'word=a; rm -rf ~ '"'"'b'"'"''"""


def test_numbers_and_texts_are_written_out_whole() -> None:
    text = "long " * 120
    attributes = {
        "scenario": "X", "parameter_sum": 0.1 + 0.2, "parameter_many": 100000.0, "parameter_word": text,
        "parameters_given": ["sum", "many", "word"],
        "interventions": [{"at": 5, "changes": {"sum": 1 / 3}}, {"at": 6, "changes": {"word": "a,b"}}],
    }  # fmt: skip
    words, notes = run_words(attributes, declared(attributes))
    assert words[1:] == [
        "--set sum=0.30000000000000004", "--set many=100000", f"--set 'word={text}'", "--at 5:sum=0.3333333333333333",
    ]  # fmt: skip
    assert any("after step 6 (word=a,b) needs Python" in note for note in notes)


@given(st.floats(allow_nan=False))
def test_a_number_written_out_is_the_same_when_it_is_read(number: float) -> None:
    assert float(exact(number)) == number


def test_a_grid_of_inexact_numbers_is_written_out_to_the_last_bit() -> None:
    data = a_grid().assign_coords(b=[0.1 + 0.2, 1.5, 2.5])
    words, _ = sweep_words(data, {"replicates": 3, "start": "before.nc"}, declared(SCHOOLING))
    assert "--grid b=0.30000000000000004,1.5,2.5" in words
    made = commands(data.assign_attrs(start="before.nc"), Path("noise"), declared(SCHOOLING))
    assert [one.what for one in made if "simengine sweep" in one.text] == ["The same written out, but for its start."]


@pytest.mark.parametrize("text", ["", "a b", "a,b", "1:2", "a\tb"])
def test_a_grid_whose_texts_the_command_line_would_take_apart_is_left_to_python(text: str) -> None:
    words, _ = sweep_words(a_grid().assign_coords(a=["plain", text]), {}, declared(SCHOOLING))
    assert words == []


def answering(label: str = "agents.act", share: float | None = None, **said: Any) -> dict[str, Any]:
    answer = {"kind": "language", "backend": "surrogate, not an LLM", "model": "surrogate/ngram", "samples": 8} | said
    return {label: [{"answer": answer, "share": share, "ids": None}]}


def test_language_models_are_written_out_as_far_as_options_name_them() -> None:
    def written(policies: dict[str, Any]) -> tuple[list[str], list[str]]:
        words, notes = run_words({"policies": policies}, declared({}))
        return words[1:], notes[1:]

    surrogate = ["--policy agents.act=language", "--backend surrogate"]
    assert written(answering()) == (surrogate, [])
    assert written(answering(share=1))[0] == [*surrogate, "--share 1"]
    assert written(answering(most_fallbacks=0.5))[0] == [*surrogate, "--most-fallbacks 0.5"]
    both = answering() | answering("agents.tell")
    assert written(both)[0] == ["--policy agents.act=language", "--policy agents.tell=language", "--backend surrogate"]
    local = answering(backend="small, transformers in this process", model="/models/small")
    assert written(local)[0][1:] == ["--backend transformers", "--model /models/small"]
    others = (
        {"temperature": 0.0}, {"samples": 3}, {"salt": "x"}, {"own_prompt": True}, {"model": "surrogate/ngram-12"},
        {"backend": "the function f", "model": "function/f"},
    )  # fmt: skip
    for other in others:
        words, notes = written(answering(**other))
        assert words == []
        assert notes == ["Who answers agents.act needs Python: simengine.run(..., policies={'agents.act': ...})."]
    assert "agents.tell needs Python" in written(answering() | answering("agents.tell", share=0.5))[1][0]


def test_a_command_that_leaves_something_out_says_so() -> None:
    def what(**other: Any) -> str:
        found = commands(series([1.0], **other), Path("-x.nc"), declared({}))
        return next(one.what for one in found if one.text.startswith("simengine run "))

    assert what() == "The same written out, to change something."
    assert what(start="before.nc") == "The same written out, but for what is named below, to change something."
    texts = [one.text for one in commands(series([1.0], content_hash="1"), Path("-x.nc"), declared({}))]
    assert texts[0] == "simengine rerun ./-x.nc"
    assert "--out ./-x-again.nc" in texts[1]


def test_a_grid_is_written_out_and_one_of_its_runs() -> None:
    data = a_grid(records=3)
    about = declared(SCHOOLING)
    words, _ = sweep_words(data, {"replicates": 3, "sweep_seed": 4, "steps": 20}, about)
    assert words == [
        "simengine sweep schooling", "--grid a=1,2", "--grid b=0.5,1.5,2.5", "--replicates 3", "--steps 20",
        "--every 10", "--seed 4",
    ]  # fmt: skip
    texts = [command.text for command in commands(data, Path("noise"), about)]
    assert any("--set a=1" in text and "--set b=0.5" in text and "--seed 0" in text for text in texts)


def test_a_list_of_points_is_left_to_python() -> None:
    words, notes = sweep_words(as_list(a_grid()), {"design": {"kind": "sobol"}}, declared(SCHOOLING))
    assert words == []
    assert "sobol" in notes[0]


def test_an_unfinished_run_is_resumed_and_not_repeated() -> None:
    texts = [one.text for one in commands(series([1.0], unfinished=1), Path("my run.nc"), declared({}))]
    assert texts[0] == "simengine resume 'my run.nc'"
    assert not any("rerun" in text for text in texts)


# -- attributes --------------------------------------------------------------------------------------------------------


def test_verdicts_say_what_was_run_and_how_it_ended() -> None:
    run = series(np.ones(11), stopped_at=10, stop_reason="everybody agrees", seed=5, parameter_n_agents=20)
    attributes = {"stopped_at": 10, "stop_reason": "everybody agrees", "seed": 5, "parameter_n_agents": 20}
    assert sections.verdict(run, attributes) == (
        "One run of 10 steps with 20 agents and seed 5; it stopped there: everybody agrees. 1 observable was recorded "
        "11 times."
    )
    assert sections.verdict(a_grid(), {"replicates": 3, "steps": 10}) == (
        "A sweep over a and b: 6 points, 3 replicates each. Of 18 runs of at most 10 steps, all are done."
    )


def test_parameters_are_marked_where_they_differ_from_their_defaults() -> None:
    attributes = {**SCHOOLING, "parameter_noise": 0.3, "parameter_speed": 3.0, "parameter_regime": "torus",
                  "parameters_given": ["speed", "noise"], "parameter_units": {"noise": "rad"}}  # fmt: skip
    rows = {row.name: row for row in sections.parameters(series([1.0], **attributes), attributes, declared(attributes))}
    assert (rows["noise"].value, rows["noise"].unit, rows["noise"].mark, rows["noise"].differs) == (
        "0.3", "rad", "changed", True,
    )  # fmt: skip
    assert (rows["speed"].mark, rows["speed"].differs) == ("given", False)
    assert rows["noise"].meaning


def test_what_language_models_did_is_told_by_the_file_or_by_its_series() -> None:
    made = {"asked": 100, "answered": 90, "fallbacks": 10, "input_tokens": 5000, "output_tokens": 70}
    attributes = {
        "language": {"agents.tell": [{"model": "m", "backend": "b", "decisions": made}]},
        "language_calls": {"agents.tell": [{"money": 0.25, "currency": "USD", "prices_of": "2026-11-01",
                                            "spent": {"agents.tell": {"calls": 40, "attempts": 43, "estimated": 2}}}]},
    }  # fmt: skip
    (model,) = sections.language(series([1.0]), attributes)
    rows = dict(model.rows)
    assert rows["Tokens"] == "5,000 sent, 70 received"
    assert rows["Without an answer (fallback)"] == "10 (10 %)"
    assert rows["Calls"] == "40, 3 retries, of 2 the tokens are estimated"
    assert rows["Cost of this model"] == "0.25 USD, by prices of 2026-11-01"
    unfinished = series([1.0, 2.0]).assign({f"language_tell_{name}": ("time", [0, n]) for name, n in made.items()})
    (model,) = sections.language(unfinished, {})
    assert dict(model.rows)["Tokens"] == "5,000 sent, 70 received"
