"""The numbers of dit: joint tables, in bits."""

import math
from itertools import product

import numpy as np
import pytest

from simengine.diagnostics.counts.divergences import jensen_shannon
from simengine.diagnostics.counts.generalised import renyi_entropy, tsallis_entropy
from simengine.diagnostics.information import conditional_mutual_information, mutual_information
from simengine.diagnostics.multivariate.partial import partial_information_of
from simengine.diagnostics.multivariate.shared import (
    co_information,
    dual_total_correlation,
    o_information,
    s_information,
    total_correlation,
)

pytest.importorskip("dit")

import dit
from dit.pid import PID_BROJA, PID_MMI, PID_WB


def random_table(seed, shape=(2, 3, 2), total=60):
    return (
        np.random.default_rng(seed).multinomial(total, np.full(math.prod(shape), 1 / math.prod(shape))).reshape(shape)
    )


def distribution(table):
    cells = [cell for cell in product(*map(range, table.shape)) if table[cell]]
    found = dit.Distribution(["".join(map(str, cell)) for cell in cells], [table[c] / table.sum() for c in cells])
    return found


def rows(table):
    """Samples that give exactly this table, shape (n, 3)."""
    return np.repeat(np.argwhere(table >= 0), table.ravel(), axis=0)


@pytest.mark.parametrize("seed", range(5))
def test_quantities_of_many_variables_are_the_peers(seed):
    table = random_table(seed)
    law, samples = distribution(table), rows(table)
    for ours, theirs in (
        (total_correlation, dit.multivariate.total_correlation),
        (dual_total_correlation, dit.multivariate.dual_total_correlation),
        (o_information, dit.multivariate.o_information),
        (co_information, dit.multivariate.coinformation),
    ):
        found = ours(samples, estimator="plug-in", unit="bit").value
        assert found == pytest.approx(theirs(law), abs=1e-9), ours.__name__
    both = dit.multivariate.total_correlation(law) + dit.multivariate.dual_total_correlation(law)
    assert s_information(samples, estimator="plug-in", unit="bit").value == pytest.approx(both, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_information_of_two_and_given_a_third_is_the_peers(seed):
    table = random_table(seed)
    law, (x, y, z) = distribution(table), rows(table).T
    shared = dit.multivariate.coinformation(law, [[0], [1]])
    assert mutual_information(x, y, estimator="plug-in", unit="bit").value == pytest.approx(shared, abs=1e-9)
    given = dit.multivariate.coinformation(law, [[0], [1]], [2])
    found = conditional_mutual_information(x, y, z, estimator="plug-in", unit="bit").value
    assert found == pytest.approx(given, abs=1e-9)


def parts_of_both(seed, definition, theirs):
    """The four parts in bits, ours and the peer's."""
    table = random_table(seed, (2, 2, 2))
    peer = theirs(distribution(table), [(0,), (1,)], (2,))
    atoms = (((0,), (1,)), ((0,),), ((1,),), ((0, 1),))
    found = np.array(partial_information_of(table / table.sum(), definition)) / math.log(2.0)
    return found, np.array([peer.get_pi(atom) for atom in atoms])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("definition", "theirs"), [("williams-beer", PID_WB), ("mmi", PID_MMI)])
def test_parts_of_information_are_the_peers(seed, definition, theirs):
    ours, peers = parts_of_both(seed, definition, theirs)
    np.testing.assert_allclose(ours, peers, atol=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_no_redundancy_of_the_peer_beats_that_of_broja_and_no_part_is_negative(seed):
    # BROJA's redundancy is a maximum. dit starts at random and stops 1e-5 from it as a rule, but at times far away.
    ours, peers = parts_of_both(seed, "broja", PID_BROJA)
    assert ours[0] > peers[0] - 1e-4
    assert ours.min() > -1e-9
    assert ours.sum() == pytest.approx(peers.sum(), abs=1e-4)


@pytest.mark.parametrize("order", [0.5, 2.0, 3.0])
def test_renyi_and_tsallis_entropies_are_the_peers(order):
    table = random_table(7)
    law = distribution(table)
    # So many samples that the bias, which ours takes off, is below the tolerance.
    counts = table.ravel() * 10**6
    found = renyi_entropy(counts, order, unit="bit").value
    assert found == pytest.approx(dit.other.renyi_entropy(law, order), abs=1e-6)
    assert tsallis_entropy(counts, order).value == pytest.approx(dit.other.tsallis_entropy(law, order), abs=1e-6)


def test_the_jensen_shannon_divergence_is_the_peers():
    p, q = (random_table(seed, (6, 1, 1), 50).ravel() + 1 for seed in (8, 9))
    laws = [dit.Distribution(list("abcdef"), part / part.sum()) for part in (p, q)]
    expected = dit.divergences.jensen_shannon_divergence(laws)
    found = jensen_shannon(p, q).details["plug_in"] / math.log(2.0)
    assert found == pytest.approx(expected, abs=1e-9)
