"""Streamed diagnostics are those of the stored agents, however the run is cut in time and over shards."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import streamed_scenarios as models
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st

import simengine
from simengine import InputError, ScenarioError
from simengine.diagnostics import streaming
from simengine.diagnostics.counts.divergences import jensen_shannon
from simengine.diagnostics.counts.entropies import entropy_from_counts
from simengine.diagnostics.counts.information import (
    conditional_entropy_from_table,
    conditional_mutual_information_from_table,
    mutual_information_from_table,
)
from simengine.diagnostics.dynamics.production import entropy_production
from simengine.diagnostics.estimate import Estimate
from simengine.diagnostics.streaming import field
from simengine.testing import any_shards, any_storage_order, split_equals_whole

STEPS = 12


@pytest.fixture(scope="module")
def told() -> xarray.Dataset:
    return simengine.run(models.Talking, steps=STEPS, seed=4, snapshot_every=1, progress=False)


def counts_of(values: Any, low: float, high: float, bins: int) -> Any:
    edges = np.linspace(low, high, bins + 1)
    clipped = np.clip(values, low, np.nextafter(high, low))
    return np.histogram(clipped, edges)[0]


def binned(values: Any, low: float, high: float, bins: int) -> Any:
    return np.clip(np.searchsorted(np.linspace(low, high, bins + 1), values, side="right") - 1, 0, bins - 1)


def assert_recorded(told: xarray.Dataset, name: str, wanted: list[Estimate | None]) -> None:
    """The variable with its error and null, record by record, to 1e-12."""
    for record, estimate in enumerate(wanted):
        if estimate is None:
            continue
        for part in ("value", "standard_error", "null_mean", "null_sd"):
            variable = name if part == "value" else f"{name}_{part}"
            if variable in told:
                found = float(told[variable][record])
                assert found == pytest.approx(float(getattr(estimate, part)), rel=1e-12, abs=1e-12, nan_ok=True), part
        found_flags = set(streaming.flags_of(told[f"{name}_flags"][record].item()))
        assert found_flags - {"outside_range"} == set(estimate.flags)


def table(size: tuple[int, ...], *symbols: Any) -> Any:
    found = np.zeros(size, np.int64)
    np.add.at(found, symbols, 1)
    return found


def test_an_entropy_is_that_of_the_stored_agents(told: xarray.Dataset) -> None:
    wanted = [entropy_from_counts(counts_of(values, -1, 1, 8)) for values in told.opinion.values]
    assert_recorded(told, "opinion_entropy", wanted)


def test_an_entropy_over_a_window_is_that_of_all_agents_of_its_records(told: xarray.Dataset) -> None:
    tables = [counts_of(values, -1, 1, 8) for values in told.opinion.values]
    wanted = [entropy_from_counts(np.sum(tables[max(0, k - 2) : k + 1], axis=0)) for k in range(len(tables))]
    assert_recorded(told, "recent_entropy", wanted)


def test_mutual_information_is_that_of_the_stored_agents(told: xarray.Dataset) -> None:
    wanted = [
        mutual_information_from_table(table((4, 3), binned(opinion, -1, 1, 4), camp))
        for opinion, camp in zip(told.opinion.values, told.camp.values, strict=True)
    ]
    assert_recorded(told, "opinion_camp_mutual_information", wanted)


def transitions(told: xarray.Dataset, first: int, last: int) -> Any:
    states = binned(told.opinion.values, -1, 1, 4)
    return table((4, 4), states[first : last - 1].ravel(), states[first + 1 : last].ravel())


def test_quantities_of_transitions_are_those_of_the_stored_agents(told: xarray.Dataset) -> None:
    records = range(2, len(told.time))
    seen = [transitions(told, 0, last + 1) for last in records]
    assert_recorded(told, "opinion_active_information_storage", [None, None, *map(mutual_information_from_table, seen)])
    free = [np.count_nonzero(one) - np.count_nonzero(one.any(axis=1)) for one in seen]
    rates = [
        replace(
            conditional_entropy_from_table(one.T), null_mean=math.log(one.shape[1]),
            null_sd=math.sqrt(0.5 * free[i]) / one.sum(),
        )
        for i, one in enumerate(seen)
    ]  # fmt: skip
    assert_recorded(told, "opinion_entropy_rate", [None, None, *rates])
    productions = [entropy_production(counts=transitions(told, max(0, last - 5), last + 1)) for last in records]
    assert_recorded(told, "opinion_entropy_production", [None, None, *productions])


def test_a_longer_history_is_that_of_the_stored_agents(told: xarray.Dataset) -> None:
    states = binned(told.opinion.values, -1, 1, 4)
    wanted: list[Estimate | None] = [None, None, None]
    for last in range(3, len(told.time)):
        past = states[1:last] + 4 * states[: last - 1]
        wanted.append(mutual_information_from_table(table((16, 4), past.ravel(), states[2 : last + 1].ravel())))
    assert_recorded(told, "long_storage", wanted)


def test_transfer_entropy_along_a_network_is_that_of_the_stored_agents(told: xarray.Dataset) -> None:
    states = binned(told.opinion.values, -1, 1, 4)
    n = states.shape[1]
    first, second = np.arange(n), (np.arange(n) + 1) % n
    source, target = np.concatenate([first, second]), np.concatenate([second, first])
    total = np.zeros((4, 4, 4), np.int64)
    wanted: list[Estimate | None] = [None]
    for now in range(1, len(told.time)):
        total += table((4, 4, 4), states[now][target], states[now - 1][source], states[now - 1][target])
        wanted.append(conditional_mutual_information_from_table(total))
    assert_recorded(told, "opinion_transfer_entropy", wanted)


def test_a_change_is_the_divergence_from_some_records_ago(told: xarray.Dataset) -> None:
    tables = [counts_of(values, -1, 1, 8) for values in told.opinion.values]
    wanted = [None, None, *(jensen_shannon(tables[k - 2], tables[k]) for k in range(2, len(tables)))]
    assert_recorded(told, "opinion_drift", wanted)
    assert np.isnan(told.opinion_drift[:2]).all()
    assert streaming.flags_of(told.opinion_drift_flags[0].item()) == ("short_series",)


def test_a_last_record_that_comes_early_has_no_past_and_no_change() -> None:
    told = simengine.run(models.Talking, steps=10, every=4, seed=4, progress=False)
    assert told.step.values.tolist() == [0, 4, 8, 10]
    assert np.isfinite(told.opinion_drift[2])
    assert np.isnan(told.opinion_drift[3])
    assert float(told.opinion_active_information_storage[3]) == float(told.opinion_active_information_storage[2])


def test_the_polarization_of_headings_is_the_length_of_their_mean(told: xarray.Dataset) -> None:
    mean = told.heading.mean("agent").values
    np.testing.assert_allclose(told.heading_polarization, np.linalg.norm(mean, axis=1), rtol=0, atol=1e-12)
    along = np.einsum("tad,td->ta", told.heading.values, mean / np.linalg.norm(mean, axis=1)[:, None])
    wanted = along.std(axis=1) / np.sqrt(told.sizes["agent"])
    np.testing.assert_allclose(told.heading_polarization_standard_error, wanted, rtol=0, atol=1e-9)


def test_values_beyond_the_range_are_counted_at_its_ends_and_flagged(told: xarray.Dataset) -> None:
    beyond = (np.abs(told.opinion) > 0.5).any("agent")
    assert beyond.all()
    flags = [streaming.flags_of(bits) for bits in told.narrow_flags.values.tolist()]
    assert all("outside_range" in one for one in flags)
    wanted = [float(entropy_from_counts(counts_of(values, -0.5, 0.5, 8)).value) for values in told.opinion.values]
    np.testing.assert_allclose(told.narrow, wanted, rtol=1e-12)


def test_the_file_says_what_was_counted_and_how(told: xarray.Dataset) -> None:
    said = told.opinion_active_information_storage.attrs
    assert said["units"] == "nat/step"
    assert said["window"] == "all"
    assert said["counts_of"] == "agents.opinion in 4 equal bins from -1 to 1"
    assert said["merge_class"].startswith("A: ")
    flags = told.opinion_active_information_storage_flags.attrs
    assert len(flags["flag_masks"]) == len(flags["flag_meanings"].split())


@pytest.mark.parametrize("model", [models.Talking, models.Begetting])
def test_any_shards_give_the_same_bits(model: type[simengine.Scenario]) -> None:
    any_shards(model, shards=(1, 2, 7), steps=7)


@pytest.mark.slow
def test_sixty_four_shards_give_the_same_bits() -> None:
    any_shards(models.Talking, shards=(64,), steps=4, n_agents=200)


@pytest.mark.parametrize("model", [models.Talking, models.Begetting])
def test_a_run_in_two_parts_gives_the_same_bits(model: type[simengine.Scenario]) -> None:
    split_equals_whole(model, steps=9)


def test_storage_order_does_not_show() -> None:
    any_storage_order(models.Talking, steps=4)


def test_agents_are_found_again_by_their_ids_while_others_are_born_and_die() -> None:
    told = simengine.run(models.Begetting, steps=8, seed=1, snapshot_every=1, progress=False)
    total = np.zeros((2, 2), np.int64)
    for now in range(1, len(told.time)):
        before, after = (
            dict(zip(told.agent_id[k].values.tolist(), told.mood[k].values.tolist(), strict=True))
            for k in (now - 1, now)
        )
        both = [one for one in after if one in before and one >= 0]
        for one in both:
            total[int(before[one]), int(after[one])] += 1
    assert (told.agents_alive[1:].values != told.agents_alive[:-1].values).any()
    wanted = mutual_information_from_table(total)
    assert float(told.mood_active_information_storage[-1]) == pytest.approx(float(wanted.value), abs=1e-12)


class Part:
    """Some agents of one population, as a shard's observables see them."""

    def __init__(self, fields: dict[str, Any], ids: Any) -> None:
        self.ids = self.unordered_ids = np.sort(ids)
        self.all_here = False
        self._fields = fields

    def __getattr__(self, name: str) -> Any:
        return self.unordered(name)

    def unordered(self, name: str) -> Any:
        return self._fields[name][self.ids]


def view_of(fields: dict[str, Any], ids: Any, step: int) -> Any:
    return SimpleNamespace(
        populations={"agents": Part(fields, ids)}, step=step, seed=5, shared={}, scenario=SimpleNamespace(values={}),
    )  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), parts=st.sampled_from([1, 2, 7, 64]))
def test_states_of_agents_seen_apart_are_those_of_all_together(seed: int, parts: int) -> None:
    rng = np.random.default_rng(seed)
    n = 300
    observables = [one for one in models.Talking.observe if one.partial]
    whole = [one.begin() for one in observables]
    merged = [one.begin() for one in observables]
    for step in range(4):
        angle = rng.uniform(0, 2 * np.pi, n)
        fields = {
            "opinion": rng.normal(0, 0.5, n), "camp": rng.integers(0, 3, n),
            "heading": np.stack([np.cos(angle), np.sin(angle)], axis=1),
        }  # fmt: skip
        shares = rng.integers(0, parts, n)
        for place, one in enumerate(observables):
            everyone = view_of(fields, np.arange(n), step)
            state = whole[place] if one.lasting else one.begin()
            whole[place] = one.update(state, everyone)
            state = merged[place] if one.lasting else one.begin()
            for part in range(parts):
                seen = one.update(one.begin(), view_of(fields, np.flatnonzero(shares == part), step))
                state = one.merge(state, seen)
            merged[place] = state
            found, wanted = one.finalise(merged[place], everyone), one.finalise(whole[place], everyone)
            assert str(found) == str(wanted), one.name


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: streaming.entropy("opinion"), "takes 'population.field'"),
        (lambda: field("agents.opinion", bins=4), "bins and range belong together"),
        (lambda: field("agents.opinion", bins=4, range=(0, 1), states=3), "not both"),
        (lambda: field("agents.opinion", bins=3, range=(1, 0)), "range is 1 to 0; it must rise"),
        (lambda: streaming.entropy(field("agents.camp", states=3), window=0), "window is 0"),
        (lambda: streaming.opinion_polarization(field("agents.opinion")), "needs bins="),
        (lambda: streaming.mutual_information(field("agents.a"), field("others.b")), "fields of one population"),
        (lambda: streaming.active_information_storage(field("agents.camp", states=3), history=0), "history is 0"),
        (lambda: streaming.entropy(field("agents.camp", states=3), name="a b"), "expected a word"),
    ],
)
def test_a_wrong_declaration_is_refused_in_one_line(wrong: Any, said: str) -> None:
    with pytest.raises(ScenarioError, match=said) as caught:
        wrong().prepare()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("observed", "said"),
    [
        (streaming.entropy("agents.opinion"), "say bins= and range="),
        (streaming.entropy("agents.opinio"), "no field 'opinio'; did you mean 'opinion'"),
        (streaming.entropy("agent.opinion"), "no population 'agent'; did you mean 'agents'"),
        (streaming.entropy(field("agents.heading", bins=3, range=(-1, 1))), "name one as 'agents.heading.0'"),
        (streaming.entropy(field("agents.opinion", bins="size", range=(0, 1))), "bins names no parameter 'size'"),
        (streaming.entropy("agents.camp", window=3), "a window needs states="),
        (streaming.transfer_entropy(field("agents.camp", states=3), "friend"), "did you mean 'friends'"),
    ],
)
def test_a_field_that_is_not_there_or_cannot_be_counted_ends_the_run_in_one_line(observed: Any, said: str) -> None:
    class Wrong(models.Talking):
        observe = [observed]

    with pytest.raises(simengine.SimengineError, match=said) as caught:
        simengine.run(Wrong, steps=1, progress=False)
    assert "\n" not in str(caught.value)


def test_an_estimate_of_two_shards_is_not_the_mean_of_theirs() -> None:
    counts = np.array([30, 12, 5, 2, 1, 1, 1])
    halves = [counts // 2, counts - counts // 2]
    mean = np.mean([float(entropy_from_counts(half).value) for half in halves])
    assert abs(mean - float(entropy_from_counts(counts).value)) > 1e-3


def test_too_few_agents_for_their_neighbours_give_no_value_and_do_not_stop_the_run() -> None:
    told = simengine.run(models.Talking, n_agents=3, steps=2, seed=4, progress=False)
    assert np.isnan(told.opinion_differential_entropy).all()
    assert streaming.flags_of(told.opinion_differential_entropy_flags[0].item()) == ("few_samples",)


def test_polarization_of_a_field_without_bins_is_refused() -> None:
    with pytest.raises(ScenarioError, match="needs bins"):
        streaming.opinion_polarization("agents.opinion")


def test_sums_of_headings_have_room_for_any_number_of_agents() -> None:
    from simengine.diagnostics.streaming.headings import HeadingSums, heading_polarization_from_sums, heading_sums

    one = heading_sums(np.ones(1 << 20), np.zeros(1 << 20), np.zeros(1 << 20))
    state = {"n": 1 << 20, "sums": one, "dimensions": 3}
    states = HeadingSums("agents.heading")
    for _ in range(5):
        state = states.merge(state, state)
    found = heading_polarization_from_sums(*states.close(state, None))
    assert (found.n, found.value, found.standard_error) == (1 << 25, 1.0, 0.0)


@pytest.mark.parametrize(("dimensions", "bins"), [(2, 16), (3, 48)])
def test_headings_have_the_dimensions_of_their_field(dimensions: int, bins: int) -> None:
    vectors = np.random.default_rng(1).standard_normal((100, dimensions))
    view = SimpleNamespace(populations={"agents": SimpleNamespace(heading=vectors)})
    state = streaming.heading_entropy("agents.heading").state
    assert state.close(state.update(state.begin(), view), view).counts.size == bins
    for wrong in (
        streaming.heading_entropy("agents.heading", dimensions=5 - dimensions),
        streaming.heading_entropy("agents.heading", bins=8 if dimensions == 3 else (4, 4)),
    ):
        with pytest.raises(ScenarioError, match=f"have {dimensions} components"):
            wrong.state.update(wrong.state.begin(), view)


def test_flags_of_a_failed_run_are_none_and_those_of_a_whole_variable_refused() -> None:
    assert streaming.flags_of(np.nan) == ()
    with pytest.raises(InputError, match="of one moment"):
        streaming.flags_of(xarray.DataArray([1, 2]))


def test_nearest_neighbours_take_fields_without_bins() -> None:
    with pytest.raises(ScenarioError, match="without bins="):
        streaming.differential_entropy(field("agents.opinion", bins=8, range=(-1, 1)))
    assert streaming.differential_entropy(field("agents.opinion")).name == "opinion_differential_entropy"
