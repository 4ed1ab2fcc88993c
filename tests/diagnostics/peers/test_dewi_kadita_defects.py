"""Where dewi-kadita's entropies depend on what they should not, and the calibrated ones do not."""

import numpy as np
import pytest

from simengine.diagnostics.calibration import calibrate

pytest.importorskip("dewi_kadita")

from dewi_kadita.core.metrics import compute_all_metrics, compute_polarization_entropy


def uniform_school(n, box=100.0):
    rng = np.random.default_rng(n)
    return rng.random((n, 3)) * box, rng.normal(size=(n, 3))


@pytest.mark.parametrize(("n", "ceiling"), [(50, 0.66), (150, 0.80), (1000, 0.925), (10_000, 0.944)])
def test_an_isotropic_school_reaches_one_at_any_size_where_the_peers_ceiling_moves_with_it(n, ceiling):
    position, heading = uniform_school(n)
    # Fixed seeds; the standard deviation of the peer's number is below 0.015 at 50 fish, ours is in the estimate.
    assert compute_polarization_entropy(heading) == pytest.approx(ceiling, abs=0.04)
    ours = calibrate(position, heading, 100.0)["calibrated_polarization_entropy"]
    assert abs(ours.value - 1.0) < 4.0 * ours.standard_error


def test_a_school_across_the_border_keeps_its_spread_and_shape_where_the_peers_do_not():
    rng = np.random.default_rng(4)
    position, heading = 50.0 + 4.0 * rng.normal(size=(150, 3)), rng.normal(size=(150, 3))
    moved = (position + np.array([50.0, 0.0, 0.0])) % 100.0
    peer, peer_moved = (compute_all_metrics(one, heading, 100.0) for one in (position, moved))
    assert peer_moved["spread"] > 4.0 * peer["spread"]
    assert peer_moved["school_shape_entropy"] < 0.5 < 0.9 < peer["school_shape_entropy"]
    ours, ours_moved = (calibrate(one, heading, 100.0) for one in (position, moved))
    for name in ("calibrated_spread", "calibrated_school_shape_entropy"):
        assert ours_moved[name].value == pytest.approx(ours[name].value, abs=1e-9)
