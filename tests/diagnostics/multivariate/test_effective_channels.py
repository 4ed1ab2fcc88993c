import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simengine.diagnostics.multivariate.channels import channels_of, effective_channels, second_moments
from simengine.errors import InputError


def test_alike_outputs_are_one_channel_and_orthogonal_ones_are_all_different():
    alike = effective_channels(np.ones((10, 4)), estimator="plug-in")
    assert alike.value == pytest.approx(1.0)
    assert "common_component" in alike.flags
    assert effective_channels(np.eye(10), estimator="plug-in").value == pytest.approx(10.0)
    assert effective_channels(np.eye(10), estimator="plug-in").details["participation_ratio"] == pytest.approx(10.0)


def test_the_definition_by_the_gram_matrix_is_met():
    x = np.random.default_rng(1).normal(size=(30, 50))
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    eigenvalues = np.linalg.eigvalsh(unit @ unit.T / 30)
    expected = np.exp(-np.sum(eigenvalues * np.log(eigenvalues)))
    assert effective_channels(x, estimator="plug-in").value == pytest.approx(expected)
    assert channels_of(second_moments(x)[0]).channels == pytest.approx(expected)


@given(st.integers(0, 10**6), st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_moments_of_parts_add_up_to_those_of_the_whole(seed, parts):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(40, 6)) + 1.0
    sums = [second_moments(one) for one in np.array_split(x, parts)]
    moments, total, n = (sum(part[i] for part in sums) for i in range(3))
    found = effective_channels(x, shuffles=0)
    assert channels_of(moments).channels == pytest.approx(found.details["of_these"])
    assert channels_of(moments, total, n).channels == pytest.approx(found.details["centred"])
    assert channels_of(moments, total, n).participation_ratio == pytest.approx(
        found.details["centred_participation_ratio"]
    )


@pytest.mark.parametrize("shape", [(25, 6), (12, 40)])
@pytest.mark.parametrize("centred", [False, True])
def test_contributions_are_what_leaving_out_each_output_changes(shape, centred):
    x = np.random.default_rng(2).normal(size=shape)
    x[1] = x[0]
    found = effective_channels(x, estimator="plug-in", centred=centred, leave_one_out=True, shuffles=0)
    for row, contribution in enumerate(found.details["contributions"]):
        less = effective_channels(np.delete(x, row, axis=0), estimator="plug-in", centred=centred, shuffles=0)
        assert contribution == pytest.approx(found.value - less.value, abs=1e-9)


@pytest.mark.parametrize("centred", [False, True])
def test_intervals_hold_the_channels_of_the_population(centred):
    # 200 repetitions of coverage 0.95 fall below 0.9 with probability 0.002.
    rng = np.random.default_rng(3)
    scale, mean = np.exp(-np.arange(12) / 3.0), np.r_[0.5, np.zeros(11)]
    moments, total, n = second_moments(rng.normal(size=(200_000, 12)) * scale + mean)
    truth = (channels_of(moments, total, n) if centred else channels_of(moments)).channels
    found = [
        effective_channels(rng.normal(size=(150, 12)) * scale + mean, centred=centred, shuffles=0) for _ in range(200)
    ]
    low, high = np.array([one.interval for one in found]).T
    assert np.mean((low <= truth) & (truth <= high)) >= 0.9
    assert np.median(high - low) <= 1.5 * 2 * 1.96 * np.std([one.value for one in found])
    assert np.mean([bool(one.flags) for one in found]) < 0.05


def test_the_null_is_that_of_independent_components():
    rng = np.random.default_rng(4)
    found = effective_channels(rng.normal(size=(300, 8)), estimator="plug-in")
    assert abs(found.z) < 4.0
    two = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 8))
    assert effective_channels(two, estimator="plug-in").z < -20.0


def test_doubts_are_raised_outside_the_validity():
    rng = np.random.default_rng(5)
    assert "common_component" in effective_channels(rng.normal(size=(200, 5)) + 3.0).flags
    assert "common_component" not in effective_channels(rng.normal(size=(200, 5)) + 3.0, centred=True).flags
    assert {"few_samples", "saturated"} <= set(effective_channels(rng.normal(size=(40, 60))).flags)
    assert "constant" in effective_channels(np.ones((200, 3)), centred=True).flags


def test_batches_give_arrays():
    x = np.random.default_rng(6).normal(size=(3, 120, 4))
    found = effective_channels(x)
    assert found.shape == (3,)
    assert found.value[1] == effective_channels(x[1]).value


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: effective_channels(np.zeros((3, 2))), "no direction"),
        (lambda: effective_channels(np.ones((3, 2)), estimator="corected"), "corrected"),
        (lambda: effective_channels(np.ones((2001, 2)), leave_one_out=True), "at most 2000"),
        (lambda: effective_channels(np.ones((3, 2)), shuffles=-1), "at least 0"),
        (lambda: channels_of(np.ones((2, 3))), r"\(d, d\)"),
        (lambda: channels_of(np.eye(2), total=np.ones(2)), "belong together"),
        (lambda: channels_of(np.eye(2), total=np.ones(3), n=4), "total has shape"),
    ],
)
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(InputError, match=message):
        call()
