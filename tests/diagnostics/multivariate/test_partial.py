import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simengine.diagnostics.multivariate.broja import union_information
from simengine.diagnostics.multivariate.partial import DEFINITIONS, Atoms, partial_information, partial_information_of
from simengine.diagnostics.multivariate.shared import total_correlation_of
from simengine.errors import InputError

LN2 = math.log(2.0)


def gate(function, states=2, noise=0.0):
    p = np.zeros((2, 2, states))
    for a in (0, 1):
        for b in (0, 1):
            p[a, b, function(a, b)] += 0.25 * (1.0 - noise)
            p[a, b] += 0.25 * noise / states
    return p


XOR, AND = gate(lambda a, b: a ^ b), gate(lambda a, b: a & b)
COPY, UNIQUE = gate(lambda a, b: 2 * a + b, 4), gate(lambda a, b: a)
REDUNDANT = np.zeros((2, 2, 2))
REDUNDANT[0, 0, 0] = REDUNDANT[1, 1, 1] = 0.5
NOISY_AND = gate(lambda a, b: a & b, noise=0.2)
AND_SHARED = 1.5 * LN2 - 0.75 * math.log(3.0)

tables = st.builds(
    lambda seed, shape, zeros: random_table(seed, shape, zeros), st.integers(0, 10**6),
    st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)), st.sampled_from([0.0, 0.4]),
)  # fmt: skip


def random_table(seed, shape, zeros=0.0):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(math.prod(shape), rng.choice([0.1, 1.0]))).reshape(shape)
    p = np.where(rng.random(shape) < zeros, 0.0, p + 1e-9)
    return p / p.sum() if p.any() else np.full(shape, 1.0 / math.prod(shape))


def information(p, axes):
    """Of the target about the sources on given axes."""
    rest = tuple(axis for axis in (0, 1) if axis not in axes)
    table = p.sum(axis=rest)
    return total_correlation_of(table.reshape(-1, p.shape[2]))


@pytest.mark.parametrize("definition", DEFINITIONS)
@pytest.mark.parametrize(
    ("table", "bits"),
    [
        (XOR, (0, 0, 0, 1)), (UNIQUE, (0, 1, 0, 0)), (REDUNDANT, (1, 0, 0, 0)),
        (AND, (AND_SHARED / LN2, 0, 0, 0.5)),
    ],
    ids=["xor", "unique", "redundant", "and"],
)  # fmt: skip
def test_gates_fall_into_the_parts_of_the_literature(table, bits, definition):
    np.testing.assert_allclose(np.array(partial_information_of(table, definition)) / LN2, bits, atol=1e-8)


def test_definitions_differ_on_the_copy_of_both_sources():
    np.testing.assert_allclose(partial_information_of(COPY, "broja"), [0, LN2, LN2, 0], atol=1e-12)
    for definition in ("mmi", "williams-beer"):
        np.testing.assert_allclose(partial_information_of(COPY, definition), [LN2, 0, 0, LN2], atol=1e-12)


@given(tables)
@settings(max_examples=60, deadline=None)
def test_the_parts_are_not_negative_and_add_up(p):
    one, other, both = (information(p, axes) for axes in ((0,), (1,), (0, 1)))
    for definition in DEFINITIONS:
        redundancy, unique_1, unique_2, synergy = partial_information_of(p, definition)
        assert min(redundancy, unique_1, unique_2, synergy) > -1e-6
        assert redundancy + unique_1 == pytest.approx(one, abs=1e-9)
        assert redundancy + unique_2 == pytest.approx(other, abs=1e-9)
        assert redundancy + unique_1 + unique_2 + synergy == pytest.approx(both, abs=1e-9)


@given(tables)
@settings(max_examples=60, deadline=None)
def test_the_union_program_is_solved_with_a_certificate(p):
    found = union_information(p)
    np.testing.assert_allclose(found.table.sum(axis=1), p.sum(axis=1), atol=1e-11)
    np.testing.assert_allclose(found.table.sum(axis=0), p.sum(axis=0), atol=1e-11)
    assert found.table.min() >= 0.0
    assert information(found.table, (0, 1)) == pytest.approx(found.information, abs=1e-9)
    # Weak duality, checked anew: sum_t exp(a + b) <= 1 for all pairs of sources bounds every feasible table.
    target = p.sum(axis=(0, 1))
    allowed = (p.sum(axis=1) > 1e-12)[:, None, :] & (p.sum(axis=0) > 1e-12)[None, :, :]
    dual = np.where(allowed, found.local + np.log(np.where(target > 0.0, target, 1.0)), -np.inf)
    assert np.exp(dual).sum(axis=2).max() <= 1.0 + 1e-12
    bound = float((p * found.local)[allowed].sum())
    assert found.information - bound <= found.gap + 1e-9
    assert found.gap <= 1e-6


def test_no_other_feasible_table_has_less_information():
    rng = np.random.default_rng(1)
    p = random_table(3, (3, 3, 2))
    found = union_information(p)
    for _ in range(200):
        moved = found.table.copy()
        i, j = rng.choice(3, 2, replace=False), rng.choice(3, 2, replace=False)
        t = rng.integers(2)
        step = rng.random() * min(moved[i[0], j[0], t], moved[i[1], j[1], t])
        moved[i[0], j[0], t] -= step
        moved[i[1], j[1], t] -= step
        moved[i[0], j[1], t] += step
        moved[i[1], j[0], t] += step
        assert information(moved, (0, 1)) >= found.information - 1e-8


@pytest.mark.parametrize("table", [AND, NOISY_AND, random_table(5, (2, 3, 2))], ids=["and", "noisy and", "random"])
def test_the_parts_agree_with_dit(table):
    dit = pytest.importorskip("dit")
    places = [index for index in np.ndindex(table.shape) if table[index] > 0.0]
    peer = dit.Distribution(["".join(map(str, index)) for index in places], [table[index] for index in places])
    nodes = (((0,), (1,)), ((0,),), ((1,),), ((0, 1),))
    for definition, peers in (("mmi", dit.pid.PID_MMI), ("williams-beer", dit.pid.PID_WB)):
        found = peers(peer, ((0,), (1,)), (2,))
        expected = [found.get_pi(node) * LN2 for node in nodes]
        np.testing.assert_allclose(partial_information_of(table, definition), expected, atol=1e-9)


def test_broja_of_the_and_gate_agrees_with_dit():
    dit = pytest.importorskip("dit")
    places = [index for index in np.ndindex(AND.shape) if AND[index] > 0.0]
    peer = dit.Distribution(["".join(map(str, index)) for index in places], [AND[index] for index in places])
    found = dit.pid.PID_BROJA(peer, ((0,), (1,)), (2,))
    expected = [found.get_pi(node) * LN2 for node in (((0,), (1,)), ((0,),), ((1,),), ((0, 1),))]
    np.testing.assert_allclose(partial_information_of(AND, "broja"), expected, atol=1e-5)


@pytest.mark.parametrize("definition", DEFINITIONS)
@pytest.mark.parametrize("table", [XOR, gate(lambda a, b: a ^ b, noise=0.3), NOISY_AND], ids=["xor", "noisy", "and"])
def test_intervals_hold_the_parts(table, definition):
    # 150 repetitions of coverage 0.95 fall below 0.89 with probability 0.001.
    rng = np.random.default_rng(2)
    truth = partial_information_of(table, definition)
    found = [
        list(partial_information(counts=counts.reshape(2, 2, 2), definition=definition))
        for counts in rng.multinomial(600, table.ravel(), size=150)
    ]
    for part, value in enumerate(truth):
        low, high = np.array([one[part].interval for one in found]).T
        assert np.mean((low <= value + 1e-9) & (value - 1e-9 <= high)) >= 0.89
    synergy = np.array([one[3].interval for one in found])
    oracle = 2 * 1.96 * np.std([one[3].value for one in found])
    assert np.median(synergy[:, 1] - synergy[:, 0]) <= 1.5 * oracle


def test_samples_and_counts_give_the_same_and_the_method_names_the_definition():
    rng = np.random.default_rng(3)
    a, b = rng.integers(0, 2, (2, 500))
    t = a & b
    counts = np.zeros((2, 2, 2), int)
    np.add.at(counts, (a, b, t), 1)
    for definition in DEFINITIONS:
        found, other = (
            partial_information(a, b, t, definition=definition),
            partial_information(counts=counts, definition=definition),
        )
        for name, one, two in zip(Atoms._fields, found, other, strict=True):
            assert one.value == pytest.approx(two.value, abs=1e-12)
            assert one.method == f"{name}, {definition}, grassberger"
            assert one.details["gap"] <= 1e-6
    batch = partial_information(
        np.stack([a, b])[:, :, None], np.stack([b, a])[:, :, None], np.stack([t, t])[:, :, None]
    )
    assert batch.synergy.shape == (2,)
    np.testing.assert_allclose(batch.synergy.value, partial_information(a, b, t).synergy.value)


def test_doubts_are_raised_outside_the_validity():
    rng = np.random.default_rng(4)
    few = partial_information(counts=rng.multinomial(60, NOISY_AND.ravel()).reshape(2, 2, 2))
    assert "few_samples" in few.redundancy.flags
    many = partial_information(*rng.integers(0, 6, (3, 300)))
    assert "many_states" in many.synergy.flags
    tie = partial_information(counts=rng.multinomial(2000, COPY.ravel()).reshape(2, 2, 4), definition="williams-beer")
    assert "near_tie" in tie.redundancy.flags
    still = partial_information(np.zeros(300, int), *rng.integers(0, 2, (2, 300)))
    assert "constant" in still.unique_1.flags


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: partial_information_of(XOR, "brojo"), "broja"),
        (lambda: partial_information_of(np.ones((2, 2))), "3 axes"),
        (lambda: partial_information([0, 1], [0, 1]), "target are needed"),
        (lambda: partial_information([0, 1], [0, 1], [0, 1], counts=np.ones((2, 2, 2))), "one of them"),
        (lambda: partial_information([0, 1], [0, 1], [0.5, 1]), "fractions"),
        (lambda: partial_information([0, 1], [0, 1], [0, 1], estimator="nsb"), "grassberger"),
        (lambda: partial_information_of(np.ones((30, 30, 4)), "broja"), "at most 2000"),
    ],
)
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(InputError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)


def test_the_lesser_of_two_sources_that_tell_nothing_is_doubted():
    counts = np.random.default_rng(5).multinomial(1000, gate(lambda a, b: a ^ b, noise=0.1).ravel()).reshape(2, 2, 2)
    found = partial_information(counts=counts, definition="williams-beer")
    assert "near_tie" in found.redundancy.flags
    assert found.synergy.flags == ()
