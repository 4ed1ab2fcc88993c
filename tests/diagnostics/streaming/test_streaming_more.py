"""Streamed patterns, actions, places, networks, moments and changes are those of the stored agents."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import streamed_scenarios_more as models
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st
from test_streaming import assert_recorded, binned, counts_of, table, view_of

import simengine
from simengine import ScenarioError
from simengine.diagnostics import information, streaming
from simengine.diagnostics.dynamics import change
from simengine.diagnostics.dynamics.early_warning import early_warning
from simengine.diagnostics.dynamics.ordinal import complexity_of_patterns, entropy_of_patterns, permutation_entropy
from simengine.diagnostics.dynamics.ordinal_kernels import patterns
from simengine.diagnostics.dynamics.pairs import transfer_entropies
from simengine.diagnostics.estimate import Estimate
from simengine.diagnostics.multivariate.channels import effective_channels
from simengine.diagnostics.populations import networks, polarization, policies
from simengine.diagnostics.populations.space import spatial_entropy
from simengine.diagnostics.streaming import field
from simengine.diagnostics.streaming.ordinal import pattern_numbers
from simengine.diagnostics.streaming.pairwise import mean_of_pairs, shuffled_mean
from simengine.testing import any_shards, any_storage_order, split_equals_whole

STEPS = 24


@pytest.fixture(scope="module")
def told() -> xarray.Dataset:
    return simengine.run(models.Wandering, steps=STEPS, seed=3, snapshot_every=1, progress=False)


@pytest.fixture(scope="module")
def mourned() -> xarray.Dataset:
    return simengine.run(models.Mourning, steps=10, seed=2, snapshot_every=1, progress=False)


def assert_values(told: xarray.Dataset, name: str, wanted: dict[int, Estimate], *parts: str) -> None:
    """Parts of an estimate, at some records, to 1e-12."""
    for record, estimate in wanted.items():
        for part in parts or ("value",):
            variable = name if part == "value" else f"{name}_{part}"
            expected = float(getattr(estimate, part))
            assert float(told[variable][record]) == pytest.approx(expected, rel=1e-12, abs=1e-12), (part, record)


def pattern_table(series: Any, order: int, lag: int, first: int) -> Any:
    """How often patterns end at records from ``first`` on, and after which ones of these records, if they overlap."""
    found = np.zeros((math.factorial(order) + 1, math.factorial(order)), np.int64)
    reach = (order - 1) * lag
    codes, _ = patterns(np.ascontiguousarray(series), order, lag)
    start = max(first - reach, 0)
    for t in range(start, codes.shape[1]):
        np.add.at(found[0], codes[:, t], 1)
        for back in range(1, min(reach, t - start) + 1):
            np.add.at(found[1:], (codes[:, t - back], codes[:, t]), 1)
    return found


def test_patterns_are_those_of_the_stored_agents(told: xarray.Dataset) -> None:
    series = told.opinion.values.T
    entropies: list[Estimate | None] = [None, None]
    recent: list[Estimate | None] = [None, None]
    complexities: list[Estimate | None] = [None, None]
    for k in range(2, STEPS + 1):
        numbers = pattern_numbers(pattern_table(series[:, : k + 1], 3, 1, 0), 2)
        entropies.append(entropy_of_patterns(*numbers[:3], 3, overlap=numbers[3]))
        complexities.append(complexity_of_patterns(*numbers[:3], 3, overlap=numbers[3]))
        numbers = pattern_numbers(pattern_table(series[:, : k + 1], 2, 2, k - 3), 2)
        recent.append(entropy_of_patterns(*numbers[:3], 2, overlap=numbers[3]))
    assert_recorded(told, "opinion_permutation_entropy", entropies)
    assert_recorded(told, "recent_permutation_entropy", recent)
    assert_recorded(told, "opinion_statistical_complexity", complexities)


def test_permutation_entropy_is_that_of_all_series_in_one(told: xarray.Dataset) -> None:
    series = told.opinion.values.T
    wanted = {k: permutation_entropy(series[:, : k + 1]) for k in range(3, STEPS + 1)}
    assert_values(told, "opinion_permutation_entropy", wanted)
    # The error is made of overlaps alone, where that of a series looks for memory beyond them.
    error = float(told.opinion_permutation_entropy_standard_error[-1])
    assert 0.5 < error / float(wanted[STEPS].standard_error) < 2.0


def test_patterns_need_values_at_all_of_their_records(told: xarray.Dataset) -> None:
    assert np.isnan(told.opinion_permutation_entropy[:2]).all()
    assert not np.isnan(told.opinion_permutation_entropy[2:]).any()
    assert streaming.flags_of(told.opinion_permutation_entropy_flags[1].item()) == ("short_series",)


def test_agents_of_patterns_are_found_again_while_others_are_born_and_die(mourned: xarray.Dataset) -> None:
    moments = [
        dict(zip(ids.tolist(), moods.tolist(), strict=True))
        for ids, moods in zip(mourned.agent_id.values, mourned.mood.values, strict=True)
    ]
    seen = np.zeros(6, np.int64)
    for now in range(2, len(moments)):
        for one in set(moments[now]) & set(moments[now - 1]) & set(moments[now - 2]):
            if one >= 0:
                codes, _ = patterns(np.array([[moments[now - back][one] for back in (2, 1, 0)]]), 3, 1)
                seen[codes[0, 0]] += 1
    shares = seen / seen.sum()
    wanted = -float(shares @ np.log(shares))

    class Plain(models.Mourning):
        observe = [streaming.permutation_entropy("agents.mood", estimator="plug-in")]

    found = simengine.run(Plain, steps=10, seed=2, progress=False)
    assert (mourned.agents_alive[1:].values != mourned.agents_alive[:-1].values).any()
    assert float(found.mood_permutation_entropy[-1]) == pytest.approx(wanted, abs=1e-12)


def test_novelty_transience_and_resonance_are_those_of_the_stored_agents(told: xarray.Dataset) -> None:
    tables = np.array([counts_of(values, -2, 2, 6) for values in told.opinion.values])
    novel: list[Estimate | None] = [None, None]
    novel += [change.novelty(tables[k - 2 : k + 1], window=2)[2] for k in range(2, len(tables))]
    assert_recorded(told, "opinion_novelty", novel)
    gone: list[Estimate | None] = [None, None]
    gone += [change.transience(tables[k - 2 : k + 1], window=2)[0] for k in range(2, len(tables))]
    assert_recorded(told, "opinion_transience", gone)
    stayed: list[Estimate | None] = [None] * 4
    stayed += [change.resonance(tables[k - 4 : k + 1], window=2)[2] for k in range(4, len(tables))]
    assert_recorded(told, "opinion_resonance", stayed)


def test_what_needs_later_records_is_late_and_says_so(told: xarray.Dataset) -> None:
    assert np.isnan(told.opinion_resonance[:4]).all()
    assert not np.isnan(told.opinion_resonance[4:]).any()
    assert streaming.flags_of(told.opinion_resonance_flags[3].item()) == ("short_series",)
    assert told.opinion_transience.attrs["delay"] == 2
    assert told.opinion_transience.attrs["long_name"].endswith("2 records ago")
    assert told.opinion_novelty.attrs["delay"] == 0


def test_a_spatial_entropy_is_that_of_the_stored_places(told: xarray.Dataset) -> None:
    wanted = {k: spatial_entropy(places, 0.0, 10.0, cells=4) for k, places in enumerate(told.position.values)}
    assert_values(told, "position_spatial_entropy", wanted, "value", "standard_error", "null_mean", "null_sd")
    beyond = ((told.position < 0) | (told.position > 10)).any(["agent", told.position.dims[-1]])
    flags = [streaming.flags_of(bits) for bits in told.position_spatial_entropy_flags.values.tolist()]
    assert ["outside_range" in one for one in flags] == beyond.values.tolist()


def test_network_entropies_are_those_of_the_edges(told: xarray.Dataset) -> None:
    edges = models.Wandering(n_agents=60).ring(None)
    assert_recorded(told, "friends_degree_entropy", [networks.degree_entropy(edges, nodes=60)] * 3)
    assert_recorded(told, "friends_random_walk_entropy_rate", [networks.random_walk_entropy_rate(edges, nodes=60)])
    assert told.friends_random_walk_entropy_rate.attrs["units"] == "nat/step"
    wanted = [networks.assortative_information(edges, choice, nodes=60, states=3) for choice in told.choice.values]
    assert_recorded(told, "choice_assortative_information", wanted)


def test_policies_are_those_of_the_stored_choices(told: xarray.Dataset) -> None:
    choices = told.choice.values
    agents = np.arange(choices.shape[1])

    def actions(first: int, last: int) -> Any:
        part = choices[first : last + 1]
        return table((len(agents), 3), np.broadcast_to(agents, part.shape).ravel(), part.ravel())

    records = range(len(choices))
    assert_recorded(told, "choice_action_entropy", [policies.action_entropy(actions(0, k)) for k in records])
    recent = [actions(max(0, k - 5), k) for k in records]
    assert_recorded(told, "choice_policy_entropy", [policies.policy_entropy(one) for one in recent])
    assert_recorded(told, "choice_policy_diversity", [policies.policy_diversity(one) for one in recent])


def test_policies_are_those_of_the_agents_that_are_there(mourned: xarray.Dataset) -> None:
    ids, habits = mourned.agent_id.values, mourned.habit.values
    there = sorted(one for one in ids[-1].tolist() if one >= 0)

    def actions(first: int) -> Any:
        found = np.zeros((len(there), 2), np.int64)
        for row, one in enumerate(there):
            for record in range(first, len(ids)):
                for place in np.flatnonzero(ids[record] == one):
                    found[row, int(habits[record, place])] += 1
        return found

    assert_values(mourned, "habit_policy_diversity", {-1: policies.policy_diversity(actions(0))}, "value", "null_sd")
    wanted = {-1: policies.action_entropy(actions(len(ids) - 3))}
    assert_values(mourned, "habit_action_entropy", wanted, "value", "standard_error", "null_mean")


def test_gaussian_mutual_information_is_that_of_the_stored_agents(told: xarray.Dataset) -> None:
    wanted = {
        record: information.mutual_information(
            told.opinion.values[record], told.embedding.values[record][:, :2], estimator="gaussian"
        )
        for record in range(len(told.time))
    }
    assert_values(told, "opinion_embedding_0_embedding_1_gaussian_mutual_information", wanted, "value", "null_sd")
    found = told["opinion_embedding_0_embedding_1_gaussian_mutual_information_standard_error"].values
    errors = np.array([float(one.standard_error) for one in wanted.values()])
    np.testing.assert_allclose(found, errors, rtol=0.4)


def test_covariances_keep_their_digits_far_from_nought() -> None:
    rng = np.random.default_rng(0)
    near = rng.normal(size=(200, 2)) @ np.array([[1.0, 0.6], [0.0, 0.8]])
    observed = streaming.gaussian_mutual_information("agents.x", "agents.y")
    found = []
    for level in (0.0, 2.0**30):
        # On a grid of 2**-20, so that adding the level loses nothing.
        grid = np.round(near * 2.0**20) / 2.0**20 + level
        view = view_of({"x": grid[:, 0], "y": grid[:, 1]}, np.arange(200), 0)
        found.append(str(observed.finalise(observed.update(observed.begin(), view), view)))
    assert found[0] == found[1]


def test_variance_and_bimodality_are_those_of_the_stored_agents(told: xarray.Dataset) -> None:
    opinions = told.opinion.values
    wanted = {
        k: polarization.opinion_polarization(opinions[k], "variance", range=(-2, 2)) for k in range(len(opinions))
    }
    assert_values(told, "opinion_variance", wanted, "value", "standard_error", "null_mean", "null_sd")
    shapes = {k: polarization.bimodality(opinions[k]) for k in range(len(opinions))}
    for k, estimate in shapes.items():
        # Derivatives are taken numerically.
        assert float(told.opinion_bimodality[k]) == pytest.approx(float(estimate.value), abs=1e-7)


def test_an_early_warning_is_that_of_the_mean_of_the_stored_agents(told: xarray.Dataset) -> None:
    means = np.array([math.fsum(values) / values.size for values in told.opinion.values])
    plain, straight = {}, {}
    for k in range(20, len(means)):
        part = means[k - 20 : k + 1]
        plain[k] = early_warning(part, window=20, stride=1, surrogates=0).autocorrelation[-1]
        straight[k] = early_warning(part, window=20, stride=1, surrogates=0, detrend="linear").variance[-1]
    assert_values(told, "opinion_autocorrelation_of_mean", plain, "value", "standard_error")
    assert_values(told, "opinion_variance_of_mean", straight, "value", "standard_error")
    assert np.isnan(told.opinion_autocorrelation_of_mean[:20]).all()
    assert streaming.flags_of(told.opinion_autocorrelation_of_mean_flags[19].item()) == ("short_series",)


def test_effective_channels_are_those_of_the_stored_vectors(told: xarray.Dataset) -> None:
    vectors = told.embedding.values
    for centred, name in ((False, "embedding_effective_channels"), (True, "embedding_centred_effective_channels")):
        wanted = {
            k: effective_channels(vectors[k], estimator="plug-in", centred=centred, shuffles=0)
            for k in range(len(vectors))
        }
        assert_values(told, name, wanted)
        for k, estimate in wanted.items():
            assert streaming.flags_of(told[f"{name}_flags"][k].item()) == estimate.flags


def test_pairwise_transfer_entropy_is_the_mean_over_all_pairs(told: xarray.Dataset) -> None:
    symbols = binned(told.opinion.values, -1, 1, 2).T
    wanted = {}
    for k in (5, 11, STEPS):
        part = np.ascontiguousarray(symbols[:, max(0, k - 11) : k + 1])
        square = transfer_entropies(part)
        wanted[k] = mean_of_pairs(square, [shuffled_mean(part, seed) for seed in range(2)])
    assert_values(told, "opinion_pairwise_transfer_entropy", wanted, "value", "standard_error", "null_sd")


def test_the_error_of_a_mean_over_pairs_is_that_of_leaving_out_agents() -> None:
    rng = np.random.default_rng(1)
    symbols = rng.integers(0, 2, (8, 60))
    symbols[3:, 1:] = symbols[2, :-1]
    square = transfer_entropies(symbols)
    found = mean_of_pairs(square)
    values = np.asarray(square.value)
    assert float(found.value) == pytest.approx(float(np.nanmean(values)), rel=1e-12)
    left = [np.nanmean(np.delete(np.delete(values, one, 0), one, 1)) for one in range(8)]
    wanted = math.sqrt(7 * np.var(left) - float(found.null_sd) ** 2)
    assert float(found.standard_error) == pytest.approx(wanted, rel=1e-12)


def test_agents_that_do_not_heed_one_another_pass_for_that() -> None:
    # 5 sd on each side: one in a million such tests fails by chance.
    rng = np.random.default_rng(2)
    symbols = (rng.random((40, 40)) < 0.6).astype(np.int64)
    found = mean_of_pairs(transfer_entropies(symbols), [shuffled_mean(symbols, seed) for seed in range(2)])
    assert abs(float(found.z)) < 5.0
    assert found.interval[0] == 0.0 or float(found.z) > 1.0


@pytest.mark.parametrize("model", [models.Wandering, models.Mourning])
def test_any_shards_give_the_same_bits_of_these_too(model: type[simengine.Scenario]) -> None:
    any_shards(model, shards=(1, 2, 7), steps=5)


@pytest.mark.parametrize("model", [models.Wandering, models.Mourning])
def test_these_go_on_where_a_run_was_cut(model: type[simengine.Scenario]) -> None:
    split_equals_whole(model, steps=7)


def test_an_early_last_record_is_no_step_like_the_others() -> None:
    told = simengine.run(models.Wandering, steps=64, every=3, seed=1, progress=False)
    assert told.time.values[-3:].tolist() == [60.0, 63.0, 64.0]
    # No pattern ends in it, and no series goes on to it.
    assert float(told.opinion_permutation_entropy[-1]) == float(told.opinion_permutation_entropy[-2])
    assert np.isfinite(told.opinion_autocorrelation_of_mean[-2])
    assert np.isnan(told.opinion_autocorrelation_of_mean[-1])
    assert np.isfinite(told.opinion_pairwise_transfer_entropy[-2])
    assert np.isnan(told.opinion_pairwise_transfer_entropy[-1])


def test_storage_order_does_not_show_in_these() -> None:
    any_storage_order(models.Mourning, steps=4)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000), parts=st.sampled_from([1, 2, 7, 64]))
def test_these_states_of_agents_seen_apart_are_those_of_all_together(seed: int, parts: int) -> None:
    rng = np.random.default_rng(seed)
    n = 120
    observables = [one for one in models.Wandering.observe if one.partial]
    whole, merged = ([one.begin() for one in observables] for _ in range(2))
    for step in range(4):
        fields = {
            "opinion": rng.normal(0, 1, n), "choice": rng.integers(0, 3, n), "position": rng.uniform(-1, 10, (n, 2)),
            "embedding": rng.normal(0.3, 1, (n, 3)),
        }  # fmt: skip
        shares = rng.integers(0, parts, n)
        views = [view_of(fields, np.flatnonzero(shares == part), step) for part in range(parts)]
        everyone = view_of(fields, np.arange(n), step)
        for view in (everyone, *views):
            view.scenario.values |= {"box": 10.0, "lowest": -2.0}
        for place, one in enumerate(observables):
            state = whole[place] if one.lasting else one.begin()
            whole[place] = one.update(state, everyone)
            state = merged[place] if one.lasting else one.begin()
            for view in views:
                state = one.merge(state, one.update(one.begin(), view))
            merged[place] = state
            found, wanted = one.finalise(merged[place], everyone), one.finalise(whole[place], everyone)
            assert str(found) == str(wanted), one.name


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: streaming.permutation_entropy("agents.mood", order=6), "order is 6; .* at most 5"),
        (lambda: streaming.permutation_entropy("agents.mood", lag=0), "lag is 0"),
        (lambda: streaming.permutation_entropy("agents.mood", window=0), "window is 0"),
        (lambda: streaming.statistical_complexity("agents.mood", estimator="nsb"), "estimator is 'nsb'"),
        (lambda: streaming.novelty("agents.mood", window=0), "window is 0"),
        (lambda: streaming.policy_entropy("agents.mood", window=0), "window is 0"),
        (lambda: streaming.early_warning("agents.mood", window=19), "expected 20 records or more"),
        (lambda: streaming.early_warning("agents.mood", "varianc"), "did you mean 'variance'"),
        (lambda: streaming.early_warning("agents.mood", detrend="square"), "detrend is 'square'"),
        (lambda: streaming.pairwise_transfer_entropy("agents.mood", window=5), "expected 10 records or more"),
        (lambda: streaming.spatial_entropy("agents.position", 1, 0), "is empty"),
        (lambda: streaming.gaussian_mutual_information("agents.a", "others.b"), "fields of one population"),
    ],
)
def test_a_wrong_declaration_of_these_is_refused_in_one_line(wrong: Any, said: str) -> None:
    with pytest.raises(ScenarioError, match=said) as caught:
        wrong()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("observed", "said"),
    [
        (streaming.novelty("agents.choice"), "states= must say"),
        (streaming.action_entropy("agents.opinion"), "say bins= and range="),
        (streaming.degree_entropy("friend"), "did you mean 'friends'"),
        (streaming.spatial_entropy("agents.position", 0, "bax"), "high names no parameter 'bax'; did you mean 'box'"),
        (streaming.spatial_entropy("agents.position", (0, 0, 0), 1), "low has 3 numbers; places have 2 components"),
        (streaming.variance("agents.opinion", (1, "lowest")), "it must rise"),
        (streaming.effective_channels("agent.embedding"), "did you mean 'agents'"),
    ],
)
def test_what_these_cannot_measure_ends_the_run_in_one_line(observed: Any, said: str) -> None:
    class Wrong(models.Wandering):
        observe = [observed]

    with pytest.raises(simengine.SimengineError, match=said) as caught:
        simengine.run(Wrong, steps=1, progress=False)
    assert "\n" not in str(caught.value)


def test_pairs_of_many_agents_are_refused() -> None:
    class Crowded(models.Wandering):
        observe = [streaming.pairwise_transfer_entropy(field("agents.choice", states=3))]

    with pytest.raises(ScenarioError, match="at most 200 agents are compared, not 201"):
        simengine.run(Crowded, steps=1, n_agents=201, progress=False)
