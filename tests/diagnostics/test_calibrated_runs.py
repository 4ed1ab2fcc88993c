"""The calibrated entropies as a run records them."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simengine
from simengine.diagnostics.calibrated import CALIBRATED_NAMES, ENTROPIES
from simengine.diagnostics.calibration import calibrate
from simengine.diagnostics.observables import ORDER_PARAMETERS, School
from simengine.diagnostics.schooling import measure, order_parameters, school_metrics
from simengine.diagnostics.streaming import flags_of
from simengine.errors import ScenarioError

H = [f"calibrated_{name}" for name in ENTROPIES]
STATES = ("swarm", "torus", "dynamic_parallel", "highly_parallel")


def late_state(regime, seed):
    """The last of 5000 steps, as a mapping of numbers."""
    run = simengine.run("schooling", regime=regime, steps=5000, every=5000, seed=seed, progress=False)
    return {name: float(run[name][-1]) for name in run.data_vars}


@pytest.mark.parametrize("seed", [1, 2])
def test_each_two_of_the_four_states_are_ten_null_standard_deviations_apart(seed):
    # At a single moment, in the entropies of places, shape and turning; in all seeds tried by 20 and more.
    found = {regime: late_state(regime, seed) for regime in STATES}
    for one, other in itertools.combinations(STATES, 2):
        distance = {
            name: abs(found[one][name] - found[other][name]) / found[one][f"{name}_null_sd"]
            for name in (*H, "calibrated_order_index")
        }
        assert max(distance[name] for name in H) > 10.0, (one, other, distance)
        assert distance["calibrated_order_index"] > 10.0, (one, other, distance)


@pytest.mark.parametrize(
    ("entropies", "calibrated", "plain"),
    [("calibrated", True, False), ("dewi-kadita", False, True), ("both", True, True)],
)
def test_both_definitions_are_recorded_together_or_alone_under_their_own_names(entropies, calibrated, plain):
    run = simengine.run("schooling", steps=2, n_agents=20, seed=1, progress=False, entropies=entropies)
    for name in ORDER_PARAMETERS:
        assert np.isfinite(run[name]).all()
    for name in ENTROPIES:
        assert (name in run) == plain
        assert (f"calibrated_{name}" in run) == calibrated
    if calibrated:
        for name in CALIBRATED_NAMES:
            for part in ("", "_standard_error", "_null_mean", "_null_sd"):
                assert np.isfinite(run[name + part]).all()
        np.testing.assert_allclose(run["calibrated_polarization"], run["polarization"], atol=1e-14)


@pytest.mark.parametrize("space", [{}, {"box": 20.0}])
def test_a_run_records_what_calibrate_gives_for_its_agents(space):
    run = simengine.run(
        "schooling", steps=3, n_agents=30, seed=2, snapshot_every=3, progress=False, radius_attraction=14.0, **space
    )
    expected = calibrate(run["position"][-1], run["heading"][-1], space.get("box"), 14.0)
    for name, measured in expected.items():
        assert float(run[name][-1]) == measured.value
        assert float(run[f"{name}_null_sd"][-1]) == measured.null_sd
        assert flags_of(int(run[f"{name}_flags"][-1])) == measured.flags == ("few_samples",)


def test_the_file_says_how_each_calibrated_number_was_made():
    run = simengine.run("schooling", steps=1, n_agents=120, seed=3, progress=False)
    assert run["calibrated_polarization_entropy"].attrs["estimator"] == "grassberger"
    assert run["calibrated_polarization_entropy"].attrs["bins"] == 15
    assert run["calibrated_nearest_neighbor_entropy"].attrs["largest_sample"] == 1024
    for name in CALIBRATED_NAMES:
        assert run[name].attrs["merge_class"][0] == "C"
        assert "few_samples" in run[f"{name}_flags"].attrs["flag_meanings"]
        assert int(run[f"{name}_flags"][-1]) == 0


def test_a_number_that_is_left_out_leaves_no_flags():
    names = [output.name for output in School(definition="calibrated", without=("calibrated_spread",)).outputs]
    assert [name for name in names if "spread" in name] == []
    assert len(names) == 2 * (len(CALIBRATED_NAMES) - 1)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.booleans())
def test_order_parameters_alone_have_the_bits_of_those_measured_with_the_entropies(seed, n, periodic):
    rng = np.random.default_rng(seed)
    position, heading = 5.0 * rng.random((n, 3)), rng.normal(size=(n, 3))
    position[rng.random((n, 3)) < 0.05] = 5.0
    side = 5.0 if periodic else np.inf
    alone = order_parameters(position, heading, side)
    np.testing.assert_array_equal(alone, school_metrics(position, heading, side)[: len(ORDER_PARAMETERS)])
    assert tuple(measure(position, heading, 5.0, "order-parameters")) == ORDER_PARAMETERS


class FewAgents:
    """As much of a view as the observable needs."""

    def __init__(self, ids, position, heading, box, values=None):
        agents = type("Agents", (), {"ids": ids, "position": position, "heading": heading})()
        self.populations, self.seed, self.step = {"agents": agents}, 5, 7
        self.scenario = type("Values", (), {"values": {"box": box, **(values or {})}})()


def test_agents_seen_in_parts_give_the_same_bits_as_agents_seen_together():
    rng = np.random.default_rng(1)
    position, heading, ids = rng.random((3000, 3)), rng.normal(size=(3000, 3)), np.arange(3000) * 3
    school = School(definition="calibrated")
    whole = FewAgents(ids, position, heading, 1.0)
    expected = school.finalise(school.update(school.begin(), whole), whole)
    mixed = rng.permutation(3000)
    state = school.begin()
    for part in (mixed[:700], mixed[700:]):
        rows = np.sort(part)
        seen = school.update(school.begin(), FewAgents(ids[rows], position[rows], heading[rows], 1.0))
        state = school.merge(state, seen)
    assert school.finalise(state, whole) == expected


def test_the_reach_is_a_number_or_names_a_parameter():
    rng = np.random.default_rng(2)
    view = FewAgents(np.arange(20), rng.random((20, 3)), rng.normal(size=(20, 3)), None, {"sight": 3.0})

    def measured(**options):
        school = School(definition="calibrated", **options)
        return school.finalise(school.update(school.begin(), view), view)

    assert measured(reach="sight") == measured(reach=3.0) != measured(reach=4.0)
    with pytest.raises(ScenarioError, match="did you mean 'sight'"):
        measured(reach="sigth")
    with pytest.raises(ScenarioError, match="open space needs reach="):
        measured()


def test_a_misspelt_definition_or_number_is_named():
    with pytest.raises(ScenarioError, match="did you mean 'calibrated'"):
        School(definition="calibrate")
    with pytest.raises(ScenarioError, match="no number 'polarisation'"):
        _ = School(without=("polarisation",)).outputs
