"""The cases that estimators are held against are right themselves: by quadrature, by simulation, by other formulas."""

import math
from itertools import pairwise

import numpy as np
import pytest
import truths
import truths_in_time as processes
import truths_of_groups as groups
import truths_of_pairs as pairs
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


@pytest.mark.parametrize("case", truths.DIVERGENCES.values(), ids=lambda case: case.name)
def test_divergences_are_those_of_many_samples(case):
    p, q = (part / part.sum() for part in case.sample(10**9, 5))
    middle = 0.5 * (p + q)
    found = {
        "KL divergence": stats.entropy(p, q),
        "JS divergence": 0.5 * (stats.entropy(p, middle) + stats.entropy(q, middle)),
        "stability index": ((p - q) * np.log(p / q)).sum(),
        "Hellinger": math.sqrt(1.0 - np.sqrt(p * q).sum()),
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
