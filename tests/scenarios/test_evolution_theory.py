"""Fixation, times and critical ratios against published formulas, dense linear algebra and one another."""

from __future__ import annotations

import math
from typing import Any

import networkx
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from simengine import InputError, graphs
from simengine.scenarios import evolution_theory as theory

Array = np.ndarray[Any, Any]

FERMI = [
    ([[3, 0], [5, 1]], 20, 0.05, 0.0214808543175326),
    ([[4, 1], [3, 2]], 10, 0.3, 0.0475885936036228),
    ([[1, 5], [2, 3]], 25, 0.1, 0.124798035339001),
    (theory.donation_game(3, 1), 20, 0.1, 0.0134414277611122),
    ([[2, -1], [3, 0]], 50, 0.1, 0.000558207266960122),
]


def harmonic(n: int) -> float:
    return math.fsum(1 / j for j in range(1, n + 1))


def matrix(up: Array, down: Array) -> Array:
    chain = np.diag(1.0 - up - down)
    states = np.arange(len(up))
    chain[states[:-1], states[1:]] += up[:-1]
    chain[states[1:], states[:-1]] += down[1:]
    return chain


@pytest.mark.parametrize(("payoffs", "size", "selection", "rho"), FERMI)
def test_pairwise_comparison_fixes_with_the_tabulated_probabilities(
    payoffs: Any, size: int, selection: float, rho: float
) -> None:
    assert theory.fermi_fixation(payoffs, size, selection) == pytest.approx(rho, rel=1e-12)
    chain = theory.transitions(payoffs, size, selection=selection)
    assert theory.fixation_probability(*chain) == pytest.approx(rho, rel=1e-12)


@pytest.mark.parametrize(("ratio", "rho"), [(1.1, 0.0916901582237455), (0.9, 0.000575608245205505)])
def test_constant_fitness_fixes_with_the_tabulated_probabilities(ratio: float, rho: float) -> None:
    assert theory.moran_fixation(ratio, 50) == pytest.approx(rho, rel=1e-12)
    chain = theory.transitions(None, 50, update="moran", ratio=ratio)
    assert theory.fixation_probability(*chain) == pytest.approx(rho, rel=1e-12)


def test_a_game_under_moran_fixes_with_the_tabulated_probability() -> None:
    chain = theory.transitions([[1, 5], [2, 3]], 25, update="moran", selection=0.1)
    assert theory.fixation_probability(*chain) == pytest.approx(0.101658027894803, rel=1e-12)


def test_from_any_start_the_closed_forms_are_the_chain() -> None:
    for start in (1, 4, 9):
        fermi = theory.transitions([[4, 1], [3, 2]], 10, selection=0.3)
        found = theory.fixation_probability(*fermi, start)
        assert theory.fermi_fixation([[4, 1], [3, 2]], 10, 0.3, start) == pytest.approx(found, rel=1e-12)
        for ratio in (0.5, 1.0, 3.0):
            moran = theory.transitions(None, 10, update="moran", ratio=ratio)
            found = theory.fixation_probability(*moran, start)
            assert theory.moran_fixation(ratio, 10, start) == pytest.approx(found, rel=1e-12)


def test_equal_differences_fix_like_a_biased_walk() -> None:
    # With u = 0 the sum is geometric.
    v, n, beta = -(1 + 3 / 19), 20, 0.1
    for start in (1, 7):
        expected = math.expm1(-beta * v * start) / math.expm1(-beta * v * n)
        assert theory.fermi_fixation(theory.donation_game(3, 1), n, beta, start) == pytest.approx(expected, rel=1e-12)


def test_strong_selection_in_large_populations_neither_overflows_nor_loses_digits() -> None:
    assert theory.moran_fixation(0.5, 5000) == 0.0
    assert theory.moran_fixation(2.0, 5000) == pytest.approx(0.5, rel=1e-12)
    up, down = theory.transitions([[5, 5], [1, 1]], 2000, selection=10.0)
    assert theory.fixation_probability(up, down) == pytest.approx(1.0, rel=1e-12)
    assert theory.conditional_fixation_time(up, down) == pytest.approx(theory.absorption_time(up, down), rel=1e-12)


@pytest.mark.parametrize("n", [2, 10, 40])
def test_neutral_times_are_the_closed_forms(n: int) -> None:
    moran = theory.transitions(None, n, update="moran", ratio=1.0)
    assert theory.absorption_time(*moran) == pytest.approx(n * harmonic(n - 1), rel=1e-12)
    assert theory.conditional_fixation_time(*moran) == pytest.approx(n * (n - 1), rel=1e-12)
    fermi = theory.transitions(np.zeros((2, 2)), n)
    assert theory.absorption_time(*fermi) == pytest.approx(2 * (n - 1) * harmonic(n - 1), rel=1e-12)
    assert theory.conditional_fixation_time(*fermi) == pytest.approx(2 * (n - 1) ** 2, rel=1e-12)


def test_neutral_times_of_ten_agents_are_the_tabulated_ones() -> None:
    moran = theory.transitions(None, 10, update="moran", ratio=1.0)
    fermi = theory.transitions(np.zeros((2, 2)), 10)
    assert theory.absorption_time(*moran) == pytest.approx(28.2896825396825, rel=1e-12)
    assert theory.absorption_time(*fermi) == pytest.approx(50.9214285714286, rel=1e-12)
    assert theory.conditional_fixation_time(*moran) == pytest.approx(90, rel=1e-12)
    assert theory.conditional_fixation_time(*fermi) == pytest.approx(162, rel=1e-12)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(-4, 4), min_size=4, max_size=4), st.integers(2, 12), st.floats(0, 1))
def test_times_and_probabilities_solve_the_chain(payoffs: list[int], n: int, selection: float) -> None:
    up, down = theory.transitions(np.reshape(payoffs, (2, 2)), n, selection=selection)
    inside = matrix(up, down)[1:-1, 1:-1]
    left = np.eye(n - 1) - inside
    times = np.linalg.solve(left, np.ones(n - 1))
    fixed = np.linalg.solve(left, np.r_[np.zeros(n - 2), up[-2]])
    conditional = np.linalg.solve(left, fixed) / fixed
    for start in (1, n - 1):
        assert theory.fixation_probability(up, down, start) == pytest.approx(fixed[start - 1], rel=1e-8)
        assert theory.absorption_time(up, down, start) == pytest.approx(times[start - 1], rel=1e-8)
        assert theory.conditional_fixation_time(up, down, start) == pytest.approx(conditional[start - 1], rel=1e-8)


def test_the_stationary_distribution_does_not_change_in_an_event() -> None:
    for update in ("fermi", "moran"):
        up, down = theory.transitions([[1, 5], [2, 3]], 12, update=update, selection=0.4, mutation=0.03)
        stationary = theory.stationary_distribution(up, down)
        assert stationary.sum() == pytest.approx(1.0, rel=1e-12)
        np.testing.assert_allclose(stationary @ matrix(up, down), stationary, rtol=1e-10)


def test_for_rare_mutation_both_pure_states_are_as_common_as_their_fixation() -> None:
    payoffs, n, beta = [[3, 0], [5, 1]], 10, 0.05
    to_a = theory.fermi_fixation(payoffs, n, beta)
    to_b = theory.fermi_fixation([[1, 5], [0, 3]], n, beta)
    assert theory.stationary_ratio(payoffs, n, beta) == pytest.approx(to_a / to_b, rel=1e-12)
    chain = theory.transitions(payoffs, n, selection=beta, mutation=1e-9)
    stationary = theory.stationary_distribution(*chain)
    assert stationary[-1] / stationary[0] == pytest.approx(to_a / to_b, rel=1e-6)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 5), min_size=4, max_size=4), st.integers(3, 30), st.sampled_from(["fermi", "moran"]))
def test_weak_selection_favours_whom_the_inequality_says(payoffs: list[int], n: int, update: Any) -> None:
    table = np.reshape(payoffs, (2, 2))
    advantage = theory.weak_selection_advantage(table, n)
    assume(advantage != 0)
    rho = theory.fixation_probability(*theory.transitions(table, n, update=update, selection=1e-8))
    assert np.sign(rho - 1 / n) == np.sign(advantage)


def test_in_large_populations_the_inequality_is_the_one_third_law() -> None:
    # Coordination: the unstable point (d - b) / (a - b - c + d) is below or above one third.
    assert theory.weak_selection_advantage([[3.01, 0], [1, 1]], 10**6) > 0
    assert theory.weak_selection_advantage([[2.99, 0], [1, 1]], 10**6) < 0


@settings(deadline=None, max_examples=30)
@given(st.floats(0.1, 50), st.floats(0.01, 10), st.integers(2, 40))
def test_donors_are_never_favoured_where_all_meet_all(benefit: float, cost: float, n: int) -> None:
    assert theory.weak_selection_advantage(theory.donation_game(benefit, cost), n) < 0
    assert theory.fermi_fixation(theory.donation_game(benefit, cost), n, 0.1) < 1 / n


def two_stars(leaves: int) -> networkx.Graph:
    graph = networkx.Graph([(0, 1)])
    for hub in (0, 1):
        graph.add_edges_from((hub, 2 + hub * leaves + leaf) for leaf in range(leaves))
    return graph


@pytest.mark.parametrize(
    ("graph", "ratio"),
    [
        (networkx.cycle_graph(6), 4.0),
        (networkx.cycle_graph(20), 2.25),
        (graphs.make("lattice", 16), 7.0),
        (graphs.make("lattice", 25), 5.411764705882353),
        (networkx.complete_graph(6), -5.0),
        (two_stars(10), 2.674976481655681),
        (two_stars(40), 2.543804984672301),
    ],
)
def test_critical_ratios_are_the_tabulated_ones(graph: Any, ratio: float) -> None:
    assert theory.critical_ratio(graph) == pytest.approx(ratio, rel=1e-9)


def test_on_a_star_no_ratio_is_high_enough() -> None:
    assert theory.critical_ratio(networkx.star_graph(5)) == math.inf


@pytest.mark.parametrize(("n", "degree"), [(30, 2), (12, 4), (12, 6), (9, 8), (60, 4)])
def test_on_rings_the_critical_ratio_is_the_closed_form(n: int, degree: int) -> None:
    found = theory.critical_ratio(graphs.make("ring", n, mean_degree=degree))
    expected = theory.critical_ratio_regular(n, degree)
    assert found == (expected if math.isinf(expected) else pytest.approx(expected, rel=1e-9))


def test_coalescence_times_solve_their_equations() -> None:
    graph = networkx.karate_club_graph()
    joined = theory.adjacency(networkx.Graph(list(graph.edges))).toarray()
    walk = joined / joined.sum(axis=1, keepdims=True)
    times = theory.coalescence_times(networkx.Graph(list(graph.edges)))
    expected = 1 + (walk @ times + times @ walk.T) / 2
    np.fill_diagonal(expected, 0.0)
    np.testing.assert_allclose(times, expected, rtol=1e-10, atol=1e-10)


def test_all_forms_of_a_graph_are_one_graph(tmp_path: Any) -> None:
    graph = networkx.cycle_graph(6)
    path = tmp_path / "six.csv"
    path.write_text("source,target\n" + "".join(f"{a},{b}\n" for a, b in graph.edges))
    forms = [list(graph.edges), np.array(graph.edges), networkx.to_scipy_sparse_array(graph), str(path)]
    assert all(theory.critical_ratio(form) == pytest.approx(4.0, rel=1e-9) for form in forms)


@pytest.mark.parametrize(("ratio", "slope"), [(3.9, -1 / 120), (4.0, 0.0), (4.1, 1 / 120)])
def test_the_chain_of_all_states_of_six_in_a_circle_changes_its_sign_at_four(ratio: float, slope: float) -> None:
    found = theory.fixation_slope(networkx.cycle_graph(6), theory.donation_game(ratio, 1))
    assert found == pytest.approx(slope, abs=1e-12)


def test_neutral_strategies_fix_in_proportion_to_their_number_on_a_circle() -> None:
    fixed = theory.graph_fixation(networkx.cycle_graph(6), theory.donation_game(3, 1), 0.0)
    np.testing.assert_allclose(fixed, 1 / 6, rtol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_the_chain_of_all_states_agrees_with_coalescence_times_on_any_graph(seed: int) -> None:
    graph = networkx.gnp_random_graph(6, 0.4, seed=seed)
    networkx.add_path(graph, range(6))
    ratio = theory.critical_ratio(graph)
    assert abs(theory.fixation_slope(graph, theory.donation_game(ratio, 1.0))) < 1e-10 * abs(ratio)
    # Below 0 it is harm that is favoured, the more the greater it is.
    beyond = ratio + math.copysign(1.0, ratio)
    assert theory.fixation_slope(graph, theory.donation_game(beyond, 1.0)) > 0


@pytest.mark.parametrize("update", ["birth_death", "pairwise_comparison"])
def test_birth_death_and_pairwise_comparison_never_favour_donors(update: Any) -> None:
    for ratio in (1.0, 10.0, 100.0):
        assert theory.fixation_slope(networkx.cycle_graph(7), theory.donation_game(ratio, 1), update=update) < 0


@pytest.mark.parametrize("n", [7, 8, 10])
def test_imitation_on_circles_needs_a_ratio_that_falls_to_four(n: int) -> None:
    # (4 N - 6) / (N - 6), which tends to k + 2.
    ratio = (4 * n - 6) / (n - 6)
    at, above = (
        theory.fixation_slope(networkx.cycle_graph(n), theory.donation_game(b, 1), update="imitation")
        for b in (ratio, ratio + 1)
    )
    assert at == pytest.approx(0.0, abs=1e-10)
    assert above > 1e-3


def test_both_forms_of_fitness_are_one_for_weak_selection() -> None:
    graph, game = networkx.path_graph(5), theory.donation_game(3, 1)
    linear = theory.fixation_slope(graph, game, exponential=False)
    assert theory.fixation_slope(graph, game) == pytest.approx(linear, rel=1e-12)
    assert theory.fixation_slope(graph, game, averaged=False) != pytest.approx(linear, rel=1e-3)


@pytest.mark.parametrize(
    ("payoffs", "message"),
    [
        ([[1, 2], [3, math.nan]], "row 1, column 1 is nan"),
        ([1, 2, 3, 4], r"shape \(2, 2\) is expected, not \(4,\)"),
        ([[1, 2], [3]], "a 2x2 table of numbers"),
        ([["a", "b"], ["c", "d"]], "a 2x2 table of numbers"),
    ],
)
def test_what_is_no_table_of_payoffs_is_refused_in_one_line(payoffs: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        theory.fermi_fixation(payoffs, 10, 0.1)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ([(0, 1), (2, 3)], "it is in 2 pieces"),
        (networkx.Graph([(0, 1), (1, 3), (0, 3)]), "not called 0 to 2"),
        ([(0, 1), (1, 3)], "node 2 has no neighbours"),
        ([], "at least two nodes"),
        ([(0, 0)], "joins agent 0 to itself"),
    ],
)
def test_graphs_on_which_nothing_fixes_are_refused(graph: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        theory.critical_ratio(graph)


def test_numbers_without_meaning_are_refused() -> None:
    with pytest.raises(InputError, match="size is a whole number from 2"):
        theory.fermi_fixation(np.zeros((2, 2)), 1, 0.1)
    with pytest.raises(InputError, match="start is a number of A from 1 to 9"):
        theory.fermi_fixation(np.zeros((2, 2)), 10, 0.1, 10)
    with pytest.raises(InputError, match="is not above 0 everywhere"):
        theory.transitions([[0, -5], [1, 1]], 10, update="moran", selection=0.5)
    with pytest.raises(InputError, match="ratio is a number above 0"):
        theory.moran_fixation(-1.0, 10)
    with pytest.raises(InputError, match="add mutation"):
        theory.stationary_distribution(*theory.transitions(np.zeros((2, 2)), 10))
    with pytest.raises(InputError, match="at most 10 nodes"):
        theory.graph_fixation(networkx.cycle_graph(11), np.zeros((2, 2)), 0.0)
    with pytest.raises(InputError, match="not above 0 in all states"):
        theory.graph_fixation(networkx.cycle_graph(4), theory.donation_game(2, 1), 2.0, exponential=False)
