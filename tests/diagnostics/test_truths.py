"""The cases that estimators are held against are right themselves: by quadrature, by simulation, by other formulas."""

import math
from itertools import pairwise

import numpy as np
import pytest
import truths
import truths_in_time as processes
import truths_of_groups as groups
import truths_of_pairs as pairs
import truths_of_places as places
import truths_of_populations as populations
from scipy import integrate, stats

# Every simulation below asks for 4.5 standard errors: under 1e-5 a case, under 1e-3 for all, at fixed seeds.
REACH = 4.5


def assert_mean_is(terms, value):
    assert abs(terms.mean() - value) < REACH * terms.std() / math.sqrt(terms.size) + 1e-9


@pytest.mark.parametrize("case", truths.DISCRETE_ENTROPIES.values(), ids=lambda case: case.name)
def test_discrete_samples_follow_their_probabilities(case):
    (labels,) = case.sample(100_000, 1)
    p = case.info["probabilities"]
    counts = np.bincount(labels, minlength=p.size)
    large = p * labels.size > 10
    odds = np.append(p[large], max(p[~large].sum(), 1e-12))
    seen = np.append(counts[large], counts[~large].sum())
    assert stats.chisquare(seen, odds * labels.size, sum_check=False).pvalue > 1e-5
    assert_mean_is(-np.log(p[labels]), case.value)


@pytest.mark.parametrize(
    "case", [*truths.DISCRETE_INFORMATIONS.values(), *truths.DISCRETE_CONDITIONALS.values()], ids=lambda case: case.name
)
def test_joint_tables_and_their_information_belong_together(case):
    p = case.info["probabilities"]
    where = case.sample(100_000, 2)
    joint = p[where]
    if p.ndim == 2:
        local = np.log(joint / (p.sum(axis=1)[where[0]] * p.sum(axis=0)[where[1]]))
    else:
        x, y, z = where
        local = np.log(joint * p.sum(axis=(0, 1))[z] / (p.sum(axis=1)[x, z] * p.sum(axis=0)[y, z]))
    assert_mean_is(local, case.value)


DENSITIES = {
    "normal 1-D": stats.norm(scale=2.0),
    "student 3, 1-D": stats.t(3),
    "cauchy": stats.cauchy(),
    "uniform": stats.uniform(2.0, 3.0),
    "exponential": stats.expon(scale=0.5),
    "lognormal": stats.lognorm(0.7),
    "normal 5-D": stats.multivariate_normal(cov=truths.covariance_of(5, 3)),
    "normal 10-D": stats.multivariate_normal(cov=truths.covariance_of(10, 3)),
    "normal 2-D": stats.multivariate_normal(cov=truths.DIFFERENTIAL_ENTROPIES["normal 2-D"].info["covariance"]),
    "student 3, 3-D": stats.multivariate_t(df=3, shape=np.eye(3)),
    "uniform square": stats.uniform(),
    "uniform cube": stats.uniform(),
}


@pytest.mark.parametrize("case", truths.DIFFERENTIAL_ENTROPIES.values(), ids=lambda case: case.name)
def test_differential_entropies_are_the_mean_surprise_of_their_samples(case):
    (points,) = case.sample(100_000, 3)
    points = points[:, 0] if points.ndim == 2 and points.shape[1] == 1 else points
    assert_mean_is(-np.asarray(DENSITIES[case.name].logpdf(points)).ravel(), case.value)


LAWS = {
    case.name: stats.multivariate_normal(cov=case.info["covariance"])
    for case in pairs.CONTINUOUS_INFORMATIONS.values()
    if case.info.get("gaussian")
} | {
    "student 1, 1 + 1": stats.multivariate_t(df=1, shape=np.eye(2)),
    "student 3, 1 + 1": stats.multivariate_t(df=3, shape=np.eye(2)),
    "student 2, 2 + 2": stats.multivariate_t(df=2, shape=np.eye(4)),
    "student 3, 5 + 5": stats.multivariate_t(df=3, shape=np.eye(10)),
}


def _margin(law, index):
    if hasattr(law, "df"):
        return stats.multivariate_t(df=law.df, shape=law.shape[np.ix_(index, index)])
    return stats.multivariate_normal(cov=law.cov[np.ix_(index, index)])


@pytest.mark.parametrize("name", LAWS)
def test_information_of_pairs_is_the_mean_log_ratio_of_densities(name):
    case = pairs.CONTINUOUS_INFORMATIONS[name]
    x, y = case.sample(50_000, 4)
    d_x = x.shape[1]
    law, both = LAWS[name], np.hstack([x, y])
    index = np.arange(both.shape[1])
    local = law.logpdf(both) - _margin(law, index[:d_x]).logpdf(x) - _margin(law, index[d_x:]).logpdf(y)
    assert_mean_is(local, case.value)


@pytest.mark.parametrize("width", [0.1, 0.5, 0.75])
def test_information_of_uniform_noise_is_that_of_the_density_of_the_sum(width):
    def density(y):
        return (min(1.0, y + width) - max(0.0, y - width)) / (2.0 * width)

    corners = sorted([width, 1.0 - width])
    total = integrate.quad(
        lambda y: -density(y) * math.log(density(y)), -width + 1e-12, 1.0 + width - 1e-12, points=corners
    )[0]
    assert pairs.uniform_noise_information(width) == pytest.approx(total - math.log(2.0 * width), abs=1e-7)


def test_changes_of_variables_can_be_undone():
    x = truths.normal(1000, 5, np.eye(3))
    np.testing.assert_allclose(np.cbrt(pairs.half_cube(x) ** 2) * np.sign(x), x)
    turned = pairs.spiral(x)
    back = pairs.spiral(turned * [1.0, -1.0, 1.0]) * [1.0, -1.0, 1.0]
    np.testing.assert_allclose(back, x, atol=1e-12)
    rolled = pairs.swiss_roll(x[:, :1]) * 21.0
    turn = np.hypot(rolled[:, 0], rolled[:, 1])
    np.testing.assert_allclose(stats.norm.ppf((turn / (1.5 * math.pi) - 1.0) / 2.0), x[:, 0], atol=1e-6)


@pytest.mark.parametrize(("rho", "share"), [(0.6, 0.5), (0.6, 0.3), (0.9, 0.1), (0.0, 0.5)])
def test_information_of_clipped_opinions_is_the_limit_of_fine_bins(rho, share):
    cut, spread = stats.norm.isf(share / 2.0), math.sqrt(1.0 - rho**2)
    node, weight = np.polynomial.legendre.leggauss(40)

    def binned(bins):
        inner = np.linspace(-cut, cut, bins + 1)
        edges = np.concatenate([[-9.0], inner, [9.0]])
        rows = []
        for low, high in pairwise(edges):
            x = 0.5 * (high - low) * node + 0.5 * (high + low)
            below = stats.norm.cdf((np.concatenate([[-np.inf], inner, [np.inf]]) - rho * x[:, None]) / spread)
            rows.append(0.5 * (high - low) * (weight * stats.norm.pdf(x)) @ np.diff(below, axis=1))
        return truths.mutual_information_of(np.maximum(rows, 1e-300))

    # The loss of bins of width h is of order h^2: two of them give the limit.
    fine, finer = binned(60), binned(120)
    assert pairs.clipped_information(rho, share) == pytest.approx(finer + (finer - fine) / 3.0, abs=2e-6)


def test_clipping_nothing_leaves_the_information_of_the_normal_pair():
    assert pairs.clipped_information(0.6, 1e-7) == pytest.approx(pairs.clipped_information(0.6, 0.0), abs=1e-5)
    x, _ = pairs.ATOMS["half clipped"].sample(100_000, 6)
    assert np.mean(np.abs(x) == 1.0) == pytest.approx(0.5, abs=REACH * 0.5 / math.sqrt(1e5))


@pytest.mark.parametrize("case", pairs.LABELS.values(), ids=lambda case: case.name)
def test_information_about_labels_is_the_mean_log_ratio(case):
    x, label = case.sample(100_000, 7)
    shift = 1.0 if case.value > 0.1 else 0.0
    own, other = stats.norm.pdf(x, shift * (2 * label - 1)), stats.norm.pdf(x, -shift * (2 * label - 1))
    assert_mean_is(np.log(own / (0.5 * (own + other))), case.value)


def test_group_quantities_obey_their_identities():
    for table in groups.GATES.values():
        total, dual = groups.total_correlation_of(table), groups.dual_total_correlation_of(table)
        assert total == pytest.approx(
            truths.mutual_information_of(table.sum(axis=2)) + truths.mutual_information_of(table.reshape(4, 2))
        )
        # TC + DTC is the sum of the information of each about the others.
        each = [truths.mutual_information_of(np.moveaxis(table, i, 0).reshape(2, -1)) for i in range(3)]
        assert total + dual == pytest.approx(sum(each))
    covariance = truths.covariance_of(3, 9)
    chained = pairs.gaussian_information(covariance[:2, :2], 1) + pairs.gaussian_information(covariance, 2)
    assert groups.gaussian_total_correlation(covariance) == pytest.approx(chained)
    assert groups.gaussian_o_information(covariance) == pytest.approx(
        pairs.gaussian_information(covariance[:2, :2], 1) - groups.gaussian_conditional(covariance)
    )


@pytest.mark.parametrize("gate", groups.GATES)
def test_parts_of_gates_add_up_to_their_information(gate):
    table = groups.GATES[gate]
    whole = truths.mutual_information_of(table.reshape(4, 2)) / math.log(2.0)
    of_a = truths.mutual_information_of(table.sum(axis=1)) / math.log(2.0)
    for redundant, unique_a, unique_b, synergistic in groups.PARTS[gate].values():
        assert redundant + unique_a + unique_b + synergistic == pytest.approx(whole)
        assert redundant + unique_a == pytest.approx(of_a, abs=1e-12)
        assert redundant - synergistic == pytest.approx(groups.O_OF_GATES[gate])
    assert groups.o_information_of(table) / math.log(2.0) == pytest.approx(groups.O_OF_GATES[gate], abs=1e-12)


@pytest.mark.parametrize("transition", [processes.STICKY, processes.THREE, processes.GOLDEN, processes.PAIRS])
def test_walks_follow_their_transition_matrix(transition):
    seen = processes.flows(processes.walk(transition, 50_000, 8), len(transition))
    law = processes.stationary(transition)
    np.testing.assert_allclose(law @ transition, law, atol=1e-12)
    for row, odds in zip(seen, transition, strict=True):
        assert not row[odds == 0.0].any()
        if np.count_nonzero(odds) > 1:
            assert stats.chisquare(row[odds > 0], row.sum() * odds[odds > 0]).pvalue > 1e-5


def test_block_entropies_grow_by_the_entropy_rate_once_the_memory_is_in_the_block():
    blocks = processes.block_entropies(processes.PAIRS, processes.LAST, 6)
    steps = np.diff(blocks)
    np.testing.assert_allclose(steps[2:], processes.entropy_rate_of(processes.PAIRS), atol=1e-12)
    assert steps[1] > steps[2] + 0.001
    first = np.diff(processes.block_entropies(processes.THREE, np.arange(3), 4))
    np.testing.assert_allclose(first[1:], processes.entropy_rate_of(processes.THREE), atol=1e-12)


@pytest.mark.parametrize("case", processes.PRODUCTIONS.values(), ids=lambda case: case.name)
def test_entropy_production_of_chains_is_the_mean_log_ratio_of_forward_and_backward_steps(case):
    (series,) = case.sample(100_000, 9)
    flow = processes.stationary(case.info["transition"])[:, None] * case.info["transition"]
    seen = flow[series[:-1], series[1:]], flow[series[1:], series[:-1]]
    local = np.log(seen[0] / seen[1])
    # Steps hang together: the error is that of means of blocks.
    blocks = local[: local.size // 100 * 100].reshape(-1, 100).mean(axis=1)
    assert_mean_is(blocks, case.value)


def test_production_of_a_ring_is_its_drift_times_its_force():
    assert processes.PRODUCTIONS["ring of 6"].value == pytest.approx(0.4 * math.log(3.0))


@pytest.mark.parametrize("case", processes.DISCRETE_TRANSFERS.values(), ids=lambda case: case.name)
def test_transfer_of_coupled_chains_is_the_mean_log_ratio(case):
    x, y = case.sample(200_000, 10)
    transition = case.info["transition"]
    flow = (processes.stationary(transition)[:, None] * transition).reshape(2, 2, 2, 2).sum(axis=2)
    given_both = flow / flow.sum(axis=2, keepdims=True)
    given_own = flow.sum(axis=0) / flow.sum(axis=(0, 2))[:, None]
    local = np.log(given_both[x[:-1], y[:-1], y[1:]] / given_own[y[:-1], y[1:]])
    blocks = local[: local.size // 100 * 100].reshape(-1, 100).mean(axis=1)
    assert_mean_is(blocks, case.value)


@pytest.mark.parametrize("case", processes.CONTINUOUS_TRANSFERS.values(), ids=lambda case: case.name)
def test_transfer_of_linear_pairs_is_the_ratio_of_prediction_errors(case):
    x, y = case.sample(100_000, 11)
    own = np.stack([y[:-1], np.ones(y.size - 1)], axis=1)
    both = np.column_stack([own, x[:-1]])
    errors = [np.linalg.lstsq(design, y[1:], rcond=None)[1][0] for design in (own, both)]
    # The estimate's standard deviation is at most about sqrt(2 value / n) + 1 / n.
    reach = REACH * math.sqrt(2.0 * case.value / y.size) + 20.0 / y.size
    assert 0.5 * math.log(errors[0] / errors[1]) == pytest.approx(case.value, abs=reach)


@pytest.mark.parametrize("case", processes.LINEAR_PRODUCTIONS.values(), ids=lambda case: case.name)
def test_production_of_sampled_ornstein_uhlenbeck_processes_is_the_mean_log_ratio_of_paths(case):
    (series,) = case.sample(100_000, 12)
    step, noise = case.info["step"], case.info["noise"]
    spread = np.cov(series.T)
    forward = stats.multivariate_normal(cov=noise).logpdf(series[1:] - series[:-1] @ step.T)
    backward = stats.multivariate_normal(cov=noise).logpdf(series[:-1] - series[1:] @ step.T)
    local = forward - backward
    blocks = local[: local.size // 200 * 200].reshape(-1, 200).mean(axis=1)
    assert_mean_is(blocks, case.value)
    assert spread == pytest.approx(spread.T)
    assert case.value <= case.info["per_time"] * case.info["interval"] + 1e-12


def test_fine_sampling_gives_the_production_of_the_continuous_process():
    for drift, diffusion, known in (
        (processes.ROTATION, np.eye(2), 2.0 * 3.0**2),
        (processes.GYRATOR, np.diag([1.0, 3.0]), 0.5**2 * 2.0**2 / (2.0 * 3.0)),
    ):
        step, noise, _ = processes.ornstein_uhlenbeck(drift, diffusion, 1e-4)
        assert processes.linear_production(step, noise) / 1e-4 == pytest.approx(known, rel=2e-3)


def test_linear_series_have_the_autocorrelation_they_are_said_to_have():
    (series,) = processes.AUTOCORRELATIONS["AR(1), 0.7, memory"].sample(200_000, 13)
    assert np.corrcoef(series[:-1], series[1:])[0, 1] == pytest.approx(0.7, abs=REACH * math.sqrt(0.51 / 2e5))


@pytest.mark.parametrize("case", [*groups.ALL.values(), *processes.ALL_IN_TIME.values()], ids=lambda case: case.name)
def test_samplers_are_functions_of_size_and_seed(case):
    first, again, other = case.sample(40, 3), case.sample(40, 3), case.sample(40, 4)
    assert all(len(array) == 40 for array in first)
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert any(not np.array_equal(one, two) for one, two in zip(first, other, strict=True))


@pytest.mark.parametrize(
    "case", [*truths.DIVERGENCES.values(), *truths.CROSS_COUNTS.values()], ids=lambda case: case.name
)
def test_divergences_are_those_of_many_samples(case):
    p, q = (part / part.sum() for part in case.sample(10**9, 5))
    middle = 0.5 * (p + q)
    found = {
        "KL divergence": stats.entropy(p, q),
        "JS divergence": 0.5 * (stats.entropy(p, middle) + stats.entropy(q, middle)),
        "stability index": ((p - q) * np.log(p / q)).sum(),
        "Hellinger": math.sqrt(1.0 - np.sqrt(p * q).sum()),
        "cross entropy of counts": -(p * np.log(q)).sum(),
        "Wasserstein": stats.wasserstein_distance(np.arange(8), np.arange(8), p, q),
    }[case.quantity]
    assert found == pytest.approx(case.value, abs=3e-4)


@pytest.mark.parametrize("case", truths.OPINIONS.values(), ids=lambda case: case.name)
def test_opinion_measures_are_those_of_many_agents(case):
    (x,) = case.sample(200_000, 6)
    rank = np.arange(1, x.size + 1)
    shares = np.histogram(x, 10, (0.0, 1.0))[0] / x.size
    found = {
        "opinion variance": x.var(),
        "opinion pair difference": 2.0 * ((2.0 * rank - x.size - 1.0) * np.sort(x)).sum() / x.size**2,
        "bimodality": (stats.skew(x) ** 2 + 1.0) / stats.kurtosis(x, fisher=False),
        "opinion entropy": stats.entropy(shares),
    }[case.quantity]
    assert found == pytest.approx(case.value, rel=0.01)


def test_patterns_of_a_walk_have_their_probabilities():
    (series,) = processes.PATTERNS["walk, order 3"].sample(300_000, 7)
    windows = np.lib.stride_tricks.sliding_window_view(series, 3)[::3]
    _, counts = np.unique(np.argsort(windows, axis=1) @ [9, 3, 1], return_counts=True)
    assert stats.entropy(counts) == pytest.approx(processes.PATTERNS["walk, order 3"].value, abs=5e-3)


@pytest.mark.parametrize("case", truths.HEADINGS.values(), ids=lambda case: case.name)
def test_heading_entropies_are_those_of_many_agents(case):
    (angle,) = case.sample(200_000, 8)
    counts = np.histogram(np.mod(angle, 2.0 * math.pi), case.info["bins"], (0.0, 2.0 * math.pi))[0]
    assert stats.entropy(counts) == pytest.approx(case.value, abs=5e-3)


def test_generalised_entropies_approach_shannons_at_order_one_and_fall_with_their_order():
    p = truths.DISCRETE_ENTROPIES["zipf-200"].info["probabilities"]
    for entropy in (truths.renyi_of, truths.tsallis_of):
        assert entropy(p, 1.0 + 1e-7) == pytest.approx(truths.entropy_of(p), rel=1e-5)
        assert entropy(p, 0.5) > truths.entropy_of(p) > entropy(p, 2.0) > entropy(p, 3.0)


def test_joint_and_conditional_entropies_make_up_the_information():
    for name, case in truths.DISCRETE_INFORMATIONS.items():
        p = case.info["probabilities"]
        joint, rest = truths.JOINT_ENTROPIES[name].value, truths.CONDITIONAL_ENTROPIES[name].value
        assert truths.entropy_of(p.sum(axis=1)) - rest == pytest.approx(case.value)
        assert joint - rest == pytest.approx(truths.entropy_of(p.sum(axis=0)))


@pytest.mark.parametrize("definition", ["williams-beer", "broja"])
@pytest.mark.parametrize("gate", ["xor", "and", "first only"])
def test_searched_parts_of_gates_are_those_of_the_literature_where_noise_is_small(gate, definition):
    p = groups.GATES[gate] @ np.array([[1.0 - 1e-9, 1e-9], [1e-9, 1.0 - 1e-9]])
    found = np.array(groups.parts_of(definition, p)) / math.log(2.0)
    np.testing.assert_allclose(found, groups.PARTS[gate][definition], atol=1e-6)


def test_definitions_differ_where_each_source_is_the_better_one_for_another_target():
    case = groups.DECOMPOSED["redundancy, uneven, broja"]
    assert groups.DECOMPOSED["redundancy, uneven, williams-beer"].value > case.value + 0.04
    p = case.info["probabilities"]
    grid = np.linspace(0.0, 1.0, 201)
    low = [max(p[0, :, t].sum() + p[:, 0, t].sum() - p[:, :, t].sum(), 0.0) for t in range(2)]
    high = [min(p[0, :, t].sum(), p[:, 0, t].sum()) for t in range(2)]

    def information(cells):
        q = np.empty((2, 2, 2))
        for t, one in enumerate(cells):
            a, b = p[0, :, t].sum(), p[:, 0, t].sum()
            q[:, :, t] = [[one, a - one], [b - one, p[:, :, t].sum() - a - b + one]]
        return truths.mutual_information_of(q.reshape(4, 2))

    corners = [[low[t] + (high[t] - low[t]) * one for one in grid] for t in range(2)]
    least = min(information((one, other)) for one in corners[0] for other in corners[1])
    synergy = groups.DECOMPOSED["synergy, uneven, broja"].value
    assert truths.mutual_information_of(p.reshape(4, 2)) - least == pytest.approx(synergy, abs=1e-5)
    assert least >= truths.mutual_information_of(p.reshape(4, 2)) - synergy - 1e-12


def test_complexity_vanishes_for_order_and_for_noise():
    assert processes.complexity_of(np.full(6, 1.0 / 6.0)) == pytest.approx(0.0, abs=1e-12)
    assert processes.complexity_of(np.eye(6)[2]) == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_allclose(processes.WALK_PATTERNS.sum(), 1.0)
    assert truths.entropy_of(processes.WALK_PATTERNS) == pytest.approx(processes.PATTERNS["walk, order 3"].value)


@pytest.mark.parametrize("case", processes.PHRASES.values(), ids=lambda case: case.name)
def test_phrases_are_as_many_as_their_definition_counts(case):
    assert processes.phrases_of(np.array([0, 0, 0, 1, 1, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0, 1])) == 6
    (series,) = case.sample(150, 14)
    assert_mean_is(np.array([processes.phrases_of(row) for row in series], float), case.value)


def test_currents_have_the_mean_and_the_variance_of_their_bound():
    for clock, cases in processes.CURRENTS.items():
        for case in cases.values():
            (series,) = case.sample(200_000, 15)
            doubled = 2.0 * series.mean() ** 2 / series.var()
            found = doubled if clock == "continuous" else math.log1p(doubled)
            assert found == pytest.approx(case.value, abs=0.02)


@pytest.mark.parametrize("case", populations.POLICIES.values(), ids=lambda case: case.name)
def test_actions_have_the_entropies_of_their_policies(case):
    (table,) = case.sample(5000, 16)
    p = table / table.sum(axis=1, keepdims=True)
    pooled, own = stats.entropy(p.mean(axis=0)), stats.entropy(p, axis=1).mean()
    # Of 30 actions the plug-in entropy of one agent falls short by about 3 / 60, less where an action is rare.
    short = 0.0 if case.quantity == "belief entropy" else 3.0 / (2.0 * populations.ACTIONS)
    found = {
        "action entropy": pooled, "policy entropy": own + short, "belief entropy": own,
        "policy diversity": pooled - own - short,
    }[case.quantity]  # fmt: skip
    assert found == pytest.approx(case.value, abs=0.02)


def test_agreement_and_effective_numbers_are_those_of_the_classes():
    # Van der Eijk (2001): 1 for one class, 0 for even ones, -1 for the two ends.
    assert populations.agreement_by_layers(np.eye(7)[3]) == pytest.approx(1.0)
    assert populations.agreement_by_layers(np.full(7, 1.0 / 7.0)) == pytest.approx(0.0)
    assert populations.agreement_by_layers(np.array([0.5, 0, 0, 0, 0, 0, 0.5])) == pytest.approx(-1.0)
    assert 1.0 < populations.OPINION_CLASSES["7 classes, effective by pairs"].value < 7.0


def test_the_least_coupling_of_two_states_has_both_margins_and_no_less_than_their_greater_entropy():
    for p, q in ((0.6, 0.6), (0.8, 0.55), (0.3, 0.9)):
        least = populations.least_coupling_of_two(p, q)
        inner = np.linspace(max(p + q - 1.0, 0.0), min(p, q), 50)
        tables = [truths.entropy_of(np.maximum([x, p - x, q - x, 1.0 - p - q + x], 0.0)) for x in inner]
        assert least == pytest.approx(min(tables))
        assert least >= max(truths.entropy_of(np.array([one, 1.0 - one])) for one in (p, q)) - 1e-12


@pytest.mark.parametrize("case", places.PLACES.values(), ids=lambda case: case.name)
def test_places_fill_their_cells_as_said(case):
    (x,) = case.sample(200_000, 17)
    counts = np.histogram2d(x[:, 0], x[:, 1], case.info["cells"], [[0, 1], [0, 1]])[0]
    assert stats.entropy(counts.ravel()) == pytest.approx(case.value, abs=2e-3)


def test_means_of_a_grid_are_those_over_sides():
    p = np.arange(9.0).reshape(3, 3)
    means = places.grid_means(p)
    assert means[1, 1] == pytest.approx(np.mean([4, 1, 3, 5, 7]))
    assert means[0, 2] == pytest.approx(np.mean([2, 1, 5]))


def test_patches_share_with_distance_what_pairs_of_them_do():
    case = places.PATCHES["patches"]
    counts = np.zeros((4, 3))
    limits = [0.0, *places.DISTANCES, 9.0]
    for seed in range(3):
        x, kind = case.sample(1500, seed)
        apart = np.abs(x[:, None] - x)
        distance = np.linalg.norm(np.minimum(apart, 1.0 - apart), axis=2)
        both = kind[:, None] + kind
        upper = np.triu_indices(1500, 1)
        counts += np.histogram2d(distance[upper], both[upper], [limits, [-0.5, 0.5, 1.5, 2.5]])[0]
    # Three moments of 1500 agents: categories alone leave about 1e-4.
    assert truths.mutual_information_of(counts / counts.sum()) == pytest.approx(case.value, abs=3e-4)


def test_clusters_have_their_pair_correlation():
    (x,) = places.GASES["50 clusters"].sample(20_000, 18)
    apart = np.abs(x[:2000, None] - x[2000:4000])
    near = np.mean(np.linalg.norm(np.minimum(apart, 1.0 - apart), axis=2) < 0.05)
    own = 1.0 - math.exp(-(0.05**2) / (4.0 * 0.02**2))
    # The sizes of 50 clusters and their places scatter by a tenth.
    assert near == pytest.approx(own / 50 + (1.0 - 1.0 / 50) * math.pi * 0.05**2, rel=0.3)


@pytest.mark.parametrize("case", places.GRAPHS.values(), ids=lambda case: case.name)
def test_degrees_of_drawn_graphs_follow_their_law(case):
    degrees = np.concatenate([np.bincount(case.sample(300, seed)[0].ravel(), minlength=300) for seed in range(40)])
    shares = np.bincount(degrees) / degrees.size
    k = np.arange(shares.size)
    rate = float(shares @ np.where(k > 0, k * np.log(np.maximum(k, 1)), 0.0)) / float(shares @ k)
    found = stats.entropy(shares) if case.quantity == "degree entropy" else rate
    # The entropies of 12,000 degrees scatter by 0.008.
    assert found == pytest.approx(case.value, abs=0.035)


def test_groups_and_turnovers_are_those_of_many_draws():
    for case in places.BLOCKS.values():
        table = np.zeros((3, 3))
        for seed in range(60):
            edges, group = case.sample(200, seed)
            np.add.at(table, (group[edges[:, 0]], group[edges[:, 1]]), 1.0)
        table += table.T
        assert truths.mutual_information_of(table / table.sum()) == pytest.approx(case.value, abs=0.01)
    case = places.TURNOVERS["turnover"]
    kept = lost = gained = 0
    for seed in range(40):
        before, after = ({tuple(edge) for edge in edges.tolist()} for edges in case.sample(150, seed))
        kept, lost, gained = kept + len(before & after), lost + len(before - after), gained + len(after - before)
    pairs_of_nodes = 40 * 150 * 149 / 2
    births, deaths = gained / (pairs_of_nodes - kept - lost), lost / (kept + lost)
    two = [truths.entropy_of(np.array([one, 1.0 - one])) for one in (births, deaths)]
    found = ((pairs_of_nodes - kept - lost) * two[0] + (kept + lost) * two[1]) / (kept + lost)
    assert found == pytest.approx(case.value, rel=0.02)


def test_opinions_on_graphs_have_the_mean_disagreement_and_polarization():
    case = places.DISAGREEMENTS["exponential opinions, 200 agents"]
    sums = []
    for seed in range(200):
        z, edges = case.sample(200, seed)
        sums.append(((z[edges[:, 0]] - z[edges[:, 1]]) ** 2).sum())
    assert_mean_is(np.array(sums), case.value)
    case, settled = places.SETTLED["normal innate, 200 agents"], []
    laplacian = np.zeros((200, 200))
    for a, b in places.fixed_graph(200):
        laplacian[[a, b], [a, b]] += 1.0
        laplacian[[a, b], [b, a]] -= 1.0
    for seed in range(100):
        settled.append(200.0 * np.linalg.solve(np.eye(200) + laplacian, case.sample(200, seed)[0]).var())
    assert_mean_is(np.array(settled), case.value)


@pytest.mark.parametrize("case", populations.EMBEDDINGS.values(), ids=lambda case: case.name)
def test_directions_of_normal_vectors_have_their_mean_squares(case):
    (x,) = case.sample(100_000, 19)
    squares = x**2 / (x**2).sum(axis=1, keepdims=True)
    for column, share in zip(squares.T, case.info["shares"], strict=True):
        assert_mean_is(column, share)


def test_spectra_of_a_ring_and_of_a_normal_cloud_are_those_of_many_points():
    for case in populations.CLOUDS.values():
        (x,) = case.sample(1200, 20)
        kernel = np.exp(-((x[:, None] - x) ** 2).sum(axis=2) / (2.0 * case.info["sigma"] ** 2))
        root = 1.0 / np.sqrt(kernel.sum(axis=1))
        spectrum = np.abs(np.linalg.eigvalsh(kernel * root[:, None] * root))
        # A cloud with tails comes to its limit slowly.
        assert stats.entropy(spectrum) == pytest.approx(case.value, abs=0.02 if "ring" in case.name else 0.12)


@pytest.mark.parametrize("case", populations.SCHOOLS.values(), ids=lambda case: case.name)
def test_headings_fill_zones_about_an_axis_of_theirs_as_said(case):
    _, heading = case.sample(100_000, 21)
    axis = heading[:, 0] if case.name == "headings in a plane" else heading[:, 2]
    counts = np.histogram(axis, populations.HEADING_BINS, (-1.0, 1.0))[0]
    assert stats.entropy(counts) / math.log(populations.HEADING_BINS) == pytest.approx(case.value, abs=2e-3)


@pytest.mark.parametrize(
    "case",
    [
        *populations.ALL_OF_POPULATIONS.values(),
        *places.ALL_OF_PLACES.values(),
        *processes.CHANGES.values(),
        *truths.CROSS_COUNTS.values(),
    ],
    ids=lambda case: case.name,
)
def test_populations_are_functions_of_size_and_seed(case):
    first, again, other = case.sample(60, 3), case.sample(60, 3), case.sample(60, 4)
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert any(not np.array_equal(one, two) for one, two in zip(first, other, strict=True))
